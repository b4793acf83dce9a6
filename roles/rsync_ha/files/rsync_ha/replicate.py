"""The active host's agent: keeps Litestream and rsync going and measures how far behind the peer is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

from . import litestream, plain_files, report, standby
from .common import Bot, Era, Refused, load_bot, notify, own_era, read_json, ring, say, sources, write_json
from .databases import Survey

STALL_SECONDS = 20
# A peer that refuses is asked more and more seldom, and one that comes back is noticed within this time.
MAX_SEND_PAUSE = 15.0


class Replica:
    """One database and its Litestream."""

    def __init__(self, bot: Bot, era: Era, relative: str):
        self.segment = litestream.Segment(bot, era, relative)
        self.process = None
        self.started_at = 0.0
        self.pause = 1.0
        # What was committed before this moment is on the peer.
        self.safe_at = time.time()
        self.txid = self.replicated = 0
        # The next start begins a new segment, whatever state the last one was left in.
        self.anew = False

    def keep(self, host_key: str) -> None:
        if self.process and self.process.poll() is not None:
            if self.pause == 1:
                say(f"{self.segment.relative}: Litestream ended with status {self.process.returncode}; starting it again")
            self.process = None
        if self.process is None and time.monotonic() - self.started_at > self.pause:
            # Litestream does not start while the peer is away.
            self.pause = min(20, self.pause * 2)
            self.started_at = time.monotonic()
            self.segment.open(anew=self.anew)
            self.anew = False
            self.segment.write_config(host_key)
            self.process = self.segment.start()
            peer = self.segment.bot.config["peer"]["name"]
            say(f"replicating {self.segment.relative} to {peer}: era {self.segment.era.id}, segment {self.segment.number}")

    def measure(self) -> None:
        """Ask for a sync; when it is answered, everything before the question is on the peer."""
        asked = time.time()
        self.txid, self.replicated = self.segment.sync(timeout=5)
        self.safe_at = asked
        self.pause = 1.0

    def stalled(self) -> bool:
        running = self.process and time.monotonic() - self.started_at > STALL_SECONDS
        return bool(running) and time.time() - self.safe_at > STALL_SECONDS

    def renew(self) -> None:
        """A new segment, and with it a snapshot."""
        self.end()
        self.anew, self.pause = True, 0.0

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def end(self) -> None:
        """Send what is there, end Litestream, and note how the files were left."""
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.measure()
        self.process.terminate()
        try:
            if self.process.wait(timeout=6) == 0:
                self.segment.close(self.replicated)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None


class Agent:
    def __init__(self, bot: Bot, era: Era):
        self.bot = bot
        self.era = era
        self.survey = Survey(bot)
        self.replicas: dict[str, Replica] = {}
        self.problems: dict[str, str] = {}
        self.files: tuple[list[str], int] = ([], 0)
        # Only keys that came through Ansible: the remembered one has to be among them.
        self.known_key = bot.root / "state" / "peer.json"
        remembered, keys = read_json(self.known_key).get("host_key"), bot.config["peer"]["host_keys"]
        self.host_key = remembered if remembered in keys else keys[0]
        self.proven = False
        self.stop = threading.Event()
        self.sources = sources()
        self.errors: dict[str, str] = {}
        # Of the files that were sent last: a pass that would send nothing is left out.
        self.sent: int | None = None
        self.files_at = 0.0
        self.heard_at = 0.0
        self.deleted_at = time.monotonic()
        self.guess_at, self.guess_pause = 0.0, 1.0
        self.send_pause = 0.0

    # --- databases

    def look(self) -> None:
        databases, files, self.problems = self.survey.look()
        self.files = (files, self.survey.fingerprint)
        # A database that vanished stays in the list: its Litestream waits for it.
        if new := sorted(set(databases) - set(self.replicas)):
            for name in new:
                self.replicas[name] = Replica(self.bot, self.era, name)
            self.write_record()

    def keep(self) -> None:
        for name, replica in self.replicas.items():
            replica.keep(self.host_key)
            if replica.process is None:
                continue
            try:
                replica.measure()
                self.heard_at = time.time()
                self.errors.pop(name, None)
                self.errors.pop("sftp", None)
                self.learn(self.host_key)
            except (OSError, ValueError, KeyError) as error:
                if time.monotonic() - replica.started_at > 2:
                    self.complain(name, f"not replicated: {error}")
            if replica.stalled() and time.time() - self.files_at < STALL_SECONDS / 2:
                # The peer answers rsync and not Litestream. A connection that a dead peer left open stays silent for minutes.
                say(f"{name}: no progress for {STALL_SECONDS} s: starting Litestream again")
                self.proven = False
                replica.kill()

    def renew_broken(self) -> None:
        """What the peer cannot restore is worth nothing, however little it lags."""
        for name, replica in self.replicas.items():
            reason = standby.told_broken(self.bot, replica.segment) if replica.process else None
            if reason:
                ring("warning", f"{name}: {self.bot.config['peer']['name']} cannot restore segment {replica.segment.number}, a new one begins: {reason}")
                replica.renew()

    def learn(self, host_key: str) -> None:
        """Of the peer's host keys Litestream is shown one; next time it is the first guess."""
        if not self.proven:
            self.proven = True
            write_json(self.known_key, {"host_key": host_key})

    def guess_again(self) -> None:
        """In the file thread: a peer that is away answers late, and Litestream must run from the bot's first write on."""
        if self.proven or not self.replicas or time.monotonic() < self.guess_at:
            return
        # Each guess is a connection a key: a peer that counts connections must not be kept from ever answering.
        self.guess_pause = min(60, 2 * self.guess_pause)
        self.guess_at = time.monotonic() + self.guess_pause
        try:
            key = litestream.find_host_key(litestream.Segment(self.bot, self.era, ".probe"))
            self.errors.pop("sftp", None)
        except OSError as error:
            self.complain("sftp", str(error))
            return
        self.guess_pause = 1.0
        self.learn(key)
        if key != self.host_key:
            self.host_key = key
            for replica in self.replicas.values():
                replica.kill()
                replica.pause = 0.0

    def end(self) -> None:
        for replica in self.replicas.values():
            replica.end()

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
            for name in self.replicas
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
            files, fingerprint = self.files
            if fingerprint != self.sent:
                plain_files.send_files(self.bot, files)
                self.sent = fingerprint
            if self.bot.config["propagate_deletions"] and time.monotonic() - self.deleted_at > 60:
                plain_files.drop_deleted(self.bot, list(self.replicas))
                self.deleted_at = time.monotonic()
            self.files_at, self.heard_at = started, time.time()
            self.errors.pop("files", None)
            self.send_pause = 0.0
        except OSError as error:
            self.complain("files", str(error))
            self.send_pause = min(MAX_SEND_PAUSE, max(1.0, 2 * self.send_pause))

    def status(self) -> dict:
        now = time.time()
        return {
            "bot": self.bot.name,
            "host": self.era.host,
            "era": self.era.id,
            "at": now,
            "databases": {
                name: {
                    "txid": replica.txid,
                    "replicated_txid": replica.replicated,
                    "segment": replica.segment.number,
                    "lag_seconds": round(now - replica.safe_at, 3),
                }
                for name, replica in dict(self.replicas).items()
            },
            "files": {"count": len(self.files[0]), "lag_seconds": round(now - self.files_at, 3) if self.files_at else None},
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
            self.guess_again()
            self.stop.wait(max(0.2, self.send_pause, self.bot.config["interval_seconds"] - (time.monotonic() - begun)))

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        looked = told = 0.0
        pause = max(0.2, self.bot.config["sync_interval_ms"] / 1000)
        self.look()
        threading.Thread(target=self.file_loop, daemon=True).start()
        self.keep()
        # Not after the first transfer: a peer that is away must not keep a bot from starting.
        notify("READY=1")
        while not self.stop.is_set():
            now = time.monotonic()
            if now - looked >= min(2, self.bot.config["interval_seconds"]):
                looked = now
                if sources() != self.sources:
                    say("the configuration changed: reading it again")
                    self.end()
                    os.execv(sys.executable, [sys.executable, *sys.argv])
                self.look()
                self.renew_broken()
            self.keep()
            if now - told >= 1:
                told = now
                report.publish_active(self.bot, self.status())
                notify("WATCHDOG=1")
            self.stop.wait(pause)
        notify("STOPPING=1")
        self.end()
        report.publish_active(self.bot, None)


def run_agent(name: str) -> None:
    bot = load_bot(name)
    era = own_era(bot)
    if era is None or not bot.marker.exists():
        raise Refused(f"{name} is not active on this host: start botops-promote@{name}.service first.")
    bot.account()
    Agent(bot, era).run()
