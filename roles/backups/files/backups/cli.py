"""The commands of botops-backup."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys

from . import checks, drill, restore, save
from .common import STATE, Refused, complain, fresh_directory, load_config, locked, say, size
from .restic import repositories


def initialize(config: dict) -> int:
    """Makes repositories that are not there, and gives each the key for the safe. Prints `changed` for whoever calls."""
    changed = False
    for repository in repositories(config):
        if not repository.exists():
            repository.must("init", doing="making it")
            say(f"changed: made repository {repository.name}")
            changed = True
        if repository.known_keys():
            continue
        ids = {"host": repository.key_of()}
        if repository.recovery:
            ids["recovery"] = repository.key_of(repository.recovery)
            if not ids["recovery"]:
                add_recovery_key(repository)
                ids["recovery"] = repository.key_of(repository.recovery)
                say(f"changed: {repository.name} has a recovery key")
                changed = True
        repository.remember_keys(**ids)
    if not changed:
        say("unchanged")
    return 0


def add_recovery_key(repository) -> None:
    """In a file for the time of the command: never in a command line."""
    path = STATE / "new-key"
    path.touch(mode=0o600)
    try:
        path.write_text(repository.recovery)
        repository.must("key", "add", "--new-password-file", str(path), doing="adding the recovery key")
    finally:
        path.unlink()


def show_list(config: dict, bot: str, as_json: bool) -> int:
    lines = restore.listing(config, bot)
    if as_json:
        print(json.dumps(lines))
        return 0
    form = "{time:<21} {bot:<12} {repository:<12} {snapshot:<9} {size:>10} {rows:>9}  {release:<14} {note}"
    say(form.format(time="taken", bot="bot", repository="repository", snapshot="snapshot", size="dumps", rows="rows", release="release", note="verified"))
    for line in lines:
        note = line["verified"] or ("INCOMPLETE" if line["incomplete"] else "UNREADABLE" if line["unreadable"] else "-")
        say(form.format(**{**line, "size": size(line["bytes"]), "release": line["release"][:14] or "-"}, note=note))
    return 0


def bring_back(config: dict, arguments) -> int:
    repository, snapshot = restore.choose(config, arguments.bot, arguments.at, arguments.repository, arguments.snapshot)
    work = restore.Restore(config, arguments.bot, repository, snapshot, arguments.source, arguments.path)
    if arguments.beside:
        return extract(work, pathlib.Path(arguments.beside))
    plan = work.plan()
    if arguments.json:
        print(json.dumps(plan))
    else:
        restore.show(plan)
    work.refuse(plan)
    if arguments.plan:
        return 0
    result = work.carry_out()
    for line in [*(f"kept aside: {path}" for path in result["replaced"]), *result["also"]]:
        say(f"  {line}")
    say(f"{arguments.bot} is back: {result['rows']} rows and keys, equal to the manifest, after {result['seconds']} s. Start it when you have looked.")
    return 0


def rebuild(config: dict, bots: list[str], at: str) -> int:
    """What a host that lost everything gets back before anything is started: the data of each bot that has none here. Prints `changed` for whoever calls."""
    for bot in bots:
        here = restore.data_here(config, bot)
        if here:
            say(f"{bot}: {here} is there and is left alone")
            continue
        repository, snapshot = restore.choose(config, bot, at)
        work = restore.Restore(config, bot, repository, snapshot, "data")
        plan = work.plan()
        restore.show(plan)
        work.refuse(plan)
        result = work.carry_out()
        say(f"changed: {bot} is back: {result['rows']} rows, equal to the manifest, after {result['seconds']} s")
        for entry in work.manifest["sources"]:
            if entry["type"] in ("postgresql", "redis"):
                say(f"{bot}: {entry['type']} {entry['name']} waits for its server: playbooks/restore.yml -e bot={bot} -e source={entry['type']}")
    return 0


def extract(work, target: pathlib.Path) -> int:
    """Beside, and nothing else: for looking into it while the bot runs."""
    if target.exists():
        raise Refused(f"beside: {target} exists; give a directory that does not.")
    fresh_directory(target)
    work.repository.restore(work.snapshot, str(target), [work.path] if work.path and not work.entries else None)
    results = checks.check(target, {**work.manifest, "sources": work.entries})
    problems = [f"{line['type']} {line['name']}: {problem}" for line in results for problem in line["problems"]]
    for problem in problems:
        complain(problem)
    say(f"Snapshot {work.snapshot['short_id']} lies in {target}" + (", with problems" if problems else ", equal to its manifest"))
    return 1 if problems else 0


def pass_on(config: dict, name: str, words: list[str]) -> int:
    repository = repositories(config, name)[0]
    os.execvpe("restic", ["restic", *repository.options, *words], {**os.environ, **repository.extra})


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="botops-backup", description="Backups of this host's bots, and their way back.")
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="save now, into every repository")
    command.add_argument("bot", nargs="?", default="")
    command.add_argument("--repository", default="", help="only into this one; says nothing to the evidence")
    command.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for a run that is under way")
    command = commands.add_parser("list", help="what there is: when, size, rows, verified when")
    command.add_argument("bot", nargs="?", default="")
    command.add_argument("--json", action="store_true")
    command = commands.add_parser("restore", help="bring a bot back; --plan shows and changes nothing")
    command.add_argument("bot")
    command.add_argument("--at", default="", help="the newest state not later than this, such as 2026-01-31T02:00Z")
    command.add_argument("--source", default="", help=", ".join(restore.KINDS))
    command.add_argument("--path", default="", help="one file or directory")
    command.add_argument("--repository", default="")
    command.add_argument("--snapshot", default="")
    command.add_argument("--beside", default="", metavar="DIRECTORY", help="put it there and exchange nothing; the bot may run")
    command.add_argument("--plan", action="store_true")
    command.add_argument("--json", action="store_true")
    command = commands.add_parser("rebuild", help="bring back the data of each of these bots that has none here")
    command.add_argument("bots", nargs="+")
    command.add_argument("--at", default="", help="the newest state not later than this")
    commands.add_parser("drill", help="restore the newest snapshots into a sandbox, and sign what was found")
    command = commands.add_parser("check", help="is anything older than it may be?")
    command.add_argument("--repositories", action="store_true", help="look into the repositories, too")
    commands.add_parser("init", help="make repositories that are not there")
    command = commands.add_parser("restic", help="restic itself: botops-backup restic REPOSITORY snapshots")
    command.add_argument("repository")
    command.add_argument("words", nargs=argparse.REMAINDER)
    return top


def main() -> None:
    arguments = parser().parse_args()
    try:
        config = load_config()
        if arguments.command == "run":
            with locked("a backup", arguments.wait):
                status = save.save(config, arguments.bot, arguments.repository)
        elif arguments.command == "drill":
            with locked("a restore drill", 600):
                status = drill.drill(config)
        elif arguments.command == "restore" and arguments.plan:
            status = bring_back(config, arguments)
        elif arguments.command == "restore":
            with locked(f"a restore of {arguments.bot}"):
                status = bring_back(config, arguments)
        elif arguments.command == "rebuild":
            with locked("a rebuild", 600):
                status = rebuild(config, arguments.bots, arguments.at)
        elif arguments.command == "list":
            status = show_list(config, arguments.bot, arguments.json)
        elif arguments.command == "check":
            status = drill.check(config, arguments.repositories)
        elif arguments.command == "init":
            with locked("the making of repositories", 600):
                status = initialize(config)
        else:
            status = pass_on(config, arguments.repository, arguments.words)
    except Refused as error:
        complain(str(error))
        status = 1
    sys.exit(status)
