"""Runs as the owner of a database: copies it while it is in use, and counts what is in a copy. Prints one JSON object.

sqlite_child.py dump SOURCE COPY BUSY_SECONDS    (queries as a JSON list on the standard input)
sqlite_child.py facts COPY quick|full
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import urllib.parse


def connect(path: str, mode: str, busy: float = 5) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode={mode}", uri=True, timeout=busy, isolation_level=None)


def dump(source: str, copy: str, busy: float) -> None:
    origin = connect(source, "rw", busy)
    # One step, one read transaction: with steps SQLite begins again whenever another process has written, which a busy bot always has.
    # A database with a write-ahead log goes on being written meanwhile; one without waits for the copy.
    origin.execute(f"PRAGMA busy_timeout={int(busy * 1000)}")
    target = sqlite3.connect(copy, isolation_level=None)
    origin.execute("BEGIN")
    try:
        origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
        origin.backup(target, pages=-1)
    finally:
        origin.execute("ROLLBACK")
        origin.close()
    # The header travels along: a copy of a database with a write-ahead log has one again as soon as somebody opens it.
    target.close()
    with open(copy, "rb") as stream:
        os.fsync(stream.fileno())


def ask(connection: sqlite3.Connection, query: str):
    row = connection.execute(query).fetchone()
    return None if row is None else [str(value) if isinstance(value, bytes) else value for value in row]


def facts(copy: str, check: str, queries: list[str]) -> dict:
    connection = connect(copy, "ro&immutable=1")
    connection.execute("PRAGMA query_only=1")
    said = [row[0] for row in connection.execute("PRAGMA quick_check(3)" if check == "quick" else "PRAGMA integrity_check(3)")]
    tables = {}
    listed = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    for name, sql in listed.fetchall():
        # A virtual table may need an extension that is not here; what it stores lies in tables that are counted.
        if not sql.upper().lstrip().startswith("CREATE VIRTUAL"):
            tables[name] = connection.execute('SELECT count(*) FROM "%s"' % name.replace('"', '""')).fetchone()[0]
    answers, refused = {}, {}
    for query in queries:
        try:
            answers[query] = ask(connection, query)
        except sqlite3.Error as error:
            refused[query] = str(error)
    return {"integrity": "ok" if said == ["ok"] else "; ".join(said), "tables": tables, "orders": answers, "refused": refused}


def main() -> None:
    command, path, *rest = sys.argv[1:]
    try:
        queries = json.loads(sys.stdin.read() or "[]")
        if command == "dump":
            dump(path, rest[0], float(rest[1]))
            print(json.dumps(facts(rest[0], "quick", queries)))
        else:
            print(json.dumps(facts(path, rest[0], queries)))
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
