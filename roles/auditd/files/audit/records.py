"""The kernel's and the daemon's records as events: pure but for reading the log's files."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator

LOG = pathlib.Path("/var/log/audit")
HEAD = re.compile(r"^(?:node=\S+ )?type=(\S+) msg=audit\((\d+)\.(\d+):(\d+)\): ?")
FIELD = re.compile(r"([A-Za-z][\w-]*)=(\"[^\"]*\"|'[^']*'|[^\s\x1d]*)")
HEX = re.compile(r"^(?:[0-9A-F]{2})+$")
# Fields in which the kernel writes text as hexadecimal digits when a blank or worse is in it.
TEXT = ("name", "comm", "exe", "cwd", "cmd", "acct", "proctitle", "key", "path")
UNSET = ("4294967295", "-1", "unset")
# A program's own message, which is one record and has none that ends it.
ALONE = re.compile(r"^(USER|CRED|SERVICE|ADD|DEL|GRP|ACCT|ROLE|DAEMON|CRYPTO|SYSTEM)_")
# What ends an event or says nothing of its own.
EMPTY = ("EOE", "PROCTITLE")


@dataclasses.dataclass
class Event:
    """All records with one serial number."""

    serial: str
    at: float
    size: int = 0
    kinds: set[str] = dataclasses.field(default_factory=set)
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    paths: list[str] = dataclasses.field(default_factory=list)
    arguments: list[str] = dataclasses.field(default_factory=list)
    keys: list[str] = dataclasses.field(default_factory=list)

    def kind(self) -> str:
        """Its first record that says something, for events that no rule of ours made."""
        return next(iter(sorted(self.kinds - {*EMPTY, "SYSCALL", "CWD", "PATH"})), "SYSCALL" if "SYSCALL" in self.kinds else "EOE")

    def succeeded(self) -> bool:
        return self.fields.get("success", self.fields.get("res", "yes")) in ("yes", "success", "1")


def decoded(name: str, value: str) -> str:
    """A field's value: quotes away, hexadecimal digits made into text where the kernel writes them."""
    if value[:1] in "\"'" and value[-1:] == value[:1] and len(value) > 1:
        return value[1:-1]
    if value == "(null)":
        return ""
    if (name in TEXT or re.fullmatch(r"a\d+", name)) and HEX.match(value):
        return bytes.fromhex(value).decode("utf-8", "replace")
    return value


def parse(line: str) -> tuple[str, float, str, dict[str, str]] | None:
    """(type, seconds since 1970, serial number, fields) of one line; None for what is none."""
    head = HEAD.match(line)
    if not head:
        return None
    kind, seconds, fraction, serial = head.groups()
    # What follows the separator repeats the numbers as words of this host; only the call's name is not there before it.
    rest, _separator, words = line[head.end() :].partition("\x1d")
    fields = {name: value for name, value in FIELD.findall(words) if name == "SYSCALL"}
    for name, value in FIELD.findall(rest):
        if value.startswith("'"):
            # A program's own message: fields within a field.
            fields.update({inner: decoded(inner, text) for inner, text in FIELD.findall(value[1:-1])})
        else:
            # The arguments of execve are hexadecimal without being of TEXT; the numbers of a system call's look the same and are none.
            fields[name] = value.strip('"') if kind == "SYSCALL" and re.fullmatch(r"a\d", name) else decoded(name, value)
    return kind, int(seconds) + int(fraction) / 10 ** len(fraction), serial, fields


def add(event: Event, kind: str, fields: dict[str, str], size: int) -> None:
    event.kinds.add(kind)
    event.size += size
    if kind == "PATH":
        # The directory in which a file was made or removed comes along; the file is what counts.
        if fields.get("name") and fields.get("nametype") != "PARENT":
            event.paths.append(fields["name"])
    elif kind == "EXECVE":
        event.arguments += [fields[name] for name in sorted((name for name in fields if re.fullmatch(r"a\d+", name)), key=lambda name: int(name[1:]))]
    elif kind == "CWD":
        event.fields.setdefault("cwd", fields.get("cwd", ""))
    elif kind not in EMPTY:
        keys = fields.pop("key", "")
        event.keys += [key for key in re.split(r"[\x01,]", keys) if key and key not in event.keys]
        for name, value in fields.items():
            event.fields.setdefault(name, value)


def events(lines: Iterable[str], since: float = 0) -> Iterator[Event]:
    """Events that began at `since` or later, in the order of their last record; records of several may be mixed."""
    waiting: dict[str, Event] = {}
    for line in lines:
        found = parse(line)
        if found is None or found[1] < since:
            continue
        kind, at, serial, fields = found
        event = waiting.setdefault(serial, Event(serial, at))
        add(event, kind, fields, len(line.encode("utf-8", "surrogateescape")))
        if kind == "EOE" or ALONE.match(kind):
            yield waiting.pop(serial)
        elif len(waiting) > 500:
            # Its end was lost; what is this far behind is whole.
            yield waiting.pop(min(waiting, key=lambda number: waiting[number].at))
    yield from waiting.values()


def files(since: float, directory: pathlib.Path = LOG) -> list[pathlib.Path]:
    """The log's files that may hold something from `since` on, oldest first."""
    found = []
    for path in directory.glob("audit.log*"):
        try:
            if path.stat().st_mtime >= since:
                found.append((int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0, path))
        except OSError:  # rotated away meanwhile
            continue
    return [path for _number, path in sorted(found, reverse=True)]


def read(since: float, directory: pathlib.Path = LOG) -> Iterator[str]:
    for path in files(since, directory):
        try:
            with path.open(encoding="utf-8", errors="surrogateescape") as stream:
                yield from stream
        except FileNotFoundError:
            continue


def is_unset(number: str) -> bool:
    return number in UNSET or not number
