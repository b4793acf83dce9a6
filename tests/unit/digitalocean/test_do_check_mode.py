"""Check mode says what a run would do: it refuses what would be refused, and a plan of tasks runs through."""

import pytest

DROPLET = {"name": "bot-1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdG9wcy1mbGVldC10ZXN0LWtleS0wMDAwMDAwMDAx operator@laptop"
TCP = {"entry_protocol": "tcp", "entry_port": 80, "target_protocol": "tcp", "target_port": 80}


# --- what a run would refuse


def refused_both_ways(do, expected, kind, **arguments):
    """Check mode promised the deletion, and the run refused it."""
    for check in (True, False):
        result = do(kind, check=check, fails=True, state="absent", **arguments)
        assert expected in result["msg"] and result.writes == []


def test_network_with_members(do, cloud):
    do("vpc", name="bots", region="nyc3")
    do("droplet", vpc="bots", **DROPLET)
    refused_both_ways(do, "still has members and cannot be deleted: bot-1 (do:droplet:", "vpc", name="bots")


def test_default_network(do, cloud):
    do("droplet", **DROPLET)
    refused_both_ways(do, "is the default network of nyc3", "vpc", name="default-nyc3")


def test_address_that_is_assigned(do, cloud):
    for name in ("bot-1", "bot-2"):
        do("droplet", **{**DROPLET, "name": name})
    address = do("reserved_ip", droplet="bot-1")["reserved_ip"]["ip"]
    refused_both_ways(do, "Releasing it from under it needs move: true", "reserved_ip", ip=address)
    # With the wrong droplet beside it, it was released from under the right one.
    refused_both_ways(do, "is on droplet bot-1", "reserved_ip", ip=address, droplet="bot-2")
    assert do("reserved_ip", check=True, ip=address, droplet="bot-1", state="absent")["changed"]


def test_project_that_is_not_empty_and_the_default_one(do, cloud):
    do("project", name="bots", resources=[do("droplet", **DROPLET)["droplet"]["urn"]])
    refused_both_ways(do, "still has 1 resources and cannot be deleted: do:droplet:", "project", name="bots")
    refused_both_ways(do, "is the default project", "project", name="first-project")


def test_certificate_in_use(do, cloud):
    cloud.table("domains")["example.com"] = {"view": {"name": "example.com"}, "records": {}}
    do("certificate", name="web", dns_names=["bot.example.com"])
    rule = {"entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 80, "certificate": "web"}
    do("load_balancer", name="front", region="nyc3", forwarding_rules=[rule])
    refused_both_ways(do, "certificate web is used by the load balancer front", "certificate", name="web")


# --- a plan


def test_a_whole_plan_runs_in_check_mode(do, cloud):
    """It broke at the first .id or .urn: a creation returned nothing."""
    vpc = do("vpc", check=True, name="bots", region="nyc3")["vpc"]
    key = do("ssh_key", check=True, name="operator", public_key=KEY)["ssh_key"]
    droplet = do("droplet", check=True, vpc=vpc["id"], ssh_keys=[key["id"]], tags=["bot:x"], **DROPLET)["droplet"]
    assert droplet["name"] == "bot-1" and droplet["region"] == "nyc3" and droplet["tags"] == ["bot:x"]
    assert droplet["id"] == droplet["public_ipv4"] == droplet["urn"] == "(droplet bot-1, not there yet)"
    address = do("reserved_ip", check=True, droplet=droplet["id"])["reserved_ip"]
    planned = [
        do("reserved_ip", check=True, ip=address["ip"], unassigned=True),
        do("domain_record", check=True, domain="example.com", create_domain=True, values=[address["ip"]]),
        do("domain_record", check=True, domain="example.com", create_domain=True, name="six", type="AAAA", values=[droplet["public_ipv6"]]),
        do(
            "firewall", check=True, name="wall", droplets=[droplet["id"]],
            inbound_rules=[{"protocol": "tcp", "ports": "22", "sources": {"addresses": [droplet["public_ipv4"]], "droplets": [droplet["id"]]}}],
        ),
        do("database", check=True, name="state", engine="pg", region="nyc3", size="db-s-1vcpu-1gb", vpc=vpc["id"], trusted_sources=[
            {"type": "droplet", "value": droplet["id"]}, {"type": "ip_addr", "value": droplet["public_ipv4"]},
        ]),
        do("alert_policy", check=True, name="cpu", metric="cpu", value=90, emails=["oncall@example.com"], droplets=[droplet["id"]]),
        do("snapshot", check=True, name="first", droplet=droplet["id"]),
        do("droplet", check=True, id=droplet["id"], power_state="stopped"),
        do("droplet", check=True, id=droplet["id"], state="absent"),
    ]
    certificate = do("certificate", check=True, name="web", dns_names=["bot.example.com"])["certificate"]
    https = {**TCP, "entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "certificate": certificate["id"]}
    balancer = do("load_balancer", check=True, name="front", region="nyc3", vpc=vpc["id"], droplets=[droplet["id"]], forwarding_rules=[TCP, https])
    check = do("uptime_check", check=True, name="up", target="https://%s" % balancer["load_balancer"]["ip"])
    app = do("app", check=True, spec={"name": "front", "static_sites": [{"name": "site"}]})
    urns = [droplet["urn"], balancer["load_balancer"]["urn"], address["urn"], app["app"]["urn"]]
    project = do("project", check=True, name="bots", resources=urns)
    for result in [*planned, balancer, check, app, project]:
        assert result["changed"]
    assert cloud.writes() == []


@pytest.mark.parametrize("kind", ["vpc", "droplet", "reserved_ip", "project", "alert_policy", "uptime_check", "ssh_key", "load_balancer", "firewall", "volume"])
def test_a_planned_creation_returns_the_fields_of_a_real_one(do, cloud, kind):
    arguments = {
        "vpc": {"name": "bots", "region": "nyc3"}, "droplet": DROPLET, "reserved_ip": {"region": "nyc3"}, "project": {"name": "bots"},
        "alert_policy": {"name": "cpu", "metric": "cpu", "value": 90, "emails": ["oncall@example.com"]},
        "uptime_check": {"name": "up", "target": "https://bot.example.com"}, "ssh_key": {"name": "operator", "public_key": KEY},
        "load_balancer": {"name": "front", "region": "nyc3", "forwarding_rules": [TCP]},
        "firewall": {"name": "wall", "inbound_rules": [{"protocol": "icmp", "sources": {"addresses": ["10.0.0.1"]}}]},
        "volume": {"name": "data", "region": "nyc3", "size_gigabytes": 1},
    }[kind]
    planned, made = do(kind, check=True, **arguments)[kind], do(kind, **arguments)[kind]
    assert planned.keys() == made.keys()
    identity = {"reserved_ip": "ip", "alert_policy": "uuid"}.get(kind, "id")
    assert "not there yet" in planned[identity], "not marked as a placeholder"


# --- what is going, and what is switched off


def test_network_whose_members_are_going_is_waited_for(do, cloud):
    """A droplet that was just deleted is listed as a member for a while, and the deletion was refused."""
    do("vpc", name="bots", region="nyc3")
    do("droplet", vpc="bots", **DROPLET)
    cloud.action_seconds = 0.1
    do("droplet", name="bot-1", state="absent")
    assert do("vpc", check=True, name="bots", state="absent")["changed"]
    removed = do("vpc", name="bots", state="absent")
    assert removed["changed"] and len([path for path in removed.reads if path.startswith("/v2/vpcs/") and "/members" in path]) > 1
    assert [vpc["name"] for vpc in cloud.table("vpcs").values() if vpc["name"] == "bots"] == []


@pytest.mark.parametrize(
    ("kind", "table", "arguments"),
    [
        ("alert_policy", "alert_policies", {"name": "cpu", "metric": "cpu", "value": 90, "emails": ["oncall@example.com"]}),
        ("uptime_check", "uptime_checks", {"name": "up", "target": "https://bot.example.com"}),
    ],
)
def test_what_somebody_switched_off_is_told(do, cloud, kind, table, arguments):
    do(kind, **arguments)
    assert "warnings" not in do(kind, **arguments)
    next(iter(cloud.table(table).values()))["enabled"] = False
    for check in (True, False):
        told = do(kind, check=check, **arguments)
        assert not told["changed"] and "is disabled, so it tells nobody. Write enabled: true" in told["warnings"][0]
    assert "warnings" not in do(kind, enabled=False, **arguments)
    assert do(kind, enabled=True, **arguments)["changed"] and "warnings" not in do(kind, **arguments)


# --- what a request resets


BALANCER = {"name": "front", "region": "nyc3", "forwarding_rules": [TCP]}
UNDECLARED = {
    "disable_lets_encrypt_dns_records": True, "network_stack": "DUALSTACK", "project_id": "4e1bfbc3-dc3e-41f2-a18f-1b4d7ba71679",
    "domains": [{"name": "bot.example.com", "is_managed": False}], "target_load_balancer_ids": ["7dbf91fe-cbdb-48dc-8290-c3a181554905"],
    "glb_settings": {"target_protocol": "http", "target_port": 80, "cdn": {"is_enabled": True}}, "http_idle_timeout_seconds": 90,
    "enable_backend_keepalive": True, "tls_cipher_policy": "STRONG", "network": "INTERNAL",
}


def test_a_change_of_a_balancer_keeps_what_is_not_declared(do, cloud):
    """What the module does not manage fell back to the vendor's default, and the diff did not show it."""
    made = do("load_balancer", **BALANCER)["load_balancer"]
    real = cloud.table("load_balancers")[made["id"]]
    real.update(UNDECLARED)
    changed = do("load_balancer", **BALANCER, algorithm="least_connections")
    assert changed["diff"]["before"] != changed["diff"]["after"]
    assert {name: real[name] for name in UNDECLARED} == UNDECLARED


def sent(result):
    return next(entry["body"] for entry in result.requests if entry["method"] == "PUT")


def test_the_diff_of_a_balancer_shows_what_is_sent(do, cloud):
    do("load_balancer", **BALANCER, sticky_sessions={"type": "cookies", "cookie_name": "bot", "cookie_ttl_seconds": 300})
    changed = do("load_balancer", **BALANCER, sticky_sessions={"type": "none"}, health_check={"protocol": "tcp", "port": 22})
    assert changed["diff"]["after"]["sticky_sessions"] == {"type": "none", "cookie_name": "", "cookie_ttl_seconds": 0}
    assert changed["diff"]["after"]["health_check"]["path"] == ""
    assert sent(changed)["sticky_sessions"] == {"type": "none"} and "path" not in sent(changed)["health_check"]
    assert do("load_balancer", **BALANCER, sticky_sessions={"type": "none"}, health_check={"protocol": "tcp", "port": 22})["changed"] is False


def test_a_certificate_that_is_not_declared_any_more_goes(do, cloud):
    cloud.table("domains")["example.com"] = {"view": {"name": "example.com"}, "records": {}}
    do("certificate", name="web", dns_names=["bot.example.com"])
    https = {"entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443}
    do("load_balancer", name="front", region="nyc3", forwarding_rules=[{**https, "certificate": "web"}])
    through = {"name": "front", "forwarding_rules": [{**https, "tls_passthrough": True}]}
    changed = do("load_balancer", **through)
    assert changed["diff"]["after"]["forwarding_rules"][0]["certificate_id"] == ""
    assert "certificate_id" not in sent(changed)["forwarding_rules"][0]
    assert do("load_balancer", **through)["changed"] is False


@pytest.mark.parametrize("stray", [{"tags": ["stray"]}, {"droplet_ids": [1]}, {"kubernetes_ids": ["x"]}, {"addresses": ["10.0.0.1", "0.0.0.0/0"]}])
def test_a_source_of_another_kind_that_was_added_to_a_rule_goes(do, cloud, stray):
    """A rule that let in more than was declared counted as equal."""
    wall = {"name": "wall", "inbound_rules": [{"protocol": "tcp", "ports": "22", "sources": {"addresses": ["10.0.0.1"]}}]}
    made = do("firewall", **wall)["firewall"]
    real = cloud.table("firewalls")[made["id"]]
    real["inbound_rules"][0]["sources"].update(stray)
    assert do("firewall", check=True, **wall)["changed"] and do("firewall", **wall)["changed"]
    assert real["inbound_rules"][0]["sources"] == {"addresses": ["10.0.0.1"]}
    assert do("firewall", **wall)["changed"] is False
