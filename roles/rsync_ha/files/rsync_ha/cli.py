"""botops-rsync-ha: the data of a pair.

botops-rsync-ha status [BOT] [--json]      who is active, how far behind the other host is, what was kept aside
botops-rsync-ha promote BOT [--force]      make this host the active one (botops-promote@BOT.service does it)
botops-rsync-ha promote BOT --accept ERA   the same, from an older era that is complete here
botops-rsync-ha rewind BOT --at TIME       back to a moment, on the standby, out of what arrived here (--plan: only say to what)
botops-rsync-ha handover BOT               send the rest and end being active; the bot must have stopped
botops-rsync-ha eras BOT                   what arrived here
botops-rsync-ha offsite                    copy what arrived here to object storage (a timer does it)
botops-rsync-ha settle                     keep aside what the peer never had, drop what is old (a timer does it)
botops-rsync-ha watch                      restore what arrives, again and again (botops-rsync-ha-standby.service does it)
botops-rsync-ha run BOT                    replicate (botops-rsync-ha@BOT.service does it)
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from . import offsite, promote, replicate, report, rewind, standby
from .common import GaveWay, Refused, fail, load_bot, load_config, read_json, received_eras, say


def show_status(names: list[str], as_json: bool) -> None:
    config = load_config()
    known = []
    for name in names or sorted(config["bots"]):
        bot = load_bot(name, config)
        known.append({**report.passive(bot), "replication": read_json(bot.root / f"{name}.json").get("replication")})
    if as_json:
        say(json.dumps(known, indent=1, sort_keys=True))
        return
    for entry in known:
        role = "active" if entry["active"] else "standby"
        say(f"{entry['bot']}: {role} on {entry['host']}, own era {entry['own_era']}, received {entry['received_era']}")
        source = entry["replication"] if entry["active"] else entry["peer_said"]
        if source:
            for database, figures in source["databases"].items():
                say(f"  {database}: {figures['lag_seconds']} s behind, transaction {figures['replicated_txid']} of {figures['txid']}")
            say(f"  files: {source['files']['count']}, {source['files']['lag_seconds']} s since the last complete pass")
            for about, text in {**source["unreplicated"], **source["errors"]}.items():
                say(f"  PROBLEM {about}: {text}")
        if not entry["active"] and entry["heartbeat_age_seconds"] is not None:
            say(f"  the active host was heard {entry['heartbeat_age_seconds']} s ago")
        for database, figures in (entry["restorable"] or {"databases": {}})["databases"].items():
            if figures["unrestorable_seconds"]:
                say(f"  PROBLEM {database}: what arrived cannot be restored, since {figures['unrestorable_seconds']:.0f} s: {figures['reason']}")
            if figures["lag_seconds"] is not None:
                say(f"  {database}: the newest state that restores here is {figures['lag_seconds']:.1f} s old")
        for path in entry["diverged"]:
            say(f"  DIVERGED {path} (report: {path}.json)")


def housekeeping(names: list[str]) -> None:
    for name in names:
        try:
            promote.settle(name)
            for path in promote.prune(name):
                say(f"{name}: removed {path}, which newer ones have replaced")
        except GaveWay:
            say(f"{name}: housekeeping made room for a promotion; it comes again")
        finally:
            report.publish_passive(load_bot(name))


def main() -> None:
    parser = argparse.ArgumentParser(prog="botops-rsync-ha", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["status", "promote", "rewind", "handover", "eras", "settle", "watch", "offsite", "run"])
    parser.add_argument("bot", nargs="?", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--accept", default="", metavar="ERA")
    parser.add_argument("--at", default="", metavar="TIME", help="such as 2026-01-31T02:00:30Z")
    parser.add_argument("--plan", action="store_true", help="change nothing")
    parser.add_argument("--force", action="store_true", help="the other host is known to be off")
    args = parser.parse_args()
    try:
        if args.command == "status":
            return show_status([args.bot] if args.bot else [], args.json)
        if args.command == "settle":
            return housekeeping([args.bot] if args.bot else sorted(load_config()["bots"]))
        if args.command == "watch":
            return standby.run_watch()
        if args.command == "offsite":
            return offsite.run_all()
        if not args.bot:
            parser.error(f"{args.command} needs the name of a bot")
        if args.command == "promote":
            result = promote.promote(args.bot, args.accept, args.force)
        elif args.command == "rewind":
            if not args.at:
                parser.error("rewind needs --at TIME")
            result = rewind.rewind(args.bot, args.at, args.plan)
        elif args.command == "handover":
            result = promote.handover(args.bot)
        elif args.command == "eras":
            result = [era.id for era in received_eras(load_bot(args.bot))]
        else:
            return replicate.run_agent(args.bot)
        if args.json or args.command == "eras":
            say(json.dumps(result, indent=1))
    except Refused as error:
        fail(str(error))
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return None
