"""The commands of botops-status."""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import time

from botops_status import collect, common, mask, metrics, model, pages, peers

EXPLAIN = "exit status of `show`: 0 everything is all right, 1 something wants a look or is wrong, 2 it is not known."


def look(config: dict, now: float) -> dict:
    """The state of this host as it may be shown: without secrets, and without addresses unless they are asked for."""
    found = collect.everything(config, now)
    state = model.judged(mask.whole(found, mask.known(), config["show_addresses"]), config["limits"], config["host"], now)
    return {**state, "time": common.iso(now)}


def run(config: dict, quiet: bool) -> int:
    now = time.time()
    state = look(config, now)
    home, site = common.at(common.STATE), common.at(config["directory"])
    memory = model.remembered(common.read_json(home / "memory.json"), state)
    common.write(home / "memory.json", json.dumps(memory), 0o600)
    listed = common.read_json(common.at(f"{common.ETC}/peers.json")).get("peers") or []
    stale = config["stale_minutes"] * 60
    others = [{**model.peer_line(peer["name"], heard, stale, now), "url": peer["url"]} for peer, heard in zip(listed, peers.heard(listed).values())]
    secrets = mask.known() if listed else []
    others = [{**other, "line": mask.text(other["line"], secrets, config["show_addresses"])} for other in others]
    figures = metrics.text(state)
    texts = {
        **pages.everything(state, memory, others, config["stale_minutes"]),
        "metrics": figures,
        "state.json": json.dumps(state, indent=1, sort_keys=True) + "\n",
        "style.css": (common.pathlib.Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
    }
    for name, text in texts.items():
        common.write(site / name, text)
    if config["textfile_directory"]:
        common.write(common.at(config["textfile_directory"]) / "botops_status.prom", figures)
    if not quiet:
        show(state)
    return 0


def show(state: dict) -> None:
    for entry in sorted(state["checks"], key=lambda entry: -model.LEVELS.index(entry["level"])):
        print(
            f"{entry['level']:<8} {entry['area']:<11} {entry['title']}: {entry['words']}"
            + (f"  [{entry['advice']}]" if entry["level"] in ("failed", "warning") else "")
        )
    print(f"{state['time']} {state['host']}: {state['line']}")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="botops-status", description="Is everything all right on this host? Writes the status site.", epilog=EXPLAIN)
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="look now, and write pages and metrics; what the timer does")
    command.add_argument("--quiet", action="store_true")
    command = commands.add_parser("show", help="what the last look found")
    command.add_argument("--json", action="store_true")
    return top


def last(config: dict, as_json: bool) -> int:
    state = common.read_json(common.at(config["directory"]) / "state.json")
    if not state:
        raise common.Refused("Nobody has looked yet: sudo botops-status run.")
    if as_json:
        print(json.dumps(state, indent=1, sort_keys=True))
    else:
        show(state)
    age = time.time() - state["epoch"]
    if age > config["stale_minutes"] * 60:
        print(f"OLD: that was {common.ago(age)} ago; systemctl status botops-status.timer", file=sys.stderr)
        return 2
    return 0 if state["verdict"] == "ok" else 1


def main() -> None:
    arguments = parser().parse_args()
    try:
        config = common.read_json(common.at(f"{common.ETC}/config.json"))
        if not config:
            raise common.Refused(
                f"{common.at(common.ETC)}/config.json is missing or cannot be read: apply the role status_site to this host, and run this as root."
            )
        if arguments.command == "show":
            sys.exit(last(config, arguments.json))
        home = common.at(common.STATE)
        home.mkdir(parents=True, exist_ok=True)
        with open(home / "lock", "w") as handle:
            # The timer's look and one by hand follow one another.
            fcntl.flock(handle, fcntl.LOCK_EX)
            sys.exit(run(config, arguments.quiet))
    except common.Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(2)
    except PermissionError as error:
        print(f"{error.filename} may not be read or written by this user: run botops-status with sudo.", file=sys.stderr)
        sys.exit(2)
