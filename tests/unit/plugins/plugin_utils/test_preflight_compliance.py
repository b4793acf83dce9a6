"""What the role compliance refuses, and what it takes other roles' variables to declare."""

import datetime
import importlib
import json
import pathlib
import re
import sys

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _compliance
from preflight_harness import refusals, typed_values

DAY = datetime.date.today()  # noqa: DTZ011 - as far from the limits as it gets
LATER = str(DAY + datetime.timedelta(days=100))
WAIVER = {"control": "lynis:ACCT-9622", "reason": "the journal tells as much", "owner": "ops", "until": LATER}


def refused(**changes):
    return refusals("compliance", **changes)


def test_the_defaults_make_sense():
    assert refused() == [] and refused(compliance_waivers=[WAIVER]) == []


@pytest.mark.parametrize("name, words", [
    ("lynis:acct", "there is no control 'lynis:acct'; a family such as lynis has its subject behind a colon"),
    ("root-login", "there is no control 'root-login'"),
    ("sshd:", "there is no control 'sshd:'"), ("unit:ssh.service", "there is no control"), ("", "there is no control ''"), ("firewall:", "there is no control"),
])  # fmt: skip
def test_unknown_controls(name, words):
    said = refused(compliance_waivers=[{**WAIVER, "control": name}])
    assert len(said) == 1 and said[0].startswith("compliance_waivers[0].control: ") and words in said[0], said


@pytest.mark.parametrize("name", [
    "sshd:permitrootlogin", "sysctl:net.ipv4.conf.all.rp_filter", "unit:bot-paper.service", "mode:/etc/cron.d", "openscap:sudoers_no_root_target",
    "ssh-audit:kex:sntrup761x25519-sha512@openssh.com", "keys:ops", "updates:reboot", "certificate:/etc/letsencrypt/live/x/fullchain.pem",
])  # fmt: skip
def test_known_controls(name):
    assert refused(compliance_waivers=[{**WAIVER, "control": name}]) == []


@pytest.mark.parametrize("until, words", [
    ("2020-01-31", "the waiver ended on 2020-01-31; decide anew"), ("31.01.2099", "is no day; write one such as"), ("2027-02-30", "is no day"),
    (str(DAY + datetime.timedelta(days=400)), "is more than 366 days away"),
])  # fmt: skip
def test_days_that_a_waiver_cannot_end_on(until, words):
    said = refused(compliance_waivers=[{**WAIVER, "until": until}])
    assert len(said) == 1 and said[0].startswith("compliance_waivers[0].until: ") and words in said[0], said


@pytest.mark.parametrize("changes, words", [
    ({"compliance_waivers": [{**WAIVER, "reason": "because"}]}, "compliance_waivers[0].reason: 'because' says too little"),
    ({"compliance_waivers": [{**WAIVER, "owner": " "}]}, "compliance_waivers[0].owner: ' ' says too little"),
    ({"compliance_waivers": [WAIVER, WAIVER]}, "compliance_waivers: the name lynis:ACCT-9622 is used more than once"),
    ({"compliance_waivers": [{key: WAIVER[key] for key in ("control", "owner", "until")}]}, "compliance_waivers[0].reason: is missing"),
    ({"compliance_scanners": ["nessus"]}, "compliance_scanners"),
    ({"compliance_minimum_score": 101}, "compliance_minimum_score: 101.0 is out of range; write 0 to 100 percent"),
    ({"compliance_listening": ["443"]}, "compliance_listening[0]: '443' is no port; write one such as tcp/8443"),
    ({"compliance_listening": ["tcp/9000-8000"]}, "compliance_listening[0]"), ({"compliance_listening": ["tcp/70000"]}, "compliance_listening[0]"),
    ({"compliance_certificates": ["live/*.pem"]}, "compliance_certificates[0]: live/*.pem is not an absolute path"),
    ({"compliance_accounts": ["Not A Name"]}, "compliance_accounts[0]: 'Not A Name' is no account's name"),
    ({"compliance_openscap_profile": "ANSSI BP-028"}, "compliance_openscap_profile: 'ANSSI BP-028' is no profile's short name"),
])  # fmt: skip
def test_refused(changes, words):
    said = refused(**changes)
    assert len(said) == 1 and words in said[0], said


# --- what is declared

SSHD = """# a comment
Port 22
Port 2222
PermitRootLogin prohibit-password
AllowUsers ops admin
AllowUsers late

DebianBanner no
Ciphers a,b
MaxAuthTries 3
MaxAuthTries 9
"""


def test_sshd_as_its_own_file_declares_it():
    found = _compliance.sshd(SSHD, [22, 2222], [])
    assert found == {
        "exact": {"port": ["22", "2222"], "permitrootlogin": "without-password", "allowusers": ["ops", "admin", "late"], "maxauthtries": "3"},
        "within": {"ciphers": ["a", "b"]}, "address": "127.0.0.1", "port": 22, "hides_version": True,
    }  # fmt: skip


def test_what_the_firewall_opens_may_listen():
    rules = [
        {"port": [22], "proto": "tcp", "action": "limit"}, {"port": ["8080:8082", 9000], "proto": "tcp"}, {"port": [53]}, {"port": [25], "action": "deny"},
        {"proto": "esp"}, {"port": [80], "route": True}, {"port": [123], "direction": "out"},
    ]  # fmt: skip
    assert _compliance.opened(rules) == [["tcp", 22, 22], ["tcp", 8080, 8082], ["tcp", 9000, 9000], ["any", 53, 53]]
    assert _compliance.spans(["udp/60000-61000", "tcp/1"]) == [["udp", 60000, 61000], ["tcp", 1, 1]]


def test_the_whole_of_a_host():
    others = {"hardening": typed_values("hardening", hardening_admin_users=[{"name": "ops", "keys": ["k"]}, {"name": "gone", "state": "absent"}])}
    hardening = {"sshd": SSHD, "rules": [{"port": [22], "proto": "tcp"}], "sysctl": {"kernel.sysrq": 0}}
    values = typed_values("compliance", compliance_accounts=["admin"])
    found = json.loads(_compliance.config(values, others, hardening, ["a", "b"], "a", "debian"))
    declared = found["declared"]
    assert found["openscap_profile"] == "anssi_bp28_intermediary" and found["limits"]["score"] == 95
    assert declared["accounts"] == {"admins": {"ops": ["k"]}, "absent": ["gone"], "others": ["admin"], "root_keys": False}
    assert declared["firewall"]["rules"] == [
        "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", "### tuple ### allow tcp 22 ::/0 any ::/0 in",
    ]  # fmt: skip
    assert declared["sysctl"] == {"kernel.sysrq": "0"} and declared["fencing"] == ["a", "b"] and declared["backups"] is None and declared["live"] == {}
    assert json.loads(_compliance.config(values, others, hardening, [], "a", "ubuntu"))["openscap_profile"] == "cis_level1_server"


def test_packages_where_there_is_something_to_judge_with():
    every = ["openscap", "lynis", "ssh-audit", "debsums"]
    assert _compliance.packages(every, "debian", "13") == ["lynis", "ssh-audit", "debsums"]
    assert _compliance.packages(every, "debian", "12")[-1] == "openscap-scanner"
    assert _compliance.packages(["openscap"], "ubuntu", "22.04") == ["libopenscap8", "ssg-debderived"]
    assert _compliance.packages([], "debian", "12") == []


def test_every_control_of_the_program_can_be_waived():
    """What the program calls its controls is what preflight knows."""
    root = pathlib.Path(__file__).resolve().parents[4] / "roles/compliance/files/compliance"
    texts = "\n".join((root / name).read_text() for name in ("host.py", "promises.py", "scanners.py"))
    # `openscap:` and a name that is put behind it.
    names = set(re.findall(r'(?:control|age_control)\(\s*f?"([a-z-]+:[^"]*)"', texts)) - {"openscap:"}
    assert len(names) > 25
    unknown = sorted(name for name in names if not _compliance.is_control(example(name)))
    # What says that something could not be judged is to be mended, not waived.
    assert [name for name in unknown if name not in ("looked:units", "sshd:effective", "replication:status")] == []


def example(name):
    examples = {
        "keyword": "port", "unit": "bot-x.service", "path": "/etc/x", "key": "kernel.sysrq", "member": "db1", "bot": "paper", "kind": "kex",
        "entry['bot']": "paper", "item['algorithm']": "x", "waiver['control']": "x",
    }  # fmt: skip
    # What `name` is depends on whose control it is.
    examples["name"] = {"unit": "bot-x.service", "lynis": "ACCT-9622", "keys": "ops"}.get(name.partition(":")[0], "x")
    return re.sub(r"\{([^}]+)\}", lambda match: examples.get(match[1], match[1]), name)


def test_no_module_of_the_program_needs_more_than_python():
    root = pathlib.Path(__file__).resolve().parents[4]
    for path in (*(root / "roles/compliance/files/compliance").glob("*.py"), root / "plugins/module_utils/_commands.py"):
        for name in re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.MULTILINE):
            assert name in sys.stdlib_module_names or name == "compliance", (path.name, name)
            importlib.import_module(name) if name != "compliance" else None
