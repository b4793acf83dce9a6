"""What all parts share: where things lie, files that are whole or not there, commands with a time limit, words for times."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib

from compliance import commands

CONFIG = pathlib.Path("/etc/botops/compliance.json")
STATE = pathlib.Path("/var/lib/botops/compliance")
EVIDENCE = pathlib.Path("/var/lib/botops/evidence")
# Shared with the programs of other roles, and found here by the other modules of this one.
ENVIRONMENT, Done, read_json, run = commands.ENVIRONMENT, commands.Done, commands.read_json, commands.run


class Refused(Exception):
    """A sentence for the operator."""


def write_json(path: pathlib.Path, value: object, mode: int = 0o644) -> None:
    """Written whole and on disk; or Refused, with the file that was there before as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "w") as stream:
            os.fchmod(stream.fileno(), mode)
            json.dump(value, stream, indent=1, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise Refused(f"{path} could not be written ({error.strerror}); make room in {path.parent} and run botops-compliance run again.") from None


def read(path: str) -> str:
    """The text of a file; nothing where it cannot be read."""
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def patiently(argv: list[str], timeout: float) -> Done:
    """A long look that takes only what nobody else needs of processor and disk."""
    return run(["nice", "-n", "19", "ionice", "-c", "3", *argv], timeout)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: object) -> datetime.datetime | None:
    """A time as evidence writes it; nothing where it is none."""
    try:
        found = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


def ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
