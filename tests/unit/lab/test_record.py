"""What the exchange's record says of a fault."""

import pathlib
import sys
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

import chaos  # noqa: E402
import pair  # noqa: E402
import timeline  # noqa: E402


def order(at, host, number=None):
    return {"monotonic_ns": int(at * 1e9), "host": host, "client_order_id": f"paper.rain.{number if number is not None else at}"}


def judged(orders, refused=(), fault=1.0, ended=None):
    ended = ended if ended is not None else max(each["monotonic_ns"] for each in orders) / 1e9
    return pair.judge(list(orders), list(refused), int(fault * 1e9), int(ended * 1e9))


def test_a_takeover_is_one_change_of_host_and_its_gap_is_measured_from_the_last_order():
    found = judged([order(0.5, "a"), order(0.9, "a"), order(4.9, "b"), order(5.0, "b")])
    assert found["hosts"] == ["a", "b"] and found["gap_s"] == 4.0 and found["double_active_ms"] == 0


def test_an_older_gap_is_not_the_faults():
    assert judged([order(0.0, "a"), order(0.9, "a"), order(1.2, "a")], fault=1.0)["gap_s"] == 0.3


def test_an_outage_that_does_not_end_counts_until_now():
    assert judged([order(0.9, "a")], ended=30.9)["gap_s"] == 30.0


@pytest.mark.parametrize("refused", [False, True])
def test_the_old_host_sends_after_the_new_one_began(refused):
    """A repeated order that is refused shows that its sender is alive, too."""
    late = order(5.25, "a")
    found = judged([order(0.9, "a"), order(5.0, "b"), order(5.5, "b")] + ([] if refused else [late]), [late] if refused else [], ended=6)
    assert found["double_active_ms"] == 250.0 and found["hosts"] == ["a", "b", "a", "b"]


def test_known_orders_that_are_sent_again_are_replay_and_no_second_acceptance():
    found = judged([order(0.9, "a", 1), order(6.0, "b", 3)], [order(4.0, "b", 1), order(5.0, "b", 2)])
    assert found["replay_s"] == 2.0 and found["duplicates_refused"] == 2 and found["duplicate_orders_accepted"] == 0
    assert judged([order(0.9, "a", 1), order(2, "b", 1)])["duplicate_orders_accepted"] == 1


FOUND = {"active": "a", "hosts": ["a", "b"], "double_active_ms": 0.0, "duplicate_orders_accepted": 0, "integrity": "ok", "missing": 0}


@pytest.mark.parametrize(("name", "change", "said"), [
    ("node-kill", {}, None),
    ("node-kill", {"missing": 4}, None),
    ("bot-crash", {"hosts": ["a"]}, None),
    ("bot-crash", {"hosts": ["a"], "missing": 1}, "1 orders that the exchange accepted are not in the database"),
    ("bot-crash", {}, "orders came from a → b and not from a"),
    ("node-kill", {"hosts": ["a", "b", "a"]}, "orders came from a → b → a"),
    ("node-kill", {"double_active_ms": 12.5}, "two hosts traded for 12.5 ms"),
    ("node-kill", {"duplicate_orders_accepted": 1}, "1 orders were accepted twice"),
    ("planned", {}, None),
    ("planned", {"missing": 1}, "1 orders that the exchange accepted are not in the database"),
    ("reboot-both", {}, None),
    ("reboot-both", {"hosts": ["a"]}, None),
    ("reboot-both", {"hosts": ["b"]}, "orders came from b and not from a or a → b"),
    ("node-kill", {"integrity": "malformed"}, "the database is damaged"),
])
def test_what_a_run_must_not_show(name, change, said):
    found = chaos.complaints(name, {**FOUND, **change}, "b")
    assert found == [] if said is None else len(found) == 1 and said in found[0]


def test_a_limit_is_held_by_nineteen_of_twenty():
    assert chaos.p([1.0] * 19 + [9.0], 0.95) == 1.0 and chaos.p([1.0] * 18 + [9.0] * 2, 0.95) == 9.0 and chaos.p([3.0], 0.95) == 3.0
    runs = [{"fault": "bot-crash", "gap_s": gap} for gap in [0.5] * 18 + [2.5] * 2]
    assert chaos.late(runs) == ["bot-crash: p95 is 2.50 s, and 2 s is the limit"] and chaos.late(runs[:18]) == []


def test_a_fault_as_a_picture():
    record = {"orders": [order(0.9, "a"), order(4.9, "b")], "refused": [order(4.5, "b", 1)], "fault_ns": 10**9, "ended_ns": 6 * 10**9}
    drawn = ElementTree.fromstring(timeline.draw("node-kill of a: <lost>", record, ["a", "b"]))
    words = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"node-kill of a: <lost>", "4.00 s without an order", "fault", "a", "b", "0 s"} <= set(words)
    marks = {each[0].text: each.get("d").count("M") for each in drawn.iter("{http://www.w3.org/2000/svg}path") if len(each)}
    assert marks == {"a: orders accepted": 1, "b: orders accepted": 1, "b: orders refused": 1}
