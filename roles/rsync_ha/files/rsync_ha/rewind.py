"""Back to a moment: on the standby, the newest state not later than it, out of what arrived here.

A program that wrote nonsense wrote it to the replica, too; but a replica is a history. What came after the moment is lost to the bot and
to nobody else: the host that wrote it finds at its next look-round that the pair went on without it, and keeps its copy aside with a report.
"""

from __future__ import annotations

import datetime
import pathlib
import shutil
import struct
import time

from . import litestream, plain_files
from .common import Bot, Era, Refused, load_bot, locked, own_era, read_json, received_eras, received_records, say, stamp, write_json
from .databases import count_rows, refuse_if_open
from .promote import LIVE_SECONDS, begin, put_databases_in_place, report_diverged

# The head of an LTX file (github.com/superfly/ltx): magic, flags, page size, pages, first and last transaction, when the last was written in ms.
HEAD = struct.Struct(">4sIIIQQq")


def parse_moment(text: str) -> float:
    """ISO 8601, down to the minute or finer; without a zone it is UTC."""
    try:
        moment = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        raise Refused(f"at: {text!r} is no time; write it like 2026-01-31T02:00:30Z.") from None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()
    if at > time.time():
        raise Refused(f"at: {text} is yet to come.")
    return at


def iso(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def history(segment: litestream.Segment) -> list[tuple[float, int]]:
    """When each state was written that this segment can be restored to, and the transaction that ends it; oldest first."""
    found = set()
    for path in segment.replica.glob("ltx/*/*.ltx"):
        try:
            with open(path, "rb") as stream:
                head = stream.read(HEAD.size)
        except FileNotFoundError:
            continue  # compacted away while we looked
        if len(head) == HEAD.size and head.startswith(b"LTX1"):
            _magic, _flags, _size, _pages, _first, last, milliseconds = HEAD.unpack(head)
            found.add((milliseconds / 1000, last))
    return sorted(found)


def written_by(bot: Bot, at: float) -> Era:
    """The era in which the pair wrote at a moment, if it is one that arrived here."""
    # This host's own eras are on the other one.
    own = {era for path in bot.records.glob("*.json") if (era := Era.parse(path.stem)) and era.host == bot.config["host"]}
    begun = [era for era in {*received_eras(bot), *own} if era.started_at <= at]
    if not begun:
        oldest = min((era.started_at for era in received_eras(bot)), default=None)
        raise Refused(f"at: nothing of {iso(at)} arrived here; " + (f"the oldest is of {iso(oldest)}." if oldest else "nothing at all has."))
    era = max(begun)
    if era in own:
        raise Refused(f"{bot.config['host']} itself wrote at {iso(at)}, and what it wrote went to {bot.config['peer']['name']}: go back there.")
    return era


def restore(bot: Bot, era: Era, at: float, work: pathlib.Path) -> dict[str, dict]:
    """Each database of the era as it was: position, when its last transaction was written, and rows."""
    found = {}
    replicas = litestream.replicated(bot, era)
    there = sum(path.stat().st_size for relative in replicas if (path := bot.directory / relative).exists())
    if shutil.disk_usage(work).free < 2 * there:
        raise Refused(f"{work.parent} has no room to restore {', '.join(replicas)} beside what is there: {2 * there} bytes are needed.")
    for relative, segments in replicas.items():
        for segment in segments:
            fitting = [entry for entry in history(segment) if entry[0] <= at]
            if fitting:
                break
        else:
            raise Refused(f"at: {relative} of {iso(at)} is not here any more; what is older than {bot.config['retention_hours']} h goes.")
        written, txid = fitting[-1]
        target = work / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        litestream.restore(segment, target, bot.config["integrity_check"], txid)
        found[relative] = {"position": [segment.number, txid], "written": written, "rows": count_rows(str(target))}
    if not found:
        raise Refused(f"at: no database of era {era.id} arrived here.")
    return found


def rewind(name: str, text: str, plan: bool = False) -> dict:
    """Make this host's data that of a moment and the newest of the pair, so that the next promotion here goes on with it."""
    bot, at, begun = load_bot(name), parse_moment(text), time.monotonic()
    with locked(bot):
        era = written_by(bot, at)
        if not plan:
            refuse_while_it_runs(bot)
        work = bot.directory / f".rsync_ha-rewind-{stamp()}"
        work.mkdir(mode=0o700)
        try:
            found = restore(bot, era, at, work)
            result = {"action": "would rewind" if plan else "rewound", "to": iso(at), "from_era": era.id, "databases": found}
            if not plan:
                result.update(put_in_place(bot, era, work, found))
        finally:
            shutil.rmtree(work, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - begun, 3)
    tell(name, at, result)
    if not plan:
        write_json(bot.reports / f"{name}-rewind-{stamp()}.json", result)
    return result


def refuse_while_it_runs(bot: Bot) -> None:
    """Whoever writes on would write into a history that nobody goes on with."""
    after = f"botops-rsync-ha@{bot.name} and botops-promote@{bot.name} after it"
    if bot.marker.exists():
        raise Refused(f"{bot.name} is active here: stop it first, and {after}.")
    peer, received = bot.config["peer"]["name"], received_eras(bot)
    age = time.time() - read_json(bot.incoming / "records" / "heartbeat").get("at", 0)
    if age < LIVE_SECONDS and not received_records(bot).get(received[0], {}).get("handover"):
        raise Refused(f"{peer} was active {age:.0f} s ago: stop {bot.name} there first, and {after}; or wait {LIVE_SECONDS} s and make sure that it is off.")


def put_in_place(bot: Bot, era: Era, work: pathlib.Path, found: dict[str, dict]) -> dict:
    now, own = stamp(), own_era(bot)
    for relative in found:
        refuse_if_open(bot.directory / relative)
    record = received_records(bot).get(era, {})
    kept = put_databases_in_place(bot, work, list(found), own, now, record)
    files = plain_files.put_in_place(bot, bot.root / "aside" / bot.name / now)
    positions = {relative: entry["position"] for relative, entry in found.items()}
    # Above everything that either host wrote: the other one, when it comes, finds that the pair went on from the moment.
    databases = {relative: {"mode": (bot.directory / relative).stat().st_mode & 0o777} for relative in found}
    began = begin(bot, {"id": era.id, "databases": positions}, databases=databases)
    try:
        # A peer that knows of it does not start with what it has.
        plain_files.send_records(bot, timeout=10)
    except OSError as error:
        say(f"{bot.name}: {bot.config['peer']['name']} cannot be told and would go on with its own data: start {bot.name} here. ({error})")
    report_diverged(bot, own, era, kept, positions)
    return {"era": began.id, "kept": kept, "files_replaced": files}


def tell(name: str, at: float, result: dict) -> None:
    for relative, entry in result["databases"].items():
        rows = ", ".join(f"{count} {table}" for table, count in entry["rows"].items())
        say(f"{name}: {relative} as of {iso(entry['written'])}, {at - entry['written']:.1f} s before the moment: {rows or 'no tables'}")
    for relative, entry in result.get("kept", {}).items():
        say(f"{name}: {relative} that was here is kept as {entry['path']}")
    if "era" in result:
        say(f"{name}: this host has the newest data now, {result['era']}, {result['seconds']} s. Plain files are as they arrived last. Start {name} HERE.")
