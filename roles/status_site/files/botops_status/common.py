"""What all parts share: where things lie, files that are whole or not there, commands with a time limit, words for times."""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib

from botops_status import commands

ROOT = pathlib.Path(os.environ.get("BOTOPS_STATUS_ROOT", "/"))
ETC = "etc/botops/status_site"
STATE = "var/lib/botops/status_site"
EVIDENCE = "var/lib/botops/evidence"
# Shared with the programs of other roles, and found here by the other modules of this one.
Done, read_json = commands.Done, commands.read_json


class Refused(Exception):
    """A sentence for the operator."""


def at(path: str) -> pathlib.Path:
    """A path of the host; below another root in tests."""
    return ROOT / path.lstrip("/")


def read(path: str) -> str:
    """The text of a file of the host; nothing where it cannot be read."""
    try:
        return at(path).read_text(errors="replace")
    except OSError:
        return ""


def write(path: pathlib.Path, text: str, mode: int = 0o644) -> None:
    """Whole, or not at all: whoever reads meets the old text or the new one. Raises Refused with what to do."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise Refused(f"{path} could not be written ({error.strerror}); make room in {path.parent} and run botops-status run again.") from None


def run(argv: list[str], timeout: float = 10) -> Done:
    """Nobody waits a minute for a page."""
    return commands.run(argv, timeout)


def iso(epoch: float) -> str:
    """Seconds since 1970 as evidence writes a time."""
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: object) -> float | None:
    """Seconds since 1970 of a time as evidence writes it; nothing where it is none."""
    try:
        found = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)).timestamp()


def ago(seconds: float) -> str:
    """A duration in words, as short as it can be read."""
    seconds = abs(seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"
