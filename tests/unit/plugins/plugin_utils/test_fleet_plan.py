"""Every sentence of the fleet role's checks, and what its plan makes of a declaration."""

import copy
import json

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet_aws_watch import alarms
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import fleet_digitalocean_found
from preflight_harness import refusals, typed_values

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6SyCVcaAvR2yA3kvHLrY2Q8bDkMqZ8y0H1hQm2D1mF operator"
CLOUD = {
    "region": "nyc3",
    "hosts": [{"name": "engine", "count": 2, "size": "s-1vcpu-1gb", "roles": ["bot"], "bot": "pm"}, {"name": "web", "size": "s-1vcpu-1gb", "roles": ["web"]}],
    "firewall": {"inbound_rules": [{"ports": "22", "from": ["198.51.100.0/24"]}]},
}
NOTHING = {"droplets": [], "volumes": [], "databases": [], "load_balancer": False, "bucket": False}
GOOD = {"fleet_name": "prod", "fleet_admin": {"name": "admin", "keys": [KEY]}, "fleet_digitalocean": CLOUD}


def cloud(**changes):
    return {"fleet_digitalocean": {**copy.deepcopy(CLOUD), **changes}}


def with_volumes(*entries, name="web", **more):
    return cloud(hosts=[{"name": name, "size": "x", "volumes": [{"name": "data", "size_gigabytes": 10, **entry} for entry in entries], **more}])


def balancer(**changes):
    rule = {"entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 80, "certificate": "site"}
    return cloud(load_balancer={"role": "web", "forwarding_rules": [rule], **changes}, certificates=[{"name": "site", "dns_names": ["a.example.com"]}])


def test_a_sensible_declaration_is_accepted():
    assert refusals("fleet", **GOOD) == []
    assert refusals("fleet", **{**GOOD, **balancer()}) == []
    assert refusals("fleet", fleet_name="prod") == []
    assert refusals("fleet", **{**GOOD, **with_volumes({"size_gigabytes": 16384}, {"name": "wal-2", "filesystem_type": "xfs"}, count=2)}) == []
    # The longest name that the vendor takes.
    assert refusals("fleet", **{**GOOD, **with_volumes({"name": "d" * 60}, name="web")}) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fleet_name": "Prod Fleet"}, "fleet_name: 'Prod Fleet' is no name; write lower-case letters"),
        ({"fleet_owner_tag": "a b"}, "fleet_owner_tag: 'a b' is no tag"),
        ({"fleet_monthly_budget": -1}, "fleet_monthly_budget: is below zero"),
        ({"fleet_prices": {"load_balancer": "dear"}}, "fleet_prices.load_balancer: must be dollars a month"),
        ({"fleet_admin": {"keys": [KEY]}}, "fleet_admin.name: is missing"),
        ({"fleet_admin": {"name": "admin"}}, "fleet_admin.keys: is empty, so nobody could log in"),
        ({"fleet_admin": {"name": "admin", "keys": ["~/.ssh/id.pub"]}}, "fleet_admin.keys[0]: is no public SSH key"),
        ({"fleet_digitalocean": {"hosts": CLOUD["hosts"]}}, "fleet_digitalocean.region: is missing; write the region"),
        ({"fleet_digitalocean": {"regoin": "nyc3"}}, "fleet_digitalocean.regoin: unknown key"),
        (cloud(hosts=[{"name": "Web_1", "size": "x"}]), "hosts[0].name: 'Web_1' is no host name"),
        (cloud(hosts=[{"name": "web", "size": "x", "count": 0}]), "hosts[0].count: is 0; write 1 to 200"),
        (cloud(hosts=[{"name": "web", "size": "x", "roles": ["a b"]}]), "hosts[0].roles: 'a b' is no role"),
        (cloud(hosts=[{"name": "web", "size": "x", "tags": ["a b"]}]), "hosts[0].tags: 'a b' is no tag"),
        (cloud(hosts=[{"name": "a", "size": "x", "count": 2}, {"name": "a-1", "size": "x"}]), "hosts: two are called a-1"),
        (with_volumes({"name": "Data_1"}), "hosts[0].volumes[0].name: 'Data_1' is no name of a volume; write lower-case letters, digits and dashes"),
        (with_volumes({"name": ""}), "hosts[0].volumes[0].name: '' is no name of a volume"),
        (with_volumes({"name": "d" * 61}), "has 65 characters, and a volume's name, with its host's before it, 64 at most; write a shorter one."),
        (with_volumes({"name": "d" * 58}, count=10), f"volumes[0].name: web-10-{'d' * 58} has 65 characters"),
        (with_volumes({}, name="1web"), "the volume would be called 1web-data, and its name has to begin with a letter; write such a name for the host."),
        (with_volumes({}, {"size_gigabytes": 20}), "fleet_digitalocean.hosts[0].volumes: two are called data; give each a name of its own."),
        (with_volumes({"size_gigabytes": 0}), "hosts[0].volumes[0].size_gigabytes: 0 is no size; write GiB from 1 to 16384."),
        (with_volumes({"size_gigabytes": 16385}), "volumes[0].size_gigabytes: 16385 is no size"),
        (with_volumes({"filesystem_type": "btrfs"}), "hosts[0].volumes[0].filesystem_type"),
        (cloud(hosts=[{"name": "web", "size": "x", "volumes": [{"name": "1-data", "size_gigabytes": 1}]},
                      {"name": "web-1", "size": "x", "volumes": [{"name": "data", "size_gigabytes": 1}]}]),
         "fleet_digitalocean.hosts: volumes of web and web-1 would both be called web-1-data; write another name of one of them."),
        (cloud(ip_range="10.0.0.0/33"), "ip_range: '10.0.0.0/33' is no network"),
        (cloud(ip_range="8.8.8.0/24"), "ip_range: 8.8.8.0/24 is not a private network"),
        (cloud(firewall={"inbound_rules": [{"ports": "443"}]}), "none lets TCP port 22 in"),
        (cloud(firewall={"inbound_rules": [{"ports": "20-30", "from": ["wbe"]}]}), "'wbe' is neither a network nor the role of a declared host"),
        (cloud(databases=[{"name": "a", "engine": "pg", "size": "x"}] * 2), "databases: two are called a"),
        (balancer(role="api"), "load_balancer.role: no declared host has the role api"),
        (balancer(forwarding_rules=[{"entry_protocol": "https"}]), "forwarding_rules[0]: has no certificate"),
        (balancer(forwarding_rules=[{"entry_protocol": "https", "certificate": "x"}]), "certificate: x is not among certificates"),
        (cloud(records=[{"domain": "example.com", "hosts": ["wbe"]}]), "records[0].hosts: wbe is not declared; known are engine-1, engine-2, web"),
        (cloud(records=[{"domain": "example.com"}]), "records[0]: has neither hosts nor values"),
        (cloud(records=[{"domain": "example.com", "type": "AAAA", "hosts": ["web"]}]), "the public address of a host is IPv4; write A"),
        (cloud(bucket={"name": "Example.Backups"}), "fleet_digitalocean.bucket.name: 'Example.Backups' is no name of a bucket; write 3 to 63 lower-case"),
        (cloud(bucket={"name": "a-b", "region": "nyc 3"}), "bucket.region: 'nyc 3' is no region; write one such as nyc3"),
        (cloud(bucket={"name": "a-b", "expire_days": -1}), "bucket.expire_days: is -1; write days, or 0 for never"),
        (cloud(bucket={"name": "a-b", "noncurrent_days": 0}), "bucket.noncurrent_days: is 0; write at least 1"),
        (cloud(bucket={"name": "a-b", "abort_days": 0}), "bucket.abort_days: is 0; write at least 1"),
        (cloud(bucket={"name": "a-b", "expires": 1}), "fleet_digitalocean.bucket.expires: unknown key"),
        (cloud(alerts={"emails": [], "above": {"cpu": 90}}), "alerts.emails: is empty"),
        (cloud(alerts={"emails": ["a@example.com"], "above": {"cpu": "high"}}), "alerts.above.cpu: must be a number"),
    ],
)
def test_what_cannot_work_is_one_sentence(changes, sentence):
    said = refusals("fleet", **{**GOOD, **changes})
    assert len(said) == 1 and sentence in said[0]


def volume(size, kind="ext4"):
    return {"volumes": [{"name": "data", "size_gigabytes": size, "filesystem_type": kind}]}


def made(name, size, kind="ext4", region="nyc3"):
    return {"name": name, "region": region, "size_gigabytes": size, "filesystem_type": kind}


def vendor_has(**changes):
    """What is said of a declaration beside a vendor with one size, two images of its own and three of the account."""
    images = [
        {"id": 1, "slug": "debian-13-x64", "name": "13 x64", "public": True, "regions": ["nyc3", "fra1"]},
        {"id": 2, "slug": "debian-12-x64", "name": "12 x64", "public": True, "regions": ["fra1"]},
        {"id": 3, "slug": None, "name": "ours", "public": False, "regions": ["nyc3"]},
        *({"id": number, "slug": None, "name": "twice", "public": False, "regions": ["nyc3"]} for number in (4, 5)),
    ]
    host = {"name": "web", "count": 1, "size": "s-1vcpu-1gb", "image": "debian-13-x64", **changes.pop("host", {})}
    values = {"region": "nyc3", "hosts": [host], "records": [], "new": ["web"], "images": images, "domains": [], "volumes": [],
              "sizes": [{"slug": "s-1vcpu-1gb", "regions": ["nyc3"]}]}  # fmt: skip
    return fleet_digitalocean_found.check({**values, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"region": "nyc1", "hosts": []}, "fleet_digitalocean.region: 'nyc1' is none of the vendor's; it has nyc3."),
        ({"host": {"size": "s-1vcpu-1g"}}, "hosts[0].size: 's-1vcpu-1g' is none of the vendor's; did you mean s-1vcpu-1gb?"),
        ({"host": {"image": "debain-13-x64"}},
         "hosts[0].image: 'debain-13-x64' is an image neither of the vendor's nor of this account; did you mean debian-13-x64 or debian-12-x64?"),
        ({"host": {"image": "13 x64"}}, "hosts[0].image: '13 x64' is an image neither"),
        ({"host": {"image": "twice"}}, "hosts[0].image: 2 images of this account are called twice (4, 5); write one of the numbers."),
        ({"host": {"image": "debian-12-x64"}}, "hosts[0].image: debian-12-x64 is not in nyc3; it is in fra1."),
        ({"host": {"name": "bot", "count": 2, "image": "debian-99-x64"}, "new": ["bot-2"]}, "hosts[0].image: 'debian-99-x64' is an image neither"),
        ({"records": [{"domain": "example.com"}]},
         "records[0].domain: this account has no domain example.com (it has none); add it there, or write another."),
        ({"records": [{"domain": "example.com"}], "domains": [{"name": "example.org"}]}, "no domain example.com (it has example.org)"),
        ({"host": volume(10), "volumes": [made("web-data", 20)]},
         "fleet_digitalocean.hosts[0].volumes[0].size_gigabytes: web-data has 20 GiB, and a volume never shrinks; write 20 or more."),
        ({"host": {**volume(15), "count": 2}, "volumes": [made("web-1-data", 10), made("web-2-data", 20)]}, "web-2-data has 20 GiB"),
        ({"host": volume(20, "xfs"), "volumes": [made("web-data", 20)]},
         "filesystem_type: web-data has ext4, and a file system is made with a volume only; write ext4, or a volume of another name."),
        ({"host": volume(20), "volumes": [made("web-data", 20, "")]}, "has no file system, and a file system is made with a volume only; write a volume of"),
    ],
)  # fmt: skip
def test_what_the_vendor_does_not_have_is_one_sentence(changes, sentence):
    (said,) = vendor_has(**changes)
    assert sentence in said


def test_what_the_vendor_has_is_accepted():
    assert vendor_has() == [] and vendor_has(records=[{"domain": "example.com"}], domains=[{"name": "example.com"}]) == []
    assert all(vendor_has(host={"image": image}) == [] for image in ("ours", "3", "1"))
    # A host that is there keeps what it was made from, whether or not the vendor still has it.
    assert vendor_has(host={"image": "debian-8-x64"}, new=[], images=[]) == []
    assert vendor_has(host={"name": "bot", "image": "debian-8-x64"}, new=["bot-web"]) == []
    # A volume that grows, and one of the same name that is another one.
    assert vendor_has(host=volume(20), volumes=[made("web-data", 10), made("web-data", 99, region="fra1"), made("web-old", 99)]) == []


def plan(**changes):
    return _fleet.digitalocean(typed_values("fleet", **{**GOOD, **changes}))


def test_what_is_told_of_is_the_same_at_both_vendors():
    told = {"emails": ["ops@example.com"]}
    here = {alert["metric"]: alert for alert in plan(**cloud(alerts=told))["alerts"]}
    hosts = [{"name": "engine", "instance_type": "t3.small", "roles": ["bot"]}]
    aws = {"region": "us-east-1", "hosts": hosts, "rights": ["cloudwatch"], "alarms": {**told, "agent": {}}}
    there = {alarm["name"].rpartition(" ")[2]: alarm for alarm in alarms(typed_values("fleet", **{**GOOD, "fleet_aws": aws})["aws"], "prod")}
    assert set(here) == {"cpu", "memory", "disk"}
    assert {name: alert["value"] for name, alert in here.items()} == {name: there[name]["threshold"] for name in here}
    assert {alert["window"] for alert in here.values()} == {f"{there['cpu']['period'] * there['cpu']['evaluation_periods'] // 60}m"}


def test_a_check_from_outside_tells_whoever_the_alerts_tell():
    checks = [{"name": "site", "target": "https://bot.example.com"}, {"name": "api", "target": "http://bot.example.com", "type": "http"}]
    site, api = plan(**cloud(uptime_checks=checks, alerts={"emails": ["ops@example.com"]}))["uptime_checks"]
    assert [(alert["type"], alert.get("threshold")) for alert in site["alerts"]] == [("down_global", None), ("ssl_expiry", 14)]
    assert [alert["type"] for alert in api["alerts"]] == ["down_global"] and api["alerts"][0]["emails"] == ["ops@example.com"]
    # Nobody is named: what somebody set up by hand is left alone.
    assert all("alerts" not in check for check in plan(**cloud(uptime_checks=checks))["uptime_checks"])


def test_hosts_have_the_tags_by_which_the_inventory_finds_them():
    droplets = {droplet["name"]: droplet for droplet in plan()["droplets"]}
    assert sorted(droplets) == ["engine-1", "engine-2", "web"]
    assert droplets["engine-1"]["tags"] == ["bot:pm", "env:prod", "role:bot"] and droplets["engine-1"]["owner_tag"] == "fleet:prod"


def test_a_firewall_rule_names_networks_roles_or_everybody():
    rules = [{"ports": "22", "from": ["198.51.100.0/24", "web"]}, {"ports": "443"}, {"protocol": "icmp"}]
    found = plan(**cloud(firewall={"inbound_rules": rules}))["firewall"]
    assert found["inbound_rules"] == [
        {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["198.51.100.0/24"], "tags": ["role:web"]}},
        {"protocol": "tcp", "ports": "443", "sources": {"addresses": ["0.0.0.0/0", "::/0"]}},
        {"protocol": "icmp", "sources": {"addresses": ["0.0.0.0/0", "::/0"]}},
    ]
    assert [rule["protocol"] for rule in found["outbound_rules"]] == ["tcp", "udp", "icmp"]


def test_a_price_that_nobody_told_is_not_invented():
    declared = plan(**cloud(databases=[{"name": "trades", "engine": "pg", "size": "db-s-1vcpu-1gb", "num_nodes": 2}]))
    sizes = [{"slug": "s-1vcpu-1gb", "price_monthly": 6.0}]
    lines = _fleet.costs(declared, sizes, {}, NOTHING)
    assert _fleet.total(lines) == 18.0 and lines[-1]["monthly"] is None
    assert _fleet.table([], lines)[-1].endswith("and 1 of which no price is known (fleet_prices)")
    assert "no price is known of db-s-1vcpu-1gb" in _fleet.over_budget(lines, 100)
    priced = _fleet.costs(declared, sizes, {"db-s-1vcpu-1gb": 15.15}, NOTHING)
    assert _fleet.total(priced) == 48.3 and _fleet.over_budget(priced, 48.3) == ""
    assert "The plan costs 48.3 dollars a month, and fleet_monthly_budget is 48" in _fleet.over_budget(priced, 48)


def test_a_bucket_is_the_fleets_and_its_price_is_the_operators():
    assert plan()["bucket"] is None
    found = plan(**cloud(bucket={"name": "example-prod"}))
    assert found["bucket"] == {
        "name": "example-prod", "region": "nyc3", "owner": "fleet:prod", "versioning": True, "noncurrent_days": 90, "expire_days": 0, "abort_days": 7,
    }
    assert plan(**cloud(bucket={"name": "example-prod", "region": "fra1"}))["bucket"]["region"] == "fra1"
    assert _fleet.costs(found, [], {}, NOTHING)[-1] == {"what": "bucket example-prod", "size": "spaces", "monthly": None, "today": 0, "declared": True}
    priced = _fleet.costs(found, [], {"spaces": 7}, {**NOTHING, "bucket": True})[-1]
    assert (priced["monthly"], priced["today"]) == (7, 7)


def test_what_is_paid_today_stands_beside_what_will_be():
    changes = balancer()
    changes["fleet_digitalocean"]["hosts"] = [
        {"name": "engine", "size": "s-2", "roles": ["bot"], "backups": True}, {"name": "web", "size": "s-1", "roles": ["web"]},
    ]  # fmt: skip
    declared = plan(**changes)
    there = {
        "droplets": [
            {"id": 7, "name": "engine", "size": "s-1", "features": []},
            {"id": 8, "name": "old", "size": "s-2", "features": ["backups"]},
        ],
        "volumes": [], "databases": [{"name": "trades", "size": "db-1", "num_nodes": 2}],
        "load_balancer": True, "bucket": False,
    }  # fmt: skip
    lines = _fleet.costs(declared, [{"slug": "s-1", "price_monthly": 6.0}, {"slug": "s-2", "price_monthly": 12.0}], {"load_balancer": 12, "db-1": 15}, there)
    told = {line["what"]: (line["today"], line["monthly"], line["declared"]) for line in lines}
    assert told == {
        "droplet engine": (6.0, 12.0, True), "backups of engine": (0, 2.4, True), "droplet web": (0, 6.0, True), "load balancer prod": (12, 12, True),
        "droplet old": (12.0, 12.0, False), "backups of old": (2.4, 2.4, False), "database trades": (30, 30, False),
    }  # fmt: skip
    assert (_fleet.total(lines, "today"), _fleet.total(lines)) == (62.4, 76.8)
    table = _fleet.table([], lines, _fleet.notes(declared, there))
    assert "       6.00      12.00  droplet engine (s-1 -> s-2)" in table and table[-1] == "      62.40      76.80  altogether"
    assert "      12.00      12.00  droplet old (s-2), not declared" in table
    assert '    ansible localhost -m botops.fleet.do_droplet -a "id=8 state=absent"' in table
    assert '    ansible localhost -m botops.fleet.do_database -a "name=trades state=absent"' in table
    assert _fleet.over_budget(lines, 50) == (
        "The plan costs 76.8 dollars a month, and fleet_monthly_budget is 50: declare less, remove what is not declared "
        "(droplet old, backups of old, database trades), or raise it. Nothing was created."
    )


def test_a_volume_is_called_after_its_host_and_priced_by_the_gib():
    declared = plan(**with_volumes({"filesystem_type": "xfs"}, name="engine", count=2))
    assert declared["volumes"][1] == {
        "name": "engine-2-data", "host": "engine-2", "owner_tag": "fleet:prod", "region": "nyc3", "size_gigabytes": 10, "filesystem_type": "xfs",
    }  # fmt: skip
    running = {**NOTHING, "volumes": [made("engine-1-data", 5), made("engine-3-data", 50), made("engine-2-data", 7, region="fra1")]}
    lines = _fleet.costs(declared, [], {"volume": 0.5}, {**running, "volumes": running["volumes"][:2]})
    told = {line["what"]: (line["size"], line["today"], line["monthly"], line["declared"]) for line in lines if line["what"].startswith("volume")}
    assert told == {
        "volume engine-1-data": ("5 GiB -> 10 GiB", 2.5, 5.0, True), "volume engine-2-data": ("10 GiB", 0, 5.0, True),
        "volume engine-3-data": ("50 GiB", 25.0, 25.0, False),
    }  # fmt: skip
    assert [note.partition("\n")[0] for note in _fleet.notes(declared, running)] == [
        f"volume engine-{number}-data is not declared and stays; to remove it with all that is on it:" for number in (3, 2)
    ]
    # One of the same name in another region is another one.
    assert _fleet.notes(declared, running)[1].endswith(
        'ansible localhost -m botops.fleet.do_volume -a "name=engine-2-data region=fra1 with_data=true state=absent"'
    )
    unpriced = _fleet.costs(declared, [{"slug": "x", "price_monthly": 6.0}], {}, NOTHING)
    assert [line["monthly"] for line in unpriced if line["what"].startswith("volume")] == [None, None]
    assert "no price is known of volume: write" in _fleet.over_budget(unpriced, 100)


def test_what_is_paid_no_more_is_a_line_of_its_own():
    there = {**NOTHING, "droplets": [{"id": 7, "name": "web", "size": "s-1", "features": ["backups"]}]}
    lines = _fleet.costs(plan(**cloud(hosts=[{"name": "web", "size": "s-1"}])), [{"slug": "s-1", "price_monthly": 6.0}], {}, there)
    assert lines[-1] == {"what": "backups of web", "size": "weekly", "monthly": 0, "today": 1.2, "declared": True}


def test_a_new_host_brings_a_key_that_is_known():
    key = _fleet.host_keys(["web"])["web"]
    text = _fleet.user_data(key, {"name": "admin", "keys": [KEY]})
    assert text.startswith("#cloud-config\n")
    config = json.loads(text.partition("\n")[2])
    assert config["ssh_keys"]["ed25519_public"] == key["public"] and config["ssh_keys"]["ed25519_private"].startswith("-----BEGIN OPENSSH PRIVATE KEY")
    assert config["users"][1]["ssh_authorized_keys"] == [KEY] and config["ssh_pwauth"] is False
    assert "users" not in json.loads(_fleet.user_data(key, {}).partition("\n")[2])


def test_the_plan_for_programs_says_what_the_table_says():
    lines = [
        {"what": "droplet web", "size": "s-1", "monthly": 6.0, "today": 0, "declared": True},
        {"what": "database trades", "size": "1 x db-s-1", "monthly": None, "today": None, "declared": True},
    ]
    found = [{"kind": "firewall", "name": "firewall prod", "action": "change"}]
    document = _fleet.document(found, lines, ["not declared: x"])
    assert document["changes"] == [{"action": "change", "kind": "firewall", "name": "prod", "why": []}] and document["notes"] == ["not declared: x"]
    assert (document["monthly"], document["monthly_today"], document["without_price"], document["version"]) == (6.0, 0, 1, 1)
    assert json.loads(json.dumps(document)) == document
