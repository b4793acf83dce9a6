"""Litestream: its configuration, its control socket, and restores."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

from .common import LITESTREAM, Bot, Era, Refused, as_user, last_words, make_for_bot, own_by_bot, read_json, run, write_json

LTX = re.compile(r"^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$")
KEY = "/etc/botops/rsync_ha/id_ed25519"


# --- segments -------------------------------------------------------------------------------------------------
#
# While Litestream runs, its read transaction keeps the WAL from starting over. While it does not run and the bot writes,
# SQLite may checkpoint and start the WAL over, and what was written in between is nowhere Litestream looks: its next
# start would go on with a replica that lacks it. So a start goes on only where the files are exactly as they were left;
# otherwise it begins a new segment, which starts with a snapshot.


def signature(path: pathlib.Path) -> list:
    found: list = []
    for suffix in ("", "-wal"):
        try:
            with open(str(path) + suffix, "rb") as stream:
                info = os.fstat(stream.fileno())
                found += [info.st_ino, info.st_size, info.st_mtime_ns, stream.read(32).hex()]
        except FileNotFoundError:
            found.append(None)
    return found


@dataclasses.dataclass
class Segment:
    """One unbroken piece of a database's history within an era."""

    bot: Bot
    era: Era
    relative: str
    number: int = 0

    @property
    def source(self) -> pathlib.Path:
        return self.bot.directory / self.relative

    @property
    def replica(self) -> pathlib.Path:
        """Where it arrives on the other host."""
        return self.bot.replicas / self.era.id / f"{self.number:04d}" / self.relative

    @property
    def book(self) -> pathlib.Path:
        digest = hashlib.sha256(self.relative.encode()).hexdigest()[:12]
        return self.bot.root / "state" / f"{self.bot.name}-{digest}.json"

    @property
    def meta(self) -> pathlib.Path:
        return self.bot.meta(self.era) / f"{self.number:04d}" / self.relative

    @property
    def home(self) -> pathlib.Path:
        return self.bot.run / "litestream" / self.book.stem

    @property
    def config(self) -> pathlib.Path:
        return self.bot.run / (self.book.stem + ".yml")

    def last(self) -> dict:
        known = read_json(self.book)
        return known if known.get("era") == self.era.id else {}

    def open(self, anew: bool = False) -> Segment:
        """Go on where the last one was closed and nothing was written since; else, or when told to, begin the next one."""
        last = self.last()
        self.number = last.get("segment", 0)
        if anew or not (self.number and self.untouched()):
            # Litestream's own notes of the segment that ended.
            shutil.rmtree(self.meta, ignore_errors=True)
            self.number += 1
        write_json(self.book, {"era": self.era.id, "database": self.relative, "segment": self.number, "closed": None})
        return self

    def untouched(self) -> bool:
        closed = self.last().get("closed")
        return bool(closed) and closed["signature"] == signature(self.source)

    def close(self, replicated: int) -> None:
        """Litestream has ended in good order."""
        closed = {"txid": newest_txid(self.meta), "replicated": replicated, "signature": signature(self.source)}
        write_json(self.book, {"era": self.era.id, "database": self.relative, "segment": self.number, "closed": closed})

    # --- configuration

    def entry(self, replica: dict) -> dict:
        config = self.bot.config
        return {
            "path": str(self.source),
            "meta-path": str(self.meta),
            "monitor-interval": f"{max(50, config['sync_interval_ms'] // 2)}ms",
            # Ten times as often as SQLite, which checkpoints at 1000 pages: where the bot's own checkpoint comes first and the log starts
            # over, what was written since Litestream's last look is in no replica.
            "min-checkpoint-page-count": 100,
            "replica": {"sync-interval": f"{config['sync_interval_ms']}ms", **replica},
        }

    def sftp(self, host_key: str) -> dict:
        peer = self.bot.config["peer"]
        address = f"[{peer['address']}]" if ":" in peer["address"] else peer["address"]
        return {
            "type": "sftp",
            "host": f"{address}:{peer['port']}",
            "user": self.bot.config["sftp_user"],
            "key-path": str(self.home / "key"),
            "host-key": host_key,
            "path": f"/{self.bot.name}/{self.era.id}/{self.number:04d}/{self.relative}",
        }

    def write_config(self, host_key: str) -> None:
        """JSON is YAML. The private key is not in it: Litestream reads it from a file that only the bot's user can read."""
        bot = self.bot
        make_for_bot(bot, bot.run / "litestream")
        home = make_for_bot(bot, self.home)
        key = home / "key"
        if not key.exists():
            secret = pathlib.Path(bot.config.get("key", KEY)).read_bytes()
            with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as stream:
                own_by_bot(bot, key)
                stream.write(secret)
        # Root's parents, the bot's leaf: Litestream keeps what it has read of the WAL there.
        make_for_bot(bot, self.meta)
        text = {
            "socket": {"enabled": True, "path": str(home / "socket"), "permissions": 0o600},
            "logging": {"type": "json", "level": "warn"},
            "snapshot": {"interval": f"{bot.config['snapshot_hours']}h", "retention": f"{bot.config['retention_hours']}h"},
            "shutdown-sync-timeout": "5s",
            "dbs": [self.entry(self.sftp(host_key))],
        }
        self.config.write_text(json.dumps(text, indent=1) + "\n")

    # --- running

    def command(self, *words: str) -> list[str]:
        return [LITESTREAM, *words, "-no-expand-env", "-config", str(self.config)]

    def start(self) -> subprocess.Popen:
        (self.home / "socket").unlink(missing_ok=True)
        return subprocess.Popen(self.command("replicate"), stdin=subprocess.DEVNULL, cwd="/", **as_user(self.bot))

    def accepts(self, host_key: str) -> tuple[bool, str]:
        """Whether the peer shows this key to Litestream. It has several, and which one is shown is not ours to choose."""
        self.write_config(host_key)
        done = run([*self.command("ltx"), str(self.source)], timeout=8, cwd="/", **as_user(self.bot))
        return done.returncode == 0, last_words(done)

    def sync(self, timeout: int) -> tuple[int, int]:
        """Have everything that is committed now sent; return the local and the replicated transaction id."""
        connection = Socket(self.home / "socket", timeout + 1)
        body = json.dumps({"path": str(self.source), "wait": True, "timeout": timeout})
        try:
            connection.request("POST", "/sync", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(told.get("error") or f"HTTP {answer.status}")
        return told["txid"], told["replicated_txid"]

    def send_rest(self, host_key: str, timeout: float) -> None:
        """One run that ends when everything is on the peer."""
        self.write_config(host_key)
        done = run(self.command("replicate", "-once"), timeout=timeout, cwd="/", **as_user(self.bot))
        if done.returncode:
            raise OSError(f"the last transactions of {self.relative} cannot be sent: {last_words(done)}")
        end = newest_txid(self.meta)
        self.close(end)

    def capture_tail(self, scratch: pathlib.Path) -> int:
        """Read what is left in the WAL of a database that nobody writes; return its newest transaction id."""
        make_for_bot(self.bot, scratch)
        make_for_bot(self.bot, self.meta)
        # Litestream sends what its replica lacks from the first transaction on, and keeps the first ones for five minutes only: a replica
        # that begins with what there is has nothing to lack.
        kept, seed = self.meta / "ltx" / "0", scratch / "replica" / "ltx" / "0"
        if kept.is_dir():
            shutil.copytree(kept, seed)
            for path in (scratch / "replica", seed.parent, seed, *seed.iterdir()):
                own_by_bot(self.bot, path)
        config = scratch / "litestream.yml"
        config.write_text(json.dumps({"dbs": [self.entry({"type": "file", "path": str(scratch / "replica")})]}))
        config.chmod(0o644)
        argv = [LITESTREAM, "replicate", "-once", "-no-expand-env", "-config", str(config)]
        done = run(argv, timeout=600, cwd="/", **as_user(self.bot))
        if done.returncode:
            raise Refused(f"the write-ahead log of {self.source} cannot be read: {last_words(done)}")
        return newest_txid(self.meta)


def find_host_key(segment: Segment) -> str:
    reason = ""
    for key in segment.bot.config["peer"]["host_keys"]:
        accepted, reason = segment.accepts(key)
        if accepted:
            return key
    raise OSError(f"SFTP to {segment.bot.config['peer']['name']}: {reason}")


class Socket(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def newest_txid(directory: pathlib.Path) -> int:
    """The newest transaction in a directory of LTX files; 0 where there is none."""
    newest = 0
    for level in directory.glob("ltx/*"):
        for name in os.listdir(level):
            if match := LTX.match(name):
                newest = max(newest, int(match.group(2), 16))
    return newest


def replicated(bot: Bot, era: Era) -> dict[str, list[Segment]]:
    """The databases that arrived here of one era, by their path below the bot's directory; the newest segment first."""
    top = bot.replicas / era.id
    found: dict[str, list[Segment]] = {}
    for path in sorted(top.glob("*/**/ltx"), reverse=True):
        number, _unused, relative = str(path.parent.relative_to(top)).partition("/")
        if path.is_dir() and relative and number.isdigit():
            found.setdefault(relative, []).append(Segment(bot, era, relative, int(number)))
    return found


def restore(segment: Segment, target: pathlib.Path, check: str, txid: int | None = None) -> int:
    """Restore the newest state that arrived, or the one that a transaction left, and check it; return its transaction id."""
    until = [] if txid is None else ["-txid", f"{txid:016x}"]
    argv = [LITESTREAM, "restore", "-o", str(target), "-json", "-integrity-check", check, *until, f"file://{segment.replica}"]
    done = run(argv, timeout=3600)
    if done.returncode:
        raise Refused(f"{segment.replica} cannot be restored: {last_words(done)}")
    return int(json.loads(done.stdout[done.stdout.index("{") :])["txid"], 16)


def restore_newest(segments: list[Segment], target: pathlib.Path, check: str) -> tuple[int, int]:
    """The newest segment whose snapshot is complete; return its number and the transaction id."""
    reason = None
    for segment in segments:
        try:
            return segment.number, restore(segment, target, check)
        except Refused as error:
            reason = reason or error
            target.unlink(missing_ok=True)
    raise reason
