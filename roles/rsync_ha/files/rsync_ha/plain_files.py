"""Files by rsync, over one SSH connection that the peer's forced command confines to one directory."""

from __future__ import annotations

import os
import pathlib
import shlex

from .common import Bot, Refused, last_words, run
from .databases import SIDE_FILES

GONE_WHILE_READ = 24  # rsync's status for files that vanished under it: the next pass knows
KNOWN_HOSTS = "/etc/botops/rsync_ha/known_hosts"
KEY = "/etc/botops/rsync_ha/id_ed25519"


def ssh(bot: Bot) -> list[str]:
    peer = bot.config["peer"]
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": bot.config.get("known_hosts", KNOWN_HOSTS),
        "GlobalKnownHostsFile": "/dev/null",
        "ConnectTimeout": "3",
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "3",
        # A handshake for each pass would cost more than the pass.
        "ControlMaster": "auto",
        "ControlPath": str(bot.run / "ssh"),
        "ControlPersist": "30",
    }
    argv = ["ssh", "-F", "/dev/null", "-p", str(peer["port"]), "-i", bot.config.get("key", KEY)]
    for name, value in options.items():
        argv += ["-o", f"{name}={value}"]
    return argv


def target(bot: Bot, below: str) -> str:
    address = bot.config["peer"]["address"]
    return f"{bot.config['rsync_user']}@{f'[{address}]' if ':' in address else address}:{bot.name}/{below}/"


def rsync(bot: Bot, options: list[str], source: pathlib.Path, below: str, timeout: float, feed: str | None = None) -> None:
    argv = ["rsync", "--timeout=10", "-e", shlex.join(ssh(bot)), *options, f"{source}/", target(bot, below)]
    if feed is None:
        done = run(argv, timeout=timeout)
    else:
        listing = bot.run / "files-from"
        listing.write_bytes(feed.encode(errors="surrogateescape"))
        done = run([*argv[:1], f"--files-from={listing}", "--from0", *argv[1:]], timeout=timeout)
    if done.returncode not in (0, GONE_WHILE_READ):
        raise OSError(f"rsync to {bot.config['peer']['name']}: {last_words(done)}")


def send_files(bot: Bot, files: list[str], timeout: float = 120) -> None:
    """Exactly the files that were looked into: nothing that appeared since could be a database."""
    if files:
        rsync(bot, ["--times", "--perms", "--delay-updates"], bot.directory, "files", timeout, "\0".join(files) + "\0")


def drop_deleted(bot: Bot, databases: list[str], timeout: float = 120) -> None:
    """Remove from the peer's copy what is gone here; sends nothing."""
    hidden = [f"--exclude={pattern}" for pattern in [*SIDE_FILES, *bot.find, *bot.exclude, *("/" + name for name in databases)]]
    rsync(bot, ["--recursive", "--delete", "--existing", "--ignore-existing", *hidden], bot.directory, "files", timeout)


def send_records(bot: Bot, timeout: float = 30) -> None:
    rsync(bot, ["--recursive", "--times", "--chmod=D700,F600"], bot.records, "records", timeout)


def put_in_place(bot: Bot, aside: pathlib.Path) -> list[str]:
    """Bring the received files into the bot's directory; what they replace goes to `aside`. Returns what was replaced."""
    source = bot.incoming / "files"
    if not source.is_dir() or not any(source.iterdir()):
        return []
    account = bot.account()
    argv = ["rsync", "-a", f"--chown={account.pw_uid}:{account.pw_gid}", "--checksum", "--backup", f"--backup-dir={aside}"]
    # Should a database have got here under another name, it stays here.
    for pattern in [*SIDE_FILES, *bot.find, *bot.databases]:
        argv.append(f"--exclude={pattern}")
    done = run([*argv, f"{source}/", f"{bot.directory}/"], timeout=3600)
    if done.returncode:
        raise Refused(f"The files of {bot.name} cannot be put in place: {last_words(done)}")
    return sorted(os.path.relpath(os.path.join(top, name), aside) for top, _unused, names in os.walk(aside) for name in names)
