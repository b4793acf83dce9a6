"""The go-live checklist: what hosts and persons said becomes an answer to each point, and nothing is made up."""

import pathlib
import re
from xml.etree import ElementTree

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils import _checklist
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec

ROOT = pathlib.Path(__file__).resolve().parents[4]
TODAY = "2026-11-28"
WAIVER = {"id": "audit", "reason": "a container", "owner": "ops", "until": "2027-01-31"}


def result(name, passed=True, **more):
    return {"id": name, "title": "It is so", "passed": passed, "expected": "yes", "actual": "yes" if passed else "no", "host": "engine", **more}


def answers(results=(), said="", waivers=(), missing=()):
    found = _checklist.checklist(list(results), said, list(waivers), TODAY, missing)
    return found, {item["id"]: item for item in found["items"]}


def test_what_hosts_said_answers_its_points():
    found, items = answers([result("firewall"), result("port-policy", host="web"), result("ssh-effective"), result("bans", False)])
    assert items["firewall"]["status"] == "pass" and items["firewall"]["evidence"] == "2 of 2 points hold on engine, web"
    assert items["ssh"]["status"] == "fail" and items["ssh"]["evidence"] == "engine: It is so: no (expected yes)"
    assert items["alerts"]["status"] == "absent" and items["alerts"]["evidence"] == "nothing to look at: declare notify_destinations"
    assert items["contacts"]["status"] == "open" and "-e confirm=contacts" in items["contacts"]["evidence"]
    assert found["failed"] == ["ssh"] and {"alerts", "contacts"} <= set(found["open"])


def test_a_host_that_was_not_reached_is_a_failure():
    found, items = answers([result("firewall")], missing=["web"])
    assert found["failed"] == ["reached"] and "web" in items["reached"]["evidence"]


def test_a_word_is_written_down_read_and_ends():
    text = _checklist.confirm("", "contacts, mfa", "On Duty", "first a, then b", TODAY)
    text = _checklist.confirm(text, "mfa", "Some Body", "", "2026-11-29")
    assert text.count("# What persons confirmed") == 1 and len(text.splitlines()) == 9
    _found, items = answers(said=text)
    assert items["contacts"]["status"] == "confirmed" and items["contacts"]["evidence"] == "On Duty on 2026-11-28: first a, then b"
    assert items["mfa"]["evidence"] == "Some Body on 2026-11-29"
    _found, items = answers(said=text.replace("2026-11-28", "2026-01-28"))
    assert items["contacts"]["status"] == "open" and "said 304 days ago, by On Duty" in items["contacts"]["evidence"]
    _found, items = answers(said=text.replace("2026-11-28", "2026-13-41"))
    assert items["contacts"]["status"] == "open"


@pytest.mark.parametrize("names, by, words, sentence", [
    ("firewall", "A", "", "confirm: firewall is nothing that a person says; write one of wallets, mfa,"),
    ("contacts", " ", "", "by: whoever confirms contacts gives a name; write -e \"by='FIRST LAST'\"."),
    ("contacts", "A", "a | b", "words: it is a cell of a table"),
    ("contacts", "A\nB", "", "by: it is a cell of a table"),
])  # fmt: skip
def test_a_word_that_cannot_be_kept_is_refused(names, by, words, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        _checklist.confirm("", names, by, words, TODAY)


def test_a_waiver_holds_until_its_day_and_fails_after_it():
    found, items = answers([result("auditd-whole", False)], waivers=[WAIVER])
    assert items["audit"]["status"] == "waived" and found["failed"] == [] and found["waived_checks"] == ["auditd-whole"]
    found, items = answers([result("auditd-whole", False)], waivers=[{**WAIVER, "until": "2026-11-27"}])
    assert found["failed"] == ["audit"] and found["waived_checks"] == [] and "the waiver ended on 2026-11-27 by ops: a container" in items["audit"]["evidence"]
    # What holds needs none.
    _found, items = answers([result("auditd-whole")], waivers=[WAIVER])
    assert items["audit"]["status"] == "pass"


@pytest.mark.parametrize("waivers, sentence", [
    ("audit", "checklist_waivers: write a list of entries"),
    ([{**WAIVER, "id": "aduit"}], "checklist_waivers[0].id: aduit is no point of the checklist; write one of system,"),
    ([{**WAIVER, "owner": ""}], "checklist_waivers[0].owner: it is missing"),
    ([{**WAIVER, "until": "soon"}], "checklist_waivers[0].until: soon is no day; write it as 2027-01-31."),
])  # fmt: skip
def test_a_waiver_that_hides_nothing_is_refused(waivers, sentence):
    assert _checklist.refusals(waivers)[0].startswith(sentence)


def test_every_check_of_every_role_answers_a_point():
    """None may be seen and then be left out of the checklist."""
    text = "".join(path.read_text() for path in ROOT.glob("roles/*/tasks/verify.yml")) + (ROOT / "roles/hardening/vars/main.yml").read_text()
    names = set(re.findall(r"^ +- id: ([a-z-]+)$", text, re.M))
    bot = {"name": "x", "label": "bot-x", "unit": "bot-x.service", "managed_by": "systemd", "state": "started", "mode": "systemd",
           "restart_paths": ["/a", "/b"]}  # fmt: skip
    names |= {check["id"] for check in spec.checks(bot)} | {"certificate-site"}
    view = {"answers": True, "quorate": True, "witness": "connected", "lost": [], "failures": [], "failed": [], "maintenance": False, "fence_tests": {},
            "active": [], "bots": {"x": {}}}  # fmt: skip
    names |= {entry["id"] for entry in _checklist.pair_points(view, "a", ["x"], 0)} | {entry["id"] for entry in _checklist.same_release({"a": view}, ["x"])}
    assert len(names) >= 40
    unseen = {name for name in names if not any(_checklist._matches(item, {"id": name}) for item in _checklist.ITEMS)}
    assert unseen == set()
    registered = set(re.findall(r"__\w+_verify\b", (ROOT / "playbooks/verify.yml").read_text()))
    assert registered == set(_checklist.REGISTERED)


def test_the_systems_are_those_of_the_role():
    platforms = yaml.safe_load((ROOT / "roles/hardening/meta/main.yml").read_text())["galaxy_info"]["platforms"]
    releases = {"bookworm": "12", "trixie": "13", "jammy": "22.04", "noble": "24.04"}
    assert {entry["name"]: tuple(releases[name] for name in entry["versions"]) for entry in platforms} == _checklist.SYSTEMS
    assert _checklist.system({"distribution": "Debian", "distribution_version": "13.2"})["passed"]
    assert not _checklist.system({"distribution": "Debian", "distribution_version": "11"})["passed"]
    assert not _checklist.system({})["passed"]


def test_a_pair_is_judged_point_by_point():
    now, day = 1_000_000_000, 86400
    view = {
        "answers": True, "quorate": True, "witness": "connected", "lost": [], "failed": [], "maintenance": False, "active": ["a"],
        "failures": [{"resource": "x-bot", "node": "b", "banned": True}], "fence_tests": {"b": {"result": "ok", "epoch": now - 100 * day}},
        "bots": {"x": {"release": "one", "replication": {"restorable": {"databases": {"x.db": {"reason": "a gap"}}}}}},
    }  # fmt: skip
    points = {entry["id"]: entry for entry in _checklist.pair_points(view, "b", ["x"], now)}
    assert {name for name, entry in points.items() if not entry["passed"]} == {"cluster-clean", "fencing-b", "replica-x"}
    assert points["cluster-clean"]["actual"] == "x-bot on b" and points["fencing-b"]["actual"] == "ok, 100 days ago"
    assert "a gap" in points["replica-x"]["actual"]
    (silent,) = _checklist.pair_points({"answers": False, "why": "it does not run"}, "b", ["x"], now)
    assert not silent["passed"] and silent["actual"] == "it does not run"
    (same,) = _checklist.same_release({"a": view, "b": {**view, "bots": {"x": {"release": "two"}}}}, ["x"])
    assert not same["passed"] and same["actual"] == "a has one, b has two"


def test_it_is_gathered_from_what_the_roles_registered():
    hosts = {
        "a": {"__hardening_verify": {"results": [result("firewall")]}, "__verify_whole": True,
              "ansible_facts": {"distribution": "Debian", "distribution_version": "13"}},
        "b": {},
    }
    results, missing = _checklist.gather(["a", "b"], hosts)
    assert [(entry["host"], entry["id"]) for entry in results] == [("a", "firewall"), ("a", "system")] and missing == ["b"]


def test_for_people_tickets_and_programs():
    found, _items = answers([result("firewall"), result("bans", False, actual="a | b")], waivers=[WAIVER])
    lines = _checklist.lines(found)
    assert lines[0] == "Before the deployment" and any(line.startswith("  FAIL  ssh ") for line in lines)
    assert lines[-1] == f"2 of {len(_checklist.ITEMS)} points hold, 1 fail, {len(found['open'])} are open"
    assert "a \\| b" in _checklist.markdown(found)
    suites = ElementTree.fromstring(_checklist.junit(found).split("\n", 1)[1])
    assert sum(int(suite.get("tests")) for suite in suites) == len(_checklist.ITEMS) and len(suites.findall(".//failure")) == 1
