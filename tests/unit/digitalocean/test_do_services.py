"""Faults and wrong input of load balancers, certificates, databases, alerts, checks, projects and apps."""

import json
import os
import subprocess
import sys

import pytest
from do_harness import ROOT, TOKEN

DATABASE = {"name": "bots-db", "engine": "pg", "version": "16", "region": "nyc3", "size": "db-s-1vcpu-1gb"}
TCP = {"entry_protocol": "tcp", "entry_port": 80, "target_protocol": "tcp", "target_port": 80}
BALANCER = {"name": "front", "region": "nyc3", "tag": "web", "forwarding_rules": [TCP]}
POLICY = {"name": "cpu", "metric": "cpu", "value": 90, "emails": ["oncall@example.com"]}
CHECK = {"name": "up", "target": "https://bot.example.com"}
SLACK = [{"channel": "#bots", "url": "https://hooks.example.com/canary-slack"}]
SPEC = {"name": "dashboard", "services": [{"name": "web", "image": {"registry_type": "DOCR", "repository": "web"}}]}
PEM = {
    "leaf_certificate": "-----BEGIN CERTIFICATE-----\nYm90b3BzIGxlYWYgb25l\n-----END CERTIFICATE-----\n",
    "private_key": "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5LXByaXZhdGUta2V5\n-----END PRIVATE KEY-----\n",
}


def sentence(result):
    assert "Traceback" not in result["msg"] and "\n" not in result["msg"] and len(result["msg"]) < 700, result["msg"]
    return result["msg"]


# --- load balancers and certificates


def test_health_check_is_sent_and_never_null(do, cloud):
    """It was always sent as null."""
    created = do("load_balancer", health_check={"protocol": "http", "port": 8080, "path": "/healthz"}, **BALANCER)
    body = created.requests[[r["method"] for r in created.requests].index("POST")]["body"]
    assert body["health_check"] == {"protocol": "http", "port": 8080, "path": "/healthz"}
    assert "null" not in json.dumps(body)


def test_load_balancer_on_the_second_page_is_not_created_again(do, cloud):
    do("load_balancer", **BALANCER)
    real = next(iter(cloud.table("load_balancers").values()))
    others = {number: {**real, "id": cloud.uuid(), "name": f"other-{number}"} for number in range(220)}
    cloud.tables["load_balancers"] = {**others, real["id"]: real}
    assert do("load_balancer", **BALANCER)["changed"] is False


def test_what_is_not_declared_survives_a_change_of_the_rest(do, cloud):
    """The vendor replaces a load balancer as a whole; what is left out of a request falls back to its default."""
    do(
        "load_balancer",
        **BALANCER,
        size_unit=3,
        http_idle_timeout_seconds=300,
        enable_proxy_protocol=True,
        health_check={"protocol": "http", "port": 8080, "path": "/healthz"},
        firewall={"allow": ["cidr:10.0.0.0/8"]},
    )
    balancer = do("load_balancer", name="front", redirect_http_to_https=True, health_check={"port": 9090})["load_balancer"]
    assert balancer["size_unit"] == 3 and balancer["http_idle_timeout_seconds"] == 300 and balancer["enable_proxy_protocol"]
    assert balancer["health_check"]["path"] == "/healthz" and balancer["health_check"]["port"] == 9090
    assert balancer["firewall"]["allow"] == ["cidr:10.0.0.0/8"] and balancer["tag"] == "web"


def test_droplets_by_name_replace_the_tag(do, cloud):
    do("load_balancer", **BALANCER)
    droplet = do("droplet", name="bot-1", region="nyc3", size="c-2", image="debian-13-x64", tags=["web"])["droplet"]
    changed = do("load_balancer", name="front", droplets=["bot-1"])
    assert changed["load_balancer"]["tag"] == "" and changed["load_balancer"]["droplet_ids"] == [droplet["id"]]
    assert do("load_balancer", name="front", droplets=["bot-1"])["changed"] is False
    assert do("load_balancer", name="front", tag="web")["changed"] and not do("load_balancer", name="front", tag="web")["changed"]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"forwarding_rules": [{**TCP, "entry_protocol": "https"}]}, "forwarding_rules[0]: https needs certificate, or tls_passthrough"),
        ({"forwarding_rules": [{**TCP, "entry_port": 0}]}, "forwarding_rules[0].entry_port: 0 is not a port"),
        ({"forwarding_rules": [TCP, {**TCP, "target_port": 81}]}, "two rules enter at the same port"),
        ({"forwarding_rules": [{**TCP, "entry_protocol": "https", "certificate": "gone"}]}, "certificate: there is no certificate with"),
        ({"sticky_sessions": {"type": "cookies"}}, "cookies need cookie_name"),
        ({"region": "mars1"}, "region: 'mars1' is not offered"),
        ({"forwarding_rules": None}, "creating it needs forwarding_rules"),
        ({"tag": "a b"}, "tag: 'a b' is not a tag"),
    ],
)
def test_load_balancer_input(do, cloud, wrong, expected):
    result = do("load_balancer", fails=True, **{**BALANCER, **wrong})
    assert expected in sentence(result) and result.writes == []


def test_certificate_is_compared_by_fingerprint_and_never_shown(do, cloud):
    made = do("certificate", name="own", **PEM)
    assert "canary" not in json.dumps(made) and "Y2FuYXJ5" not in json.dumps(made)
    other = {**PEM, "leaf_certificate": PEM["leaf_certificate"].replace("b25l", "dHdv")}
    refused = do("certificate", fails=True, name="own", **other)
    assert "under another name, point the load balancer to it" in sentence(refused) and refused.writes == []


def test_certificate_that_is_not_issued_is_an_error(do, cloud):
    do("domain_record", domain="example.com", create_domain=True, values=["192.0.2.1"])
    cloud.action_seconds = 60
    do("certificate", name="free", dns_names=["example.com"], wait=False)
    next(iter(cloud.table("certificates").values()))["state"] = "error"
    assert "was not issued" in sentence(do("certificate", fails=True, name="free", dns_names=["example.com"]))


@pytest.mark.parametrize("wrong", [{"leaf_certificate": "/etc/ssl/bot.crt"}, {"private_key": "/etc/ssl/bot.key"}])
def test_certificate_paths_instead_of_content(do, cloud, wrong):
    assert "not its path" in sentence(do("certificate", fails=True, name="own", **{**PEM, **wrong}))


# --- databases


def test_database_secrets_only_when_asked_for(do, cloud):
    made = do("database", users=["bot"], databases=["trading"], **DATABASE)
    assert "canary" not in json.dumps(made)
    secrets = do("database", return_secrets=True, pools=[{"name": "p", "db": "trading", "user": "bot", "size": 5}], **DATABASE)["database"]["secrets"]
    assert secrets["ca_certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert secrets["passwords"]["bot"].startswith("canary-") and secrets["connection"]["uri"].startswith("postgresql://doadmin:")
    assert secrets["pools"]["p"]["private_connection"]["user"] == "bot"


def test_database_resize_and_upgrade(do, cloud):
    do("database", **DATABASE)
    bigger = do("database", **{**DATABASE, "size": "db-s-1vcpu-2gb", "num_nodes": 2})
    assert bigger["database"]["size"] == "db-s-1vcpu-2gb" and bigger["database"]["num_nodes"] == 2
    assert bigger["database"]["status"] == "online"
    refused = do("database", fails=True, name="bots-db", version="17")
    assert "allow_upgrade: true" in sentence(refused) and refused.writes == []
    assert do("database", name="bots-db", version="17", allow_upgrade=True)["database"]["version"] == "17"
    assert "cannot go back" in sentence(do("database", fails=True, name="bots-db", version="16", allow_upgrade=True))
    assert "cannot be made smaller" in sentence(do("database", fails=True, name="bots-db", storage_size_mib=10240))


def test_database_parts_are_only_removed_when_asked_for(do, cloud):
    do("database", users=["bot", "old"], databases=["trading", "old"], **DATABASE)
    assert do("database", name="bots-db", users=["bot"], databases=["trading"])["changed"] is False
    purged = do("database", name="bots-db", users=["bot"], databases=["trading"], purge_users=True, purge_databases=True)
    assert sorted(w.split("/")[-1] for w in purged.writes) == ["old", "old"]
    parts = next(iter(cloud.table("database_parts").values()))
    assert list(parts["users"]) == ["doadmin", "bot"] and list(parts["dbs"]) == ["defaultdb", "trading"]


def test_database_pools_change_in_the_right_order(do, cloud):
    pool = {"name": "p", "db": "trading", "user": "bot", "size": 5}
    do("database", users=["bot"], databases=["trading"], pools=[pool], **DATABASE)
    changed = do("database", name="bots-db", pools=[{**pool, "size": 9, "mode": "session"}])
    assert [w.split(" ")[0] for w in changed.writes] == ["PUT"]
    moved = do(
        "database",
        name="bots-db",
        users=["new"],
        databases=["next"],
        purge_users=True,
        purge_databases=True,
        pools=[{"name": "q", "db": "next", "user": "new", "size": 5}],
    )
    assert moved["actions"] == [
        "removed the pool p",
        "added the user new",
        "removed the user bot",
        "added the database next",
        "removed the database trading",
        "added the pool q",
    ]


def test_database_with_parts_cannot_be_made_without_waiting(do, cloud):
    assert "needs wait: true" in sentence(do("database", fails=True, wait=False, users=["bot"], **DATABASE))
    assert do("database", wait=False, **DATABASE)["database"]["status"] in ("creating", "online")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"engine": "valkey", "version": "8", "users": ["bot"]}, "users: the engine valkey has none; this is for pg and mysql"),
        ({"eviction_policy": "noeviction"}, "eviction_policy: the engine pg has none"),
        ({"maintenance_window": {"day": "sunday", "hour": "25:00"}}, "maintenance_window.hour: '25:00' is not a time"),
        ({"trusted_sources": [{"type": "ip_addr", "value": "office"}]}, "trusted_sources[0].value: 'office' is neither"),
        ({"trusted_sources": [{"type": "droplet", "value": "nobody"}]}, "trusted_sources: there is no droplet with the name or id 'nobody'"),
        ({"size": "db-huge"}, "invalid size"),
        ({"region": "nyc33"}, "region: 'nyc33' is not offered"),
    ],
)
def test_database_input(do, cloud, wrong, expected):
    assert expected in sentence(do("database", fails=True, **{**DATABASE, **wrong}))
    assert cloud.table("databases") == {}


def test_database_that_does_not_exist_says_what_is_missing(do, cloud):
    assert "creating it needs engine, region, size" in sentence(do("database", fails=True, name="bots-db"))


# --- alerts and checks


def test_webhooks_are_never_shown_but_their_change_is_seen(do, cloud):
    for kind, arguments in (
        ("alert_policy", {**POLICY, "slack": SLACK}),
        ("uptime_check", {**CHECK, "alerts": [{"name": "a", "type": "down", "slack": SLACK}]}),
    ):
        made = do(kind, **arguments)
        assert "canary-slack" not in json.dumps(made)
        again = do(kind, **arguments)
        assert not again["changed"]
        changed = json.loads(json.dumps(arguments).replace("canary-slack", "canary-other"))
        told = do(kind, **changed)
        assert told["changed"] and "canary-other" not in json.dumps(told)
        assert told["diff"]["before"] != told["diff"]["after"]


def test_alert_policy_keeps_webhooks_that_are_not_declared(do, cloud):
    do("alert_policy", **POLICY, slack=SLACK)
    do("alert_policy", name="cpu", value=95)
    policy = next(iter(cloud.table("alert_policies").values()))
    assert policy["value"] == 95 and policy["alerts"] == {"email": ["oncall@example.com"], "slack": SLACK}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"value": 900}, "cpu is a percentage, 900.0 is not"),
        ({"emails": []}, "would tell nobody"),
        ({"emails": ["nobody"]}, "emails: 'nobody' is not an e-mail address"),
        ({"emails": ["stranger@example.org"]}, "is not verified for this account"),
        ({"slack": [{"channel": "#b", "url": "hooks"}]}, "must begin with https://"),
        ({"metric": "database_cpu", "droplets": ["bot-1"]}, "droplets: database_cpu is no metric of droplets"),
        ({"tags": ["a b"]}, "tags: 'a b' is not a tag"),
        ({"value": None}, "creating it needs value"),
    ],
)
def test_alert_policy_input(do, cloud, wrong, expected):
    assert expected in sentence(do("alert_policy", fails=True, **{**POLICY, **wrong}))
    assert cloud.table("alert_policies") == {}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"target": "bot.example.com"}, "target: 'bot.example.com' is no URL; write for example https://bot.example.com"),
        ({"type": "http"}, "does not fit type: http"),
        ({"alerts": [{"name": "a", "type": "down"}]}, "alerts[0] tells nobody"),
        ({"alerts": [{"name": "a", "type": "latency", "emails": ["o@example.com"]}]}, "alerts[0].threshold: an alert of type latency needs it"),
        ({"alerts": [{"name": "a", "type": "down", "emails": ["o@example.com"]}] * 2}, "two alerts have the same name"),
        ({"target": None}, "creating it needs target"),
    ],
)
def test_uptime_check_input(do, cloud, wrong, expected):
    assert expected in sentence(do("uptime_check", fails=True, **{**CHECK, **wrong}))
    assert cloud.table("uptime_checks") == {}


def test_uptime_alerts_purge_is_explicit(do, cloud):
    alert = {"name": "a", "type": "down", "emails": ["oncall@example.com"]}
    do("uptime_check", **CHECK, alerts=[alert, {**alert, "name": "b"}])
    assert do("uptime_check", **CHECK, alerts=[alert], purge_alerts=False)["changed"] is False
    assert do("uptime_check", **CHECK)["changed"] is False
    assert [w.split(" ")[0] for w in do("uptime_check", **CHECK, alerts=[alert]).writes] == ["DELETE"]


# --- projects


def test_project_input_and_default(do, cloud):
    assert "is not a URN" in sentence(do("project", fails=True, name="bots", resources=["bot-1"]))
    assert "cannot find do:droplet:1" in sentence(do("project", fails=True, name="bots", resources=["do:droplet:1"]))
    assert do("project", name="bots", is_default=True)["project"]["is_default"]
    assert "make another one the default" in sentence(do("project", fails=True, name="bots", is_default=False))
    assert "cannot be deleted" in sentence(do("project", fails=True, name="bots", state="absent"))


# --- apps


def failing(spec):
    return {**spec, "services": [{**spec["services"][0], "build_command": "false"}]}


def test_failed_build_shows_the_end_of_its_log(do, cloud):
    result = do("app", fails=True, spec=failing(SPEC))
    assert "ended with ERROR" in result["msg"] and "error: missing module 'exchange'" in result["msg"]
    fetched = [r for r in cloud.log if "_emulator" in r["path"]]
    assert fetched == [], "the token would have gone to where the log is kept"


def test_failed_deployment_is_tried_again_by_the_next_run(do, cloud):
    do("app", fails=True, spec=failing(SPEC))
    again = do("app", fails=True, spec=failing(SPEC))
    assert [w.split(" ")[0] for w in again.writes] == ["POST"] and again.writes[0].endswith("/deployments")
    assert do("app", spec=SPEC)["changed"]
    assert do("app", spec=SPEC)["changed"] is False


def test_failed_deployment_is_rolled_back_when_asked_for(do, cloud):
    first = do("app", spec=SPEC)["app"]["active_deployment_id"]
    result = do("app", fails=True, spec=failing(SPEC), rollback_on_failure=True)
    assert f"The previous one ({first}) was put back" in result["msg"] and f"rolled back to {first}" in result["actions"]
    assert do("app", spec=SPEC)["changed"] is False


def test_rollback_to_a_deployment_is_idempotent(do, cloud):
    first = do("app", spec=SPEC)["app"]["active_deployment_id"]
    do("app", spec={**SPEC, "services": [{**SPEC["services"][0], "instance_count": 2}]})
    assert do("app", name="dashboard", rollback_to=first)["actions"] == [f"rolled back to {first}"]
    assert do("app", name="dashboard", rollback_to=first)["changed"] is False
    assert do("app", spec=SPEC)["changed"] is False


def test_specs_are_compared_by_meaning(do, cloud):
    one = {"name": "web", "image": {"registry_type": "DOCR", "repository": "web"}, "envs": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}]}
    two = {"name": "bot", "image": {"registry_type": "DOCR", "repository": "bot"}}
    do("app", spec={"name": "dashboard", "services": [one, two]})
    shuffled = {"name": "dashboard", "services": [two, {**one, "envs": one["envs"][::-1]}], "workers": []}
    assert do("app", spec=shuffled)["changed"] is False
    fewer = do("app", spec={"name": "dashboard", "services": [{**one, "envs": one["envs"][:1]}]})
    assert fewer["changed"] and fewer["app"]["components"] == ["web"], "a removed component or variable was not seen"


def test_secrets_of_an_app_are_not_shown(do, cloud):
    secret = {"name": "dashboard", "services": [{**SPEC["services"][0], "envs": [{"key": "K", "value": "canary-app", "type": "SECRET"}]}]}
    made = do("app", spec=secret)
    shown = {key: value for key, value in made.items() if key != "invocation"}
    assert "canary-app" not in json.dumps(shown)
    assert do("app", spec=secret)["changed"] is False
    forced = do("app", spec=secret, force_deploy=True)
    assert forced["changed"] and len(forced.writes) == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"name": "Dash Board", "services": SPEC["services"]}, "spec.name: 'Dash Board' is not a name"),
        ({"name": "dashboard"}, "spec: has no component"),
        ({"services": SPEC["services"]}, "neither name nor spec.name"),
        ({"name": "dashboard", "services": [{}]}, "spec.services[0]: has no name"),
        ({"name": "dashboard", "services": SPEC["services"], "workers": SPEC["services"]}, "is the name of another component"),
        ({"name": "dashboard", "services": "web"}, "spec.services: a list of components"),
    ],
)
def test_app_input(do, cloud, wrong, expected):
    assert expected in sentence(do("app", fails=True, spec=wrong))
    assert cloud.log == []


# --- as a user runs it


def test_a_playbook_sets_the_token_once_for_all_modules(cloud, tmp_path):
    """Through ansible-playbook: the modules find their private code, and the action group carries the defaults."""
    play = tmp_path / "play.yml"
    play.write_text("""
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/botops.fleet.digitalocean:
      api_token: "{{ lookup('ansible.builtin.env', 'CANARY') }}"
      api_endpoint: "{{ lookup('ansible.builtin.env', 'ENDPOINT') }}"
  tasks:
    - botops.fleet.do_vpc: {name: bots, region: nyc3}
      register: network
    - botops.fleet.do_droplet: {name: bot-1, region: nyc3, size: c-2, image: debian-13-x64, vpc: "{{ network.vpc.id }}", tags: ["bot:x"]}
    - botops.fleet.do_info: {kind: droplet, tag: "bot:x"}
      register: found
    - ansible.builtin.assert:
        that: found.resources[0].private_ipv4 is match('10[.]')
""")
    config = tmp_path / "ansible.cfg"
    config.write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_CONFIG": str(config),
        "CANARY": TOKEN,
        "ENDPOINT": cloud.url,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "HOME": str(tmp_path),
    }
    command = [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-vvv", "--diff", str(play)]
    ran = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
    assert "changed=2" in ran.stdout and TOKEN not in ran.stdout
    assert [entry["method"] for entry in cloud.writes()] == ["POST", "POST"]
