"""The program of the role auditd without a kernel: real lines of a log, and what is said of them. Whether a kernel writes them so is tests/vm's."""

import importlib
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
AT = 1795864472.0
ACCOUNTS = {"0": "root", "1000": "admin", "1001": "mallory", "993": "bot-paper"}
SEPARATOR = "\x1d"
COMMON = "ppid=1 pid=7 auid={auid} uid={uid} gid={uid} euid={uid} suid={uid} fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty=(none) ses=11"


@pytest.fixture(scope="module")
def program():
    sys.path.insert(0, str(ROOT / "roles/auditd/files"))
    modules = {name: importlib.import_module("audit." + name) for name in ("records", "report", "cli")}
    sys.path.remove(str(ROOT / "roles/auditd/files"))
    return type("Program", (), modules)


def call(serial, key, path="", auid=1000, uid=0, exe="/usr/bin/cat", result="success=yes exit=3", name="openat", nametype="NORMAL", cwd="/root"):
    """The records of one system call, as a kernel 6.12 and auditd 4.0 wrote them."""
    head = f"msg=audit({AT + serial / 1000:.3f}:{serial}):"
    who = COMMON.format(auid=auid, uid=uid)
    lines = [
        f'type=SYSCALL {head} arch=c000003e syscall=257 {result} a0=ffffffffffffff9c a1=7ffe9930eebc a2=0 a3=0 items=1 {who} comm="{exe.split("/")[-1]}" '
        f'exe="{exe}" subj=unconfined key="{key}"{SEPARATOR}ARCH=x86_64 SYSCALL={name} AUID="admin" UID="root"'
    ]
    if path:
        lines += [
            f'type=CWD {head} cwd="{cwd}"',
            f'type=PATH {head} item=0 name="/somewhere" inode=1 dev=fe:00 nametype=PARENT cap_fp=0{SEPARATOR}OUID="root"',
            f'type=PATH {head} item=1 name={path if path.isalnum() else json.dumps(path)} inode=131280 dev=fe:00 mode=0100600 nametype={nametype}',
        ]
    return [*lines, f"type=PROCTITLE {head} proctitle=636174", f"type=EOE {head} "]


def message(serial, kind, words, auid=1000, uid=0):
    head = f"type={kind} msg=audit({AT + serial / 1000:.3f}:{serial}):"
    return [f"{head} pid=7 uid={uid} auid={auid} ses=11 subj=unconfined msg='{words}'{SEPARATOR}UID=\"root\""]


def said(program, lines, bots=("paper",), now=AT + 60):
    found = program.report.Report(bots, lambda number: ACCOUNTS.get(number, f"uid {number}"), now)
    for event in program.records.events([line + "\n" for line in lines]):
        found.take(event)
    return found


def sections(found, words=None):
    return {heading.rpartition("[")[2].rstrip("]"): lines for heading, lines in found.sections(words or {}) if lines}


# --- who touched a bot's secrets


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (call(1, "bot-secrets", "/etc/bot-paper/credentials/KEY"), "admin as root: /etc/bot-paper/credentials/KEY, by cat"),
        (call(1, "bot-secrets", "/etc/bot-paper/credentials/KEY", auid=4294967295, uid=1001), "a service as mallory: /etc/bot-paper/credentials/KEY, by cat"),
        (call(1, "bot-secrets", "credentials/KEY", cwd="/etc/bot-paper"), "admin as root: /etc/bot-paper/credentials/KEY, by cat"),
        (
            call(1, "denied", "/etc/bot-paper/credentials/KEY", uid=1001, result="success=no exit=-13", nametype="UNKNOWN"),
            "admin as mallory: tried and was refused: /etc/bot-paper/credentials/KEY, by cat",
        ),
        # A blank in a name makes the kernel write it in hexadecimal digits.
        (call(1, "bot-secrets", b"/etc/bot-paper/a b".hex().upper()), "admin as root: /etc/bot-paper/a b, by cat"),
    ],
)
def test_who_touched_a_secret(program, lines, expected):
    (line,) = sections(said(program, lines))["Who touched a bot's secrets"]
    assert line == f"{expected} (2026-11-28 11:14:32Z)"


def test_a_refusal_elsewhere_is_no_secret(program):
    found = sections(said(program, call(1, "denied", "/etc/shadow", uid=993, result="success=no exit=-13")))
    assert found == {"Who was refused a file": ["admin as bot-paper: /etc/shadow, by cat (2026-11-28 11:14:32Z)"]}


def test_equal_events_are_one_line_with_a_count(program):
    lines = [line for serial in (1, 2, 5000) for line in call(serial, "bot-secrets", "/etc/bot-paper/env")]
    (line,) = sections(said(program, lines))["Who touched a bot's secrets"]
    assert line == "admin as root: /etc/bot-paper/env, by cat (2026-11-28 11:14:32Z to 2026-11-28 11:14:37Z, 3 times)"


# --- who became root


def test_who_became_root(program):
    lines = message(1, "USER_CMD", 'cwd="/home/admin" cmd=7368202D73 exe="/usr/bin/sudo" terminal=? res=success', uid=1000)
    lines += message(2, "USER_CMD", 'cwd="/" cmd="true" exe="/usr/bin/sudo" terminal=? res=failed', uid=1001)
    lines += message(3, "USER_START", 'op=PAM:session_open grantors=pam_unix acct="mallory" exe="/usr/bin/su" res=success')
    lines += message(4, "USER_START", 'op=PAM:session_open grantors=pam_unix acct="admin" exe="/usr/sbin/sshd" res=success')
    lines += message(5, "USER_AUTH", 'op=PAM:authentication grantors=? acct="root" exe="/usr/bin/su" res=failed', auid=4294967295, uid=993)
    lines += call(6, "root-commands", exe="/usr/bin/id") + call(7, "escalation", uid=993, name="setuid", exe="/bin/x", result="success=no exit=-1")
    lines += call(8, "escalation", name="setuid", exe="/usr/lib/openssh/sshd-session", result="success=no exit=-1")
    found = sections(said(program, lines))
    assert [line.split(" (")[0] for line in found["Who became root"]] == ["admin by su: a session as mallory", "admin by sudo: sh -s",
                                                                         "admin ran 1 commands as root"]  # fmt: skip
    assert [line.split(" (")[0] for line in found["Who asked for more rights and was refused"]] == [
        "admin as bot-paper: setuid by x: refused by the kernel", "a service as bot-paper by su: refused", "admin by sudo: true"
    ]  # fmt: skip


def test_what_ansible_wraps_its_tasks_in_is_one_line(program):
    lines = [
        line for serial in (1, 2)
        for line in message(serial, "USER_CMD", f'cmd={f"/bin/sh -c echo BECOME-SUCCESS-{serial}".encode().hex().upper()} exe="/usr/bin/sudo" res=success')
    ]  # fmt: skip
    assert len(sections(said(program, lines))["Who became root"]) == 1


# --- what changed


def test_what_changed_in_units_and_users(program):
    lines = call(1, "systemd-units", "/etc/systemd/system/evil.service", exe="/usr/bin/dash", nametype="CREATE")
    lines += message(2, "ADD_USER", 'op=add-user acct="eve" exe="/usr/sbin/useradd" hostname=? res=success')
    lines += call(3, "identity", "/etc/passwd", exe="/usr/sbin/useradd", nametype="CREATE")
    found = sections(said(program, lines), {"systemd-units": "systemd units were changed"})
    assert found["systemd-units"] == ["admin as root: /etc/systemd/system/evil.service, by dash (2026-11-28 11:14:32Z)"]
    assert found["Users and groups"] == ["admin as root: user made: eve (2026-11-28 11:14:32Z)"]
    assert found["identity"] == ["admin as root: /etc/passwd, by useradd (2026-11-28 11:14:32Z)"]


def test_what_failed_for_another_reason_than_rights_changed_nothing(program):
    exists = call(1, "systemd-units", "/etc/systemd/system/x", result="success=no exit=-17")
    refused = call(2, "systemd-units", "/etc/systemd/system/y", result="success=no exit=-13")
    (line,) = sections(said(program, exists + refused))["systemd-units"]
    assert line.startswith("admin as root: /etc/systemd/system/y, by cat, and was refused")


def test_an_own_watch_is_reported(program):
    found = said(program, call(1, "own-keys", "/srv/keys/a"))
    assert sections(found, {"own-keys": "your own watch"})["own-keys"] == ["admin as root: /srv/keys/a, by cat (2026-11-28 11:14:32Z)"]


def test_loading_rules_is_no_use_of_their_keys(program):
    lines = [
        f"type=CONFIG_CHANGE msg=audit({AT}:9): auid=4294967295 ses=4294967295 subj=unconfined op=add_rule key=\"bot-secrets\" list=4 res=1",
        *call(9, "", exe="/usr/sbin/auditctl", auid=4294967295),
    ]  # fmt: skip
    found = said(program, lines)
    assert "Who touched a bot's secrets" not in sections(found)
    assert sections(found)["audit-trail"] == ["a service as root: the audit rules, by auditctl (2026-11-28 11:14:32Z)"]
    assert list(found.bytes) == ["type CONFIG_CHANGE"]


# --- volume


def test_the_loudest_keys_are_named_until_the_rest_fits(program):
    found = program.report.Report([], str, AT + 86400)
    found.first, found.bytes = AT, {"denied": 30_000_000, "session-network": 45_000_000, "identity": 1_000_000}
    assert found.over(AT, 80) == {}
    assert list(found.over(AT, 40)) == ["session-network"]
    assert list(found.over(AT, 10)) == ["session-network", "denied"]
    assert found.evidence(AT, 40)["mb_per_day"] == 76.0


def test_a_host_that_was_set_up_just_now_is_within_its_budget(program):
    """One run of Ansible on a log that begins with it makes no day of such runs, whatever part of the day is asked for."""
    found = program.report.Report([], str, AT)
    found.first, found.bytes = AT - 60, {"root-commands": 6_000_000}
    assert found.per_day(AT - 86400) == {"root-commands": pytest.approx(6.0)}
    assert found.per_day(AT - 1800) == {"root-commands": pytest.approx(288.0)}
    assert found.over(AT - 86400, 50) == found.over(AT - 1800, 50) == {}
    assert list(found.over(AT - 1800, 5)) == ["root-commands"]


def test_each_byte_of_the_log_counts_for_one_key(program):
    lines = call(1, "denied", "/etc/shadow") + message(2, "USER_ACCT", 'op=x acct="a" exe="/usr/bin/sudo" res=success')
    found = said(program, lines)
    assert found.total == sum(found.bytes.values()) == sum(len(line) + 1 for line in lines)
    assert set(found.bytes) == {"denied", "type USER_ACCT"}


# --- the log


def test_records_of_two_events_may_be_mixed(program):
    first, second = call(1, "identity", "/etc/passwd"), call(2, "sudoers", "/etc/sudoers")
    mixed = [line for pair in zip(first, second) for line in pair]
    found = list(program.records.events([line + "\n" for line in mixed]))
    assert [(event.keys, event.paths) for event in found] == [(["identity"], ["/etc/passwd"]), (["sudoers"], ["/etc/sudoers"])]


def test_rotated_files_come_oldest_first_and_old_ones_are_left_out(program, tmp_path):
    import os

    for name, age in (("audit.log", 0), ("audit.log.1", 10), ("audit.log.2", 20), ("audit.log.10", 500)):
        (tmp_path / name).write_text(name + "\n")
        os.utime(tmp_path / name, (AT - age, AT - age))
    assert [path.name for path in program.records.files(AT - 100, tmp_path)] == ["audit.log.2", "audit.log.1", "audit.log"]
    assert "".join(program.records.read(AT - 15, tmp_path)) == "audit.log.1\naudit.log\n"


def test_a_broken_line_is_passed_over(program):
    assert list(program.records.events(["", "type=SYSCALL msg=aud", "\udcff\n"])) == []


@pytest.mark.parametrize(("text", "seconds"), [("30min", 1800), ("24h", 86400), ("7d", 604800)])
def test_so_long_ago(program, text, seconds):
    assert program.cli.moment(text, AT) == AT - seconds


@pytest.mark.parametrize("text", ["yesterday", "24", "-1h", ""])
def test_a_time_that_is_none(program, text):
    with pytest.raises(program.cli.Refused, match="is no time: write 24h"):
        program.cli.moment(text, AT)


def test_a_rule_that_is_not_loaded_is_named_with_its_reason(program):
    output = "Error sending add rule data request (No such file or directory)\nThere was an error in line 2 of /etc/audit/audit.rules\nNo rules\n"
    assert program.cli.refusals(output, ["-D", "-w /gone -k x"]) == ["not loaded (No such file or directory): -w /gone -k x"]


@pytest.mark.parametrize(
    ("lists", "found", "asked"), [((["-w a", "-w b"],), 2, 1), ((["-w a"], ["-w a"], ["-w a", "-w b"]), 2, 3), ((["No rules"],) * 4, 0, 4)]
)
def test_a_list_that_is_short_is_asked_for_again(program, monkeypatch, lists, found, asked):
    left, slept = list(lists), []
    monkeypatch.setattr(program.cli, "run", lambda *argv: type("Done", (), {"stdout": "\n".join(left.pop(0))}))
    monkeypatch.setattr(program.cli.time, "sleep", slept.append)
    assert program.cli.loaded(2) == found
    assert slept == list(range(asked)) and len(left) == len(lists) - asked
