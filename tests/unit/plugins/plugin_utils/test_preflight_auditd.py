"""The refusals of the role auditd, by the very cases that the lab runs, and the rules that follow from what is there."""

import pathlib
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils import _auditd
from preflight_harness import refusals, typed_values

CASES = [
    case for case in yaml.safe_load((pathlib.Path(__file__).resolve().parents[3] / "integration/bad_input/auditd.yml").read_text())
    if "vars" in case  # the others are refused by what the host is
]  # fmt: skip
PATHS = ("/etc/passwd", "/etc/ssh/", "/etc/bot-paper/", "/opt/bot-paper/", "/usr/bin/sudo", "/run/docker.sock", "/srv/keys/")


def found(machine="x86_64", compat32=True, paths=PATHS, accounts=None):
    present = {path: {"path": path.rstrip("/"), "directory": path.endswith("/")} for path in paths}
    return {"machine": machine, "compat32": compat32, "present": present, "accounts": {"paper": 993} if accounts is None else accounts}


def plan(changes=None, **facts):
    return _auditd.plan(typed_values("auditd", **{"auditd_bots": ["paper"], **(changes or {})}), found(**facts), "host")


def rules(*arguments, **facts):
    return [line for line in plan(*arguments, **facts)["rules"] if line.startswith("-a always")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_refused_with_one_sentence(case):
    said = refusals("auditd", **case["vars"])
    assert len(said) == 1 and re.search(case["expect"], said[0]), said


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"auditd_watches": [{"path": "/srv/keys/", "permissions": "rwxa", "key": "own-keys"}, {"path": "/etc/x.conf"}]},
        {"auditd_left_out": ["session-network", "denied"], "auditd_immutable": True}, {"auditd_bots": []},
    ],
)  # fmt: skip
def test_accepted(changes):
    assert refusals("auditd", **changes) == []


def test_no_rule_for_what_is_not_there():
    named = {word for rule in rules() for word in re.findall(r"(?:path|dir)=(\S+)", rule)}
    state = {path.rstrip("/") for path in _auditd.STATE}  # which this very run brings
    assert named == {path.rstrip("/") for path in PATHS if path != "/srv/keys/"} | state


def test_what_was_asked_for_and_is_not_there_is_said():
    assert plan({"auditd_watches": [{"path": "/srv/gone"}], "auditd_bots": ["paper", "other"]})["missing"] == [
        "/etc/bot-other/", "/opt/bot-other/", "/srv/gone"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "compat32", "arches"),
    [("x86_64", True, {"b64", "b32"}), ("x86_64", False, {"b64"}), ("aarch64", True, {"b64"}), ("i686", False, {"b32"})],
)
def test_each_architecture_whose_programs_run(machine, compat32, arches):
    written = rules(machine=machine, compat32=compat32)
    assert {re.search(r"arch=(\S+)", rule)[1] for rule in written} == arches
    # Calls that a 64-bit Arm does not have would be an error.
    assert machine != "aarch64" or not any(re.search(r"-S open,|creat", rule) for rule in written)


def test_execve_only_of_persons_and_bots():
    written = [rule for rule in rules() if "execve" in rule]
    assert written and all("auid>=1000 -F auid!=unset" in rule or "-F uid=993 " in rule for rule in written)
    assert {re.search(r"key=(\S+)", rule)[1] for rule in written} == {"root-commands", "session-commands", "bot-commands"}


def test_reading_a_secret_is_recorded_for_all_but_root_s_services_and_the_bot():
    reads = [rule for rule in rules() if "perm=r " in rule and "/etc/bot-paper" in rule and "b64" in rule]
    assert reads == [
        "-a always,exit -F arch=b64 -F perm=r -F auid!=unset -F dir=/etc/bot-paper -F key=bot-secrets",
        "-a always,exit -F arch=b64 -F perm=r -F uid!=0 -F uid!=993 -F dir=/etc/bot-paper -F key=bot-secrets",
    ]


def test_a_bot_without_an_account_yet_has_no_rule_by_number():
    assert not any("-F uid=" in rule for rule in rules(accounts={}))


def test_two_names_of_one_program_are_one_rule():
    paths = found()
    for name in ("/usr/bin/sudo", "/usr/bin/sudoedit"):
        paths["present"][name] = {"path": "/usr/bin/sudo", "directory": False}
    text, _skipped = _auditd.lines(typed_values("auditd", auditd_bots=[]), paths)
    assert len(text) == len(set(text)) + text.count("") - 1
    assert sum("path=/usr/bin/sudo " in line for line in text) == 2


def test_a_key_that_is_left_out_has_no_rule():
    assert any("key=session-network" in rule for rule in rules())
    assert not any("key=session-network" in rule for rule in rules({"auditd_left_out": ["session-network"]}))


def test_what_an_operator_names_comes_first():
    """Of the rules that an event matches the first one gives the key."""
    written = rules({"auditd_watches": [{"path": "/etc/passwd", "permissions": "r", "key": "own-users"}]})
    assert "key=own-users" in written[0] and "perm=r -F path=/etc/passwd" in written[0]


def test_nothing_stops_or_delays_a_bot():
    text = plan()["rules"]
    assert {"-i", "-f 1", "--backlog_wait_time 0"} <= set(text)
    # auditctl ends with an error under -c, and the daemon would not start.
    assert "-c" not in text
    settings = _auditd.settings(typed_values("auditd"))
    actions = {value for name, value in settings.items() if name.endswith("_action")}
    assert actions == {"ROTATE", "SYSLOG"}


def test_the_lock_comes_last():
    assert plan({"auditd_immutable": True})["rules"][-1] == "-e 2"
    assert "-e 2" not in plan()["rules"]


def test_every_key_is_in_the_readme():
    text = (pathlib.Path(__file__).resolve().parents[4] / "roles/auditd/README.md").read_text()
    assert [key for key in _auditd.CONTROLS if f"`{key}`" not in text] == []


@pytest.mark.parametrize(
    ("facts", "container"),
    [
        ({"virtualization_type": "docker", "virtualization_role": "guest"}, True),
        ({"virtualization_type": "lxc"}, True),
        # A machine that runs containers is none.
        ({"virtualization_type": "docker", "virtualization_role": "host"}, False),
        ({"virtualization_type": "kvm", "virtualization_role": "guest"}, False),
        ({}, False),
    ],
)
def test_a_container_is_known_by_its_facts(facts, container):
    assert _auditd.in_container(facts) is container
