"""SQLite files: which there are, what state they are in, and putting one aside. Never copies a live one."""

from __future__ import annotations

import fnmatch
import json
import os
import pathlib
import sqlite3
import sys

from .common import Bot, Refused, as_user, last_words, run

MAGIC = b"SQLite format 3\0"
# Litestream's own tables say nothing about the bot's data.
OWN_TABLES = ("_litestream_seq", "_litestream_lock")
COMPANIONS = ("", "-wal", "-shm", "-journal")
# Never sent as plain files, whatever is in them.
SIDE_FILES = ("*-wal", "*-shm", "*-journal", "*.diverged-*", "*.superseded-*", ".rsync_ha-*")


def header(path: pathlib.Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(20)
    except OSError:
        return b""


def is_sqlite(path: pathlib.Path) -> bool:
    return header(path).startswith(MAGIC)


def is_wal(path: pathlib.Path) -> bool:
    return header(path)[18:20] == b"\x02\x02"


def matches(relative: str, patterns) -> bool:
    return any(fnmatch.fnmatch(relative, pattern) or fnmatch.fnmatch(os.path.basename(relative), pattern) for pattern in patterns)


def walk(bot: Bot):
    """Relative path and lstat of every regular file below the bot's directory."""
    top = str(bot.directory)
    for directory, names, files in os.walk(top):
        names[:] = sorted(name for name in names if not name.startswith(".rsync_ha-"))
        for name in sorted(files):
            path = os.path.join(directory, name)
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            if (info.st_mode & 0o170000) == 0o100000:
                yield os.path.relpath(path, top), info


class Survey:
    """What is in the bot's directory. Looks into a file once, and again when it changed its inode or was empty."""

    def __init__(self, bot: Bot):
        self.bot = bot
        self.seen: dict[str, tuple[int, bool]] = {}
        # Of the plain files as they are now.
        self.fingerprint = 0

    def look(self) -> tuple[list[str], list[str], dict[str, str]]:
        """Databases to replicate, plain files to send, and what cannot be replicated with the reason."""
        databases, files, problems = [], [], {}
        seen, facts = {}, {}
        for relative, info in walk(self.bot):
            if matches(relative, SIDE_FILES):
                continue
            facts[relative] = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode)
            declared = relative in self.bot.databases
            known = self.seen.get(relative)
            if info.st_size == 0:
                # An empty file with a database's name is about to become one.
                if not declared and not matches(relative, self.bot.find + self.bot.exclude):
                    files.append(relative)
                continue
            if known and known[0] == info.st_ino and known[1]:
                sqlite = True
            else:
                sqlite = is_sqlite(self.bot.directory / relative)
            seen[relative] = (info.st_ino, sqlite)
            if not sqlite:
                if declared:
                    problems[relative] = "is declared as a database and is not an SQLite file"
                elif not matches(relative, self.bot.exclude):
                    files.append(relative)
            elif declared or (matches(relative, self.bot.find) and not matches(relative, self.bot.exclude)):
                if is_wal(self.bot.directory / relative):
                    databases.append(relative)
                else:
                    problems[relative] = "is not in WAL mode: open it once with `PRAGMA journal_mode=WAL`"
            elif not matches(relative, self.bot.exclude):
                problems[relative] = "is an SQLite database that no pattern of `find` matches: declare it or exclude it"
        self.seen = seen
        self.fingerprint = hash(tuple((name, *facts[name]) for name in files))
        return databases, files, problems


def holders(path: pathlib.Path) -> list[int]:
    """Processes that have the database open."""
    wanted = {str(path) + suffix for suffix in COMPANIONS}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        except OSError:
            continue
        if links & wanted:
            found.append(int(pid))
    return found


def refuse_if_open(path: pathlib.Path) -> None:
    if pids := holders(path):
        raise Refused(f"{path} is open in process {', '.join(map(str, pids))}: stop that first (systemctl status {pids[0]} names the unit).")


def set_aside(path: pathlib.Path, label: str) -> pathlib.Path | None:
    """Rename a database and what belongs to it. Returns the new name, None where there was nothing."""
    if not path.exists():
        return None
    refuse_if_open(path)
    target = path.with_name(f"{path.name}.{label}")
    if target.exists():
        raise Refused(f"{target} exists already; nothing was moved.")
    for suffix in COMPANIONS:
        # SQLite finds the companions by the database's name, so they take the new one along.
        companion = pathlib.Path(str(path) + suffix)
        if companion.exists():
            os.rename(companion, str(target) + suffix)
    return target


# --- rows: run as the bot's user, so that nothing on disk changes hands ---------------------------------------


def tables(connection: sqlite3.Connection, schema: str = "main") -> list[str]:
    query = f"select name from {schema}.sqlite_master where type='table' and name not like 'sqlite\\_%' escape '\\' order by name"
    return [name for (name,) in connection.execute(query) if name not in OWN_TABLES]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def count_rows(path: str) -> dict[str, int]:
    """Of a database without a WAL, which nobody writes, nothing is created beside it: `immutable` takes no lock."""
    rest = pathlib.Path(path + "-wal")
    mode = "mode=ro" if rest.exists() and rest.stat().st_size else "immutable=1"
    connection = sqlite3.connect(f"file:{path}?{mode}", uri=True, timeout=5)
    try:
        return {name: connection.execute(f"select count(*) from {quoted(name)}").fetchone()[0] for name in tables(connection)}
    finally:
        connection.close()


def compare(old: str, new: str, sample: int = 20) -> dict:
    """Rows of `old` that `new` does not have, table by table, by primary key where there is one and by content else."""
    connection = sqlite3.connect(f"file:{old}?mode=ro", uri=True, timeout=5)
    try:
        connection.execute("attach database ? as survivor", (f"file:{new}?mode=ro",))
        there = set(tables(connection, "survivor"))
        result = {}
        for name in tables(connection):
            table = quoted(name)
            rows = connection.execute(f"select count(*) from main.{table}").fetchone()[0]
            if name not in there:
                result[name] = {"rows": rows, "only_here": rows, "changed_here": 0, "examples": []}
                continue
            columns = connection.execute(f"pragma main.table_info({table})").fetchall()
            names = [column[1] for column in columns]
            keys = [quoted(column[1]) for column in sorted(columns, key=lambda column: column[5]) if column[5]]
            listed = ", ".join(keys) or ", ".join(quoted(column[1]) for column in columns)
            everything = ", ".join(quoted(column[1]) for column in columns)
            only = f"select {listed} from main.{table} except select {listed} from survivor.{table}"
            differ = f"select {everything} from main.{table} except select {everything} from survivor.{table}"
            only_here = connection.execute(f"select count(*) from ({only})").fetchone()[0]
            different = connection.execute(f"select count(*) from ({differ})").fetchone()[0]
            result[name] = {
                "rows": rows,
                "only_here": only_here,
                "changed_here": different - only_here,
                "examples": [dict(zip(names, map(str, row))) for row in connection.execute(f"{differ} limit {sample}")],
            }
        return result
    finally:
        connection.close()


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from rsync_ha import databases
print(json.dumps(getattr(databases, sys.argv[2])(*sys.argv[3:])))
"""


def child(bot: Bot, what: str, *paths: pathlib.Path, timeout: float = 60):
    """Ask a child that runs as the bot's user."""
    argv = [sys.executable, "-I", "-c", CHILD, str(pathlib.Path(__file__).resolve().parent.parent), what, *map(str, paths)]
    done = run(argv, timeout=timeout, cwd="/", **as_user(bot))
    if done.returncode:
        raise Refused(f"{paths[0]} cannot be read: {last_words(done)}")
    return json.loads(done.stdout)
