"""When the bots of a pair may be moved. Every refusal has its case here, and says what to type."""

import copy

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _pair_move
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import pair_deploy, pair_move

DATABASE = {"lag_seconds": 0.9, "reason": None, "unrestorable_seconds": 0.0, "position": [1, 2]}


def view(active="a", **changes):
    nodes = {name: {"online": True, "unclean": False, "standby": False, "maintenance": False, "resources": []} for name in "ab"}
    cluster = {
        "answers": True, "quorate": True, "maintenance": False, "witness": "connected", "nodes": nodes, "waiting_for_operator": [], "failures": [], "moves": [],
        "resources": [{"id": "paper-bot", "on": [active] if active else []}], "joined_seconds": 3600,
        "bots": {"paper": {"release": "r1", "started": 100.0, "stopped": None, "replication": {"active": True, "diverged": [], "restorable": None}}},
    }
    cluster.update(changes)
    return {"cluster": cluster}


def pair(**changes):
    """a trades, b stands by."""
    a, b = view(**changes), view(**changes)
    b["cluster"]["bots"] = {"paper": {"release": "r1", "started": None, "stopped": 40.0, "replication": {
        "active": False, "diverged": [], "restorable": {"databases": {"paper.db": dict(DATABASE)}}}}}
    return {"a": a, "b": b}


def lost(unclean=True, **changes):
    """a is gone, as b sees it."""
    views = pair(active="" if unclean else "b", **changes)
    views["a"] = {"unreachable": True}
    views["b"]["cluster"]["nodes"]["a"].update(online=False, unclean=unclean)
    views["b"]["cluster"]["waiting_for_operator"] = ["a"] if unclean else []
    return views


def plan(views, **wanted):
    return _pair_move.plan(views, ["paper"], wanted)


def test_a_healthy_pair_is_moved_to_the_other_member():
    found = plan(pair())
    assert (found["kind"], found["old"], found["new"], found["refusals"]) == ("move", "a", "b", [])
    assert plan(pair(), to="b")["kind"] == "move"


def test_where_it_is_already_nothing_is_done():
    found = plan(pair(), to="a")
    assert found["kind"] == "nothing" and _pair_move.moved(found, ["paper"], {}) == "paper trades on a already. Nothing to do."


def changed(path, value):
    def change(views):
        place = views
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    return change


ON_B = ("b", "cluster", "bots", "paper")
FAILED = {"node": "b", "resource": "paper-data", "count": "3", "banned": True, "why": "no data"}


@pytest.mark.parametrize(("change", "sentence", "override"), [
    (changed(("a", "cluster", "witness"), "disconnected"), "The witness does not vote", {"accept_no_witness": "true"}),
    (changed(("a", "cluster", "maintenance"), True), "The cluster is in maintenance mode", None),
    (changed(("a", "cluster", "nodes", "b", "standby"), True), "b was put into standby mode", None),
    (changed(("a", "cluster", "nodes", "a", "maintenance"), True), "The cluster looks away from a", None),
    (changed(("a", "cluster", "moves"), [{"id": "cli-prefer-paper", "resource": "paper"}]), "cli-prefer-paper still stands", {"cleanup": "true"}),
    (changed(("a", "cluster", "failures"), [FAILED]), r"b is left out for paper-data, which failed 3 times there (no data)", {"cleanup": "yes"}),
    (changed(("b", "cluster", "joined_seconds"), 4), "b came back 4 s ago", None),
    (changed((*ON_B, "release"), "r0"), "paper would run another release on b (r0) than on a (r1)", None),
    (changed((*ON_B, "replication", "restorable"), None), "Nothing of paper has arrived on b that restores yet", None),
    (changed((*ON_B, "replication", "restorable", "databases", "paper.db", "reason"), "malformed"), "cannot be restored (malformed)", None),
    (changed((*ON_B, "replication", "restorable", "databases", "paper.db", "lag_seconds"), 31.5), "31.5 s behind (at most 10)", {"accept_lag_seconds": "60"}),
    (changed((*ON_B, "replication", "diverged"), ["paper.db.diverged-1"]), "keeps rows of paper that the other one never had", {"accept_diverged": "true"}),
    (changed(("b",), {"unreachable": True}), "b is online in the cluster and does not answer here", None),
])
def test_what_is_refused_and_what_goes_on_all_the_same(change, sentence, override):
    views = copy.deepcopy(pair())
    change(views)
    # Both members tell the same of the cluster.
    if "cluster" in views["b"]:
        for key in ("witness", "maintenance", "nodes", "moves", "failures"):
            views["b"]["cluster"][key] = views["a"]["cluster"][key]
    found = plan(views, back=True)
    assert found["kind"] == "refuse" and len(found["refusals"]) >= 1 and sentence in found["refusals"][0]
    if override:
        assert plan(views, back=True, **override)["kind"] == "move"
        assert f"-e {next(iter(override))}=" in found["refusals"][0]
    else:
        assert plan(views, cleanup="true", accept_no_witness="true", accept_diverged="true")["kind"] == "refuse"
    assert pair_move.check({"views": views, "bots": ["paper"], "wanted": {"back": True}}) == found["refusals"]


def test_diverged_rows_are_in_nobodys_way_when_it_matters():
    views = pair()
    views["b"]["cluster"]["bots"]["paper"]["replication"]["diverged"] = ["paper.db.diverged-1"]
    assert plan(views)["kind"] == "move" and plan(views, back="true")["kind"] == "refuse"


def test_no_quorum_moves_nothing():
    assert "no quorum" in plan(pair(quorate=False))["refusals"][0]


def test_a_name_that_is_no_member():
    assert plan(pair(), to="c")["refusals"] == ["to is c, and that is no member; write one of a, b."]


def test_nobody_answers():
    found = plan({"a": {"unreachable": True}, "b": {"cluster": {"answers": False, "why": "the cluster does not run on this host"}}})
    assert found["kind"] == "refuse" and "b: the cluster does not run on this host" in found["refusals"][0]


def test_a_lost_member_that_nothing_switched_off_needs_the_operators_word():
    found = plan(lost())
    assert found["kind"] == "refuse" and "playbooks/failover.yml -e failed_node_is_off=a" in found["refusals"][0]
    found = plan(lost(), failed_node_is_off="a")
    assert (found["kind"], found["old"], found["new"]) == ("confirm", "a", "b")


def test_the_word_is_refused_for_a_host_that_lives():
    assert "the cluster sees it online" in plan(pair(), failed_node_is_off="a")["refusals"][0]
    views = lost()
    views["a"] = {"cluster": {"answers": False, "why": "the cluster does not run on this host"}}
    assert "it answers over SSH: it is not off" in plan(views, failed_node_is_off="a")["refusals"][0]


def test_a_member_that_was_fenced_is_taken_over_from_already():
    found = plan(lost(unclean=False))
    assert found["kind"] == "nothing" and found["says"] == "a is off; paper trades on b."
    views = lost(unclean=False)
    views["b"]["cluster"]["resources"] = [{"id": "paper-bot", "on": []}]
    assert plan(views)["kind"] == "wait"


def test_a_survivor_without_quorum_goes_nowhere():
    assert "b has no quorum: a is lost and the witness does not answer either" in plan(lost(quorate=False))["refusals"][0]


def test_nothing_runs_after_starts_that_failed_everywhere():
    views = pair(active="")
    assert "-e cleanup=true -e to=HOST" in plan(views)["refusals"][0]
    views["b"]["cluster"]["bots"]["paper"]["release"] = "r1"
    assert plan(views, cleanup="true", to="b")["kind"] == "move"


def test_the_gap_is_measured_by_the_units_own_times():
    found = plan(pair())
    after = pair(active="b")
    after["a"]["cluster"]["bots"]["paper"]["stopped"] = 200.0
    after["b"]["cluster"]["bots"]["paper"]["started"] = 201.64
    assert _pair_move.moved(found, ["paper"], after) == "paper trades on b; 1.6 s between its stop on a and healthy."
    assert _pair_move.moved(found, ["paper"], {}, True) == "Planned: paper would run on b."


def test_ha_status_says_what_to_type():
    said = "\n".join(_pair_move.lines(pair(), ["paper"]))
    assert "bot        paper: on a" in said and "a has release r1, active" in said and "b has release r1, paper.db restores, 0.9 s behind" in said
    assert "playbooks/failover.yml moves paper to b" in said
    said = "\n".join(_pair_move.lines(lost(), ["paper"]))
    assert "NOT STARTED" in said and "failed_node_is_off=a" in said
    assert _pair_move.lines({"a": {"unreachable": True}}, ["paper"]) == []


@pytest.mark.parametrize(("change", "sentence", "degraded"), [
    ({"quorate": False}, "no quorum", False),
    ({"maintenance": True}, "maintenance mode", False),
    ({"failures": [FAILED]}, "b is left out for paper-data", False),
    ({"witness": "disconnected"}, "The witness does not vote", True),
])
def test_a_pair_that_is_not_whole_is_not_deployed_to(change, sentence, degraded):
    views = pair(**change)
    assert sentence in _pair_move.deploy_refusals(views, ["paper"])[0]
    assert bool(_pair_move.deploy_refusals(views, ["paper"], "true")) is not degraded
    assert pair_deploy.check({"views": views, "bots": ["paper"], "accept_degraded": False}) == _pair_move.deploy_refusals(views, ["paper"])


def test_a_healthy_pair_and_one_that_does_not_run_yet_are_deployed_to():
    assert _pair_move.deploy_refusals(pair(), ["paper"]) == []
    assert _pair_move.deploy_refusals({"a": {"cluster": {"answers": False}}, "b": {"cluster": {"answers": False}}}, ["paper"]) == []


def test_a_standby_that_is_lost_or_does_not_restore_stops_a_deployment():
    views = lost(unclean=False)
    assert "a is lost" in _pair_move.deploy_refusals(views, ["paper"])[0] and _pair_move.deploy_refusals(views, ["paper"], True) == []
    views = pair()
    views["b"]["cluster"]["bots"]["paper"]["replication"]["restorable"]["databases"]["paper.db"]["reason"] = "malformed"
    assert "cannot be restored (malformed)" in _pair_move.deploy_refusals(views, ["paper"])[0]
