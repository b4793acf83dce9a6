"""Litestream: its configuration, its control socket, and restores."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import socket
import subprocess

from .common import LITESTREAM, Bot, Era, Refused, as_user, last_words, make_for_bot, run

LTX = re.compile(r"^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$")
KEY = "/etc/botops/rsync_ha/id_ed25519"


def database_entry(bot: Bot, era: Era, relative: str, replica: dict) -> dict:
    config = bot.config
    interval = f"{config['sync_interval_ms']}ms"
    return {
        "path": str(bot.directory / relative),
        "meta-path": str(bot.meta(era) / relative),
        "monitor-interval": f"{max(50, config['sync_interval_ms'] // 2)}ms",
        # A snapshot an era is what a restore needs; more of them shorten it.
        "snapshot": {"interval": f"{config['snapshot_hours']}h", "retention": f"{config['retention_hours']}h"},
        "replica": {"sync-interval": interval, **replica},
    }


def sftp_replica(bot: Bot, era: Era, relative: str, host_key: str) -> dict:
    peer = bot.config["peer"]
    address = f"[{peer['address']}]" if ":" in peer["address"] else peer["address"]
    return {
        "type": "sftp",
        "host": f"{address}:{peer['port']}",
        "user": bot.config["sftp_user"],
        "key-path": str(bot.run / "litestream" / "key"),
        "host-key": host_key,
        "path": f"/{bot.name}/{era.id}/{relative}",
    }


def write_config(bot: Bot, era: Era, databases: list[str], host_key: str) -> pathlib.Path:
    """JSON is YAML. The private key is not in it: Litestream reads it from a file that only the bot's user can read."""
    home = make_for_bot(bot, bot.run / "litestream")
    key = home / "key"
    if not key.exists():
        secret = pathlib.Path(bot.config.get("key", KEY)).read_bytes()
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as stream:
            if os.geteuid() == 0:
                account = bot.account()
                os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)
            stream.write(secret)
    # Root's parents, the bot's leaf: Litestream keeps what it has read of the WAL there.
    make_for_bot(bot, bot.meta(era))
    text = {
        "socket": {"enabled": True, "path": str(home / "socket"), "permissions": 0o600},
        "logging": {"type": "json", "level": "info"},
        "shutdown-sync-timeout": "5s",
        "dbs": [database_entry(bot, era, name, sftp_replica(bot, era, name, host_key)) for name in databases],
    }
    path = bot.run / "litestream.yml"
    path.write_text(json.dumps(text, indent=1) + "\n")
    return path


def start(bot: Bot, config: pathlib.Path) -> subprocess.Popen:
    return subprocess.Popen(
        [LITESTREAM, "replicate", "-config", str(config), "-no-expand-env"], stdin=subprocess.DEVNULL, cwd="/", **as_user(bot)
    )


def host_key_accepted(bot: Bot, era: Era, host_key: str) -> tuple[bool, str]:
    """Whether the peer shows this key to Litestream. It has several, and which one is shown is Litestream's choice."""
    config = write_config(bot, era, [".probe"], host_key)
    done = run([LITESTREAM, "ltx", "-config", str(config), "-no-expand-env", str(bot.directory / ".probe")], timeout=8, **as_user(bot))
    return done.returncode == 0, last_words(done)


class Socket(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def sync(bot: Bot, relative: str, timeout: int) -> tuple[int, int]:
    """Have everything that is committed now sent; return the local and the replicated transaction id."""
    connection = Socket(bot.run / "litestream" / "socket", timeout + 1)
    body = json.dumps({"path": str(bot.directory / relative), "wait": True, "timeout": timeout})
    try:
        connection.request("POST", "/sync", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read() or b"{}")
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(told.get("error") or f"HTTP {answer.status}")
    return told["txid"], told["replicated_txid"]


def newest_txid(directory: pathlib.Path) -> int:
    """The newest transaction in a directory of LTX files; 0 where there is none."""
    newest = 0
    for level in directory.glob("ltx/*"):
        for name in os.listdir(level):
            if match := LTX.match(name):
                newest = max(newest, int(match.group(2), 16))
    return newest


def replicated(bot: Bot, era: Era) -> dict[str, pathlib.Path]:
    """The databases that arrived here of one era, by their path below the bot's directory."""
    top = bot.replicas / era.id
    return {str(path.parent.relative_to(top)): path.parent for path in sorted(top.glob("**/ltx")) if path.is_dir()}


def restore(replica: pathlib.Path, target: pathlib.Path, check: str) -> int:
    """Restore the newest state and check it; return its transaction id."""
    argv = [LITESTREAM, "restore", "-o", str(target), "-json", "-integrity-check", check, f"file://{replica}"]
    done = run(argv, timeout=3600)
    if done.returncode:
        raise Refused(f"{replica} cannot be restored: {last_words(done)}")
    return int(json.loads(done.stdout[done.stdout.index("{") :])["txid"], 16)


def capture_tail(bot: Bot, era: Era, relative: str, scratch: pathlib.Path) -> int:
    """Read what is left in the WAL of a database that nobody writes; return its newest transaction id."""
    make_for_bot(bot, scratch)
    config = scratch / "litestream.yml"
    entry = database_entry(bot, era, relative, {"type": "file", "path": str(scratch / "replica")})
    config.write_text(json.dumps({"dbs": [entry]}))
    config.chmod(0o644)
    done = run([LITESTREAM, "replicate", "-once", "-no-expand-env", "-config", str(config)], timeout=600, cwd="/", **as_user(bot))
    if done.returncode:
        raise Refused(f"the write-ahead log of {bot.directory / relative} cannot be read: {last_words(done)}")
    return newest_txid(bot.meta(era) / relative)


def final_sync(bot: Bot, config: pathlib.Path, timeout: float) -> subprocess.CompletedProcess:
    """Send what is left, then end."""
    return run([LITESTREAM, "replicate", "-once", "-no-expand-env", "-config", str(config)], timeout=timeout, cwd="/", **as_user(bot))
