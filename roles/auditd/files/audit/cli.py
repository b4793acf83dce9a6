"""The command."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import pwd
import re
import subprocess
import sys
import time

from audit import records, report

CONFIG = pathlib.Path("/etc/botops/audit.json")
EVIDENCE = pathlib.Path("/var/lib/botops/evidence/audit.json")
RULES = pathlib.Path("/etc/audit/audit.rules")
# Lost before the rules were loaded: the kernel's queue is small until then.
BASELINE = pathlib.Path("/run/botops/audit.json")
USAGE = """\
botops-audit report [--since WHEN]    who became root, who touched a bot's secrets, what changed in units and users; in words.
        WHEN is 24h (so long ago; min, h, d), today, 2026-01-31 or 2026-01-31T03:00. A day where nothing is said.
botops-audit check       whether the rules are loaded, nothing was lost, and the volume is within its budget; exit status 1 where not
botops-audit evidence    the same, written to /var/lib/botops/evidence/audit.json; what the timer does every day
botops-audit load        load the rules of /etc/audit/rules.d, and name those that the kernel does not take; what the unit does at boot"""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
UNITS = {"min": 60, "h": 3600, "d": 86400}


class Refused(Exception):
    """A sentence for the operator."""


def config() -> dict:
    try:
        return json.loads(CONFIG.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{CONFIG} cannot be read ({error}): is this root, and was the role applied?") from None


def run(*argv: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(argv, text=True, errors="replace", capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{argv[0]} does not answer: {error}") from None


def account(number: str) -> str:
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (KeyError, ValueError, OverflowError):
        return f"uid {number}" if number else "?"


def moment(text: str, now: float) -> float:
    """Seconds since 1970 of `24h`, `today`, or a day with or without a time, which are of this host's clock."""
    if ago := re.fullmatch(r"(\d+)(min|h|d)", text):
        return now - int(ago[1]) * UNITS[ago[2]]
    if text == "today":
        return datetime.datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise Refused(f"--since {text} is no time: write 24h, 30min, 7d, today, 2026-01-31 or 2026-01-31T03:00.") from None


def status() -> dict[str, str]:
    """What `auditctl -s` says, by its first words."""
    done = run("auditctl", "-s")
    if done.returncode:
        raise Refused(f"The kernel's audit system does not answer: {(done.stderr or done.stdout).strip()}")
    return {words[0]: words[1] for words in (line.split(maxsplit=1) for line in done.stdout.splitlines()) if len(words) == 2}


def baseline() -> int:
    """Records that were lost before the rules were loaded at this boot."""
    try:
        return int(json.loads(BASELINE.read_text())["lost"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def taken(since: float, now: float, settings: dict) -> report.Report:
    found = report.Report(settings["bots"], account, now)
    for event in records.events(records.read(since), since):
        found.take(event)
    return found


def declared() -> list[str]:
    """The rules that augenrules made one file of."""
    return [line for line in RULES.read_text().splitlines() if re.match(r"\s*-[aAw]\s", line)]


def loaded(wanted: int, attempts: int = 4) -> int:
    """How many rules the kernel has. A shorter list than `wanted` is asked for again: on a busy host answers get lost on their way out of the kernel."""
    for attempt in range(attempts):
        time.sleep(attempt)
        found = sum(line.startswith("-") for line in run("auditctl", "-l").stdout.splitlines())
        if found >= wanted:
            break
    return found


def problems(settings: dict, state: dict[str, str], found: report.Report, since: float) -> list[str]:
    """What does not hold, each with what to type."""
    said = []
    if state.get("enabled") not in ("1", "2"):
        said.append("nothing is recorded: sudo auditctl -e 1")
    if state.get("pid", "0") == "0":
        said.append("the audit daemon does not run: systemctl status auditd")
    wanted = len(declared())
    there = loaded(wanted)
    if there < wanted:
        locked = "they are locked until a reboot" if state.get("enabled") == "2" else "sudo botops-audit load says which"
        said.append(f"{wanted - there} of {wanted} rules are not loaded: {locked}")
    lost = int(state.get("lost", 0)) - baseline()
    if lost > 0:
        said.append(f"{lost} records were lost: raise auditd_backlog_limit ({state.get('backlog_limit')} now), or leave out what is loudest")
    for key, rate in found.over(since, settings["budget_mb_per_day"]).items():
        said.append(f"{key} makes {rate:.1f} MB a day, and all may make {settings['budget_mb_per_day']}: {advice(key)}")
    unwatched = sorted(path.name[4:] for path in pathlib.Path("/etc").glob("bot-*") if path.is_dir() and path.name[4:] not in settings["bots"])
    if unwatched:
        said.append(f"not watched: bot {', '.join(unwatched)}, which came after the rules: site.yml --tags auditd")
    return said


def advice(key: str) -> str:
    if key.startswith("type "):
        return f"the audit system's own records; ausearch -m {key[5:]} shows them"
    return f"ausearch -i -k {key} shows them, auditd_left_out: [{key}] leaves them out"


def looked(since: float, now: float) -> tuple[dict, report.Report, list[str]]:
    settings, state = config(), status()
    found = taken(since, now, settings)
    said = problems(settings, state, found, since)
    lost = int(state.get("lost", 0))
    value = {
        "time": datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "source": "botops-audit", "host": settings["host"],
        "verdict": "failed" if said else "ok", "problems": said, "lost": lost - baseline(), "lost_at_boot": baseline(),
        "backlog_limit": int(state.get("backlog_limit", 0)), "immutable": state.get("enabled") == "2", **found.evidence(since, settings["budget_mb_per_day"]),
    }  # fmt: skip
    return value, found, said


def show(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="botops-audit report", usage=USAGE)
    parser.add_argument("--since", default="24h")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    now = time.time()
    since = moment(given.since, now)
    value, found, said = looked(since, now)
    if given.json:
        print(json.dumps({**value, "report": {heading: lines for heading, lines in found.sections(config()["words"]) if lines}}, indent=2))
        return 0
    print(f"{value['host']}, from {report.clock(since)} on: {value['events']} events, {value['mb_per_day']:.1f} MB a day of {value['budget_mb_per_day']}")
    if found.first > since + 60:
        print(f"the log begins at {report.clock(found.first)}")
    for heading, lines in found.sections(config()["words"]):
        print(f"\n{heading[0].upper()}{heading[1:]}")
        print("\n".join(f"  {line}" for line in lines or ["nobody, nothing"]))
    print("\nHow much")
    for key, entry in list(value["keys"].items())[:10]:
        print(f"  {entry['mb_per_day']:8.2f} MB a day  {entry['events']:7} events  {key}")
    print("\n" + ("\n".join(f"! {line}" for line in said) if said else f"Nothing was lost ({value['lost_at_boot']} before the rules were loaded)."))
    return 0


def check(_argv: list[str]) -> int:
    now = time.time()
    value, _found, said = looked(now - report.DAY, now)
    print("\n".join(said) or f"ok: {value['mb_per_day']:.1f} MB a day of {value['budget_mb_per_day']}, nothing lost")
    return 1 if said else 0


def evidence(_argv: list[str]) -> int:
    """Written whole or not at all; what is wrong is said, and the unit fails, so that it rings where messages are sent."""
    now = time.time()
    value, _found, said = looked(now - report.DAY, now)
    temporary = EVIDENCE.with_name(f".{EVIDENCE.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    temporary.chmod(0o644)
    temporary.replace(EVIDENCE)
    print("\n".join(said) or "ok")
    return 1 if said else 0


def load(_argv: list[str]) -> int:
    """The rules into the kernel. One for a path that is gone is named and is no failure: the others hold."""
    before = status()
    if before.get("enabled") == "2":
        print("The rules are locked until the next boot, which loads what is in /etc/audit/rules.d.")
        return 0
    done = run("augenrules", "--load")
    state = status()
    BASELINE.parent.mkdir(parents=True, exist_ok=True)
    if not BASELINE.exists():
        BASELINE.write_text(json.dumps({"lost": int(state.get("lost", 0))}) + "\n")
    said = refusals(done.stdout + done.stderr, RULES.read_text().splitlines())
    gone = [line for line in said if "No such file or directory" in line]
    for line in said:
        print(line)
    if pid := int(state.get("pid", 0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 1)  # the daemon reads its own file again
    wanted = len(declared()) - len(gone)
    there = loaded(wanted)
    print(f"{there} of {len(declared())} rules are loaded")
    if there < wanted:
        raise Refused(f"{wanted - there} rules were not taken by the kernel.")
    return 0


def refusals(output: str, lines: list[str]) -> list[str]:
    """The rules that auditctl could not load, each with its reason."""
    found, reason = [], ""
    for line in output.splitlines():
        if number := re.search(r"error in line (\d+)", line):
            rule = lines[int(number[1]) - 1] if 0 < int(number[1]) <= len(lines) else "?"
            found.append(f"not loaded ({reason or 'no reason given'}): {rule}")
            reason = ""
        elif match := re.search(r"Error sending add rule data request \((.*)\)", line):
            reason = match[1]
        elif line.strip():
            reason = line.strip()
    return found


COMMANDS = {"report": show, "check": check, "evidence": evidence, "load": load}


def main() -> None:
    argv = sys.argv[1:]
    if not argv or argv[0] in ("-h", "--help") or argv[0] not in COMMANDS:
        print(USAGE)
        sys.exit(0 if argv[:1] in (["-h"], ["--help"]) else 2)
    try:
        sys.exit(COMMANDS[argv[0]](argv[1:]))
    except Refused as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except PermissionError as error:
        print(f"{error.filename}: only root may ({error.strerror})", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
