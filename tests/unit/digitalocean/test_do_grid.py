"""Every module through the same life: check, apply, check, apply; drift; absent, absent again. The request log is the witness."""

import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdG9wcy1mbGVldC10ZXN0LWtleS0wMDAwMDAwMDAx operator@laptop"


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
        return do(
            "droplet", **{"name": name, "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64", **more}
        )["droplet"]

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
        cloud.table("firewalls")[firewall["id"]]["inbound_rules"].append(
            {"protocol": "tcp", "ports": "5432", "sources": {"addresses": ["0.0.0.0/0"]}}
        )

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
            "outbound_rules": [
                {"protocol": "tcp", "ports": "all", "destinations": {"addresses": ["0.0.0.0/0", "::/0"]}}
            ],
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
