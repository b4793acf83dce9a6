"""The active host's agent: keeps Litestream and rsync going and measures how far behind the peer is."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import threading
import time

from . import litestream, plain_files, report
from .common import CONFIG, Bot, Era, Refused, load_bot, notify, own_era, read_json, say, write_json
from .databases import Survey

# A connection that a dead peer left open is silent for minutes; a new Litestream is not.
STALL_SECONDS = 20


class Agent:
    def __init__(self, bot: Bot, era: Era):
        self.bot = bot
        self.era = era
        self.survey = Survey(bot)
        self.databases: list[str] = []
        self.problems: dict[str, str] = {}
        self.files: list[str] = []
        self.process = None
        self.started_at = 0.0
        self.host_key = ""
        self.stop = threading.Event()
        self.sources = self.source_times()
        # What was committed before this moment is on the peer; one a database.
        self.safe_at: dict[str, float] = {}
        self.txids: dict[str, tuple[int, int]] = {}
        self.errors: dict[str, str] = {}
        self.files_at = 0.0
        self.heard_at = 0.0
        self.deleted_at = time.monotonic()

    @staticmethod
    def source_times() -> list[int]:
        code = pathlib.Path(__file__).parent
        return [path.stat().st_mtime_ns for path in [CONFIG, *sorted(code.glob("*.py"))]]

    # --- Litestream

    def find_host_key(self) -> None:
        if self.host_key:
            return
        reason = ""
        for key in self.bot.config["peer"]["host_keys"]:
            accepted, reason = litestream.host_key_accepted(self.bot, self.era, key)
            if accepted:
                self.host_key = key
                return
        raise OSError(f"SFTP to {self.bot.config['peer']['name']}: {reason}")

    def keep_litestream(self) -> None:
        databases, self.files, self.problems = self.survey.look()
        # A database that vanished stays in the list: Litestream waits for it.
        wanted = sorted(set(self.databases) | set(databases))
        if wanted != self.databases:
            self.databases = wanted
            now = time.time()
            self.safe_at = {name: self.safe_at.get(name, now) for name in wanted}
            self.write_record()
            self.end_litestream()
        if self.process and self.process.poll() is not None:
            say(f"Litestream ended with status {self.process.returncode}; starting it again")
            self.process = None
        if self.process is None and self.databases and time.monotonic() - self.started_at > 1:
            self.started_at = time.monotonic()
            self.find_host_key()
            config = litestream.write_config(self.bot, self.era, self.databases, self.host_key)
            (self.bot.run / "litestream" / "socket").unlink(missing_ok=True)
            self.process = litestream.start(self.bot, config)
            say(f"replicating {', '.join(self.databases)} to {self.bot.config['peer']['name']} as {self.era.id}")

    def end_litestream(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=8)
        except Exception:
            self.process.kill()
            self.process.wait()
        self.process = None

    def measure(self) -> None:
        """Ask for a sync of each database; when it is answered, everything before the question is on the peer."""
        for name in self.databases:
            asked = time.time()
            try:
                self.txids[name] = litestream.sync(self.bot, name, timeout=5)
                self.safe_at[name] = self.heard_at = time.time()
                self.safe_at[name] = asked
                self.errors.pop(name, None)
            except (OSError, ValueError, KeyError) as error:
                self.complain(name, f"not replicated: {error}")
        stalled = [name for name in self.databases if time.time() - self.safe_at[name] > STALL_SECONDS]
        if stalled and self.process and time.monotonic() - self.started_at > STALL_SECONDS:
            say(f"no progress for {STALL_SECONDS} s: starting Litestream again")
            self.host_key = ""
            self.process.kill()
            self.process.wait()
            self.process = None

    def complain(self, about: str, text: str) -> None:
        if self.errors.get(about) != text:
            say(f"{about}: {text}")
        self.errors[about] = text

    # --- records and files

    def write_record(self) -> None:
        """What the peer needs to know about this era."""
        path = self.bot.records / (self.era.id + ".json")
        record = read_json(path)
        record.pop("handover", None)
        record["databases"] = {
            name: {"mode": (self.bot.directory / name).stat().st_mode & 0o777}
            for name in self.databases
            if (self.bot.directory / name).exists()
        }
        write_json(path, record, 0o600)

    def heartbeat(self) -> None:
        write_json(self.bot.records / "heartbeat", self.status(), 0o600)

    def send(self) -> None:
        started = time.time()
        try:
            self.heartbeat()
            plain_files.send_records(self.bot)
            plain_files.send_files(self.bot, self.files)
            if self.bot.config["propagate_deletions"] and time.monotonic() - self.deleted_at > 60:
                plain_files.drop_deleted(self.bot, self.databases)
                self.deleted_at = time.monotonic()
            self.files_at, self.heard_at = started, time.time()
            self.errors.pop("files", None)
        except OSError as error:
            self.complain("files", str(error))

    def status(self) -> dict:
        now = time.time()
        return {
            "bot": self.bot.name,
            "host": self.era.host,
            "era": self.era.id,
            "at": now,
            "databases": {
                name: {
                    "txid": self.txids.get(name, (0, 0))[0],
                    "replicated_txid": self.txids.get(name, (0, 0))[1],
                    "lag_seconds": round(now - self.safe_at[name], 3),
                }
                for name in self.databases
            },
            "files": {"count": len(self.files), "lag_seconds": round(now - self.files_at, 3) if self.files_at else None},
            "peer_answered_seconds_ago": round(now - self.heard_at, 3) if self.heard_at else None,
            "unreplicated": self.problems,
            "errors": self.errors,
        }

    # --- the loop

    def file_loop(self) -> None:
        """A thread of its own: a long transfer of files must not delay the measuring of databases."""
        while not self.stop.is_set():
            begun = time.monotonic()
            self.send()
            self.stop.wait(max(0.2, self.bot.config["interval_seconds"] - (time.monotonic() - begun)))

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        sender = threading.Thread(target=self.file_loop, daemon=True)
        looked = told = 0.0
        pause = max(0.2, self.bot.config["sync_interval_ms"] / 1000)
        while not self.stop.is_set():
            now = time.monotonic()
            try:
                if now - looked >= min(2, self.bot.config["interval_seconds"]):
                    looked = now
                    if self.source_times() != self.sources:
                        say("the configuration changed: reading it again")
                        self.end_litestream()
                        os.execv(sys.executable, [sys.executable, *sys.argv])
                    self.keep_litestream()
                    self.errors.pop("litestream", None)
            except OSError as error:
                self.complain("litestream", str(error))
            if not sender.is_alive() and not self.stop.is_set():
                sender.start()
                notify("READY=1")
            if self.process:
                self.measure()
            if now - told >= 1:
                told = now
                report.publish_active(self.bot, self.status())
                notify("WATCHDOG=1")
            self.stop.wait(pause)
        notify("STOPPING=1")
        self.end_litestream()
        report.publish_active(self.bot, None)


def run_agent(name: str) -> None:
    bot = load_bot(name)
    era = own_era(bot)
    if era is None or not bot.marker.exists():
        raise Refused(f"{name} is not active on this host: start botops-promote@{name}.service first.")
    bot.account()
    Agent(bot, era).run()
