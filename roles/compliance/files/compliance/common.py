"""What all parts share: where things lie, files that are whole or not there, commands with a time limit, words for times."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import subprocess

CONFIG = pathlib.Path("/etc/botops/compliance.json")
STATE = pathlib.Path("/var/lib/botops/compliance")
EVIDENCE = pathlib.Path("/var/lib/botops/evidence")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}


class Refused(Exception):
    """A sentence for the operator."""


def read_json(path: pathlib.Path) -> dict:
    """The object in a file; nothing where there is none, or where it is not whole."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


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


class Done:
    """How a command ended: `status` (127 where it is missing, 124 where it took too long), `out` and the last line of what it said."""

    def __init__(self, status: int, out: str, err: str = "") -> None:
        self.status, self.out, self.err = status, out, err
        self.last = next((line.strip() for line in reversed((err or out).splitlines()) if line.strip()), "")


def run(argv: list[str], timeout: float = 60, cwd: pathlib.Path | None = None) -> Done:
    """`timeout` in seconds. Never a shell, never standard input."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", check=False, timeout=timeout, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
            cwd=cwd,
        )
    except FileNotFoundError:
        return Done(127, "", f"{argv[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Done(124, "", f"{argv[0]} gave no answer within {timeout:.0f} s")
    except OSError as error:
        return Done(126, "", f"{argv[0]}: {error.strerror}")
    return Done(done.returncode, done.stdout, done.stderr)


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
