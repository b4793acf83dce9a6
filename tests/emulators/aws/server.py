"""moto as a server in this process, with a log of what was asked: `with Server() as cloud: … cloud.writes()`.

Nothing of moto is changed. Its images are those of `IMAGES`: moto knows none of Debian's.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import tempfile
import threading
import urllib.request
from urllib.parse import parse_qs

DEBIAN, CANONICAL = "136693071363", "099720109477"
READS = ("Describe", "List", "Get", "Head")


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

    def __init__(self):
        self.log = []
        self.needed = {}
        #: {operation of EC2: (code, message)} of what is refused
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
                    return [f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>".encode()]
            return application(environ, start_response)

        self._server = make_server("127.0.0.1", 0, logged, threaded=True)
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
