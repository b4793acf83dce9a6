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
    assert units == {"paper-data": "botops-promote@paper.service", "paper-replication": "rsync-ha@paper.service", "paper-bot": "bot-paper.service"}


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
