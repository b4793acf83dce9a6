"""Making a host the active one, handing over, and looking at what an old active host still has. Deletes no data."""

from __future__ import annotations

import pathlib
import shutil
import time

from . import litestream, plain_files, report
from .common import Bot, Era, Refused, load_bot, locked, make_for_bot, own_era, read_json, received_eras, received_records, say, stamp, undisturbed, write_json
from .databases import COMPANIONS, Survey, child, count_rows, refuse_if_open, set_aside

# Row counts are compared in a handover of databases up to this size; transaction ids always.
COUNT_ROWS_BELOW = 512 << 20
LIVE_SECONDS = 15


# --- promotion ----------------------------------------------------------------------------------------------


def promote(name: str, accept: str = "", force: bool = False) -> dict:
    bot = load_bot(name)
    bot.account()
    if not bot.directory.is_dir():
        raise Refused(f"{bot.directory} does not exist on this host: deploy {name} here first.")
    started = time.monotonic()
    with locked(bot):
        if bot.marker.exists():
            say(f"{name} is active here already, as {own_era(bot).id}")
            return {"action": "none", "era": own_era(bot).id}
        result = decide(bot, accept, force)
        bot.marker.write_text(result["era"] + "\n")
    result["seconds"] = round(time.monotonic() - started, 3)
    write_json(bot.reports / f"{name}-promotion-{stamp()}.json", result)
    say(f"{name}: {result['action']}, {result['era']}, {result['seconds']} s")
    return result


def decide(bot: Bot, accept: str, force: bool) -> dict:
    """Whose data is newest: this host's or the peer's?"""
    own, received = own_era(bot), received_eras(bot)
    newest = received[0] if received else None
    if accept:
        newest = Era.parse(accept)
        if newest not in received:
            raise Refused(f"Nothing of era {accept} arrived here; there are: {', '.join(era.id for era in received) or 'none'}.")
    elif newest is None or (own is not None and own >= newest):
        return keep(bot, own)
    guard(bot, newest, force)
    return take_over(bot, own, newest)


def keep(bot: Bot, own: Era | None) -> dict:
    state = read_json(bot.state_file)
    if own is not None and not state.get("handover"):
        return {"action": "kept local data", "era": own.id}
    # After a handover the peer may hold a promise about this era that further writes would break.
    parent = {"id": own.id, "databases": state["handover"]} if own else None
    return {"action": "kept local data", "era": begin(bot, parent).id}


def guard(bot: Bot, newest: Era, force: bool) -> None:
    """Without a cluster nobody has switched the other host off: at least it must be silent."""
    heartbeat = read_json(bot.incoming / "records" / "heartbeat")
    age = time.time() - heartbeat.get("at", 0)
    if bot.config["managed_by"] == "cluster" or force or received_records(bot).get(newest, {}).get("handover"):
        return
    if age < LIVE_SECONDS:
        raise Refused(
            f"{newest.host} was active {age:.0f} s ago: stop {bot.name} there first (systemctl stop botops-rsync-ha@{bot.name} "
            f"botops-promote@{bot.name} after the bot), or wait {LIVE_SECONDS} s and make sure that it is off."
        )


def take_over(bot: Bot, own: Era | None, newest: Era) -> dict:
    """Restore everything beside what is there, check it, and only then exchange the two."""
    record = received_records(bot).get(newest, {})
    replicas = litestream.replicated(bot, newest)
    missing = sorted(set(record.get("databases", {})) - set(replicas))
    if missing or not (record or replicas):
        raise Refused(
            f"{newest.host} wrote era {newest.id}, and of {', '.join(missing) or 'its databases'} nothing arrived here. To go on with older "
            f"data: botops-rsync-ha promote {bot.name} --accept ERA (botops-rsync-ha eras {bot.name} lists them)."
        )
    now = stamp()
    for relative in replicas:
        refuse_if_open(bot.directory / relative)
    work = bot.directory / f".rsync_ha-{now}"
    work.mkdir(mode=0o700)
    restored = {}
    try:
        for relative, segments in replicas.items():
            candidate = work / relative
            candidate.parent.mkdir(parents=True, exist_ok=True)
            restored[relative] = list(litestream.restore_newest(segments, candidate, bot.config["integrity_check"]))
        check_handover(bot, newest, record.get("handover") or {}, restored, work)
        kept = put_databases_in_place(bot, work, list(restored), own, now, record)
    finally:
        # Candidates only: what was exchanged has left this directory.
        shutil.rmtree(work, ignore_errors=True)
    replaced = plain_files.put_in_place(bot, bot.root / "aside" / bot.name / now)
    era = begin(bot, {"id": newest.id, "databases": restored}, at_least=newest.number)
    report_diverged(bot, own, newest, kept, restored)
    return {
        "action": f"took over from {newest.host}", "era": era.id, "from_era": newest.id, "databases": restored, "kept": kept,
        "files_replaced": replaced, "handover": bool(record.get("handover")),
    }  # fmt: skip


def put_databases_in_place(bot: Bot, work: pathlib.Path, names: list[str], own: Era | None, now: str, record: dict) -> dict[str, dict]:
    """Exchange what is here for what was restored in `work`; return what was kept aside of each, and as what. `record` is the peer's of the era."""
    label, kept = aside_label(bot, own), {}
    for relative in names:
        final = bot.directory / relative
        make_parents(bot, final.parent)
        verdict = label(relative)
        moved = set_aside(final, f"{verdict}-{now}")
        (work / relative).rename(final)
        shutil.chown(final, bot.user, bot.account().pw_gid)
        final.chmod(record.get("databases", {}).get(relative, {}).get("mode", 0o640))
        if moved:
            kept[relative] = {"path": str(moved), "verdict": verdict}
    return kept


def report_diverged(bot: Bot, own: Era | None, newest: Era, kept: dict[str, dict], positions: dict[str, list[int]]) -> None:
    """Adds, to each diverged copy that was kept, the path of its report."""
    for relative, entry in kept.items():
        if entry["verdict"] == "diverged":
            entry["report"] = explain(bot, own, newest, relative, pathlib.Path(entry["path"]), bot.directory / relative, None, positions[relative])


def make_parents(bot: Bot, directory: pathlib.Path) -> None:
    if directory != bot.directory and not directory.exists():
        make_parents(bot, directory.parent)
        make_for_bot(bot, directory, 0o750)


def check_handover(bot: Bot, newest: Era, handover: dict, restored: dict[str, list[int]], work: pathlib.Path) -> None:
    """A position is a segment and a transaction in it."""
    for relative, said in handover.items():
        position = restored.get(relative, [0, 0])
        if position != said["position"]:
            raise Refused(
                f"{relative}: {newest.host} handed over at {said['position']} (segment, transaction) and {position} is what arrived here. Nothing was changed. "
                f"Start {bot.name} on {newest.host} again, or wait for the rest."
            )
        if said.get("rows") is not None:
            rows = count_rows(str(work / relative))
            if rows != said["rows"]:
                raise Refused(f"{relative}: {newest.host} handed over {said['rows']} rows and {rows} were restored. Nothing was changed.")


def aside_label(bot: Bot, own: Era | None):
    """`superseded` only where it is certain that the peer had everything; otherwise `diverged`."""
    state = read_json(bot.state_file)
    if own is not None and state.get("settled") == own.id:
        return lambda relative: "superseded"
    handover = state.get("handover") or {}
    parent = (ancestor(bot, own) or {}).get("databases", {}) if own else {}

    def label(relative: str) -> str:
        at = handover.get(relative, {}).get("position")
        if own is not None and at is not None and parent.get(relative) in (None, at):
            return "superseded"
        return "diverged"

    return label


def ancestor(bot: Bot, own: Era | None) -> dict | None:
    """The point of this host's era from which the peer went on."""
    for record in received_records(bot).values():
        if own is not None and (record.get("parent") or {}).get("id") == own.id:
            return record["parent"]
    return None


def begin(bot: Bot, parent: dict | None, at_least: int = 0, databases: dict | None = None) -> Era:
    """A new era of this host, above all that it knows of. `databases` is what the peer has to wait for before it starts with its own data."""
    known = [era.number for era in [own_era(bot), *received_eras(bot)] if era] + [at_least, 0]
    era = Era(max(known) + 1, int(time.time()), bot.config["host"])
    if parent:
        parent = {"id": parent["id"], "databases": {k: v["position"] if isinstance(v, dict) else v for k, v in parent["databases"].items()}}
    record = {"era": era.id, "host": era.host, "parent": parent, "databases": databases or {}}
    bot.records.mkdir(parents=True, exist_ok=True)
    write_json(bot.records / (era.id + ".json"), record, 0o600)
    write_json(bot.state_file, {"era": era.id, "parent": parent, "handover": None})
    return era


# --- handover -----------------------------------------------------------------------------------------------


def handover(name: str) -> dict:
    """The bot has stopped: send the rest and say at which transaction it ends. A peer that is away is no failure."""
    bot = load_bot(name)
    started = time.monotonic()
    with locked(bot):
        era = own_era(bot)
        if era is None or not bot.marker.exists():
            say(f"{name} is not active here: there is nothing to hand over")
            return {"action": "none"}
        result = {"action": "handover", "era": era.id, "complete": False, "databases": {}}
        try:
            result["databases"] = hand_over(bot, era)
            result["complete"] = True
        except (OSError, Refused) as error:
            result["reason"] = str(error)
        state = read_json(bot.state_file)
        state["handover"] = result["databases"] if result["complete"] else None
        write_json(bot.state_file, state)
        bot.marker.unlink(missing_ok=True)
    result["seconds"] = round(time.monotonic() - started, 3)
    write_json(bot.reports / f"{name}-handover-{stamp()}.json", result)
    say(f"{name}: handover " + (f"complete, {result['seconds']} s" if result["complete"] else f"incomplete: {result['reason']}"))
    report.publish_active(bot, None)
    return result


def rows_of(bot: Bot, path: pathlib.Path) -> dict[str, int]:
    # With a WAL SQLite makes a file beside it, which must belong to the bot's user.
    if pathlib.Path(str(path) + "-wal").exists():
        return child(bot, "count_rows", path)
    return count_rows(str(path))


def hand_over(bot: Bot, era: Era) -> dict:
    databases, files, problems = Survey(bot).look()
    ends, host_key = {}, ""
    for relative in databases:
        refuse_if_open(bot.directory / relative)
        segment = litestream.Segment(bot, era, relative)
        last = segment.last()
        closed = last.get("closed")
        segment.number = last.get("segment", 0)
        if not (closed and segment.untouched() and closed["replicated"] == closed["txid"]):
            host_key = host_key or litestream.find_host_key(segment.open())
            segment.send_rest(host_key, timeout=20)
            closed = segment.last()["closed"]
        small = (bot.directory / relative).stat().st_size < COUNT_ROWS_BELOW
        rows = rows_of(bot, bot.directory / relative) if small else None
        # Litestream's word is not taken for it: the peer compares what it restored.
        ends[relative] = {"position": [segment.number, closed["txid"]], "rows": rows}
    plain_files.send_files(bot, files, timeout=30)
    path = bot.records / (era.id + ".json")
    write_json(path, {**read_json(path), "handover": ends}, 0o600)
    plain_files.send_records(bot, timeout=10)
    return ends


# --- an old active host that came back ----------------------------------------------------------------------


def settle(name: str) -> dict | None:
    """Where the peer went on without this host: keep aside what the peer never had, and say what it is."""
    bot = load_bot(name)
    with locked(bot, housekeeping=True):
        own, received = own_era(bot), received_eras(bot)
        if bot.marker.exists() or own is None or not received or received[0] <= own:
            return None
        state = read_json(bot.state_file)
        if state.get("settled") == own.id:
            return None
        parent = ancestor(bot, own)
        newest = received[0]
        replicas = litestream.replicated(bot, newest)
        databases, _unused, problems = Survey(bot).look()
        if parent is None or any(name not in replicas for name in databases):
            return None  # more is about to arrive
        result = {"action": "settled", "era": own.id, "newest": newest.id, "databases": {}}
        if went_on_where_we_ended(state, parent):
            # Looking closer would add a transaction of Litestream's own, and call it a difference.
            state["settled"] = own.id
            write_json(bot.state_file, state)
            return {**result, "databases": {name: {"verdict": "in order"} for name in state["handover"]}}
        for relative in databases:
            result["databases"][relative] = settle_database(bot, own, newest, relative, parent["databases"].get(relative, [0, 0]), replicas[relative])
        state["settled"] = own.id
        write_json(bot.state_file, state)
    for relative, entry in result["databases"].items():
        say(f"{name}: {relative} {entry['verdict']}" + (f", kept as {entry['kept']}" if entry.get("kept") else ""))
    return result


def went_on_where_we_ended(state: dict, parent: dict) -> bool:
    """After a handover that the peer took up at the very transactions at which it was made."""
    ends = {name: list(entry["position"]) for name, entry in (state.get("handover") or {}).items()}
    return bool(ends) and ends == {name: list(position) for name, position in parent["databases"].items()}


def settle_database(bot: Bot, own: Era, newest: Era, relative: str, parent: list[int], segments: list) -> dict:
    path = bot.directory / relative
    refuse_if_open(path)
    work = bot.root / "work" / bot.name
    shutil.rmtree(work, ignore_errors=True)
    make_for_bot(bot, work)
    try:
        segment = litestream.Segment(bot, own, relative)
        segment.number = segment.last().get("segment", 0)
        end = [segment.number, segment.capture_tail(work / "tail") if segment.number else 0]
        survivor = work / "survivor.db"
        litestream.restore_newest(segments, survivor, "none")
        shutil.chown(survivor, bot.user)
        differences = child(bot, "compare", path, survivor, timeout=600)
        missing = any(table["only_here"] for table in differences.values())
        # The survivor has gone on changing its rows: a difference in one counts only where transactions are missing, too.
        changed = any(table["changed_here"] for table in differences.values())
        result = {"position": end, "peer_went_on_at": parent}
        if not (missing or (changed and end > parent)):
            return {"verdict": "in order", **result}
        with undisturbed():
            kept = set_aside(path, f"diverged-{stamp()}")
            told = explain(bot, own, newest, relative, kept, survivor, end, parent, differences)
        return {"verdict": "diverged", **result, "kept": str(kept), "report": told}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def explain(
    bot: Bot, own: Era | None, newest: Era, relative: str, kept: pathlib.Path, survivor: pathlib.Path,
    end: list[int] | None, parent: list[int], differences: dict | None = None,
) -> str:  # fmt: skip
    """The report about a diverged copy: what is in it that the surviving database does not have."""
    try:
        differences = differences or child(bot, "compare", kept, survivor, timeout=600)
    except Refused as error:
        differences = {"error": str(error)}
    text = {
        "bot": bot.name,
        "database": relative,
        "kept": str(kept),
        "found_at": stamp(),
        "era": own.id if own else None,
        "position": end,
        "continued_by": newest.host,
        "continued_in": newest.id,
        "continued_at_position": parent,
        "tables": differences,
        "what_to_do": "Rows in `only_here` and `changed_here` were written on this host and never reached the peer. Compare them with the exchange's record.",
    }
    path = kept.with_name(kept.name + ".json")
    write_json(path, text, 0o600)
    write_json(bot.reports / f"{bot.name}-diverged-{stamp()}.json", text, 0o600)
    return str(path)


# --- what nobody needs any more -----------------------------------------------------------------------------


def prune(name: str) -> list[str]:
    """Old eras and superseded copies beyond the newest ones. Never a diverged copy, never anything while the newest era does not restore."""
    bot = load_bot(name)
    with locked(bot, housekeeping=True):
        received, own = received_eras(bot), own_era(bot)
        # An era that arrived has restored here before anything older goes; where this host wrote the newest one, that is in its place.
        known = report.restorable(bot) or {}
        proven = received and known.get("era") == received[0].id and not any(e["unrestorable_seconds"] for e in known["databases"].values())
        ours = bot.marker.exists() or (own is not None and (not received or own >= received[0]))
        if not (proven or ours):
            return []
        old = [bot.replicas / era.id for era in received[bot.config["keep_eras"]:]]
        metas = bot.root / "meta" / bot.name
        old += [path for path in metas.glob("*") if own is None or path.name != own.id]
        copies = report.aside(bot, "superseded")
        gone = [pathlib.Path(path) for path in sorted(copies, key=lambda path: path.rpartition("-")[2], reverse=True)[bot.config["keep_superseded"]:]]
        removed = [str(path) for path in old if path.is_dir()] + list(map(str, gone))
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        for path in gone:
            for suffix in COMPANIONS:
                pathlib.Path(str(path) + suffix).unlink(missing_ok=True)
    return removed
