"""The program of the role compliance without a host: what holds and what does not, waivers, the score, and what judges from outside print."""

import datetime
import importlib
import json
import os
import pathlib
import shutil
import struct
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
TODAY = datetime.date(2026, 11, 28)
NOW = datetime.datetime(2026, 11, 28, 5, tzinfo=datetime.timezone.utc)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """As the role puts it together: its modules, the one that asks hosts, and the one that knows how ufw writes rules down."""
    top = tmp_path_factory.mktemp("program")
    shutil.copytree(ROOT / "roles/compliance/files/compliance", top / "compliance")
    for name in ("commands", "ufw"):
        shutil.copy(ROOT / f"plugins/module_utils/_{name}.py", top / f"compliance/{name}.py")
    sys.path.insert(0, str(top))
    modules = {
        name: importlib.import_module("compliance." + name) for name in ("common", "model", "host", "promises", "scanners", "content", "cli", "ufw")
    }
    sys.path.remove(str(top))
    return type("Program", (), modules)


def one(controls, name):
    return next(entry for entry in controls if entry["id"] == name)


def statuses(controls):
    return {entry["id"]: entry["status"] for entry in controls}


# --- the model


@pytest.fixture
def some(program):
    make = program.model.control
    return [
        make("sshd:port", "t", "22", "22", True), make("lynis:ACCT-9622", "t", "x", "y", False, "low", "lynis"),
        make("mode:/etc/shadow", "t", "x", "y", False, "high"), make("audit:lost", "t", "x", "y", None),
    ]  # fmt: skip


def waiver(name, until="2026-12-31"):
    return {"control": name, "reason": "a container has none", "owner": "ops", "until": until}


def test_a_waiver_neither_helps_nor_harms_the_score(program, some):
    judged = program.model.judged(some, [waiver("mode:/etc/shadow")], TODAY, ["botops", "lynis"])
    assert statuses(judged)["mode:/etc/shadow"] == "waived" and one(judged, "mode:/etc/shadow")["waiver"]["owner"] == "ops"
    assert program.model.score(judged) == 50.0 and program.model.score(some) == 33.3
    assert program.model.counts(judged) == {"pass": 1, "fail": 1, "waived": 1, "not_applicable": 1}


@pytest.mark.parametrize("until, status", [("2026-11-28", "waived"), ("2026-11-27", "fail")])
def test_a_waiver_holds_through_its_last_day(program, some, until, status):
    judged = program.model.judged(some, [waiver("mode:/etc/shadow", until)], TODAY, ["botops"])
    assert one(judged, "mode:/etc/shadow")["status"] == status
    assert ("the waiver has ended: mode:/etc/shadow" in program.model.verdict(judged, 100, 95)) == (status == "fail")


def test_a_waiver_of_nothing_is_a_control_that_fails(program, some):
    gone = waiver("lynis:NONE-0000")
    assert statuses(program.model.judged(some, [gone], TODAY, ["botops", "lynis"]))["waiver:lynis:NONE-0000"] == "fail"
    # A judge that was not asked says nothing about waivers of its own controls.
    assert "waiver:lynis:NONE-0000" not in statuses(program.model.judged(some, [gone], TODAY, ["botops"]))


def test_the_verdict_names_score_and_gravity(program, some):
    said = program.model.verdict(some, 33.3, 95)
    assert said == ["the score is 33.3 %, and 95 % is the least", "of high severity: mode:/etc/shadow"]
    assert program.model.verdict([some[0], some[1]], 96, 95) == []


def test_nothing_looked_at_is_no_success(program):
    assert program.model.score([]) == 0.0 and program.model.verdict([], 0.0, 95)


def test_what_became_worse_is_told_once(program, some):
    before = [{**entry, "status": "pass"} for entry in some]
    found = program.model.worse(before, some)
    assert [entry["id"] for entry in found] == ["mode:/etc/shadow", "lynis:ACCT-9622"]
    told = program.model.message("db1", found, 33.3, 100)
    assert told["severity"] == "critical" and "2 controls became worse" in told["subject"] and "mode:/etc/shadow: y (expected x)" in told["body"]
    assert program.model.worse(some, some) == [] and program.model.message("db1", [], 33.3, 33.3) is None
    assert program.model.worse([], some) == []


def test_a_new_judge_has_made_nothing_worse(program, some):
    assert [entry["id"] for entry in program.model.worse([some[0]], some)] == ["mode:/etc/shadow"]


def test_a_score_that_falls_rings_without_a_single_control(program):
    told = program.model.message("db1", [], 94.0, 96.0)
    assert told["severity"] == "warning" and "score fell to 94.0 %" in told["subject"]


def test_the_history_keeps_ninety_days(program):
    known = [{"time": "2026-08-01T00:00:00Z", "score": 1}, {"time": "2026-08-30T12:00:00Z", "score": 2}, {"time": "2026-11-28T05:00:00Z", "score": 3}]
    kept = program.model.history(known, {"time": "2026-11-28T05:00:00Z", "score": 4}, NOW)
    assert [entry["score"] for entry in kept] == [2, 4]


# --- sshd

DECLARED = {"exact": {"permitrootlogin": "no", "port": ["22"], "allowusers": ["ops", "admin"]}, "within": {"ciphers": ["a", "b"]}}


def test_sshd_is_judged_by_what_it_has(program):
    effective = program.host.parse_sshd("port 22\npermitrootlogin no\nallowusers admin\nallowusers ops\nciphers b\n")
    assert set(statuses(program.host.sshd_controls(effective, DECLARED)).values()) == {"pass"}
    effective = program.host.parse_sshd("port 22\nport 2222\npermitrootlogin yes\nallowusers admin\nciphers b,weak\n")
    found = program.host.sshd_controls(effective, DECLARED)
    assert set(statuses(found).values()) == {"fail"}
    assert one(found, "sshd:ciphers")["actual"] == "also weak" and one(found, "sshd:permitrootlogin")["severity"] == "high"


def test_an_empty_list_of_algorithms_is_no_proof(program):
    assert statuses(program.host.sshd_controls({}, {"exact": {}, "within": {"ciphers": ["a"]}})) == {"sshd:ciphers": "fail"}


def kexinit(*lists):
    return bytes([20]) + bytes(16) + b"".join(struct.pack(">I", len(text)) + text.encode() for text in lists)


def test_the_running_daemon_is_compared_with_its_files(program):
    effective = {"kexalgorithms": ["k1,k2"], "ciphers": ["c1"], "macs": ["m1"]}
    offered = program.host.parse_kexinit(kexinit("k1,k2,ext-info-s,kex-strict-s-v00@openssh.com", "ssh-ed25519", "c1", "c1", "m1"))
    assert set(statuses(program.host.live_controls("SSH-2.0-OpenSSH_10.0p2", offered, effective, True)).values()) == {"pass"}
    stale = program.host.parse_kexinit(kexinit("k1,k2,old", "ssh-ed25519", "c1", "c1", "m1"))
    found = program.host.live_controls("SSH-2.0-OpenSSH_10.0p2 Debian-7", stale, effective, True)
    assert set(statuses(found).values()) == {"fail"} and "k1,k2,old" in one(found, "ssh-live:algorithms")["actual"]


@pytest.mark.parametrize("payload", [b"", bytes([21]) + bytes(30), kexinit("k1")[:19], kexinit("k1", "h")])
def test_what_is_no_offer_is_said_to_be_none(program, payload):
    with pytest.raises(ValueError):
        program.host.parse_kexinit(payload)


# --- firewall, sockets, units, files

STATUS = "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n"
POLICIES = {"incoming": "deny", "outgoing": "allow", "routed": "deny"}


def rule_file(program, *rules):
    items = [item for rule in rules for item in program.ufw.expand(rule, "fleet") if item["family"] == 4]
    return program.ufw.merged(program.ufw.EMPTY, items, "fleet"), [program.ufw.without_comment(program.ufw.tuple_line(item)) for item in items]


def test_rules_are_compared_one_by_one(program):
    text, lines = rule_file(program, {"port": 22, "proto": "tcp", "comment": "ssh"}, {"port": 443, "proto": "tcp"})
    declared = {"enabled": True, "policies": POLICIES, "rules": lines}
    assert set(statuses(program.host.firewall_controls(STATUS, [text], declared, {"iptables": (2, 2)})).values()) == {"pass"}
    declared["rules"] = [lines[0], *rule_file(program, {"port": 80, "proto": "tcp"})[1]]
    found = program.host.firewall_controls(STATUS.replace("deny (inc", "allow (inc"), [text], declared, {"iptables": (1, 2)})
    assert statuses(found) == {"firewall:active": "pass", "firewall:policies": "fail", "firewall:rules": "fail", "firewall:kernel": "fail"}
    assert "missing:" in one(found, "firewall:rules")["actual"] and "not declared:" in one(found, "firewall:rules")["actual"]


@pytest.mark.parametrize("status, held", [("Status: inactive", "pass"), (STATUS, "fail"), ("", "pass")])
def test_a_firewall_that_was_declared_off(program, status, held):
    found = program.host.firewall_controls(status, [], {"enabled": False, "policies": {}, "rules": []}, {})
    assert statuses(found) == {"firewall:active": held}


def test_sockets_on_loopback_are_nobodys_business(program):
    table = "  sl  local_address rem_address   st\n" + "\n".join(
        f"   {n}: {address}:{port:04X} 00000000:0000 {state} x" for n, (address, port, state) in enumerate(
            [("0100007F", 8080, "0A"), ("00000000", 22, "0A"), ("00000000", 5555, "01"), ("00000000000000000000000001000000", 81, "0A"),
             ("0000000000000000FFFF00000100007F", 82, "0A"), ("00000000000000000000000000000000", 443, "0A")]
        )
    )  # fmt: skip
    assert program.host.parse_sockets(table, "0A") == {22, 443}
    found = program.host.listening_controls({"tcp": {22, 443}, "udp": {60001}}, [["tcp", 22, 22], ["any", 443, 443], ["udp", 60000, 61000]])
    assert statuses(found) == {"sockets:listening": "pass"}
    found = program.host.listening_controls({"tcp": {22, 8080}, "udp": set()}, [["tcp", 22, 22], ["udp", 8080, 8080]])
    assert one(found, "sockets:listening")["actual"] == "not declared: tcp/8080"


def test_units_of_ours_are_held_to_their_sandbox(program):
    table = "".join(f"  NAME DESCRIPTION\n→ Overall exposure level for {unit}: {score}\n" for unit, score in (
        ("bot-paper.service", "1.3 OK :-)"), ("botops-notify-deliver.service", "4.6 OK :-|"),
    ))  # fmt: skip
    assert statuses(program.host.unit_controls(table, 4.0)) == {"unit:bot-paper.service": "pass", "unit:botops-notify-deliver.service": "fail"}


@pytest.mark.parametrize("mode, uid, status", [(0o600, 0, "pass"), (0o400, 0, "pass"), (0o640, 0, "fail"), (0o600, 1000, "fail")])
def test_modes_are_most_modes(program, mode, uid, status):
    found = os.stat_result((0o100000 | mode, 1, 1, 1, uid, 0, 0, 0, 0, 0))
    assert program.host.mode_control("/etc/x", 0o600, True, found)["status"] == status


def test_a_file_that_is_missing(program):
    assert program.host.mode_control("/etc/x", 0o600, True, None)["status"] == "fail"
    assert program.host.mode_control("/etc/x", 0o600, False, None)["status"] == "not_applicable"


# --- accounts

KEY = "ssh-ed25519 " + "A" * 68


def user(name, uid=1000, shell="/bin/bash", password="!", keys=(), groups=()):
    return {"name": name, "uid": uid, "shell": shell, "password": password, "keys": set(keys), "groups": list(groups)}


def test_accounts_as_declared(program):
    declared = {"admins": {"ops": [KEY + " ops@laptop"]}, "absent": ["formerly"], "others": ["admin"], "root_keys": False}
    users = [user("root", 0), user("ops", keys=[KEY], groups=["sudo"]), user("admin", 1001, keys=["x"]), user("bot-paper", 990, "/usr/sbin/nologin")]
    assert set(statuses(program.host.account_controls(users, declared)).values()) == {"pass"}


def test_accounts_that_nobody_declared(program):
    declared = {"admins": {"ops": [KEY], "gone": None}, "absent": ["formerly"], "others": [], "root_keys": False}
    users = [
        user("root", 0, keys=[KEY]), user("toor", 0), user("ops", keys=[KEY, "ssh-rsa " + "B" * 50]), user("formerly"), user("evil", keys=[KEY]),
        user("weak", password="$y$x"), user("open", password=""), user("helper", groups=["sudo"]),
    ]  # fmt: skip
    found = program.host.account_controls(users, declared)
    assert set(statuses(found).values()) == {"fail"}, statuses(found)
    assert one(found, "accounts:logins")["actual"] == "also evil, weak, open" and one(found, "keys:ops")["actual"] == "1 not declared"


def test_keys_are_what_counts_of_a_line(program):
    text = f'from="10.0.0.0/8",no-pty {KEY} a comment\n# {"x" * 40}\n'
    assert program.host.key_parts(text) == {KEY}


# --- updates, kernel


def test_only_security_updates_count(program):
    simulated = "Inst vim [1] (2 Debian:13.1/stable [amd64])\nInst openssl [3.0] (3.1 Debian-Security:13/stable-security [amd64])\n"
    found = program.host.update_controls(simulated, 3600, None, 3)
    assert statuses(found) == {"updates:security": "fail", "updates:lists": "pass", "updates:reboot": "pass"}
    assert one(found, "updates:security")["actual"] == "openssl"
    assert statuses(program.host.update_controls("", None, "linux-image", 3)) == {
        "updates:security": "pass", "updates:lists": "fail", "updates:reboot": "fail",
    }  # fmt: skip


def test_a_container_is_not_blamed_for_the_machines_kernel(program):
    declared = {"kernel.sysrq": "0", "net.ipv4.ip_forward": "0", "net.ipv4.tcp_rmem": "4096 87380 16777216", "kernel.none": "1"}
    found = {"kernel.sysrq": "176", "net.ipv4.ip_forward": "1", "net.ipv4.tcp_rmem": "4096\t87380\t16777216", "kernel.none": None}
    assert statuses(program.host.kernel_controls(declared, found, "docker")) == {
        "sysctl:kernel.sysrq": "not_applicable", "sysctl:net.ipv4.ip_forward": "fail", "sysctl:net.ipv4.tcp_rmem": "pass",
        "sysctl:kernel.none": "not_applicable",
    }  # fmt: skip
    assert statuses(program.host.kernel_controls(declared, found, ""))["sysctl:kernel.sysrq"] == "fail"
    readonly = program.host.kernel_controls(declared, found, "docker", ["net.ipv4.ip_forward"])
    assert statuses(readonly)["sysctl:net.ipv4.ip_forward"] == "not_applicable"


def test_a_judge_without_an_opinion_has_no_score(program, some):
    assert program.model.by_source([some[3]])["botops"]["score"] is None and program.model.by_source(some)["lynis"]["score"] == 0.0


# --- what other parts leave behind

BACKUPS = {"saves": True, "drills": True, "age_hours": 26, "drill_days": 8, "bots": ["a", "b"]}


def test_the_oldest_backup_speaks_for_the_host(program):
    drill = {"last_good": "2026-11-22T04:00:00Z"}
    good = {"last_good": {"a": "2026-11-28T02:00:00Z", "b": "2026-11-27T04:00:00Z"}}
    found = program.promises.backup_controls(good, drill, BACKUPS, program.common.Done(0, "fine"), NOW)
    assert statuses(found) == {"backup:age": "pass", "backup:drill": "pass", "backup:check": "pass"}
    good["last_good"].pop("b")
    found = program.promises.backup_controls(good, {}, BACKUPS, program.common.Done(1, "", "not signed"), NOW)
    assert statuses(found) == {"backup:age": "fail", "backup:drill": "fail", "backup:check": "fail"} and one(found, "backup:age")["actual"] == "never"
    assert statuses(program.promises.backup_controls({}, {}, None, None, NOW)) == {"backup:age": "not_applicable"}


@pytest.mark.parametrize("since, status", [("2026-11-28T04:00:00Z", "pass"), ("2026-11-20T00:00:00Z", "fail"), ("2026-12-24T00:00:00Z", "fail"),
                                           ("yesterday", "fail"), (None, "fail")])  # fmt: skip
def test_ages(program, since, status):
    assert program.promises.age_control("x:y", "t", since, 86400, NOW, "")["status"] == status


def test_fencing_that_was_never_tried_or_failed(program):
    records = {"a": {"result": "ok", "epoch": NOW.timestamp() - 86400}, "b": {"result": "failed", "epoch": NOW.timestamp(), "why": "no answer"}}
    found = program.promises.fencing_controls(records, ["a", "b", "c"], 90, NOW)
    assert statuses(found) == {"fencing:a": "pass", "fencing:b": "fail", "fencing:c": "fail"} and "no answer" in one(found, "fencing:b")["actual"]


@pytest.mark.parametrize("entry, status", [
    ({"bot": "a", "active": True, "replication": {"databases": {"x": {"lag_seconds": 0.4}}}}, "pass"),
    ({"bot": "a", "active": True, "replication": {"databases": {"x": {"lag_seconds": 61}}}}, "fail"),
    ({"bot": "a", "active": True, "replication": None}, "fail"),
    ({"bot": "a", "active": False, "restorable": {"databases": {"x": {"lag_seconds": 2, "unrestorable_seconds": 0, "reason": ""}}}}, "pass"),
    ({"bot": "a", "active": False, "restorable": {"databases": {"x": {"lag_seconds": 2, "unrestorable_seconds": 9, "reason": "torn"}}}}, "fail"),
    ({"bot": "a", "active": False, "restorable": {"databases": {"x": {"lag_seconds": None, "unrestorable_seconds": 0, "reason": ""}}}}, "fail"),
])  # fmt: skip
def test_replication(program, entry, status):
    assert statuses(program.promises.replication_controls([entry], 60)) == {"replication:a": status}


@pytest.mark.parametrize("entry, status", [
    ({"release": "r1", "seconds": 25 * 3600, "allowed": True, "override": ""}, "pass"),
    ({"release": "r1", "seconds": 3600, "allowed": True, "override": ""}, "pass"),
    ({"release": "r1", "seconds": 3600, "allowed": True, "override": "we were in a hurry"}, "fail"),
    ({"release": "r1", "seconds": 3600, "allowed": False, "override": ""}, "fail"),
    ({}, "not_applicable"),
])  # fmt: skip
def test_a_live_release_has_its_paper_run(program, entry, status):
    assert statuses(program.promises.paper_controls({"paper": 24}, {"paper": entry})) == {"paper:paper": status}


@pytest.mark.parametrize("audit, status", [({}, "not_applicable"), ({"lost": 0}, "pass"), ({"lost": 3}, "fail"), ({"verdict": "ok"}, "fail")])
def test_events_that_the_audit_lost(program, audit, status):
    assert statuses(program.promises.audit_controls(audit)) == {"audit:lost": status}


# --- judges from outside

XCCDF = """<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2">
 <Rule id="xccdf_org.ssgproject.content_rule_one" severity="high"><title>The first</title></Rule>
 <Rule id="xccdf_org.ssgproject.content_rule_two" severity="low"><title>The second</title></Rule>
 <TestResult>{}</TestResult></Benchmark>"""


def test_openscap_results(program, tmp_path):
    answers = {"one": "fail", "two": "pass", "three": "notapplicable", "four": "notchecked", "five": "error", "six": "notselected"}
    form = '<rule-result idref="xccdf_org.ssgproject.content_rule_{}"><result>{}</result></rule-result>'
    results = "".join(form.format(*pair) for pair in answers.items())
    (tmp_path / "r.xml").write_text(XCCDF.format(results))
    found = program.scanners.openscap_controls(tmp_path / "r.xml")
    assert statuses(found) == {
        "openscap:one": "fail", "openscap:two": "pass", "openscap:three": "not_applicable", "openscap:four": "not_applicable", "openscap:five": "fail",
    }  # fmt: skip
    assert one(found, "openscap:one")["title"] == "The first" and one(found, "openscap:one")["severity"] == "medium"
    assert one(found, "openscap:two")["severity"] == "low"


LYNIS = """lynis_version=3.1.4
suggestion[]=ACCT-9622|Enable process accounting|-|-|
warning[]=LOGG-2138|klogd is not running|-|-|
suggestion[]=AUTH-9286|Minimum age|-|-|
suggestion[]=AUTH-9286|Maximum age|-|-|
hardening_index=85
tests_executed=ACCT-9622|LOGG-2138|AUTH-9286|BOOT-5122|
"""


def test_lynis_report(program):
    found = program.scanners.lynis_controls(LYNIS, 80)
    assert statuses(found) == {
        "lynis:index": "pass", "lynis:ACCT-9622": "fail", "lynis:AUTH-9286": "fail", "lynis:BOOT-5122": "pass", "lynis:LOGG-2138": "fail",
    }  # fmt: skip
    assert one(found, "lynis:AUTH-9286")["actual"] == "Minimum age; Maximum age" and one(found, "lynis:LOGG-2138")["severity"] == "medium"
    assert statuses(program.scanners.lynis_controls(LYNIS, 90))["lynis:index"] == "fail"
    assert statuses(program.scanners.lynis_controls("lynis_version=3.1.4\n", 80)) == {"lynis:ran": "fail"}


def test_ssh_audit_report(program):
    report = {
        "kex": [{"algorithm": "mlkem", "notes": {"info": ["x"]}}, {"algorithm": "sha1", "notes": {"fail": ["broken"], "warn": ["old"]}}],
        "cves": [], "mac": [],
    }  # fmt: skip
    assert statuses(program.scanners.ssh_audit_controls(report)) == {
        "ssh-audit:kex:mlkem": "pass", "ssh-audit:kex:sha1": "fail", "ssh-audit:cves": "pass",
    }  # fmt: skip
    # Before 3.0 it says what it thinks of them in words alone, and knows no name of the last years.
    old = {"kex": [{"algorithm": "sha1"}, {"algorithm": "strict"}], "mac": ["hmac", "new"], "cves": [{"name": "CVE-2020-1"}]}
    text = "(kex) strict -- [warn] unknown algorithm\n(kex) sha1   -- [warn] broken\n(mac) new  -- [warn] unknown algorithm\n(mac) hmac -- [info] available\n"
    assert statuses(program.scanners.ssh_audit_controls(old, text)) == {
        "ssh-audit:kex:sha1": "fail", "ssh-audit:kex:strict": "not_applicable", "ssh-audit:mac:hmac": "pass", "ssh-audit:mac:new": "not_applicable",
        "ssh-audit:cves": "fail",
    }  # fmt: skip


@pytest.mark.parametrize("out, err, status, wanted", [
    ("", "", 0, "pass"), ("/usr/bin/ls\n", "", 2, "fail"), ("", "debsums: missing file /usr/bin/ls (from coreutils package)\n", 2, "fail"),
    ("", "debsums: missing file /usr/share/doc/x/copyright2 (from x package)\n", 2, "pass"),
    ("", "debsums: missing file /usr/share/doc/x/copyright (from x package)\n", 2, "fail"), ("", "cannot read\n", 255, "fail"),
])  # fmt: skip
def test_debsums(program, out, err, status, wanted):
    settings = "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n"
    assert statuses(program.scanners.debsums_controls(out, err, status, settings)) == {"debsums:files": wanted}


def test_a_judge_that_is_not_there_has_judged_nothing(program, monkeypatch):
    monkeypatch.setattr(program.scanners.shutil, "which", lambda *_args, **_more: None)
    assert statuses(program.scanners.ask("lynis", {})) == {"lynis:ran": "fail"}


def test_content_of_another_release_comes_out_of_the_same_sources(program):
    renamed = program.content.renamed
    text = "deb http://mirror/debian bookworm main\ndeb http://mirror/debian bookworm-updates main\ndeb http://mirror/security bookworm-security main\n# x\n"
    assert renamed(text, "bookworm", "trixie") == "deb http://mirror/debian trixie main\n# x\n"
    block = "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg"
    assert "Suites: trixie\n" in renamed(block, "bookworm", "trixie") and "Signed-By: /k.gpg" in renamed(block, "bookworm", "trixie")
    assert renamed("Types: deb\nSuites: bookworm-security", "bookworm", "trixie") == ""


# --- the command


@pytest.fixture
def place(program, tmp_path, monkeypatch):
    monkeypatch.setattr(program.common, "STATE", tmp_path / "state")
    monkeypatch.setattr(program.common, "EVIDENCE", tmp_path / "evidence")
    monkeypatch.setattr(program.common.os, "fsync", lambda _handle: None)
    monkeypatch.setattr(program.cli, "tell", lambda *_args: None)
    return tmp_path


CONFIG = {"host": "db1", "declared": {}, "limits": {"score": 95}, "waivers": [], "scanners": []}


def test_a_run_leaves_evidence_and_a_history(program, place, monkeypatch, some):
    monkeypatch.setattr(program.cli, "look_at_host", lambda _config: [some[0]])
    assert program.cli.run(CONFIG, True, []) == 0
    monkeypatch.setattr(program.cli, "look_at_host", lambda _config: some)
    assert program.cli.run(CONFIG, True, []) == 1
    record = json.loads((place / "evidence/compliance.json").read_text())
    assert record["verdict"] == "failed" and record["score"] == 33.3 and record["source"] == "botops-compliance"
    assert record["history"][-1]["score"] == 33.3 and (place / "evidence/compliance.json").stat().st_mode & 0o777 == 0o644


def test_a_part_that_cannot_be_looked_at_fails_alone(program, monkeypatch, capsys):
    def look_broken(_declared, _limits):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(program.cli.host, "LOOKS", (look_broken, lambda *_args: [program.model.control("a:b", "t", 1, 1, True)]))
    monkeypatch.setattr(program.cli.promises, "look", lambda *_args: [])
    found = program.cli.look_at_host(CONFIG)
    assert statuses(found) == {"looked:broken": "fail", "a:b": "pass"} and "no such thing" in capsys.readouterr().err


def test_a_full_disk_is_said_and_the_old_evidence_stays(program, place, monkeypatch):
    monkeypatch.setattr(program.cli, "look_at_host", lambda _config: [])
    monkeypatch.setattr(program.cli.scanners, "enough_room", lambda _mb: "/x has 1 MB free, and results need 64 MB")
    with pytest.raises(program.common.Refused, match="make room and run it again"):
        program.cli.run(CONFIG, True, [])

    def full(*_args):
        raise OSError(28, "No space left on device")

    (place / "evidence/x.json").write_text("{}")
    monkeypatch.setattr(program.common.os, "replace", full)
    with pytest.raises(program.common.Refused, match="could not be written .No space left on device.; make room"):
        program.common.write_json(place / "evidence/x.json", {"a": 1})
    assert (place / "evidence/x.json").read_text() == "{}" and len(list((place / "evidence").iterdir())) == 1
