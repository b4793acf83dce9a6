"""Each fault that was measured in existing collections, by name; and input that an operator gets wrong at three in the morning."""

import pytest

DROPLET = {"name": "bot-1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdG9wcy1mbGVldC10ZXN0LWtleS0wMDAwMDAwMDAx operator@laptop"


def sentence(result):
    assert "Traceback" not in result["msg"] and "\n" not in result["msg"] and len(result["msg"]) < 700, result["msg"]
    return result["msg"]


# --- droplets


def test_droplet_is_not_created_again_at_every_run(do, cloud):
    for _ in range(3):
        do("droplet", **DROPLET)
    assert len(cloud.table("droplets")) == 1


def test_addresses_are_there_after_create(do, cloud):
    """The timeout was ignored, and the result had no addresses."""
    cloud.action_seconds = 0.05
    droplet = do("droplet", ipv6=True, **DROPLET)["droplet"]
    assert droplet["status"] == "active"
    assert droplet["public_ipv4"] and droplet["private_ipv4"].startswith("10.") and droplet["public_ipv6"]


def test_drift_in_tags_is_corrected_and_in_vpc_refused(do, cloud):
    do("vpc", name="bots", region="nyc3")
    do("droplet", tags=["env:prod"], **DROPLET)
    assert do("droplet", tags=["env:test"], **DROPLET)["droplet"]["tags"] == ["env:test"]
    refused = do("droplet", fails=True, vpc="bots", **DROPLET)
    assert "vpc_uuid is" in sentence(refused) and "stays in its VPC" in sentence(refused) and refused.writes == []


def test_tags_null_leaves_alone_and_purge_is_explicit(do, cloud):
    do("droplet", tags=["a", "b"], **DROPLET)
    assert do("droplet", **DROPLET)["changed"] is False
    kept = do("droplet", tags=["c"], purge_tags=False, **DROPLET)
    assert kept["droplet"]["tags"] == ["a", "b", "c"] and [w.split(" ")[0] for w in kept.writes] == ["POST", "POST"]
    assert do("droplet", tags=["c"], purge_tags=False, **DROPLET)["changed"] is False
    assert do("droplet", tags=[], **DROPLET)["droplet"]["tags"] == []


def two_of_one_name(do, cloud):
    first = do("droplet", **DROPLET)["droplet"]
    real = cloud.table("droplets")[first["id"]]
    second = {**real, "id": cloud.number()}
    cloud.table("droplets")[second["id"]] = second
    cloud.table("private")[second["id"]] = cloud.table("private")[first["id"]]
    return first["id"], second["id"]


def test_two_droplets_of_one_name_are_an_error_that_lists_them(do, cloud):
    """Several matches counted as ok."""
    ids = two_of_one_name(do, cloud)
    for state in ("present", "absent"):
        result = do("droplet", fails=True, **{**DROPLET, "state": state})
        said = sentence(result)
        assert "not unique: 2 match" in said and all(f"id {number}" in said for number in ids) and result.writes == []
    assert do("droplet", id=ids[1], state="absent")["changed"]
    assert list(cloud.table("droplets")) == [ids[0]]


def test_reference_to_a_name_that_two_droplets_have_is_an_error(do, cloud):
    two_of_one_name(do, cloud)
    result = do("firewall", fails=True, name="wall", droplets=["bot-1"], inbound_rules=[])
    assert "droplets: the name bot-1 is not unique: 2 match" in sentence(result) and result.writes == []


def test_names_that_differ_in_case_are_two_droplets(do, cloud):
    do("droplet", **DROPLET)
    assert do("droplet", **{**DROPLET, "name": "BOT-1"})["changed"]
    assert len(cloud.table("droplets")) == 2


def test_droplet_of_somebody_else_is_not_touched(do, cloud):
    do("droplet", **DROPLET)
    assert "does not carry the tag fleet:prod" in sentence(do("droplet", fails=True, owner_tag="fleet:prod", **DROPLET))
    spared = do("droplet", name="bot-1", owner_tag="fleet:prod", state="absent")
    assert spared["changed"] is False and spared.writes == [] and len(cloud.table("droplets")) == 1


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("check", [True, False])
def test_id_of_a_droplet_of_another_owner_is_refused(do, cloud, state, check):
    """It was deleted although it only had the tag other-team."""
    droplet = do("droplet", tags=["other-team"], **DROPLET)["droplet"]
    refused = do("droplet", check=check, fails=True, id=droplet["id"], owner_tag="fleet:prod", state=state)
    assert "is bot-1, which does not carry the tag fleet:prod (owner_tag)" in sentence(refused) and refused.writes == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_id_of_a_droplet_of_another_name_is_refused(do, cloud, state):
    """With a mistyped number a stranger was deleted, or renamed."""
    droplet = do("droplet", **DROPLET)["droplet"]
    refused = do("droplet", fails=True, id=droplet["id"], name="bot-7", state=state, rename=state == "absent")
    assert f"id: droplet {droplet['id']} is called bot-1, not bot-7" in sentence(refused) and refused.writes == []
    assert ("rename: true" in refused["msg"]) == (state == "present")
    assert do("droplet", id=droplet["id"], name="bot-1", state=state)["changed"] == (state == "absent")


def test_id_of_a_snapshot_of_another_name_or_droplet_is_refused(do, cloud):
    for name in ("bot-1", "bot-2"):
        do("droplet", **{**DROPLET, "name": name})
    snapshot = do("snapshot", name="nightly", droplet="bot-1")["snapshot"]
    for other in ({"name": "weekly"}, {"droplet": "bot-2"}):
        refused = do("snapshot", fails=True, id=snapshot["id"], state="absent", **other)
        assert f"snapshot {snapshot['id']}" in sentence(refused) and refused.writes == []
    assert do("snapshot", id=snapshot["id"], name="nightly", droplet="bot-1", state="absent")["changed"]


def test_owner_tag_survives_a_purge(do, cloud):
    do("droplet", owner_tag="fleet:prod", **DROPLET)
    assert do("droplet", owner_tag="fleet:prod", tags=[], **DROPLET)["droplet"]["tags"] == ["fleet:prod"]


def test_resize_needs_permission_and_takes_a_snapshot_first(do, cloud):
    do("droplet", **DROPLET)
    bigger = {**DROPLET, "size": "c-2"}
    refused = do("droplet", fails=True, **bigger)
    assert "allow_downtime: true" in sentence(refused) and refused.writes == []
    done = do("droplet", allow_downtime=True, **bigger)
    assert done["actions"] == ["shut down", "took the snapshot bot-1-before-resize-to-c-2", "resized from s-1vcpu-1gb to c-2", "powered on"]
    assert done["droplet"]["size"] == "c-2" and done["droplet"]["status"] == "active" and done["droplet"]["disk"] == 25
    assert [s["name"] for s in cloud.table("snapshots").values()] == ["bot-1-before-resize-to-c-2"]
    assert do("droplet", allow_downtime=True, **bigger)["changed"] is False


def test_resize_that_fails_leaves_the_droplet_running(do, cloud):
    droplet = do("droplet", **DROPLET)["droplet"]
    cloud.fault(method="POST", path="/actions$", skip=2, status=422, message="No capacity for this size.")
    result = do("droplet", fails=True, allow_downtime=True, **{**DROPLET, "size": "c-2"})
    assert "No capacity for this size" in sentence(result)
    assert cloud.table("droplets")[droplet["id"]]["status"] == "active"


def test_smaller_disk_is_refused_before_anything_is_switched_off(do, cloud):
    do("droplet", **{**DROPLET, "size": "s-1vcpu-2gb"})
    result = do("droplet", fails=True, allow_downtime=True, **DROPLET)
    assert "disks never shrink" in sentence(result) and result.writes == []


def test_power_and_rename(do, cloud):
    droplet = do("droplet", **DROPLET)["droplet"]
    assert do("droplet", power_state="stopped", **DROPLET)["droplet"]["status"] == "off"
    assert do("droplet", power_state="stopped", **DROPLET)["changed"] is False
    assert do("droplet", power_state="running", **DROPLET)["droplet"]["status"] == "active"
    renamed = do("droplet", id=droplet["id"], name="bot-2", rename=True)
    assert renamed["droplet"]["name"] == "bot-2" and renamed["droplet"]["id"] == droplet["id"]


def test_backup_plan_is_changed_and_switched_off(do, cloud):
    do("droplet", backups=True, **DROPLET)
    assert do("droplet", backups=True, **DROPLET)["changed"] is False
    daily = {"plan": "daily", "hour": 8}
    changed = do("droplet", backups=True, backup_policy=daily, **DROPLET)
    assert [r["body"]["type"] for r in changed.requests if r["method"] == "POST"] == ["change_backup_policy"]
    assert do("droplet", backups=True, backup_policy=daily, **DROPLET)["changed"] is False
    assert do("droplet", backups=False, **DROPLET)["changed"]
    assert do("droplet", backups=False, **DROPLET)["changed"] is False


def test_action_of_somebody_else_is_waited_for(do, cloud):
    droplet = do("droplet", **DROPLET)["droplet"]
    real = cloud.table("droplets")[droplet["id"]]
    real["locked"] = True
    cloud.later(lambda: real.update(locked=False), 0.05)
    assert do("droplet", power_state="stopped", **DROPLET)["droplet"]["status"] == "off"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"region": "nyc33"}, "region: 'nyc33' is not offered. Did you mean nyc3"),
        ({"size": "s-1vcpu-1tb"}, "size: 's-1vcpu-1tb' is not offered. Did you mean s-1vcpu-1gb"),
        ({"size": "m-2vcpu-16gb", "region": "nyc1"}, "size: m-2vcpu-16gb is not offered in nyc1. It is in: ams3"),
        (
            {"tags": ["env prod"]},
            "tags: 'env prod' is not a tag: only letters, digits, colon, dash and underscore, at most 255 characters. Write for example 'env-prod'",
        ),
        ({"name": "bot_1"}, "name: 'bot_1' is not a host name"),
        ({"ssh_keys": ["nobody"]}, "ssh_keys: this account has no key with the name, id or fingerprint 'nobody'"),
        ({"vpc": "nowhere"}, "vpc: there is no vpc with the name or id 'nowhere' in this account"),
        ({"image": "debian-99-x64"}, "invalid image"),
        ({"size": None}, "creating it needs size"),
        ({"backup_policy": {"plan": "daily"}}, "backup_policy needs backups: true"),
        ({"backups": True, "backup_policy": {"plan": "daily", "weekday": "MON"}}, "a daily plan has no weekday"),
        ({"power_state": "stopped"}, "is created running"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_droplet_input(do, cloud, wrong, expected):
    result = do("droplet", fails=True, **{**DROPLET, **wrong})
    assert expected in sentence(result)
    assert cloud.table("droplets") == {}


def test_check_mode_on_an_empty_account_foresees_what_earlier_tasks_would_make(do, cloud):
    plan = do("droplet", check=True, vpc="bots", ssh_keys=["operator"], **DROPLET)
    assert plan["changed"] and plan["diff"]["after"]["vpc_uuid"] == "(bots, not there yet)"
    assert do("firewall", check=True, name="wall", droplets=["bot-1"], inbound_rules=[{"protocol": "tcp", "sources": {"droplets": ["bot-2"]}}])["changed"]
    assert do("reserved_ip", check=True, droplet="bot-1")["changed"]
    assert do("domain_record", check=True, domain="example.com", create_domain=True, values=["192.0.2.1"])["changed"]


# --- keys


def test_key_under_another_name_is_renamed_not_refused(do, cloud):
    do("ssh_key", name="old", public_key=KEY)
    renamed = do("ssh_key", name="new", public_key=KEY.replace("operator@laptop", "other comment"))
    assert renamed["actions"] == ["renamed from old"] and len(cloud.table("keys")) == 1


def test_key_cannot_be_replaced_under_its_name(do, cloud):
    do("ssh_key", name="operator", public_key=KEY)
    other = KEY.replace("AAAAIGJvdG9w", "AAAAIGJvdG9x")
    assert "add the new one under a new name" in sentence(do("ssh_key", fails=True, name="operator", public_key=other))


@pytest.mark.parametrize("wrong", ["~/.ssh/id_ed25519.pub", "ssh-rsa notbase64!", "-----BEGIN OPENSSH PRIVATE KEY-----\nx"])
def test_what_is_no_public_key(do, cloud, wrong):
    assert sentence(do("ssh_key", fails=True, name="operator", public_key=wrong)).startswith("public_key: ")
    assert cloud.log == []


# --- networks


def test_vpc_that_overlaps_names_the_other(do, cloud):
    do("vpc", name="bots", region="nyc3", ip_range="10.44.0.0/20")
    result = do("vpc", fails=True, name="more", region="fra1", ip_range="10.44.8.0/24")
    assert "ip_range: 10.44.8.0/24 overlaps bots (10.44.0.0/20)" in sentence(result) and result.writes == []
    assert "overlaps" in sentence(do("vpc", check=True, fails=True, name="more", region="fra1", ip_range="10.44.8.0/24"))


def test_vpc_range_and_region_cannot_change(do, cloud):
    do("vpc", name="bots", region="nyc3", ip_range="10.44.0.0/20")
    result = do("vpc", fails=True, name="bots", region="fra1", ip_range="10.45.0.0/20")
    assert 'region is "nyc3", wanted is "fra1"' in sentence(result) and 'ip_range is "10.44.0.0/20"' in sentence(result)


def test_vpc_with_members_says_who_they_are(do, cloud):
    do("vpc", name="bots", region="nyc3")
    do("droplet", vpc="bots", **DROPLET)
    assert "still has members and cannot be deleted: bot-1 (do:droplet:" in sentence(do("vpc", fails=True, name="bots", state="absent"))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("10.44.0.1/20", "has host bits set"),
        ("8.8.0.0/16", "not a private"),
        ("10.0.0.0/8", "between /16 and /28"),
        ("ten", "CIDR"),
    ],
)
def test_vpc_range_input(do, cloud, wrong, expected):
    assert expected in sentence(do("vpc", fails=True, name="bots", region="nyc3", ip_range=wrong))
    assert cloud.log == []


def test_firewall_is_updated_in_both_directions(do, cloud):
    ssh = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["198.51.100.7"]}}
    web = {"protocol": "tcp", "ports": "443", "sources": {"addresses": ["0.0.0.0/0"]}}
    out = {"protocol": "udp", "ports": "all", "destinations": {"addresses": ["0.0.0.0/0"]}}
    do("firewall", name="wall", inbound_rules=[ssh, web], outbound_rules=[out])
    # Order, repetition and spelling are no change.
    assert (
        do(
            "firewall",
            name="wall",
            inbound_rules=[{**web, "ports": "443-443"}, {**ssh, "sources": {"addresses": ["198.51.100.7/32"]}}, ssh],
            outbound_rules=[{**out, "ports": "1-65535"}],
        )["changed"]
        is False
    )
    assert do("firewall", name="wall", inbound_rules=[web], purge_rules=False)["changed"] is False
    narrowed = do("firewall", name="wall", inbound_rules=[ssh])["firewall"]
    assert [rule["ports"] for rule in narrowed["inbound_rules"]] == ["22"]
    assert len(narrowed["outbound_rules"]) == 1, "the direction that was not declared was emptied"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"protocol": "tcp", "ports": "22-", "sources": {"addresses": ["10.0.0.1"]}}, "inbound_rules[0].ports: '22-' is neither a port"),
        ({"protocol": "tcp", "ports": "99999", "sources": {"addresses": ["10.0.0.1"]}}, "neither a port"),
        ({"protocol": "tcp", "ports": "22", "sources": {"addresses": ["office"]}}, "'office' is neither an address"),
        ({"protocol": "tcp", "ports": "22", "sources": {}}, "names nobody"),
        ({"protocol": "tcp", "ports": "22", "sources": {"tags": ["a b"]}}, "inbound_rules[0].sources.tags: 'a b' is not a tag"),
    ],
)
def test_firewall_input(do, cloud, rule, expected):
    assert expected in sentence(do("firewall", fails=True, name="wall", inbound_rules=[rule]))
    assert cloud.log == []


# --- addresses


def test_reserved_address_is_not_taken_from_another_droplet_without_permission(do, cloud):
    for name in ("bot-1", "bot-2"):
        do("droplet", **{**DROPLET, "name": name})
    address = do("reserved_ip", droplet="bot-1")["reserved_ip"]["ip"]
    refused = do("reserved_ip", fails=True, ip=address, droplet="bot-2")
    assert "is on droplet bot-1" in sentence(refused) and "move: true" in sentence(refused) and refused.writes == []
    moved = do("reserved_ip", ip=address, droplet="bot-2", move=True)
    assert moved["reserved_ip"]["droplet_name"] == "bot-2" and len(moved.writes) == 1
    assert "Releasing it from under it needs move: true" in sentence(do("reserved_ip", fails=True, ip=address, state="absent"))
    assert do("reserved_ip", ip=address, unassigned=True)["reserved_ip"]["droplet_id"] is None


def test_reserved_address_only_works_in_its_region(do, cloud):
    do("droplet", **DROPLET)
    address = do("reserved_ip", region="fra1")["reserved_ip"]["ip"]
    assert do("reserved_ip", region="fra1")["changed"] is False
    refused = do("reserved_ip", fails=True, ip=address, droplet="bot-1")
    assert "only works in its region" in sentence(refused) and refused.writes == []


def test_address_whose_reservation_got_no_answer_is_not_reserved_twice(do, cloud):
    do("droplet", **DROPLET)
    cloud.fault(method="POST", path="^/v2/reserved_ips$", after=True, drop=True)
    result = do("reserved_ip", droplet="bot-1")
    assert result.writes == ["POST /v2/reserved_ips"] and len(cloud.table("reserved_ips")) == 1


# --- names


def test_changing_an_address_replaces_the_record(do, cloud):
    """A second A record was added, and half of the clients went on using the old address."""
    do("domain_record", domain="example.com", create_domain=True, name="bot", values=["192.0.2.1"])
    changed = do("domain_record", domain="example.com", name="bot", values=["192.0.2.2"])
    assert changed["domain_record"]["values"] == ["192.0.2.2"]
    assert [write.split(" ")[0] for write in changed.writes] == ["PUT"], "the name pointed to nothing, or to both, in between"
    records = [r for r in cloud.table("domains")["example.com"]["records"].values() if r["name"] == "bot"]
    assert [r["data"] for r in records] == ["192.0.2.2"]


def test_records_of_other_types_and_names_are_left_alone(do, cloud):
    do("domain_record", domain="example.com", create_domain=True, name="bot", values=["192.0.2.1"])
    do("domain_record", domain="example.com", name="bot", type="TXT", values=["v=1", 'say "x"'])
    do("domain_record", domain="example.com", name="bot.example.com", type="A", state="absent")
    kinds = sorted(r["type"] for r in cloud.table("domains")["example.com"]["records"].values())
    assert kinds == ["NS", "NS", "NS", "TXT", "TXT"]


def test_records_with_more_than_a_value(do, cloud):
    mail = {
        "domain": "example.com",
        "create_domain": True,
        "type": "MX",
        "records": [{"data": "MX1.example.net", "priority": 10}, {"data": "mx2.example.net.", "priority": 20}],
    }
    do("domain_record", **mail)
    assert do("domain_record", **mail)["changed"] is False
    mail["records"][1]["priority"] = 30
    assert [w.split(" ")[0] for w in do("domain_record", **mail).writes] == ["PUT"]
    for kind, record in (
        ("SRV", {"data": "host.example.net", "priority": 1, "port": 80, "weight": 5}),
        ("CAA", {"data": "letsencrypt.org", "flags": 0, "tag": "issue"}),
    ):
        options = {"domain": "example.com", "name": "_bot" if kind == "SRV" else "@", "type": kind, "records": [record]}
        assert do("domain_record", **options)["changed"] and not do("domain_record", **options)["changed"]
    alias = {"domain": "example.com", "name": "www", "type": "CNAME", "values": ["bot.example.com"]}
    assert do("domain_record", **alias)["changed"] and not do("domain_record", **alias)["changed"]


def test_ttl_and_purge_of_records(do, cloud):
    base = {"domain": "example.com", "create_domain": True, "name": "bot"}
    do("domain_record", values=["192.0.2.1", "192.0.2.2"], ttl=60, **base)
    assert do("domain_record", values=["192.0.2.2"], purge=False, **base)["changed"] is False
    assert do("domain_record", values=["192.0.2.3"], purge=False, **base)["domain_record"]["values"] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    slower = do("domain_record", values=["192.0.2.1", "192.0.2.2", "192.0.2.3"], ttl=600, **base)
    assert slower["domain_record"]["ttl"] == 600 and len(slower.writes) == 3
    fewer = do("domain_record", values=["192.0.2.3"], **base)
    assert [w.split(" ")[0] for w in fewer.writes] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"values": ["192.0.2.300"]}, "'192.0.2.300' is not an address"),
        ({"values": ["2001:db8::1"]}, "2001:db8::1 is IPv6; a record of type A needs IPv4"),
        ({"values": ["192.0.2.1"], "ttl": 5}, "ttl: 5 is below the 30 seconds"),
        ({"type": "MX", "values": ["mx"]}, "a record of type MX needs priority. Use records"),
        ({"type": "CNAME", "values": ["a.b"]}, "the zone itself cannot be a CNAME"),
        ({"type": "CNAME", "name": "w", "values": ["a.b", "c.d"]}, "at most (2 given)"),
        ({"values": []}, "creating them needs values"),
        ({"domain": "example.com/x?y", "values": ["192.0.2.1"]}, "domain: 'example.com/x?y' is not a domain name"),
        ({"domain": "other.org", "values": ["192.0.2.1"]}, "domain: other.org is not a domain of this account"),
    ],
)
def test_record_input(do, cloud, wrong, expected):
    do("domain_record", domain="example.com", create_domain=True, name="x", values=["192.0.2.9"])
    result = do("domain_record", fails=True, **{"domain": "example.com", **wrong})
    assert expected in sentence(result) and result.writes == []


# --- snapshots


def test_snapshots_of_one_name_are_told_apart_by_droplet(do, cloud):
    for name in ("bot-1", "bot-2"):
        do("droplet", **{**DROPLET, "name": name})
        do("snapshot", name="nightly", droplet=name)
    assert len(cloud.table("snapshots")) == 2
    assert "not unique: 2 match" in sentence(do("snapshot", fails=True, name="nightly", state="absent"))
    assert do("snapshot", name="nightly", droplet="bot-2", state="absent")["changed"]
    assert do("snapshot", name="weekly", droplet="gone", state="absent")["changed"] is False
