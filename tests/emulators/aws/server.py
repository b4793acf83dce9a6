"""moto as a server in this process, with a log of what was asked: `with Server() as cloud: … cloud.writes()`.

Nothing of moto is changed. Its images are those of `IMAGES`: moto knows none of Debian's. `GET /_emulator/log` is the log for another process
(`DELETE` empties it), `GET /_emulator/violations` what went wrong.

**Real hosts behind instances.** With `hook` a command is called as `COMMAND EVENT`, with EVENT one of create, delete, power_on, power_off, shutdown
and reboot, and the instance as JSON on its standard input, in the form that the emulator of DigitalOcean uses for a droplet. Until the command has
ended the instance is pending, stopping or shutting down, as at the vendor; moto by itself knows only the end. When the command fails it stays so, and
`violations` says why.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import sys
import tempfile
import threading
import urllib.request
from urllib.parse import parse_qs

from .. import hooks

DEBIAN, CANONICAL = "136693071363", "099720109477"
READS = ("Describe", "List", "Get", "Head")
# What an instance is meanwhile and afterwards, with the numbers that EC2 has for it, and what the hook is told.
MOVES = {
    "RunInstances": ("create", ("pending", 0), ("running", 16)),
    "StartInstances": ("power_on", ("pending", 0), ("running", 16)),
    "StopInstances": ("shutdown", ("stopping", 64), ("stopped", 80)),
    "RebootInstances": ("reboot", ("running", 16), ("running", 16)),
    "TerminateInstances": ("delete", ("shutting-down", 32), ("terminated", 48)),
}


def _image(identity, owner, name, created, root):
    return {
        "ami_id": identity, "owner_id": owner, "name": name, "creation_date": created, "root_device_name": root, "root_device_type": "ebs",
        "architecture": "x86_64", "virtualization_type": "hvm", "hypervisor": "xen", "image_type": "machine", "public": True, "state": "available",
        "description": name, "image_location": f"{owner}/{name}", "platform": "Linux/UNIX", "sriov": "simple",
    }  # fmt: skip


IMAGES = [
    _image("ami-0d000000000000001", DEBIAN, "debian-13-amd64-20260105-2346", "2026-01-05T08:00:00.000Z", "/dev/xvda"),
    _image("ami-0d000000000000002", DEBIAN, "debian-13-amd64-20260202-2374", "2026-02-02T08:00:00.000Z", "/dev/xvda"),
    _image("ami-0d000000000000003", DEBIAN, "debian-12-amd64-20260202-2374", "2026-02-02T09:00:00.000Z", "/dev/xvda"),
    _image("ami-0c000000000000001", CANONICAL, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101", "2026-01-01T08:00:00.000Z", "/dev/sda1"),
    _image("ami-0c000000000000002", CANONICAL, "twin-a", "2026-01-02T08:00:00.000Z", "/dev/sda1"),
    _image("ami-0c000000000000003", CANONICAL, "twin-b", "2026-01-02T08:00:00.000Z", "/dev/sda1"),
]


# Route 53 has only methods and paths, too.
ROUTE53 = {
    ("GET", r"/2013-04-01/hostedzone/?"): "ListHostedZones",
    ("POST", r"/2013-04-01/hostedzone/?"): "CreateHostedZone",
    ("GET", r"/2013-04-01/hostedzone/[^/]+/rrset/?"): "ListResourceRecordSets",
    ("POST", r"/2013-04-01/hostedzone/[^/]+/rrset/?"): "ChangeResourceRecordSets",
}


def operation(environ: dict, body: bytes) -> str:
    """What a request asks for: the operation's name, or method and path for S3, which has only those."""
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return target.rpartition(".")[2]
    asked = parse_qs(body.decode(errors="replace")).get("Action") or parse_qs(environ.get("QUERY_STRING", "")).get("Action")
    if asked:
        return asked[0]
    # CloudWatch speaks Smithy RPC v2: /service/GraniteServiceVersion20100801/operation/PutMetricAlarm
    rpc = re.search(r"/operation/(\w+)$", environ["PATH_INFO"])
    if rpc:
        return rpc[1]
    for (method, path), name in ROUTE53.items():
        if environ["REQUEST_METHOD"] == method and re.fullmatch(path, environ["PATH_INFO"]):
            return name
    query = environ.get("QUERY_STRING", "").partition("&")[0].rstrip("=")
    return f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}" + (f"?{query}" if query else "")


def is_write(name: str) -> bool:
    method, space, _path = name.partition(" ")
    return method not in ("GET", "HEAD") if space else not name.startswith(READS)


# What IAM calls S3's requests on a bucket: by method and subresource.
S3 = {
    "": {"PUT": ["CreateBucket"], "DELETE": ["DeleteBucket"], "HEAD": ["ListBucket"], "GET": ["ListBucket"]},
    "delete": {"POST": ["DeleteObject", "DeleteObjectVersion"]},
    "versions": {"GET": ["ListBucketVersions"]}, "location": {"GET": ["GetBucketLocation"]}, "object-lock": {"GET": ["GetBucketObjectLockConfiguration"]},
    "policy": {"GET": ["GetBucketPolicy"], "PUT": ["PutBucketPolicy"], "DELETE": ["DeleteBucketPolicy"]}, "acl": {"GET": ["GetBucketAcl"]},
    "publicAccessBlock": {"GET": ["GetBucketPublicAccessBlock"], "PUT": ["PutBucketPublicAccessBlock"]},
    "encryption": {"GET": ["GetEncryptionConfiguration"], "PUT": ["PutEncryptionConfiguration"]},
    "lifecycle": {"GET": ["GetLifecycleConfiguration"], "PUT": ["PutLifecycleConfiguration"]},
    "requestPayment": {"GET": ["GetBucketRequestPayment"]}, "accelerate": {"GET": ["GetAccelerateConfiguration"]},
    "inventory": {"GET": ["GetInventoryConfiguration"]},
    **{name.lower() if name != "OwnershipControls" else "ownershipControls": {"GET": [f"GetBucket{name}"], "PUT": [f"PutBucket{name}"]}
       for name in ("Versioning", "Tagging", "OwnershipControls")},
}  # fmt: skip


def about(backend, instance) -> dict:
    """An instance in the words of the hook: what a host is made of."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    # By a filter: moto starts instances of images that it does not know, and refuses to describe those.
    image = next(iter(backend.describe_images(filters={"image-id": instance.image_id})), None)
    pair = backend.key_pairs.get(instance.key_name)
    return {
        "id": instance.id, "name": tags.get("Name") or instance.id, "tags": tags, "image": {"name": image.name if image else instance.image_id},
        "memory": INSTANCE_TYPES[instance.instance_type]["MemoryInfo"]["SizeInMiB"],
        "private": {
            "user_data": instance.user_data.decode() if instance.user_data else None,
            "public_keys": [pair.material_public.decode()] if pair else [],
        },
    }  # fmt: skip


def signed_by(environ: dict) -> tuple[str, str]:
    """(access key, service) of a request's signature."""
    scope = re.search(r"Credential=([^/]+)/\d+/[^/]+/([a-z0-9-]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    return (scope[1], scope[2]) if scope else ("", "?")


def actions(environ: dict, name: str) -> list[str]:
    """The rights that a request needs, as IAM calls them. Of S3, a request that is not known here is `s3:?` with what it was."""
    _key, service = signed_by(environ)
    service = {"monitoring": "cloudwatch"}.get(service, service)
    if service != "s3":
        return [f"{service}:{name}"]
    method, _space, path = name.partition(" ")
    path, _mark, part = path.partition("?")
    if path == "/":
        return ["s3:ListAllMyBuckets"]
    return [f"s3:{action}" for action in S3.get(part, {}).get(method) or [f"? {name}"]]


class Server:
    """`url`, `log` (names of operations, in order), `needed` (by access key, the rights of all that was ever asked with it), and boto3 clients
    of the one account that moto has."""

    def __init__(self, hook: str | None = None, port: int = 0):
        self.hook, self.port = hook, port
        self.log = []
        #: what the hook could not do, each a sentence
        self.violations = []
        self._addresses, self._gone = {}, set()
        self.needed = {}
        #: {operation of EC2 or S3: (code, message)} of what is refused
        self.refused = {}
        self.stop_after, self.stopped, self._dead = None, threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def __enter__(self):
        # moto reads this when it is imported, which is why nothing imports it above.
        if "MOTO_AMIS_PATH" not in os.environ:
            handle, path = tempfile.mkstemp(suffix=".json", prefix="moto-images-")
            with os.fdopen(handle, "w") as images:
                json.dump(IMAGES, images)
            os.environ["MOTO_AMIS_PATH"] = path
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        application = DomainDispatcherApplication(create_backend_app)

        def logged(environ, start_response):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            body = environ["wsgi.input"].read(length) if length else b""
            environ["wsgi.input"] = io.BytesIO(body)
            if environ["PATH_INFO"].startswith("/_emulator/"):
                return self._control(environ, start_response)
            name = ""
            if not environ["PATH_INFO"].startswith("/moto-api/"):
                name = operation(environ, body)
                with self._lock:
                    stop = is_write(name) and self.stop_after in self.log
                if stop:
                    self.stopped.set()
                    self._dead.wait(60)
                    start_response("503 Service Unavailable", [])
                    return []
                with self._lock:
                    self.log.append(name)
                    refusal = self.refused.get(name)
                    self.needed.setdefault(signed_by(environ)[0], set()).update(actions(environ, name))
                if refusal:
                    start_response("400 Bad Request", [("Content-Type", "text/xml")])
                    code, message = refusal
                    if " " in name:  # S3 has another form of refusing
                        return [f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()]
                    return [f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>".encode()]
            answer = application(environ, start_response)
            if self.hook and name in MOVES:
                answer = [b"".join(answer)]
                self._move(name, answer[0].decode(errors="replace"), parse_qs(body.decode(errors="replace")), environ)
            return answer

        self._server = make_server("127.0.0.1", self.port, logged, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.reset()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        path = pathlib.Path(os.environ["MOTO_AMIS_PATH"])
        if path.name.startswith("moto-images-"):
            path.unlink(missing_ok=True)
            del os.environ["MOTO_AMIS_PATH"]

    def _control(self, environ, start_response):
        """The log and the failures for whoever asks from another process."""
        with self._lock:
            if environ["PATH_INFO"] == "/_emulator/log" and environ["REQUEST_METHOD"] == "DELETE":
                self.log.clear()
            answers = {
                "/_emulator/log": [{"operation": name, "write": is_write(name)} for name in self.log],
                "/_emulator/violations": {"judged": None, "violations": self.violations},
            }
        found = answers.get(environ["PATH_INFO"])
        start_response("404 Not Found" if found is None else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps(found).encode()]

    def _move(self, name, said, asked, environ):
        """Have the hook do what an accepted request asked of its instances. A refusal names none."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.ec2.models import ec2_backends

        event, (meanwhile, number), (at_last, last_number) = MOVES[name]
        backend = ec2_backends[DEFAULT_ACCOUNT_ID][re.search(r"Credential=[^/]+/\d+/([^/]+)/", environ["HTTP_AUTHORIZATION"])[1]]
        # RebootInstances answers with nothing but that it was accepted.
        named = re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", said)
        if name == "RebootInstances" and "<Error>" not in said:
            named = [values[0] for key, values in asked.items() if key.startswith("InstanceId")]
        if name == "StopInstances" and asked.get("Force") == ["true"]:
            event = "power_off"
        for instance in [backend.get_instance(identity) for identity in dict.fromkeys(named)]:
            if instance.id in self._gone:
                continue  # what is terminated can be terminated again, and its host is gone
            if event == "delete":
                self._gone.add(instance.id)
            instance._state.name, instance._state.code = meanwhile, number
            if name == "RunInstances":  # an instance has a public address when it runs, and no address but its host's
                instance.nics[0].public_ip = None
            doing = (instance, event, about(backend, instance), (at_last, last_number))
            threading.Thread(target=self._follow, args=doing, daemon=True).start()

    def _follow(self, instance, event, machine, end):
        """Wait for the hook, then let the instance be what it said."""
        addresses, failure = hooks.call(self.hook, event, machine)
        if failure:
            self.violations.append(failure)
            print(failure, file=sys.stderr, flush=True)
            return
        if event != "delete" and instance.id in self._gone:
            return  # it was terminated meanwhile
        if addresses:
            self._addresses[instance.id] = addresses
        if end[0] == "running":
            known, nic = self._addresses[instance.id], instance.nics[0]
            nic.public_ip, nic.private_ip_address = known["public"], known["private"]
            nic.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": known["private"]}]
        instance._state.name, instance._state.code = end

    def reset(self):
        """An account with nothing in it but what the vendor makes: default networks."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST"), timeout=30).read()
        self.log.clear()

    @contextlib.contextmanager
    def holding_after(self, name):
        """No writing request is answered after the first one of that name: who asks stands still between the two, until the block ends."""
        self.log.clear()
        self.stop_after = name
        self.stopped.clear()
        self._dead.clear()
        try:
            yield self.stopped
        finally:
            self._dead.set()
            self.stop_after = None

    def writes(self):
        return [name for name in list(self.log) if is_write(name)]

    def client(self, service, region="us-east-1"):
        import boto3

        return boto3.session.Session().client(
            service, region_name=region, endpoint_url=self.url, aws_access_key_id="tests", aws_secret_access_key="tests"
        )
