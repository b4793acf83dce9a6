"""From a declaration to a fleet at the emulated vendor: nothing twice, drift corrected, the price seen first, everything removed again."""

import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import declared  # noqa: E402 - beside this file
from declared import KEY  # noqa: E402
from emulators.aws.server import Server  # noqa: E402 - beside the tests
from emulators.digitalocean import Emulator  # noqa: E402 - beside the tests
from emulators.processes import kill_all  # noqa: E402

BUCKET = "example-prod-backups"
SPACES_SECRET = "canary-spaces-secret-1618"
DECLARED = {
    "fleet_name": "prod",
    "fleet_admin": {"name": "admin", "keys": [KEY]},
    "fleet_prices": {"db-s-1vcpu-1gb": 15.15, "load_balancer": 12, "spaces": 5, "volume": 0.1},
    "fleet_digitalocean": {
        "region": "nyc3",
        "ip_range": "10.108.0.0/20",
        "ssh_keys": [{"name": "operator", "public_key": KEY}],
        "hosts": [
            {"name": "engine", "count": 2, "size": "s-1vcpu-1gb", "roles": ["bot"], "bot": "polymarket", "backups": True,
             "volumes": [{"name": "data", "size_gigabytes": 10}]},
            {"name": "web", "size": "s-1vcpu-2gb", "roles": ["web"], "reserved_address": True},
        ],
        "firewall": {
            "inbound_rules": [
                {"ports": "22", "from": ["198.51.100.0/24"]},
                {"ports": "443"},
                {"ports": "8080", "from": ["web"]},
            ]
        },
        "databases": [{"name": "trades", "engine": "pg", "version": "16", "size": "db-s-1vcpu-1gb", "databases": ["trading"], "users": ["bot"]}],
        "records": [{"domain": "example.com", "name": "bot", "hosts": ["web"]}],
        "alerts": {"emails": ["ops@example.com"], "above": {"cpu": 90, "disk": 90}},
        "uptime_checks": [{"name": "site", "target": "https://bot.example.com"}],
        "bucket": {"name": BUCKET, "noncurrent_days": 30},
    },
}


class Fleet(declared.Fleet):
    def __init__(self, cloud, spaces, directory):
        self.spaces, self.s3 = spaces, spaces.client("s3")
        credentials = {"DIGITALOCEAN_TOKEN": cloud.token, "DIGITALOCEAN_API_ENDPOINT": cloud.url, "SPACES_ENDPOINT_URL": spaces.url,
                       "SPACES_ACCESS_KEY_ID": "DO00TEST", "SPACES_SECRET_ACCESS_KEY": SPACES_SECRET}  # fmt: skip
        super().__init__(cloud, directory, DECLARED, {"type": "digitalocean"}, credentials, cloud.token)

    def run(self, playbook, *more, fails=False):
        self.spaces.log.clear()
        said = super().run(playbook, *more, fails=fails)
        assert SPACES_SECRET not in said
        return said

    def writes(self):
        return [f"{entry['method']} {entry['path']}" for entry in self.cloud.writes()] + self.spaces.writes()

    def volumes(self):
        """{name: (the host that it is on, GiB)}"""
        hosts = {identity: droplet["name"] for identity, droplet in self.cloud.table("droplets").items()}
        found = {one["name"]: (one, one["droplet_ids"]) for one in self.cloud.table("volumes").values()}
        return {name: (hosts[on[0]] if on else None, one["size_gigabytes"]) for name, (one, on) in found.items()}

    def rule(self):
        """The lifecycle's only rule of the bucket."""
        (rule,) = self.s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
        return rule


@pytest.fixture(scope="module")
def spaces():
    """moto's S3 in place of Spaces: what the vendor lets out of it is not asked for."""
    with Server() as server:
        yield server


@pytest.fixture
def fleet(tmp_path, spaces):
    spaces.reset()
    with Emulator(specification=os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI")) as cloud:
        cloud.handle("POST", "/v2/domains", {"authorization": f"Bearer {cloud.token}"}, json.dumps({"name": "example.com"}).encode())
        yield Fleet(cloud, spaces, tmp_path)
        assert cloud.violations == []


def test_from_nothing_to_a_fleet_and_nothing_twice(fleet):
    planned = fleet.run("plan")
    assert fleet.writes() == []
    assert re.search(r"create +droplet engine-1", planned) and re.search(r"create +droplet web", planned)
    # Two droplets of 6 with a fifth for backups and 10 GiB, one of 12, a database of 15.15, and what was written down for Spaces.
    assert re.search(r"48\.55 +altogether", planned), planned[-2000:]
    assert re.search(r"create +volume engine-1-data", planned) and re.search(r"1\.00 +volume engine-2-data \(10 GiB\)", planned)
    assert re.search(rf"create +bucket {BUCKET}", planned) and re.search(rf"5\.00 +bucket {BUCKET} \(spaces\)", planned)
    document = fleet.plan()
    assert fleet.writes() == [] and document["monthly"] == 48.55 and document["without_price"] == 0
    assert {"action": "create", "kind": "droplet", "name": "engine-1", "why": []} in document["changes"]

    # Nothing of the hosts' private keys is shown, however much is asked for.
    assert "EXEC" in fleet.run("provision", "-vvv")
    droplets = fleet.cloud.table("droplets").values()
    assert sorted(droplet["name"] for droplet in droplets) == ["engine-1", "engine-2", "web"]
    assert fleet.volumes() == {"engine-1-data": ("engine-1", 10), "engine-2-data": ("engine-2", 10)}
    found = fleet.hosts()
    assert sorted(found["bot_hosts"]["hosts"]) == ["engine-1", "engine-2"] and found["web_hosts"]["hosts"] == ["web"]
    assert fleet.rule()["ID"] == "fleet:prod" and fleet.rule()["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    (outside,) = fleet.cloud.table("uptime_alerts").values()
    assert sorted((alert["type"], alert["notifications"]["email"]) for alert in outside.values()) == [
        ("down_global", ["ops@example.com"]), ("ssl_expiry", ["ops@example.com"]),
    ]  # fmt: skip
    assert fleet.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    known = (fleet.directory / "known_hosts").read_text().splitlines()
    assert len([line for line in known if re.match(r"[\d.]+ ssh-ed25519 ", line)]) == 3

    again = fleet.run("provision")
    assert fleet.writes() == [] and "changed=0" in again
    # A host that is declared no more stays, costs what it cost, and the plan says how to be rid of it.
    whole = dict(fleet.declared["fleet_digitalocean"], hosts=[dict(host) for host in fleet.declared["fleet_digitalocean"]["hosts"]])
    fleet.declared["fleet_digitalocean"]["hosts"][0]["count"] = 1
    fleet.declared["fleet_digitalocean"]["hosts"][0]["name"] = "engine-1"
    planned = fleet.run("plan")
    assert "nothing to change" in planned and fleet.writes() == []
    assert re.search(r"6\.00 +6\.00 +droplet engine-2 \(s-1vcpu-1gb\), not declared", planned)
    assert re.search(r"1\.00 +1\.00 +volume engine-2-data \(10 GiB\), not declared", planned)
    assert re.search(r"48\.55 +48\.55 +altogether", planned), planned[-2000:]
    # Too long for one line of YAML: it is typed as it is shown, folded.
    (volume,) = re.findall(r'ansible localhost -m botops.fleet.do_volume -a "(name=engine-2-data\s+region=nyc3\s+with_data=true\s+state=absent)"', planned)
    (argument,) = re.findall(r'ansible localhost -m botops.fleet.do_droplet -a "(id=\d+ state=absent)"', planned)
    fleet.declared["fleet_digitalocean"] = whole
    document = fleet.plan()
    assert document["changes"] == document["notes"] == [] and document["monthly_today"] == document["monthly"] == 48.55
    fleet.module("do_droplet", argument)
    assert sorted(droplet["name"] for droplet in fleet.cloud.table("droplets").values()) == ["engine-1", "web"]
    document = fleet.plan()
    # The volume has outlived its host, and goes to the next one.
    assert [(change["action"], change["kind"], change["name"]) for change in document["changes"]] == [
        ("create", "droplet", "engine-2"), ("change", "volume", "engine-2-data in nyc3"), ("change", "project", "prod"),
    ]  # fmt: skip
    assert (document["monthly_today"], document["monthly"]) == (41.35, 48.55)
    fleet.module("do_volume", volume)
    assert fleet.volumes() == {"engine-1-data": ("engine-1", 10)}


def test_results_reach_the_variables_of_hosts_in_memory(fleet):
    fleet.run("provision")
    uri = "hostvars.localhost.fleet_outputs.databases.trades.secrets.private_connection.uri"
    plays = [
        {"import_playbook": str(ROOT / "playbooks/provision.yml")},
        {"name": "Read", "hosts": "engine-1", "connection": "local", "gather_facts": False, "tasks": [
            {"ansible.builtin.assert": {"that": [f"{uri} is match('postgres')", "hostvars.localhost.fleet_outputs.addresses.web is match('192.0.2.')",
                                             f"hostvars.localhost.fleet_outputs.spaces == {{'bucket': '{BUCKET}', 'region': 'nyc3'}}"]}},
        ]},
    ]  # fmt: skip
    (fleet.directory / "read.yml").write_text(yaml.safe_dump(plays))
    said = fleet.run(fleet.directory / "read", "-v")
    (passwords,) = (part["users"] for part in fleet.cloud.table("database_parts").values())
    secrets = [user["password"] for user in (passwords.values() if isinstance(passwords, dict) else passwords)]
    assert secrets and not any(secret in said for secret in secrets)
    assert fleet.writes() == []


def test_drift_is_seen_and_corrected(fleet):
    fleet.run("provision")
    fleet.declared["fleet_digitalocean"]["firewall"]["inbound_rules"][0]["from"] = ["203.0.113.0/24"]
    fleet.declared["fleet_digitalocean"]["hosts"][0]["tags"] = ["canary"]
    fleet.declared["fleet_digitalocean"]["hosts"][0]["volumes"][0]["size_gigabytes"] = 25
    fleet.declared["fleet_digitalocean"]["bucket"]["expire_days"] = 400
    fleet.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    planned = fleet.run("plan")
    assert fleet.writes() == [] and re.search(rf"change +bucket {BUCKET}", planned)
    assert re.search(r"change +firewall prod", planned) and re.search(r"change +droplet engine-1", planned)
    assert re.search(r"change +volume engine-2-data", planned) and re.search(r"1\.00 +2\.50 +volume engine-1-data \(10 GiB -> 25 GiB\)", planned)
    fleet.run("provision")
    assert fleet.volumes() == {"engine-1-data": ("engine-1", 25), "engine-2-data": ("engine-2", 25)} and "POST /v2/volumes" not in fleet.writes()
    assert fleet.writes() and not {"POST /v2/droplets", f"PUT /{BUCKET}"} & set(fleet.writes())
    assert fleet.rule()["Expiration"]["Days"] == 400 and fleet.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    # What is no longer declared is left alone.
    del fleet.declared["fleet_digitalocean"]["bucket"], fleet.declared["fleet_digitalocean"]["hosts"][0]["volumes"]
    assert "changed=0" in fleet.run("provision") and fleet.rule()["ID"] == "fleet:prod" and len(fleet.volumes()) == 2


def test_over_budget_nothing_is_created(fleet):
    fleet.declared["fleet_monthly_budget"] = 40
    for playbook in ("plan", "provision"):
        said = fleet.run(playbook, fails=True)
        assert "The plan costs 48.55 dollars a month, and fleet_monthly_budget is 40" in said
        assert fleet.writes() == []
    del fleet.declared["fleet_prices"]["db-s-1vcpu-1gb"]
    del fleet.declared["fleet_prices"]["spaces"], fleet.declared["fleet_prices"]["volume"]
    assert "no price is known of db-s-1vcpu-1gb, spaces, volume" in fleet.run("plan", fails=True)


def test_a_bucket_that_is_somebody_elses_is_refused_before_anything(fleet):
    fleet.spaces.refused[f"GET /{BUCKET}?location"] = ("AccessDenied", "no")
    try:
        assert f"bucket.name: {BUCKET} is taken by another account" in fleet.run("provision", fails=True)
    finally:
        fleet.spaces.refused.clear()
    fleet.s3.create_bucket(Bucket=BUCKET)
    fleet.s3.put_object(Bucket=BUCKET, Key="theirs", Body=b"x")
    for playbook, more in (("provision", ()), ("destroy", ("-e", "fleet_confirm=prod", "-e", "fleet_with_data=true"))):
        assert f"bucket.name: {BUCKET} is there without the lifecycle rule fleet:prod" in fleet.run(playbook, *more, fails=True)
        assert fleet.writes() == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"region": "nyc9"}, "fleet_digitalocean.region: 'nyc9' is none of the vendor's; it has ams3"),
        ({"hosts": [{"name": "web", "size": "s-1vcpu-1g", "roles": ["web"]}]}, "'s-1vcpu-1g' is none of the vendor's; did you mean s-1vcpu-1gb"),
        ({"hosts": [{"name": "web", "size": "s-1vcpu-1gb", "roles": ["web"], "image": "debain-13-x64"}]}, "did you mean debian-13-x64"),
        ({"records": [{"domain": "example.org", "name": "bot", "hosts": ["web"]}]}, "has no domain example.org (it has example.com)"),
        ({"region": "blr1", "hosts": [{"name": "web", "size": "s-1vcpu-512mb-10gb", "roles": ["web"]}]}, "s-1vcpu-512mb-10gb is not sold in blr1"),
    ],
    ids=["region", "size", "image", "domain", "size-not-in-region"],
)
def test_what_the_vendor_does_not_sell_is_refused_before_anything(fleet, change, sentence):
    fleet.declared["fleet_digitalocean"].update(change)
    assert sentence in fleet.run("provision", fails=True)
    assert fleet.writes() == []


def killed_after(fleet, writes):
    """Run the playbook and kill it, with all that it started, as soon as it has sent so many writes."""
    fleet.cloud.log.clear()
    run = subprocess.Popen(
        fleet.playbook("provision"), env=fleet.environment(), cwd=fleet.directory,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while run.poll() is None and len(fleet.writes()) < writes:
        time.sleep(0.02)
    kill_all(run.pid)
    run.wait()


def test_killed_ten_times_nothing_is_made_twice(fleet):
    points = random.Random(20260117)
    for _unused in range(10):
        killed_after(fleet, points.randint(1, 4))
    # And the API fails half-way, too.
    fleet.cloud.fault(method="GET", path="^/v2/uptime/checks", status=503, times=4)
    assert "failed 4 times, last with" in fleet.run("provision", fails=True)
    fleet.run("provision")
    assert fleet.volumes() == {"engine-1-data": ("engine-1", 10), "engine-2-data": ("engine-2", 10)} and len(fleet.cloud.table("volumes")) == 2
    for kind, count in {"droplets": 3, "vpcs": 1, "firewalls": 1, "databases": 1, "reserved_ips": 1, "alert_policies": 2, "uptime_checks": 1}.items():
        made = [one for one in fleet.cloud.table(kind).values() if not one.get("default")]
        assert len(made) == count, (kind, [one.get("name") for one in made])
    assert [one["Name"] for one in fleet.s3.list_buckets()["Buckets"]] == [BUCKET] and fleet.rule()["ID"] == "fleet:prod"
    # A host that was made in a run that died has a key that is known, too.
    known = dict(line.split(" ", 1) for line in (fleet.directory / "known_hosts").read_text().splitlines())
    for droplet in fleet.cloud.table("droplets").values():
        address = next(one["ip_address"] for one in droplet["networks"]["v4"] if one["type"] == "public")
        assert known[address] == known[f"{droplet['name']}.prod.fleet"]
    assert "changed=0" in fleet.run("provision")


def test_the_removal_asks_and_leaves_what_is_not_ours(fleet):
    # A bucket that is only declared neither goes nor stays.
    assert f"bucket {BUCKET}" not in fleet.run("destroy", "-e", "fleet_confirm=other", fails=True)
    fleet.run("provision")
    body = {"name": "neighbour", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "tags": ["fleet:other"]}
    fleet.cloud.handle("POST", "/v2/droplets", {"authorization": f"Bearer {fleet.cloud.token}"}, json.dumps(body).encode())

    fleet.s3.put_object(Bucket=BUCKET, Key="backup", Body=b"x")
    said = fleet.run("destroy", "-e", "fleet_confirm=other", fails=True)
    assert "droplet engine-1" in said and "nothing was destroyed" in said and fleet.writes() == []

    said = fleet.run("destroy", "-e", "fleet_confirm=prod")
    assert "stays, for want of fleet_with_data: database trades" in said and f"stays, for want of fleet_with_data: bucket {BUCKET}" in said
    assert "stays, for want of fleet_with_data: volume engine-1-data" in said
    assert fleet.volumes() == {"engine-1-data": (None, 10), "engine-2-data": (None, 10)}
    assert fleet.s3.get_object(Bucket=BUCKET, Key="backup")["Body"].read() == b"x"
    assert [droplet["name"] for droplet in fleet.cloud.table("droplets").values()] == ["neighbour"]
    snapshots = [write for write in fleet.writes() if re.match(r"POST /v2/droplets/\d+/actions", write)]
    removals = [write for write in fleet.writes() if re.match(r"DELETE /v2/droplets/\d+", write)]
    assert len(snapshots) == len(removals) == 3 and fleet.writes().index(snapshots[-1]) < fleet.writes().index(removals[0])
    assert len(fleet.cloud.table("databases")) == 1 and not fleet.cloud.table("firewalls") and not fleet.cloud.table("reserved_ips")

    fleet.run("destroy", "-e", "fleet_confirm=prod", "-e", "fleet_with_data=true")
    assert not fleet.cloud.table("databases") and not fleet.cloud.table("volumes") and fleet.s3.list_buckets()["Buckets"] == []
    assert [network["name"] for network in fleet.cloud.table("vpcs").values() if network["name"] == "prod"] == []
