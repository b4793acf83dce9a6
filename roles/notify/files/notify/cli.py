"""The command: what it is told, it writes down and returns; the delivery is a unit of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import syslog
import time

# The rest is brought where it is used: a storm of messages is a storm of starts.
from notify import common, mask, spool

USAGE = """\
botops-notify SEVERITY SUBJECT [--body TEXT | --body -] [--key KEY] [--clears KEY]
        Tell whoever is to be told. SEVERITY is info, warning or critical. Returns at once, whatever the providers do. Events with the
        same key (SEVERITY and SUBJECT where none is given) are one message and a count. --clears: the trouble with that key is over.
botops-notify unit UNIT      a message about a unit that failed
botops-notify test [--wait SECONDS] [DESTINATION ...]
        One message of each severity through each destination, whatever its minimum, and which of them arrived.
botops-notify status [--failing]    destinations, what waits, and why
botops-notify check          whether Apprise understands the configured addresses
botops-notify threshold WHAT LEVEL    what monit calls; botops-notify probe WHAT: what monit asks
botops-notify deliver        what the unit botops-notify-deliver.service runs"""


def tell(severity: str, subject: str, body: str, key: str = "", clears: str = "", **more) -> int:
    # Before it is cut to its length: half a secret would not be known for one.
    event = spool.event(severity, mask.mask(subject), mask.mask(body), key, clears, **more)
    syslog.openlog("botops-notify")
    syslog.syslog({"info": syslog.LOG_INFO, "warning": syslog.LOG_WARNING, "critical": syslog.LOG_ERR}[event["severity"]], event["subject"])
    try:
        spool.put(event)
    except OSError as error:
        raise common.Refused(f"The message could not be written down ({error.strerror}); it is in the journal: journalctl -t botops-notify.") from None
    return 0


def message(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="botops-notify", usage=USAGE)
    parser.add_argument("severity")
    parser.add_argument("subject")
    parser.add_argument("--body", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--clears", default="")
    parser.add_argument("from_stdin", nargs="?", choices=["-"])
    given = parser.parse_args(argv)
    body = sys.stdin.read(20000) if "-" in (given.from_stdin, given.body) else given.body
    return tell(given.severity, given.subject, body, given.key, given.clears)


def about_unit(argv: list[str]) -> int:
    if len(argv) != 1:
        raise common.Refused("Name one unit: botops-notify unit bot-paper.service.")
    from notify import unit

    if unit.is_being_deployed(argv[0], time.time()):
        print(f"{argv[0]} is being deployed: the deployment tells how that went", flush=True)
        return 0
    found = unit.described(argv[0], common.config()["host"])
    return tell(found["severity"], found["subject"], found["body"], found["key"])


def threshold(argv: list[str]) -> int:
    """For monit, whose words are in its environment: WHAT warning, WHAT critical, or WHAT over LEVEL."""
    if len(argv) not in (2, 3) or argv[1] not in ("warning", "critical", "over"):
        raise common.Refused("Write botops-notify threshold WHAT warning, or critical, or over LEVEL.")
    from notify import thresholds

    words = os.environ.get("MONIT_DESCRIPTION", "")
    return tell(**thresholds.message(argv[0], argv[1], argv[2] if len(argv) > 2 else "", words, common.config()["host"], time.time()))


def probe(argv: list[str]) -> int:
    """Exit status 0 and what was found, or 1 (warning) or 2 (critical); what changed is told."""
    from notify import probes, thresholds

    if len(argv) != 1 or argv[0] not in probes.PROBES:
        raise common.Refused(f"Write botops-notify probe and one of {', '.join(sorted(probes.PROBES))}.")
    limits = common.read_json(common.ETC / "thresholds.json")
    worst = 0
    for found, changed in probes.run(argv[0], limits, time.time()):
        print(f"{found.level or 'ok'}: {found.words}")
        worst = max(worst, probes.LEVELS.index(found.level))
        for level, over in changed:
            # A bot's answer is of several kinds, and names its own.
            what = found.what if argv[0] == "bots" else ":".join(filter(None, (argv[0], found.what)))
            tell(**thresholds.message(what, "over" if over else level, level, found.words, common.config()["host"], time.time()))
    return worst


def test(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="botops-notify test")
    parser.add_argument("--wait", type=float, default=60)
    parser.add_argument("destinations", nargs="*")
    given = parser.parse_args(argv)
    known = {entry["name"]: entry for entry in common.config()["destinations"]}
    for name in given.destinations:
        if name not in known:
            raise common.Refused(f"There is no destination {name!r}; there are {', '.join(known) or 'none'}.")
    asked = {}
    for name in given.destinations or known:
        for severity in common.SEVERITIES:
            body = f"A test of the destination {name}. Nothing is wrong, and nothing is to be done."
            asked[spool.put(spool.event(severity, f"test of {severity} messages", body, only=name)).name] = (name, severity)
    deadline = time.monotonic() + given.wait
    left = set(asked)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left &= set(spool.waiting())
    state = common.read_json(common.STATE / "state.json").get("destinations", {})
    for path, (name, severity) in asked.items():
        usual = "" if common.rank(severity) >= common.rank(known[name]["severity"]) else f" (outside a test only {known[name]['severity']} and above)"
        if path in left:
            spool.remove(path)
            why = state.get(name, {}).get("last_error") or "the delivery did not get to it: systemctl status botops-notify-deliver"
            print(f"{name}: {severity} did NOT arrive within {given.wait:.0f} s: {why}")
        else:
            print(f"{name}: {severity} arrived{usual}")
    return 1 if left else 0


def login(_argv: list[str]) -> int:
    """For PAM, which says in the environment who it is and where from."""
    if os.environ.get("PAM_TYPE") == "open_session":
        who, place = os.environ.get("PAM_USER", "?"), os.environ.get("PAM_RHOST", "?")
        tell("info", f"{who} logged in from {place}", f"host: {common.config()['host']}\ntype:\n  last -5 {who}", f"login:{who}:{place}")
    return 0


def status(argv: list[str]) -> int:
    """With --failing, exit status 1 where a destination takes nothing."""
    from notify import plan

    config, state = common.config(), common.read_json(common.STATE / "state.json")
    waiting = spool.waiting()
    for entry in config["destinations"]:
        row = {**plan.fresh_destination(), **state.get("destinations", {}).get(entry["name"], {})}
        count = sum(entry["name"] in event.get("to", {}).get("names", []) for event in waiting.values())
        words = f"{entry['name']}: from {entry['severity']}, {row['sent']} sent, {count} wait"
        if row["failing_since"]:
            words += f", failing since {common.iso(row['failing_since'])}: {row['last_error']}"
        print(words + (f", {row['lost']} given up" if row["lost"] else ""))
    for event in waiting.values():
        print(f"waits since {common.iso(event['time'])}: {event['severity']} {event['subject']}")
    failing = [row for row in state.get("destinations", {}).values() if row["failing_since"]]
    return 1 if "--failing" in argv and failing else 0


def check(_argv: list[str]) -> int:
    """Exit status 1 and a sentence for each address that this host's Apprise does not understand. The address is not shown."""
    import logging

    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    urls = common.addresses()["destinations"]
    bad = [name for name, url in sorted(urls.items()) if not apprise.Apprise().add(url)]
    for name in bad:
        print(f"notify_destinations: the url of {name} is not one that Apprise {apprise.__version__} of this host understands", file=sys.stderr)
    print(json.dumps({"understood": sorted(set(urls) - set(bad))}))
    return 1 if bad else 0


def carry(_argv: list[str]) -> int:
    from notify import deliver

    deliver.run()
    return 0


COMMANDS = {"unit": about_unit, "threshold": threshold, "probe": probe, "test": test, "status": status, "check": check, "login": login, "deliver": carry}


def main() -> None:
    argv = sys.argv[1:]
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if argv else 2)
    try:
        sys.exit(COMMANDS[argv[0]](argv[1:]) if argv[0] in COMMANDS else message(argv))
    except common.Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(2)
