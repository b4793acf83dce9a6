"""Every module through the same life: check, apply, check, apply; drift; absent, absent again. The request log is the witness."""

import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdG9wcy1mbGVldC10ZXN0LWtleS0wMDAwMDAwMDAx operator@laptop"


# Requests of a run that finds nothing to do: the account's budget is 250 a minute for a whole fleet.
READS = {
    "alert_policy": 2, "app": 4, "certificate": 1, "database": 8, "domain_record": 1, "droplet": 3, "firewall": 2, "load_balancer": 3,
    "project": 2, "reserved_ip": 2, "snapshot": 2, "ssh_key": 1, "uptime_check": 2, "volume": 2, "vpc": 1,
}  # fmt: skip


def life(do, kind, arguments, identity, drift, restored_by):
    """`drift` changes the resource behind the module's back; `restored_by` is what the module must then send."""
    planned = do(kind, check=True, **arguments)
    assert planned["changed"] and planned["diff"]["before"] == {} and planned["diff"]["after"]

    created = do(kind, **arguments)
    assert created["changed"] and created[kind] and created.writes
    assert created["diff"]["after"] == planned["diff"]["after"], "check mode foretold something else"
    assert "warnings" not in created

    for check in (True, False):
        again = do(kind, check=check, **arguments)
        assert not again["changed"] and again.writes == [], again["diff"]
        assert again["diff"]["before"] == again["diff"]["after"]
        assert again[kind] == created[kind]
        assert len(again.reads) <= READS[kind], again.reads
        assert "/v2/account" not in again.reads, "a request that tells nothing"

    if drift:
        drift(created[kind])
        foreseen = do(kind, check=True, **arguments)
        assert foreseen["changed"] and foreseen["diff"]["before"] != foreseen["diff"]["after"]
        repaired = do(kind, **arguments)
        assert repaired["changed"] and "warnings" not in repaired
        assert repaired["diff"] == foreseen["diff"]
        assert [write.split(" ")[0] for write in repaired.writes] == restored_by, repaired.writes
        settled = do(kind, **arguments)
        assert not settled["changed"] and settled.writes == []

    gone = {**identity, "state": "absent"}
    assert do(kind, check=True, **gone)["changed"]
    removed = do(kind, **gone)
    assert removed["changed"] and removed["diff"]["after"] == {} and removed["diff"]["before"]
    nothing = do(kind, **gone)
    assert not nothing["changed"] and nothing.writes == [] and nothing[kind] == {}
    assert do(kind, check=True, **gone)["changed"] is False


@pytest.fixture
def account(do):
    """What the resources below refer to."""
    do("ssh_key", name="operator", public_key=KEY)
    do("vpc", name="bots", region="nyc3", ip_range="10.44.0.0/20")

    def droplet(name="bot-1", **more):
        return do("droplet", **{"name": name, "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64", **more})["droplet"]

    return droplet


def test_ssh_key(do, cloud):
    def rename(key):
        cloud.table("keys")[key["id"]]["name"] = "other"

    life(do, "ssh_key", {"name": "operator", "public_key": KEY}, {"name": "operator"}, rename, ["PUT"])


def test_vpc(do, cloud):
    def describe(vpc):
        cloud.table("vpcs")[vpc["id"]]["description"] = "drifted"

    life(
        do,
        "vpc",
        {"name": "bots", "region": "nyc3", "ip_range": "10.44.0.0/20", "description": "trading"},
        {"name": "bots"},
        describe,
        ["PUT"],
    )


def test_droplet(do, cloud, account):
    def retag(droplet):
        cloud.table("droplets")[droplet["id"]]["tags"] = ["fleet:prod", "env:prod", "stray"]
        cloud.table("tags")["stray"] = {}
        cloud.table("fragments").clear()

    life(
        do,
        "droplet",
        {
            "name": "bot-1",
            "owner_tag": "fleet:prod",
            "region": "nyc3",
            "size": "s-1vcpu-2gb",
            "image": "debian-13-x64",
            "vpc": "bots",
            "ssh_keys": ["operator"],
            "tags": ["env:prod", "role:primary"],
            "monitoring": True,
            "backups": True,
            "backup_policy": {"plan": "daily", "hour": 4},
            "user_data": "#cloud-config\n",
        },
        {"name": "bot-1", "owner_tag": "fleet:prod"},
        retag,
        ["POST", "DELETE"],
    )


def test_snapshot(do, cloud, account):
    account("bot-1")
    life(
        do,
        "snapshot",
        {"name": "before-upgrade", "droplet": "bot-1"},
        {"name": "before-upgrade", "droplet": "bot-1"},
        None,
        [],
    )


def test_firewall(do, cloud, account):
    droplet = account("bot-1")

    def open_wide(firewall):
        cloud.table("firewalls")[firewall["id"]]["inbound_rules"].append({"protocol": "tcp", "ports": "5432", "sources": {"addresses": ["0.0.0.0/0"]}})

    life(
        do,
        "firewall",
        {
            "name": "bots",
            "tags": ["fleet:prod"],
            "droplets": [str(droplet["id"])],
            "inbound_rules": [
                {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["198.51.100.7/32"], "tags": ["bastion"]}},
                {"protocol": "icmp", "sources": {"addresses": ["0.0.0.0/0", "::/0"]}},
            ],
            "outbound_rules": [{"protocol": "tcp", "ports": "all", "destinations": {"addresses": ["0.0.0.0/0", "::/0"]}}],
        },
        {"name": "bots"},
        open_wide,
        ["PUT"],
    )


def test_reserved_ip(do, cloud, account):
    account("bot-1")

    def drop(reserved):
        cloud.table("reserved_ips")[reserved["ip"]]["droplet"] = None

    life(do, "reserved_ip", {"droplet": "bot-1"}, {"droplet": "bot-1"}, None, [])
    # Without its address nothing tells a free address from another: with it, drift is corrected.
    reserved = do("reserved_ip", droplet="bot-1")["reserved_ip"]
    drop(reserved)
    repaired = do("reserved_ip", ip=reserved["ip"], droplet="bot-1")
    assert repaired["changed"] and repaired["reserved_ip"] == reserved
    assert repaired.writes == [f"POST /v2/reserved_ips/{reserved['ip']}/actions"]


def test_volume(do, cloud, account):
    account("bot-1")

    def unplug(volume):
        cloud.table("volumes")[volume["id"]]["droplet_ids"] = []

    identity = {"name": "data", "region": "nyc3"}
    arguments = {**identity, "size_gigabytes": 10, "filesystem_type": "ext4", "tags": ["env:prod"], "droplet": "bot-1"}
    life(do, "volume", arguments, {**identity, "with_data": True}, unplug, ["POST"])


def test_domain_record(do, cloud):
    def move(records):
        for record in cloud.table("domains")["example.com"]["records"].values():
            if record["data"] == "192.0.2.1":
                record["data"] = "192.0.2.99"

    life(
        do,
        "domain_record",
        {
            "domain": "example.com",
            "create_domain": True,
            "name": "bot",
            "type": "A",
            "values": ["192.0.2.1", "192.0.2.2"],
            "ttl": 300,
        },
        {"domain": "example.com", "name": "bot", "type": "A"},
        move,
        ["PUT"],
    )


@pytest.fixture
def pem():
    return {
        "leaf_certificate": "-----BEGIN CERTIFICATE-----\nYm90b3BzIGxlYWYgb25l\n-----END CERTIFICATE-----\n",
        "private_key": "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5LXByaXZhdGUta2V5\n-----END PRIVATE KEY-----\n",
    }


def test_certificate(do, cloud, pem):
    life(do, "certificate", {"name": "own", **pem}, {"name": "own"}, None, [])
    do("domain_record", domain="example.com", create_domain=True, values=["192.0.2.1"])
    life(do, "certificate", {"name": "free", "dns_names": ["bot.example.com", "example.com"]}, {"name": "free"}, None, [])


def test_load_balancer(do, cloud, account, pem):
    account("bot-1")
    do("certificate", name="own", **pem)

    def loosen(balancer):
        real = cloud.table("load_balancers")[balancer["id"]]
        real["health_check"]["path"] = "/"
        real["redirect_http_to_https"] = False

    life(
        do,
        "load_balancer",
        {
            "name": "front",
            "region": "nyc3",
            "droplets": ["bot-1"],
            "redirect_http_to_https": True,
            "http_idle_timeout_seconds": 300,
            "health_check": {"protocol": "http", "port": 8080, "path": "/healthz"},
            "forwarding_rules": [
                {"entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 8080, "certificate": "own"},
                {"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 8080},
            ],
            "firewall": {"deny": ["ip:198.51.100.1"]},
            "sticky_sessions": {"type": "cookies", "cookie_name": "bot", "cookie_ttl_seconds": 300},
        },
        {"name": "front"},
        loosen,
        ["PUT"],
    )


DATABASE = {"name": "bots-db", "engine": "pg", "version": "16", "region": "nyc3", "size": "db-s-1vcpu-1gb"}


def test_database(do, cloud, account):
    account("bot-1")

    def drift(database):
        parts = cloud.table("database_parts")[database["id"]]
        parts["rules"] = []
        del parts["users"]["bot"]
        parts["pools"].clear()

    life(
        do,
        "database",
        {
            **DATABASE,
            "vpc": "bots",
            "databases": ["trading"],
            "users": ["bot"],
            "num_nodes": 1,
            "pools": [{"name": "bot", "db": "trading", "user": "bot", "size": 10}],
            "trusted_sources": [{"type": "tag", "value": "fleet:prod"}, {"type": "droplet", "value": "bot-1"}, {"type": "ip_addr", "value": "198.51.100.7/32"}],
            "maintenance_window": {"day": "sunday", "hour": "4:00"},
        },
        {"name": "bots-db"},
        drift,
        ["POST", "POST", "PUT"],
    )


def test_database_cache(do, cloud):
    def drift(database):
        cloud.table("database_parts")[database["id"]]["eviction"] = "noeviction"

    life(do, "database", {**DATABASE, "engine": "valkey", "version": "8", "eviction_policy": "allkeys_lru"}, {"name": "bots-db"}, drift, ["PUT"])


def test_alert_policy(do, cloud, account):
    account("bot-1")

    def disable(policy):
        cloud.table("alert_policies")[policy["uuid"]]["enabled"] = False

    life(
        do,
        "alert_policy",
        {
            "name": "prod: disk above 85 %",
            "metric": "disk",
            "value": 85,
            "window": "10m",
            "tags": ["fleet:prod"],
            "droplets": ["bot-1"],
            "enabled": True,
            "emails": ["oncall@example.com"],
            "slack": [{"channel": "#bots", "url": "https://hooks.example.com/canary-slack"}],
        },
        {"name": "prod: disk above 85 %"},
        disable,
        ["PUT"],
    )


def test_uptime_check(do, cloud):
    def drift(check):
        alerts = cloud.table("uptime_alerts")[check["id"]]
        next(iter(alerts.values()))["period"] = "1h"
        stray = cloud.uuid()
        alerts[stray] = {"id": stray, "name": "stray", "type": "down", "period": "2m", "notifications": {"email": [], "slack": []}}
        cloud.table("uptime_checks")[check["id"]]["enabled"] = False

    life(
        do,
        "uptime_check",
        {
            "name": "bot-1",
            "target": "https://bot.example.com/healthz",
            "enabled": True,
            "regions": ["us_east", "eu_west"],
            "alerts": [
                {"name": "down", "type": "down_global", "emails": ["oncall@example.com"]},
                {
                    "name": "slow",
                    "type": "latency",
                    "threshold": 500,
                    "period": "5m",
                    "emails": ["oncall@example.com"],
                    "slack": [{"channel": "#bots", "url": "https://hooks.example.com/canary-slack"}],
                },
                {"name": "certificate", "type": "ssl_expiry", "threshold": 14, "emails": ["oncall@example.com"]},
            ],
        },
        {"name": "bot-1"},
        drift,
        ["PUT", "PUT", "DELETE"],
    )


def test_project(do, cloud, account):
    droplet = account("bot-1")

    def drift(project):
        cloud.table("projects")[project["id"]]["environment"] = "Staging"
        cloud.table("assigned").clear()

    wanted = {"name": "bots", "environment": "Production", "purpose": "Trading", "description": "", "resources": [droplet["urn"]]}
    with pytest.raises(AssertionError, match="still has 1 resources"):
        life(do, "project", wanted, {"name": "bots"}, drift, ["PATCH", "POST"])
    emptied = do("project", name="bots", resources=[], purge_resources=True)
    assert emptied["changed"] and emptied["actions"] == ["moved 1 to the default project"]
    assert do("project", name="bots", state="absent")["changed"]


SPEC = {
    "name": "dashboard",
    "region": "nyc",
    "services": [
        {
            "name": "web",
            "image": {"registry_type": "DOCR", "repository": "web", "tag": "1"},
            "envs": [{"key": "MODE", "value": "paper"}, {"key": "API_KEY", "value": "canary-app", "type": "SECRET"}],
        }
    ],
    "workers": [{"name": "bot", "image": {"registry_type": "DOCR", "repository": "bot", "tag": "1"}}],
}


def test_app(do, cloud):
    def drift(app):
        real = cloud.table("apps")[app["id"]]["spec"]
        real["services"][0]["envs"].append({"key": "STRAY", "value": "1", "scope": "RUN_TIME"})

    life(do, "app", {"spec": SPEC}, {"name": "dashboard"}, drift, ["PUT"])


def test_info_sees_what_the_modules_return(do, cloud, account, pem):
    made = {"droplet": account("bot-1", tags=["fleet:prod"])}
    made["certificate"] = do("certificate", name="own", **pem)["certificate"]
    made["firewall"] = do("firewall", name="wall", inbound_rules=[{"protocol": "icmp", "sources": {"tags": ["a"]}}])["firewall"]
    made["reserved_ip"] = do("reserved_ip", droplet="bot-1")["reserved_ip"]
    made["alert_policy"] = do("alert_policy", name="cpu", metric="cpu", value=90, emails=["oncall@example.com"])["alert_policy"]
    made["uptime_check"] = do("uptime_check", name="up", target="https://bot.example.com")["uptime_check"]
    made["project"] = do("project", name="bots")["project"]
    made["volume"] = do("volume", name="data", region="nyc3", size_gigabytes=1)["volume"]
    made["database"] = do("database", **DATABASE)["database"]
    made["snapshot"] = do("snapshot", name="s", droplet="bot-1")["snapshot"]
    made["app"] = do("app", spec=SPEC)["app"]
    made["load_balancer"] = do(
        "load_balancer",
        name="front",
        region="nyc3",
        tag="fleet:prod",
        forwarding_rules=[{"entry_protocol": "tcp", "entry_port": 80, "target_protocol": "tcp", "target_port": 80}],
    )["load_balancer"]
    made["droplet"] = do("droplet", name="bot-1")["droplet"]
    for kind, resource in made.items():
        found = do("info", kind=kind)
        assert found["changed"] is False and found.writes == []
        assert resource in found["resources"], kind
        name = resource.get("name") or resource["ip"]
        assert [one for one in do("info", kind=kind, name=name)["resources"]] == [resource]
    assert do("info", kind="droplet", tag="fleet:prod", name="bot-1", region="nyc3")["count"] == 1
    assert do("info", kind="droplet", tag="other")["count"] == 0
    assert do("info", kind="vpc", region="nyc3")["count"] == 2
    for kind in ("account", "region", "size", "image", "ssh_key", "tag", "domain"):
        assert do("info", kind=kind)["count"] >= (0 if kind == "domain" else 1)
    assert "has no tags" in do("info", kind="vpc", tag="x", fails=True)["msg"]
    assert "needs domain" in do("info", kind="domain_record", fails=True)["msg"]
