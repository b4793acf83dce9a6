"""What all parts share: where things lie, the configuration, files that are whole or not there, words for times."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import subprocess

ETC = pathlib.Path("/etc/botops/notify")
STATE = pathlib.Path("/var/lib/botops/notify")
# Where events wait when the disk is full: to say so is what they are for.
SPARE = pathlib.Path("/run/botops/notify")
EVIDENCE = pathlib.Path("/var/lib/botops/evidence/notify.json")
SEVERITIES = ("info", "warning", "critical")
DEFAULTS = {"host": "", "destinations": [], "repeat_seconds": [60, 600, 3600], "max_per_hour": 60, "keep_hours": 72}
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Refused(Exception):
    """A sentence for the operator."""


def read_json(path: pathlib.Path) -> dict:
    """The object in a file; nothing where there is none, or where it is not whole."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: pathlib.Path, value: dict, mode: int = 0o600) -> None:
    """Written whole and on disk, or OSError and nothing changed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "w") as stream:
            os.fchmod(stream.fileno(), mode)
            json.dump(value, stream, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # A rename that is not on disk would be an event that a power cut takes back.
    with contextlib.suppress(OSError):
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def config() -> dict:
    return {**DEFAULTS, **read_json(ETC / "config.json")}


def addresses() -> dict:
    """`destinations`, {name: Apprise URL}, and `heartbeat`: a credential of the unit's, or root's own file."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return {"destinations": {}, "heartbeat": "", **read_json(pathlib.Path(given, "destinations") if given else ETC / "destinations.json")}


def rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def clock(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%H:%M:%S")


def iso(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def output(argv: list[str], timeout: float = 10) -> str:
    """What a command printed; nothing where it is missing, fails or takes longer than `timeout` seconds."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, timeout=timeout, stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
