"""Machines of emulated clouds with real hosts behind them: cloud-init reads what the role fleet wrote, and Ansible logs in by a key known before."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

import declared
import hosts
import pytest
from emulators.aws.server import Server
from emulators.digitalocean import Emulator

GROUP, PREFIX = "cloudtest", "10.77.33"
HOOK = shlex.join([sys.executable, str(declared.ROOT / "lab/cloud_hosts.py"), "--group", GROUP, "--prefix", PREFIX])


def containers() -> dict[str, str]:
    """The hosts of the tests: {host name: state}, such as running or exited."""
    ids = hosts.run("docker", "ps", "-aq", "--filter", f"label={hosts.LABEL}={GROUP}").stdout.split()
    found = json.loads(hosts.run("docker", "inspect", *ids).stdout) if ids else []
    return {one["Config"]["Hostname"]: one["State"]["Status"] for one in found}


def booted(name: str) -> str:
    """When the container of the host of that name was started, as Docker writes times: they sort."""
    ids = hosts.run("docker", "ps", "-aq", "--filter", f"label={hosts.LABEL}={GROUP}").stdout.split()
    (one,) = [each for each in json.loads(hosts.run("docker", "inspect", *ids).stdout) if each["Config"]["Hostname"] == name]
    return one["State"]["StartedAt"]


def public(key: pathlib.Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


def until(what, seconds: float = 40) -> None:
    """Wait until `what()` holds: the vendors' answers come before their work is done."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


@pytest.fixture(scope="module", autouse=True)
def images():
    hosts.down(GROUP)
    yield
    hosts.down(GROUP)


@pytest.fixture(scope="module")
def admin(tmp_path_factory) -> pathlib.Path:
    """The operator's private key; the public half is beside it."""
    key = tmp_path_factory.mktemp("admin") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


class Machines(declared.Fleet):
    """A fleet of two machines; `shared` is said for every vendor, `declaration` for one of them."""

    def __init__(self, cloud, directory: pathlib.Path, admin: pathlib.Path, declaration: dict, source: dict, credentials: dict, secret: str) -> None:
        shared = {
            "fleet_name": "prod",
            "fleet_admin": {"name": "admin", "keys": [public(admin)]},
            "ansible_ssh_private_key_file": str(admin),
            # Nothing is trusted that is not known before.
            "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={directory}/known_hosts",
        }
        super().__init__(cloud, directory, {**shared, **declaration}, source, credentials, secret)

    def ask(self, module: str, *arguments: str) -> str:
        """One module on every host, over SSH as `admin`; what it printed."""
        argv = self.argv("ansible", "bot_hosts", "-m", module, *arguments)
        done = subprocess.run(argv, text=True, capture_output=True, env=self.environment(), cwd=self.directory, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


class Droplets(Machines):
    def __init__(self, cloud, directory: pathlib.Path, admin: pathlib.Path) -> None:
        hosts_wanted = [{"name": "engine", "count": 2, "size": "s-1vcpu-1gb", "roles": ["bot"]}]
        declaration = {"region": "nyc3", "ssh_keys": [{"name": "operator", "public_key": public(admin)}], "hosts": hosts_wanted}
        credentials = {"DIGITALOCEAN_TOKEN": cloud.token, "DIGITALOCEAN_API_ENDPOINT": cloud.url}
        super().__init__(cloud, directory, admin, {"fleet_digitalocean": declaration}, {"type": "digitalocean"}, credentials, cloud.token)

    def writes(self) -> list[str]:
        return [f"{entry['method']} {entry['path']}" for entry in self.cloud.writes()]

    def act(self, name: str, kind: str) -> None:
        """Ask the vendor for an action on a droplet, and wait until it is done."""
        (droplet,) = [one for one in self.cloud.table("droplets").values() if one["name"] == name]
        headers = {"authorization": f"Bearer {self.cloud.token}", "content-type": "application/json"}
        body = json.dumps({"type": kind}).encode()
        status, _headers, said, _fault = self.cloud.handle("POST", f"/v2/droplets/{droplet['id']}/actions", headers, body)
        assert status == 201, said
        until(lambda: not droplet["locked"])

    def left(self) -> list[str]:
        return [droplet["name"] for droplet in self.cloud.table("droplets").values()]


class Instances(Machines):
    SECRET = "canary-secret-key-2718"
    ACTIONS = {"power_off": "stop_instances", "power_on": "start_instances", "reboot": "reboot_instances"}

    def __init__(self, cloud, directory: pathlib.Path, admin: pathlib.Path) -> None:
        hosts_wanted = [{"name": "engine", "count": 2, "instance_type": "t3.micro", "roles": ["bot"]}]
        declaration = {"region": "us-east-1", "ip_range": "10.20.0.0/16", "public_key": public(admin), "hosts": hosts_wanted}
        declaration["security_group"] = {"inbound_rules": [{"ports": "22", "from": ["198.51.100.0/24"]}]}
        credentials = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": self.SECRET, "AWS_ENDPOINT_URL": cloud.url}
        source = {"type": "aws", "regions": ["us-east-1"]}
        super().__init__(cloud, directory, admin, {"fleet_aws": declaration}, source, credentials, self.SECRET)

    def writes(self) -> list[str]:
        return self.cloud.writes()

    def instances(self) -> dict[str, dict]:
        found = self.cloud.client("ec2").describe_instances()["Reservations"]
        alive = [one for reservation in found for one in reservation["Instances"] if one["State"]["Name"] != "terminated"]
        return {next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "Name"): one for one in alive}

    def act(self, name: str, kind: str) -> None:
        """Ask the vendor for an action on an instance, and wait until it is done."""
        before = booted(name)
        getattr(self.cloud.client("ec2"), self.ACTIONS[kind])(InstanceIds=[self.instances()[name]["InstanceId"]])
        until(lambda: self.instances()[name]["State"]["Name"] == ("stopped" if kind == "power_off" else "running"))
        if kind != "power_off":  # an instance that reboots is running all the while
            until(lambda: booted(name) > before)

    def left(self) -> list[str]:
        return list(self.instances())


def emulated(vendor: str):
    if vendor == "aws":
        return Server(hook=HOOK)
    return Emulator(specification=os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI"), hook=HOOK)


@pytest.fixture(scope="module", params=["digitalocean", "aws"])
def fleet(request, tmp_path_factory, admin):
    """Two machines whose life the tests tell in their order."""
    with emulated(request.param) as cloud:
        yield {"digitalocean": Droplets, "aws": Instances}[request.param](cloud, tmp_path_factory.mktemp("fleet"), admin)
        assert cloud.violations == []


def test_a_machine_is_a_host_that_ansible_reaches_by_a_key_known_before(fleet):
    fleet.run("provision")
    assert containers() == {"engine-1": "running", "engine-2": "running"}
    addresses = {json.dumps(about["ansible_host"]) for about in fleet.hosts()["_meta"]["hostvars"].values()}
    assert len(addresses) == 2 and all(f'"{PREFIX}.' in address for address in addresses), addresses

    # The account and its right to be root come from the user data: the image has no account at all.
    said = fleet.ask("command", "-b", "-a", "sh -c 'id -un; getent passwd admin; cat /etc/ssh/ssh_host_*_key.pub'")
    assert said.count("rc=0") == 2 and said.count("root\nadmin:x:") == 2
    known = (fleet.directory / "known_hosts").read_text()
    served = [line.split()[1] for line in said.splitlines() if line.startswith("ssh-ed25519 ")]
    assert len(set(served)) == 2 and all(key in known for key in served)
    assert "ssh-rsa" not in said and "ecdsa" not in said


def test_another_hosts_key_is_refused(fleet):
    path = fleet.directory / "known_hosts"
    known = path.read_text()
    keys = [line.split()[2] for line in known.splitlines()]
    path.write_text(known.replace(keys[0], "swap").replace(keys[1], keys[0]).replace("swap", keys[1]))
    try:
        argv = fleet.argv("ansible", "bot_hosts", "-m", "ping")
        # A connection that is still open was checked when it was made.
        environment = {**fleet.environment(), "ANSIBLE_SSH_ARGS": "-o ControlPath=none"}
        done = subprocess.run(argv, text=True, capture_output=True, env=environment, cwd=fleet.directory, check=False)
    finally:
        path.write_text(known)
    assert done.returncode == 4 and done.stdout.count("unreachable: true") == 2 and "Host key verification failed" in done.stdout, done.stdout


def test_a_second_run_writes_nothing_and_there_is_nothing_to_change(fleet):
    assert "changed=0" in fleet.run("provision") and fleet.writes() == []
    assert "nothing to change" in fleet.run("plan") and fleet.writes() == []
    assert len(containers()) == 2


def test_power_is_the_hosts_power(fleet):
    fleet.ask("copy", "-a", "content=kept dest=/var/tmp/kept")
    fleet.act("engine-1", "power_off")
    assert containers() == {"engine-1": "exited", "engine-2": "running"}
    fleet.act("engine-1", "power_on")
    before = booted("engine-1")
    fleet.act("engine-1", "reboot")
    assert booted("engine-1") > before
    until(lambda: containers() == {"engine-1": "running", "engine-2": "running"})
    # The same disk, the same address and the same key.
    fleet.ask("wait_for_connection", "-a", "timeout=30")
    assert fleet.ask("command", "-a", "cat /var/tmp/kept").count("kept") == 2


def test_what_is_destroyed_leaves_no_host(fleet):
    fleet.run("destroy", "-e", "fleet_confirm=prod")
    until(lambda: containers() == {})
    assert fleet.left() == []


def test_a_host_that_cannot_be_is_no_droplet_that_is_up(tmp_path):
    """A hook that fails is seen: the droplet never becomes active, and the emulator tells of it."""
    with Emulator(hook=HOOK) as cloud:
        headers = {"authorization": f"Bearer {cloud.token}"}
        body = {"name": "old", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "docker-20-04"}
        cloud.handle("POST", "/v2/droplets", headers, json.dumps(body).encode())
        until(lambda: cloud.violations)
        assert "No host of the lab is like the image 'docker-20-04'" in cloud.violations[0]
        assert [droplet["status"] for droplet in cloud.table("droplets").values()] == ["new"]
    assert containers() == {}
