"""What `make compliance` promises of the lab's report, and when it does not hold."""

import copy
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

import judged  # noqa: E402

WAIVER = {"reason": "no partitions", "owner": "lab", "until": "2027-01-01"}
WAIVED = {"id": "lynis:FILE-6310", "source": "lynis", "status": "waived", "actual": "x", "waiver": WAIVER}
INDEX = {"id": "lynis:index", "source": "lynis", "status": "pass", "actual": "85", "waiver": None}
HOST = {
    "host": "primary", "score": 97.0, "problems": [], "counts": {"pass": 90, "fail": 3, "waived": 1}, "controls": [WAIVED, INDEX],
    "sources": {"botops": {"score": 100.0}, "openscap": {"score": 95.1, "pass": 77, "fail": 4, "waived": 0}},
}  # fmt: skip
SECOND = {**copy.deepcopy(HOST), "host": "standby", "sources": {"openscap": {"score": None, "waived": 0}}}


@pytest.fixture
def report():
    return copy.deepcopy({"score": 97.0, "hosts": [HOST, SECOND]})


def test_a_lab_as_promised(report):
    assert judged.judge(report) == []
    said = judged.lines(report)
    assert "97.0 %" in said[1] and "openscap no content" in said[2] and said[3] == "Lynis, primary: index 85 (goal 90); it suggests FILE-6310"


@pytest.mark.parametrize("change, words", [
    (lambda r: r.update(score=94.9), "the score is 94.9 %"),
    (lambda r: r["hosts"][0]["problems"].append("of high severity: mode:/x"), "primary: of high severity: mode:/x"),
    (lambda r: r["hosts"][0]["sources"]["openscap"].update(score=94.0), "primary: OpenSCAP finds 94.0 % of 81 rules"),
    (lambda r: r["hosts"][0]["sources"]["openscap"].update(waived=1), "rules of OpenSCAP are waived"),
    (lambda r: r["hosts"][1]["controls"][0]["waiver"].update(reason=""), "standby: lynis:FILE-6310 is waived, and nobody says why"),
])  # fmt: skip
def test_what_is_not_as_promised(report, change, words):
    change(report)
    said = judged.judge(report)
    assert len(said) == 1 and words in said[0], said


def test_a_host_that_said_nothing_has_a_line(report):
    report["hosts"].append({"host": "witness", "score": None, "problems": ["it was not reached"], "controls": [], "sources": {}})
    assert judged.judge(report) == ["witness: it was not reached"] and judged.lines(report)[3].startswith("witness          -")
