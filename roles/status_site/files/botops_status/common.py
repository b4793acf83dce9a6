"""What all parts share: where things lie, files that are whole or not there, commands with a time limit, words for times."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(os.environ.get("BOTOPS_STATUS_ROOT", "/"))
ETC = "etc/botops/status_site"
STATE = "var/lib/botops/status_site"
EVIDENCE = "var/lib/botops/evidence"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}


class Refused(Exception):
    """A sentence for the operator."""


def at(path: str) -> pathlib.Path:
    """A path of the host; below another root in tests."""
    return ROOT / path.lstrip("/")


def read_json(path: pathlib.Path) -> dict:
    """The object in a file; nothing where there is none, or where it is not whole."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


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


class Done:
    """How a command ended: `status` (127 where it is missing, 124 where it took too long), `out` and the last line of what it said."""

    def __init__(self, status: int, out: str, err: str = "") -> None:
        self.status, self.out, self.err = status, out, err
        self.last = next((line.strip() for line in reversed((err or out).splitlines()) if line.strip()), "")


def run(argv: list[str], timeout: float = 10) -> Done:
    """`timeout` in seconds. Never a shell, never standard input."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )
    except FileNotFoundError:
        return Done(127, "", f"{argv[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Done(124, "", f"{argv[0]} gave no answer within {timeout:.0f} s")
    except OSError as error:
        return Done(126, "", f"{argv[0]}: {error.strerror}")
    return Done(done.returncode, done.stdout, done.stderr)


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
