"""The report of all hosts: what counts, what is said of a host that is silent, and that HTML and XML are what they claim to be."""

import base64
import html.parser
import json
from xml.etree import ElementTree

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _compliance_report as report

NOW = "2026-11-28T06:00:00Z"
WAIVER = {"control": "lynis:KRNL-5788", "reason": "a container has no kernel of its own", "owner": "ops", "until": "2027-01-31", "expired": False}


def control(name, status, severity="low", **more):
    return {"id": name, "title": "It <is> so", "expected": "a & b", "actual": 'c "d"', "severity": severity, "source": "botops", "status": status,
            "evidence": "sudo look", "waiver": None, **more}  # fmt: skip


def evidence(**changes):
    controls = [
        control("sshd:port", "pass"), control("mode:/x", "fail", "high"), control("lynis:KRNL-5788", "waived", waiver=WAIVER), control("a:b", "not_applicable"),
    ]  # fmt: skip
    return {
        "host": "x", "time": "2026-11-28T05:00:00Z", "verdict": "failed", "problems": ["of high severity: mode:/x"], "score": 50.0, "minimum": 95,
        "controls": controls, "sources": {"botops": {"score": 50.0}, "openscap": {"score": None}},
        "history": [{"time": "2026-11-27T05:00:00Z", "score": 90.0}, {"time": NOW, "score": 50.0}], **changes,
    }  # fmt: skip


GOOD = evidence(verdict="ok", problems=[], score=100.0, controls=[control("sshd:port", "pass")])


class Page(html.parser.HTMLParser):
    VOID = ("meta",)

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words, self.attributes = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID and tag not in ("br", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)


def test_hosts_are_added_up():
    found = report.report({"db2": GOOD, "db1": evidence()}, NOW)
    assert [host["host"] for host in found["hosts"]] == ["db1", "db2"] and found["verdict"] == "failed"
    assert found["score"] == 66.7 and found["counts"] == {"fail": 1, "waived": 1, "pass": 2, "not_applicable": 1}
    assert report.report({"db2": GOOD}, NOW)["verdict"] == "ok"


@pytest.mark.parametrize("said, words", [
    ({"error": "it was not reached"}, "it was not reached"), ({}, "nobody has looked at it"), (None, "nobody has looked at it"),
    ({**GOOD, "time": "2026-11-26T05:00:00Z"}, "it was looked at 49 hours ago, and not since"),
])  # fmt: skip
def test_a_silent_host_fails(said, words):
    found = report.report({"db1": said}, NOW)
    assert found["verdict"] == "failed" and words in found["hosts"][0]["problems"][0]
    assert words in report.lines(found)[0] and words in report.page(found)
    assert ElementTree.fromstring(report.junit(found)).find("testsuite") is not None


def test_no_host_at_all_is_no_success():
    assert report.report({}, NOW)["verdict"] == "failed"


def test_lines_name_what_is_grave():
    assert report.lines(report.report({"db1": evidence()}, NOW)) == [
        "FAIL  db1: 50.0 %; of high severity: mode:/x", '      mode:/x: c "d" (expected a & b)',
    ]  # fmt: skip


def test_the_page_is_whole_and_needs_nothing():
    text = report.page(report.report({"db1": evidence(), "db2": GOOD, "<db3>": {"error": "no <b>"}}, NOW))
    page = Page(text)
    assert page.open == [] and "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    assert not [value for name, value in page.attributes if name in ("src", "style") or name.startswith("on")]
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    links = {value[1:] for name, value in page.attributes if name == "href"}
    assert links == {value for name, value in page.attributes if name == "id"} and len(links) == 3
    words = " ".join(page.words)
    assert "It <is> so" in words and 'There is: c "d". Expected: a & b.' in words and "no <b>" in words
    assert "waived until 2027-01-31 by ops: a container has no kernel of its own" in words and "openscap no verdict" in words
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text and "polyline" in page.tags


def test_junit_counts_what_it_holds():
    bad = evidence(controls=[control("mode:/x", "fail", "high", actual="bell\x07 and \x1b[0m"), *evidence()["controls"][2:], control("ok:1", "pass")])
    top = ElementTree.fromstring(report.junit(report.report({"db1": bad}, NOW)))
    suite = top.find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("timestamp")) == ("4", "1", "2", "2026-11-28T05:00:00")
    cases = {case.get("name"): case for case in suite}
    assert cases["mode:/x"].find("failure").get("message") == "bell? and ?[0m (expected a & b)" and cases["mode:/x"].get("classname") == "db1.botops"
    assert "waived until 2027-01-31" in cases["lynis:KRNL-5788"].find("skipped").get("message") and len(cases["ok:1"]) == 0


@pytest.mark.parametrize(
    ("registered", "expected"),
    [
        ({"__compliance_looked": {"rc": 0}, "__compliance_evidence": {"content": base64.b64encode(json.dumps(GOOD).encode()).decode()}}, GOOD),
        ({"__compliance_looked": {"rc": 1, "stderr_lines": ["Job failed", "more"]}, "__compliance_evidence": {"content": "e30="}},
         {"error": "the look did not end well: Job failed; journalctl -u botops-compliance"}),
        ({"__compliance_looked": {"rc": 1}}, {"error": "the look did not end well: ; journalctl -u botops-compliance"}),
        ({"__compliance_looked": {"unreachable": True}, "__compliance_evidence": {"unreachable": True}}, {"error": "it was not reached"}),
        ({}, {"error": "it was not reached"}),
        ({"__compliance_looked": {"rc": 0}, "__compliance_evidence": {"failed": False, "msg": "file not found"}}, {}),
    ],
)  # fmt: skip
def test_what_was_read_of_a_host(registered, expected):
    assert report.evidence(["db1"], {"db1": registered}) == {"db1": expected}


def test_a_host_that_nobody_looked_at_is_told_what_to_apply():
    (host,) = report.report(report.evidence(["db1"], {"db1": {"__compliance_evidence": {"msg": "file not found"}}}), NOW)["hosts"]
    assert host["problems"] == ["nobody has looked at it; apply the role compliance"]
