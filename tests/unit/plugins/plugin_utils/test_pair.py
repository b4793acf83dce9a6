"""What follows from the bots of a pair."""

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _pair

FRONT = [{"id": "haproxy-address", "agent": "ocf:heartbeat:IPaddr2"}, {"id": "haproxy", "agent": _pair.UNIT}]


def test_a_bot_is_a_chain_and_the_proxy_stands_beside_it():
    found = _pair.resources([{"name": "paper"}], FRONT)
    assert found["groups"] == [
        {"id": "paper", "members": ["paper-data", "paper-replication", "paper-bot"]},
        {"id": "front", "members": ["haproxy-address", "haproxy"]},
    ]
    assert found["constraints"] == [{"type": "colocation", "resource": "front", "with": "paper-data", "score": "INFINITY"}]
    units = {resource["id"]: resource["options"]["unit"] for resource in found["resources"][:3]}
    assert units == {"paper-data": "botops-promote@paper.service", "paper-replication": "botops-rsync-ha@paper.service", "paper-bot": "bot-paper.service"}


def test_a_second_bot_runs_where_the_first_one_does():
    found = _pair.resources([{"name": "paper"}, {"name": "feed"}])
    assert found["constraints"] == [{"type": "colocation", "resource": "feed", "with": "paper-data", "score": "INFINITY"}]
    assert _pair.resources([], FRONT) == {"resources": [], "groups": [], "constraints": []}


@pytest.mark.parametrize(
    ("bot", "start", "stop"),
    [
        ({"name": "x"}, 85, 30),
        ({"name": "x", "health": {"timeout_seconds": 10}, "stop_seconds": 5}, 35, 15),
        ({"name": "x", "mode": "compose", "stop_seconds": 10}, 110, 50),
    ],
)
def test_the_cluster_waits_longer_than_systemd(bot, start, stop):
    """So that it is systemd that gives up, and says why."""
    operations = {entry["name"]: entry["timeout"] for entry in _pair.chain(bot)[2]["operations"]}
    assert operations == {"start": f"{start}s", "stop": f"{stop}s", "monitor": "20s"}


GROUPS = {"cluster_nodes": ["a", "b"], "cluster_witness": ["w"]}
HOSTS = {
    "a": {"ansible_host": "192.0.2.1", "bot_app_bots": [{"name": "paper"}, {"name": "own", "managed_by": "systemd"}], "haproxy_vip_address": "192.0.2.9/24",
          "haproxy_vip_frontends": [{"name": "dashboard"}]},
    "b": {"ansible_host": "192.0.2.2"},
    "w": {"ansible_host": "192.0.2.3"},
    "x": {"ansible_host": "192.0.2.4"},
}


def test_members_let_each_other_in_and_the_witness_lets_members_in():
    a, w = (_pair.network(GROUPS, HOSTS, name) for name in "aw")
    assert a["peers"] == ["192.0.2.2"] and [(rule["port"], rule["proto"], rule["from"]) for rule in a["rules"]] == [(["5404:5412"], "udp", ["192.0.2.2"])]
    assert w["peers"] == [] and [(rule["port"], rule["proto"], rule["from"]) for rule in w["rules"]] == [(["5403"], "tcp", ["192.0.2.1", "192.0.2.2"])]
    nothing = {"peers": [], "rules": [], "unknown": []}
    assert _pair.network(GROUPS, HOSTS, "x") == nothing == _pair.network({"cluster_nodes": ["a", "b"]}, HOSTS, "a") == _pair.network({}, {}, "a")


def test_a_member_without_an_address_is_told_and_not_left_out_in_silence():
    assert _pair.network(GROUPS, {**HOSTS, "b": {"ansible_host": "b.example.com"}}, "a")["unknown"] == ["b"]


def test_the_replication_follows_from_the_inventory():
    assert _pair.addresses(GROUPS, HOSTS) == {"a": "192.0.2.1", "b": "192.0.2.2"}
    assert _pair.replicated(HOSTS["a"]["bot_app_bots"]) == [{"name": "paper"}]
    assert _pair.addresses({"cluster_nodes": ["a", "b"]}, HOSTS) == {}


def test_the_cluster_follows_from_the_first_member():
    found = _pair.cluster(GROUPS, HOSTS)
    assert [each["id"] for each in found["resources"]] == ["paper-data", "paper-replication", "paper-bot", "address", "haproxy"]
    assert found["resources"][3]["options"]["ip"] == "192.0.2.9" and "nic" not in found["resources"][3]["options"]
    assert found["heuristics"] == ["/usr/bin/test -e /run/botops-rsync-ha/paper/active"]
    assert _pair.cluster({}, {}) == {"resources": [], "groups": [], "constraints": [], "heuristics": []}


def test_groups_of_resources_that_an_operator_replaced_are_left_out():
    found = _pair.cluster(GROUPS, HOSTS)
    assert _pair.cluster(GROUPS, HOSTS, found["resources"] + [{"id": "more"}])["groups"] == found["groups"] != []
    assert _pair.cluster(GROUPS, HOSTS, [{"id": "other"}])["groups"] == []
