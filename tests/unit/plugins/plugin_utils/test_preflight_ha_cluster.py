"""Each sentence of the ha_cluster role's preflight, and that a sane declaration gets none."""

from __future__ import annotations

import time

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _ha_cluster as declare
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import ha_cluster_hosts
from preflight_harness import refusals, typed_values

A = {"name": "a", "id": 1, "addresses": ["10.0.0.1"]}
B = {"name": "b", "id": 2, "addresses": ["10.0.0.2"]}
W = {"name": "w", "id": 3, "addresses": ["10.0.0.3"]}
BMC = {"node": "a", "agent": "fence_ipmilan", "options": {"ip": "10.0.0.8"}, "secrets": {"password": "hunter2"}}
VIP = {"id": "vip", "agent": "ocf:heartbeat:IPaddr2", "options": {"ip": "10.0.0.10", "cidr_netmask": 24}}
BOT = {"id": "bot", "agent": "systemd:bot-paper"}


def values(**changes):
    return {
        "members": [A, B], "witnesses": [W], "ha_cluster_name": "trading", "ha_cluster_automatic": True,
        "ha_cluster_fence_test_max_age_days": 90, "ha_cluster_fencing": [BMC, {**BMC, "node": "b"}],
        "ha_cluster_resources": [VIP, BOT], "ha_cluster_groups": [{"id": "g", "members": ["vip", "bot"]}],
        "ha_cluster_constraints": [{"type": "location", "resource": "g", "node": "a"}], "ha_cluster_properties": {},
        "ha_cluster_resource_defaults": {}, "ha_cluster_token_ms": 3000, "ha_cluster_consensus_ms": 0,
        "ha_cluster_qdevice_timeout_ms": 10000, "ha_cluster_qdevice_sync_timeout_ms": 20000, "ha_cluster_monitor_seconds": 2,
        "ha_cluster_stonith_timeout_seconds": 60, "ha_cluster_alert_hook": "", "ha_cluster_authkey": "", "ha_cluster_do_token": "", **changes,
    }


def judged(variables):
    context = {"members": variables.pop("members"), "witnesses": variables.pop("witnesses")}
    return refusals("ha_cluster", context=context, **variables)


def test_a_sane_declaration():
    assert judged(values()) == []


def operation(**settings):
    return [{**BOT, "operations": [{"name": "stop", **settings}]}]


CASES = [
    ({"ha_cluster_name": "a cluster of mine"}, "ha_cluster_name is 'a cluster of mine': write 1 to 15"),
    ({"members": [A], "ha_cluster_fencing": []}, "cluster_nodes has only a: a cluster needs two members"),
    ({"members": []}, "cluster_nodes has nobody"),
    ({"witnesses": []}, "cluster_witness is empty"),
    ({"witnesses": [W, {**W, "name": "v", "addresses": ["10.0.0.4"]}]}, "cluster_witness has 2 hosts (w, v)"),
    ({"witnesses": [A]}, "a is in cluster_witness and in cluster_nodes"),
    ({"witnesses": [{**W, "addresses": ["10.0.0.2"]}]}, "The witness w has the address 10.0.0.2, which is the member b's"),
    ({"members": [A, {**B, "addresses": ["10.0.0.1"]}]}, "a and b in cluster_nodes are the same node: both have the address 10.0.0.1"),
    ({"members": [A, {**B, "id": 1}]}, "the same node id 1: set ha_cluster_node_id"),
    ({"members": [A, {**B, "id": 70000}]}, "ha_cluster_node_id of b is 70000"),
    ({"members": [A, {**B, "addresses": []}]}, "No address is known for b: set ha_cluster_addresses"),
    ({"members": [A, {**B, "addresses": ["b.example.com"]}]}, "'b.example.com' is not an IP address"),
    ({"members": [A, {**B, "addresses": ["10.0.0.2", "10.1.0.2"]}]}, "the same number of addresses, one a link (a: 1, b: 2)"),
    ({"ha_cluster_fencing": [BMC]}, "ha_cluster_fencing has no device for b"),
    ({"ha_cluster_fencing": [BMC, BMC]}, "the id fence-a-ipmilan is used twice"),
    ({"ha_cluster_fencing": [{**BMC, "agent": "ipmilan"}]}, "agent is 'ipmilan': write an agent's name"),
    ({"ha_cluster_fencing": [{key: value for key, value in BMC.items() if key != "node"}]}, "name what the device switches off"),
    ({"ha_cluster_fencing": [{**BMC, "plugs": {"a": 1}}]}, "name what the device switches off"),
    ({"ha_cluster_fencing": [{**BMC, "node": "c"}]}, "ha_cluster_fencing[0]: c is not in the inventory group cluster_nodes (a, b)"),
    ({"ha_cluster_fencing": [{**BMC, "secrets": {}}]}, "the password for fence_ipmilan is missing"),
    ({"ha_cluster_fencing": [{**BMC, "secrets": {"password": " "}}]}, "secrets.password is empty: set it from the vault"),
    ({"ha_cluster_fencing": [{**BMC, "secrets": {"password": "a\nb"}}]}, "secrets.password: holds a line break"),
    ({"ha_cluster_fencing": [{**BMC, "secrets": {"password": "x" * 21}}]}, "has 21 characters: IPMI 2.0 takes 20"),
    ({"ha_cluster_fencing": [{**BMC, "options": {"passwd": "x"}}]}, "options.passwd: move it to ha_cluster_fencing[0].secrets"),
    ({"ha_cluster_token_ms": "soon"}, "ha_cluster_token_ms: must be one whole number, not the text 'soon'"),
    ({"ha_cluster_automatic": "perhaps"}, "ha_cluster_automatic: must be true or false"),
    ({"ha_cluster_groups": [{"id": "g", "members": "vip"}]}, "ha_cluster_groups[0].members: must be a list"),
    ({"ha_cluster_name": None}, "ha_cluster_name: has no value"),
    ({"ha_cluster_token_ms": 200}, "ha_cluster_token_ms is 200: write 1000 to 60000"),
    ({"ha_cluster_consensus_ms": 3000}, "ha_cluster_consensus_ms (3000) must be at least 1.2"),
    ({"ha_cluster_qdevice_timeout_ms": 3000}, "ha_cluster_qdevice_timeout_ms (3000) must be greater than ha_cluster_token_ms (3000)"),
    ({"ha_cluster_qdevice_sync_timeout_ms": 10000}, "must be greater than ha_cluster_qdevice_timeout_ms (10000)"),
    ({"ha_cluster_stonith_timeout_seconds": 5}, "ha_cluster_stonith_timeout_seconds is 5: write at least 10"),
    ({"ha_cluster_token_ms": 60000, "ha_cluster_qdevice_timeout_ms": 70000, "ha_cluster_qdevice_sync_timeout_ms": 80000},
     "ha_cluster_stonith_timeout_seconds (60) must be greater than ha_cluster_token_ms (60000)"),
    ({"ha_cluster_monitor_seconds": 0}, "ha_cluster_monitor_seconds is 0"),
    ({"ha_cluster_resources": operation(timeout="soon"), "ha_cluster_groups": [], "ha_cluster_constraints": []}, "write interval and timeout as 10s"),
    ({"ha_cluster_resources": operation(timeout="1h"), "ha_cluster_groups": [], "ha_cluster_constraints": []}, "would hold a failover up"),
    ({"ha_cluster_resources": [VIP, BOT, {**BOT, "id": "9"}]}, "id is '9'"),
    ({"ha_cluster_resources": [VIP, BOT, BOT]}, "bot is also ha_cluster_resources[1]"),
    ({"ha_cluster_resources": [VIP, BOT, {"id": "f", "agent": "stonith:fence_x"}]}, "fencing devices belong in ha_cluster_fencing"),
    ({"ha_cluster_resources": [VIP, {**BOT, "agent": "bot.service"}]}, "write ocf:PROVIDER:NAME or systemd:UNIT"),
    ({"ha_cluster_resources": [VIP, {**BOT, "agent": "systemd:bot.service"}]}, "leave .service out: systemd:bot."),
    ({"ha_cluster_resources": [{**VIP, "options": {"ip": "10.0.0.10/24"}}, BOT]}, "write the floating address, such as 192.0.2.10"),
    ({"ha_cluster_resources": [{**VIP, "options": {"ip": "10.0.0.1"}}, BOT]}, "10.0.0.1 is a's own address"),
    ({"ha_cluster_resources": [{**VIP, "options": {"ip": "10.0.0.10", "cidr_netmask": "wide"}}, BOT]}, "write the prefix length"),
    ({"ha_cluster_resources": [{**VIP, "options": {"ip": "10.9.0.10", "cidr_netmask": 24}}, BOT]}, "10.9.0.10 is outside the members' subnet"),
    ({"ha_cluster_groups": [{"id": "g", "members": ["vip", "bott"]}]}, "ha_cluster_groups[0] (g): bott is not declared"),
    ({"ha_cluster_groups": [{"id": "g", "members": ["bot"]}, {"id": "h", "members": ["bot"]}]}, "bot is already a member of g"),
    ({"ha_cluster_groups": [{"id": "bot", "members": ["bot"]}], "ha_cluster_constraints": []}, "the id is also that of a resource"),
    ({"ha_cluster_constraints": [{"type": "order", "first": "x", "then": "bot"}]}, "ha_cluster_constraints[0].first: x is not declared"),
    ({"ha_cluster_constraints": [{"type": "location", "resource": "g", "node": "c"}]}, "ha_cluster_constraints[0].node: c is not in"),
    ({"ha_cluster_authkey": "short"}, "ha_cluster_authkey has 5 characters"),
    ({"ha_cluster_alert_hook": "notify"}, "write the absolute path of a program"),
    ({"ha_cluster_properties": {"stonith-enabled": False}}, "without fencing a bot runs twice"),
    ({"ha_cluster_properties": {"no-quorum-policy": "ignore"}}, "a member without quorum has to stop"),
    ({"ha_cluster_fencing": [{"agent": "fence_do", "plugs": {"a": 1, "b": 2}}]}, "set ha_cluster_do_token from the vault"),
    ({"ha_cluster_fencing": [{"agent": "fence_do", "plugs": {"a": "alpha", "b": 2}}], "ha_cluster_do_token": "t"},
     "ha_cluster_fencing[0].plugs.a is 'alpha': write the droplet's number"),
    ({"ha_cluster_fence_test_max_age_days": 0}, "ha_cluster_fence_test_max_age_days is 0"),
]


@pytest.mark.parametrize(("changes", "sentence"), CASES, ids=[sentence[:60] for _, sentence in CASES])
def test_a_sentence(changes, sentence):
    said = judged(values(**changes))
    assert any(sentence in line for line in said), said
    assert not any("hunter2" in line for line in said)


def test_text_is_coerced():
    found = typed_values("ha_cluster", ha_cluster_automatic="false", ha_cluster_token_ms="5000")
    assert found["automatic"] is False and found["token_ms"] == 5000


def test_without_a_device_an_operator_confirms():
    assert judged(values(ha_cluster_automatic=False, ha_cluster_fencing=[])) == []


def test_agents_that_need_no_password():
    plugs = {"plugs": {"a": "i-1", "b": "i-2"}, "agent": "fence_aws", "options": {"region": "x"}}
    assert judged(values(ha_cluster_fencing=[plugs])) == []


# --- across the hosts ---------------------------------------------------------------------------------------


def seen(number, offset=0.0, unsure=0.1, **info):
    link = {"name": "eth0", "mac": f"02:00:00:00:00:0{number}", "networks": [f"10.0.0.{number}/24"]}
    base = {"interfaces": [link], "floating": {}, "fence_tests": {}, "authkey_digest": "", "units": {}}
    return {"info": {**base, **info}, "clock": {"offset": offset, "uncertainty": unsure}}


def across(**changes):
    return {
        "members": ["a", "b"], "witnesses": ["w"], "hosts": {"a": seen(1), "b": seen(2), "w": seen(3)}, "floating": ["10.0.0.10"],
        "devices": declare.device_digests([BMC, {**BMC, "node": "b"}]), "ha_cluster_automatic": False,
        "ha_cluster_fence_test_max_age_days": 90, "ha_cluster_max_clock_difference_seconds": 1, **changes,
    }


def test_hosts_that_fit():
    assert ha_cluster_hosts.check(across()) == []


def test_a_host_that_was_not_reached_is_not_judged():
    assert ha_cluster_hosts.check(across(hosts={"a": seen(1), "b": None})) == []


def test_two_names_of_one_machine():
    assert "a and b are one machine" in ha_cluster_hosts.check(across(hosts={"a": seen(1), "b": seen(1)}))[0]
    assert "a witness on a member's host" in ha_cluster_hosts.check(across(hosts={"a": seen(1), "w": seen(1)}))[0]


def test_bridges_of_docker_may_repeat():
    bridge = {"name": "docker0", "mac": "02:42:00:00:00:01", "networks": ["172.17.0.1/16"]}
    hosts = {name: seen(number) for number, name in enumerate("abw", start=1)}
    for host in hosts.values():
        host["info"]["interfaces"].append(bridge)
    assert ha_cluster_hosts.check(across(hosts=hosts)) == []


@pytest.mark.parametrize(("offset", "unsure", "refused"), [(0.9, 0.0, False), (1.5, 0.1, True), (3.0, 1.5, False), (-4.0, 0.5, True)])
def test_clocks(offset, unsure, refused):
    said = ha_cluster_hosts.check(across(hosts={"a": seen(1, 0.0, unsure), "b": seen(2, offset, unsure)}))
    assert bool(said) is refused
    assert all("The clocks of a and b differ by at least" in line for line in said)


def test_an_address_that_answers():
    strange = {"10.0.0.10": {"held": False, "answered_by": "02:99:00:00:00:01"}}
    hosts = {"a": seen(1, floating=strange), "b": seen(2), "w": seen(3)}
    assert "10.0.0.10 answers already: 02:99:00:00:00:01" in ha_cluster_hosts.check(across(hosts=hosts))[0]
    own = {"10.0.0.10": {"held": False, "answered_by": "02:00:00:00:00:02"}}
    assert ha_cluster_hosts.check(across(hosts={"a": seen(1, floating=own), "b": seen(2)})) == []


def test_an_address_outside_the_subnet():
    assert "10.9.0.10 is outside the subnets of a: 10.0.0.1/24; b: 10.0.0.2/24" in ha_cluster_hosts.check(across(floating=["10.9.0.10"]))[0]


def record(node, **changes):
    return {"result": "ok", "epoch": time.time() - 86400, "devices": across()["devices"][node], **changes}


@pytest.mark.parametrize(
    ("tests", "sentence"),
    [
        ({}, "fencing of a was never tested"),
        ({"a": record("a", result="failed")}, "the last fencing test of a"),
        ({"a": record("a", epoch=time.time() - 91 * 86400)}, "more than 90 days ago"),
        ({"a": record("a", devices={"fence-a-ipmilan": "another"})}, "fencing of a was changed since its test"),
    ],
)
def test_automatic_failover_needs_a_test_that_counts(tests, sentence):
    hosts = {"a": seen(1), "b": seen(2, fence_tests={"b": record("b"), **tests})}
    said = ha_cluster_hosts.check(across(hosts=hosts, ha_cluster_automatic=True))
    assert len(said) == 1 and sentence in said[0] and "playbooks/fence_test.yml" in said[0]


def test_one_members_record_is_enough():
    hosts = {"a": seen(1, fence_tests={"a": record("a", result="failed", epoch=1)}), "b": seen(2, fence_tests={n: record(n) for n in "ab"})}
    assert ha_cluster_hosts.check(across(hosts=hosts, ha_cluster_automatic=True)) == []
