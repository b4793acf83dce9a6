"""The commands of botops-compliance."""

from __future__ import annotations

import argparse
import fcntl
import json
import platform
import shutil
import subprocess
import sys
import time
import traceback

from compliance import common, content, host, model, promises, scanners

# Of the results of all judges, and what they keep while they work.
ROOM_MB = 64
EXPLAIN = """exit status: 0 when the score is reached, nothing of high severity fails and no waiver has ended; 1 when one of these is not so;
2 when it could not be looked at."""


def look_at_host(config: dict) -> list[dict]:
    """Each part by itself: one that cannot be looked at is a control that fails, and the others are judged all the same."""
    result = []
    for look in (*host.LOOKS, promises.look):
        try:
            result += look(config["declared"], config["limits"])
        except Exception as error:  # noqa: BLE001 - whatever a host may hold
            traceback.print_exc()
            name = look.__name__.removeprefix("look_") if look is not promises.look else "promises"
            said = f"{type(error).__name__}: {error}"
            result.append(model.control(f"looked:{name}", "This part of the host could be looked at", "an answer", said, False, "high"))
    return result


def run(config: dict, quiet: bool, names: list[str]) -> int:
    common.STATE.mkdir(parents=True, exist_ok=True)
    common.EVIDENCE.mkdir(parents=True, exist_ok=True)
    if said := scanners.enough_room(ROOM_MB):
        raise common.Refused(said + "; make room and run it again.")
    begun, moment = time.monotonic(), common.now()
    controls, seconds = look_at_host(config), {}
    seconds["botops"] = round(time.monotonic() - begun, 1)
    for name in names:
        since = time.monotonic()
        controls += scanners.ask(name, config)
        seconds[name] = round(time.monotonic() - since, 1)
    controls = model.judged(controls, config["waivers"], moment.date(), ["botops", *names])
    points = model.score(controls)
    before = common.read_json(common.EVIDENCE / "compliance.json")
    problems = model.verdict(controls, points, config["limits"]["score"])
    counts = model.counts(controls)
    entry = {"time": common.iso(moment), "score": points, **counts}
    record = {
        "source": "botops-compliance", "host": config["host"], "time": common.iso(moment), "verdict": "failed" if problems else "ok", "problems": problems,
        "score": points, "minimum": config["limits"]["score"], "counts": counts, "sources": model.by_source(controls), "seconds": seconds,
        "controls": controls, "history": model.history(before.get("history") or [], entry, moment),
    }  # fmt: skip
    common.write_json(common.EVIDENCE / "compliance.json", record)
    found = model.worse(before.get("controls") or [], controls)
    tell(model.message(config["host"], found, points, before.get("score", points)), bool(counts["fail"]))
    if not quiet:
        show(record, True)
    return 1 if problems else 0


def tell(message: dict | None, failing: bool) -> None:
    """Without the role notify nobody is told, and nothing waits."""
    command = "/usr/local/sbin/botops-notify"
    if not shutil.which(command):
        return
    if message:
        argv = [command, message["severity"], message["subject"], "--body", message["body"], "--key", "compliance"]
    elif not failing:
        argv = [command, "info", "compliance: every control holds", "--clears", "compliance"]
    else:
        return
    subprocess.run(argv, check=False, timeout=60, stdin=subprocess.DEVNULL, env=common.ENVIRONMENT)


def show(record: dict, failing: bool) -> None:
    order = {"fail": 0, "waived": 1, "not_applicable": 2, "pass": 3}
    for entry in sorted(record["controls"], key=lambda entry: (order[entry["status"]], -model.SEVERITIES.index(entry["severity"]), entry["id"])):
        if failing and entry["status"] not in ("fail", "waived"):
            continue
        line = f"{entry['status'].upper().replace('_', ' '):<14} {entry['severity']:<6} {entry['id']}: {entry['actual']} (expected {entry['expected']})"
        if waiver := entry["waiver"]:
            line += f" [waiver until {waiver['until']}, {waiver['owner']}: {waiver['reason']}]"
        print(line)
    for source, found in record["sources"].items():
        points = "no verdict" if found["score"] is None else f"{found['score']} %"
        print(f"{source}: {points}, {found['pass']} hold, {found['fail']} fail, {found['waived']} waived, {found['not_applicable']} do not apply")
    print(f"{record['time']} {record['host']}: {record['score']} % (at least {record['minimum']} %)" + "".join(f"; {text}" for text in record["problems"]))


def parser() -> argparse.ArgumentParser:
    words = "Is this host what was declared of it, and what do judges from outside say?"
    top = argparse.ArgumentParser(prog="botops-compliance", description=words, epilog=EXPLAIN)
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="look now, keep the evidence, tell what became worse")
    command.add_argument("--own", action="store_true", help="without the judges from outside: seconds instead of minutes; not kept")
    command.add_argument("--quiet", action="store_true")
    commands.add_parser("content", help="bring the SCAP content that describes this release, where its own package does not")
    command = commands.add_parser("show", help="what the last run found")
    command.add_argument("--failing", action="store_true", help="only what fails or is waived")
    command.add_argument("--json", action="store_true")
    return top


def own_only(config: dict) -> int:
    controls = model.judged(look_at_host(config), config["waivers"], common.now().date(), ["botops"])
    points = model.score(controls)
    problems = model.verdict(controls, points, config["limits"]["score"])
    show({"controls": controls, "sources": model.by_source(controls), "time": common.iso(common.now()), "host": config["host"], "score": points,
          "minimum": config["limits"]["score"], "problems": problems}, True)  # fmt: skip
    return 1 if problems else 0


def bring_content() -> int:
    """Prints `changed` for whoever calls."""
    system = platform.freedesktop_os_release()
    codename = system.get("VERSION_CODENAME", "")
    brought = codename in content.DESCRIBED_IN and content.fetch(codename, scanners.content_name())
    print("changed: SCAP content was brought" if brought else "unchanged")
    return 0


def main() -> None:
    arguments = parser().parse_args()
    try:
        config = common.read_json(common.CONFIG)
        if not config:
            raise common.Refused(f"{common.CONFIG} is missing or cannot be read: apply the role compliance to this host, and run this as root.")
        if arguments.command == "content":
            sys.exit(bring_content())
        if arguments.command == "show":
            record = common.read_json(common.EVIDENCE / "compliance.json")
            if not record:
                raise common.Refused("Nobody has looked yet: botops-compliance run.")
            if arguments.json:
                print(json.dumps(record, indent=1, sort_keys=True))
            else:
                show(record, arguments.failing)
            sys.exit(1 if record["problems"] else 0)
        if arguments.own:
            sys.exit(own_only(config))
        common.STATE.mkdir(parents=True, exist_ok=True)
        with open(common.STATE / "lock", "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise common.Refused("Another run looks at this host right now: journalctl -fu botops-compliance.") from None
            sys.exit(run(config, arguments.quiet, config["scanners"]))
    except common.Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(2)
