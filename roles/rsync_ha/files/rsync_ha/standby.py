"""The standby's watch: what has arrived is restored and checked again and again, so that its age is known before it is needed.

The replica may have everything and still be worthless: what cannot be restored is no copy. The watch says how old the newest state is
that restores, and when none does it tells the active host, which begins a new segment with a snapshot of its own.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time

from . import litestream, plain_files, report
from .common import Bot, Era, Refused, load_bot, load_config, notify, read_json, received_eras, ring, say, sources, write_json

# A check may take a quarter of the time at most: a large database is restored more seldom.
SHARE = 4
PAUSE_SECONDS = 1.0
# A replica is asked for a new snapshot after this long, and an operator is told.
BROKEN_SECONDS = 10
REPORT_SECONDS = 30


def arrived(segment: litestream.Segment) -> tuple[int, float]:
    """The newest transaction that arrived of a segment, and when."""
    newest = (0, 0.0)
    for path in segment.replica.glob("ltx/*/*.ltx"):
        if match := litestream.LTX.match(path.name):
            try:
                newest = max(newest, (int(match.group(2), 16), path.stat().st_mtime))
            except FileNotFoundError:
                continue  # compacted away while we looked
    return newest


class Watched:
    """One database as it arrives here."""

    def __init__(self, bot: Bot, relative: str, known: dict):
        self.bot, self.relative = bot, relative
        self.known = {"position": [0, 0], "covers": 0.0, "failed_since": None, "reason": None, "seconds": 0.0, "era": None, "segment": 0, **known}

    def look(self, era: Era, segments: list[litestream.Segment], said: dict) -> dict:
        """Restore it if something new arrived; return what is known now."""
        if self.known["era"] != era.id:
            self.known.update(era=era.id, position=[0, 0], failed_since=None, reason=None)
        number, (txid, at) = segments[0].number, arrived(segments[0])
        self.known["segment"] = number
        if self.known["failed_since"] or [number, txid] != self.known["position"]:
            self.restore(segments, number, at)
        told = said.get("databases", {}).get(self.relative, {})
        # The active host had written nothing newer when it said this.
        if told and said.get("era") == era.id and [told["segment"], told["txid"]] <= self.known["position"]:
            self.known["covers"] = max(self.known["covers"], said["at"])
        return self.known

    def restore(self, segments: list[litestream.Segment], newest: int, at: float) -> None:
        work = self.bot.root / "work" / f"{self.bot.name}-standby"
        started = time.monotonic()
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True, mode=0o700)
            size = sum(path.stat().st_size for path in (self.bot.directory / self.relative,) if path.exists())
            if shutil.disk_usage(work).free < 2 * size:
                raise Refused(f"{work} has no room to restore {self.relative}")
            position = list(litestream.restore_newest(segments, work / "restored.db", "quick"))
            if position[0] != newest:
                raise Refused(f"segment {newest} of {self.relative} cannot be restored, segment {position[0]} can")
        except (Refused, OSError) as error:
            self.known["failed_since"] = self.known["failed_since"] or time.time()
            self.known["reason"] = str(error)
        else:
            self.known.update(position=position, failed_since=None, reason=None, covers=max(self.known["covers"], at))
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self.known["seconds"] = round(time.monotonic() - started, 3)


class Watch:
    """All that arrives of one bot."""

    def __init__(self, bot: Bot):
        self.bot = bot
        self.due = self.told_at = 0.0
        self.rang = False

    def look(self) -> None:
        now = time.monotonic()
        received = received_eras(self.bot)
        if now < self.due or self.bot.marker.exists() or not received:
            return
        known = read_json(report.verdict_file(self.bot)).get("databases", {})
        said = read_json(self.bot.incoming / "records" / "heartbeat")
        found, taken = {}, 0.0
        for relative, segments in litestream.replicated(self.bot, received[0]).items():
            found[relative] = Watched(self.bot, relative, known.get(relative, {})).look(received[0], segments, said)
            taken += found[relative]["seconds"]
        verdict = {"era": received[0].id, "at": time.time(), "databases": found}
        write_json(report.verdict_file(self.bot), verdict)
        self.due = time.monotonic() + max(PAUSE_SECONDS, SHARE * taken)
        self.tell(verdict)

    def tell(self, verdict: dict) -> None:
        """The active host hears of it when something is wrong or right again, and now and then."""
        broken = {name: entry for name, entry in verdict["databases"].items() if report.failing(entry) >= BROKEN_SECONDS}
        if bool(broken) != self.rang:
            self.rang = bool(broken)
            self.told_at = 0.0
            if broken:
                ring("critical", f"the replica of {self.bot.name} cannot be restored on {self.bot.config['host']}: "
                     + "; ".join(f"{name}: {entry['reason']}" for name, entry in broken.items())
                     + ". The active host is asked for a new snapshot; look at `botops-rsync-ha status`.")  # fmt: skip
            else:
                ring("info", f"the replica of {self.bot.name} restores again on {self.bot.config['host']}")
        if time.monotonic() - self.told_at < (2 if broken else REPORT_SECONDS):
            return
        self.told_at = time.monotonic()
        write_json(self.bot.records / "restorable", verdict, 0o600)
        try:
            plain_files.send_records(self.bot, timeout=10)
        except OSError as error:
            # A peer that is away is not news here: its own heartbeat says so.
            self.told_at += REPORT_SECONDS if not broken else 0
            if broken:
                say(f"{self.bot.name}: the active host cannot be told: {error}")


def run_watch() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    config = load_config()
    for name in config["bots"]:
        # Where SSH puts its socket; /run is empty after a boot.
        load_bot(name, config).run.mkdir(parents=True, exist_ok=True)
    watches = [Watch(load_bot(name, config)) for name in sorted(config["bots"])]
    code = sources()
    notify("READY=1")
    while not stop.is_set():
        for watch in watches:
            watch.look()
            report.publish_passive(watch.bot, older_than=5)
        notify("WATCHDOG=1")
        if sources() != code:
            # systemd starts it again, with the new configuration.
            say("the configuration changed: starting anew")
            return
        stop.wait(PAUSE_SECONDS / 2)


def told_broken(bot: Bot, segment: litestream.Segment) -> str | None:
    """On the active host: why the peer cannot restore what it received of this very segment, or None."""
    verdict = read_json(bot.incoming / "records" / "restorable")
    entry = verdict.get("databases", {}).get(segment.relative, {})
    if verdict.get("era") != segment.era.id or entry.get("segment") != segment.number or not entry.get("failed_since"):
        return None
    return entry["reason"] if verdict["at"] - entry["failed_since"] >= BROKEN_SECONDS else None
