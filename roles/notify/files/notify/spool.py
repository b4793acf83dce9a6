"""Events as files: each is whole before anybody sees it, and is there until every destination has it.

Root writes to `queue`; another account that may (the cluster's) drops its own into `drop`, where nobody can read or remove one of others.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pwd
import random
import time

from notify import common

# Files that may wait: what comes after them is counted. A critical event has twice the room.
MOST = 2000
LONGEST_SUBJECT = 180  # characters
LONGEST_BODY = 1500  # characters: a phone shows less, and Discord takes 2,000
DROPPERS = ("root", "hacluster")


def queue() -> pathlib.Path:
    return common.STATE / "queue"


def spare() -> pathlib.Path:
    return common.SPARE / "queue"


def drop() -> pathlib.Path:
    return common.STATE / "drop"


def event(severity: str, subject: str, body: str = "", key: str = "", clears: str = "", **more) -> dict:
    """Raises Refused for a severity that there is not and for a message without a subject."""
    if severity not in common.SEVERITIES:
        raise common.Refused(f"{severity!r} is no severity; write one of {', '.join(common.SEVERITIES)}.")
    subject = " ".join(subject.split())[:LONGEST_SUBJECT]
    if not subject:
        raise common.Refused("The subject is empty; say in a few words what happened.")
    body = body.replace("\0", "").strip()
    if len(body) > LONGEST_BODY:
        body = body[:LONGEST_BODY].rsplit("\n", 1)[0] + "\n…"
    return {"time": time.time(), "severity": severity, "subject": subject, "body": body, "key": key or f"{severity}:{subject}", "clears": clears, **more}


def put(found: dict) -> pathlib.Path:
    """Write an event down. Never waits for a lock or a network; raises OSError when there is no room anywhere.

    Returns the file's path, or the counter's when too many wait already.
    """
    name = f"{found['time']:.6f}-{os.getpid()}-{random.randrange(1 << 24):06x}.json"
    if os.geteuid():
        common.write_json(drop() / name, found, 0o644)
        return drop() / name
    waiting = len(os.listdir(queue())) if queue().is_dir() else 0
    if waiting >= MOST * (2 if found["severity"] == "critical" else 1):
        # One byte each: appending is atomic, and the size is the count.
        with open(common.STATE / "overflow", "ab") as counter:
            counter.write(b".")
        return common.STATE / "overflow"
    try:
        queue().mkdir(parents=True, exist_ok=True, mode=0o700)
        common.write_json(queue() / name, found)
        return queue() / name
    except OSError:
        spare().mkdir(parents=True, exist_ok=True, mode=0o700)
        common.write_json(spare() / name, found)
        return spare() / name


def trusted(path: pathlib.Path) -> bool:
    """Whether the file in `drop` belongs to an account that may ring."""
    try:
        info = os.lstat(path)
        return pwd.getpwuid(info.st_uid).pw_name in DROPPERS and info.st_size < 20000
    except (OSError, KeyError):
        return False


def take_drops() -> None:
    """What other accounts dropped, into the queue; of an account that may not, away."""
    for path in sorted(drop().glob("[0-9]*.json")) if drop().is_dir() else []:
        found = {}
        if trusted(path):
            with contextlib.suppress(OSError, ValueError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8", errors="replace") as stream:
                found = json.load(stream)
        with contextlib.suppress(OSError, common.Refused, TypeError, AttributeError, KeyError, ValueError):
            put(event(str(found["severity"]), str(found["subject"]), str(found.get("body", "")), str(found.get("key", "")), str(found.get("clears", ""))))
        with contextlib.suppress(OSError):
            path.unlink()


def waiting() -> dict:
    """{name: event}, oldest first. What lies in the spare place is newer than its namesake."""
    found = {}
    for place in (queue(), spare()):
        for path in place.glob("[0-9]*.json") if place.is_dir() else []:
            value = common.read_json(path)
            if value.get("severity") in common.SEVERITIES:
                found[path.name] = value
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
    return dict(sorted(found.items()))


def update(name: str, found: dict) -> None:
    for place in (queue(), spare()):
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            common.write_json(place / name, found)
            return


def remove(name: str) -> None:
    for place in (spare(), queue()):
        with contextlib.suppress(OSError):
            (place / name).unlink()


def overflowed() -> int:
    """How many events found no room since this was last asked."""
    path = common.STATE / "overflow"
    try:
        count = path.stat().st_size
        path.unlink()
    except OSError:
        return 0
    return count
