"""A restored snapshot against its manifest: the same bytes, the same rows, the same last order."""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import shutil
import subprocess

from . import sources
from .common import STATE, Refused, environment, fresh_directory, identity, last_words, run, sha256

COPY = re.compile(r'^COPY (?P<table>(?:"(?:[^"]|"")+"|[^". ]+)\.(?:"(?:[^"]|"")+"|[^". ]+)) ')


def dump_path(top: pathlib.Path, entry: dict) -> pathlib.Path:
    return top / entry["dump"].lstrip("/")


def rows(entry: dict) -> int:
    return sum((entry.get("tables") or {}).values()) + entry.get("keys", 0)


def differences(expected: dict, found: dict) -> list[str]:
    said = []
    for table in sorted({*expected["tables"], *found["tables"]}):
        was, is_now = expected["tables"].get(table), found["tables"].get(table)
        if was != is_now:
            said.append(f"table {table} has {is_now if is_now is not None else 'gone'}, and the manifest says {was if was is not None else 'none'}")
    for query, answer in (expected.get("orders") or {}).items():
        if query in (found.get("orders") or {}) and found["orders"][query] != answer:
            said.append(f"{query!r} answers {found['orders'][query]}, and the manifest says {answer}")
    return said


def check_sqlite(path: pathlib.Path, entry: dict) -> list[str]:
    """By an account that may do nothing else: a damaged file is parsed, and root parses nothing of a bot's."""
    nobody = pwd.getpwnam("nobody")
    if os.geteuid() == 0:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    path.chmod(0o400)
    facts = sources.facts_of_sqlite(path, list(entry["orders"]), identity(nobody.pw_uid, nobody.pw_gid))
    said = [] if facts["integrity"] == "ok" else [f"integrity_check says {facts['integrity']}"]
    return said + differences(entry, facts)


def unquoted(table: str) -> str:
    return re.sub(r'"((?:[^"]|"")+)"', lambda found: found[1].replace('""', '"'), table)


def rows_of_dump(path: pathlib.Path) -> dict:
    """Reads the whole dump without a server: every row of every table that pg_restore would load."""
    process = subprocess.Popen(
        ["pg_restore", "-f", "-", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd="/"
    )
    tables, table = {}, None
    for line in process.stdout:
        if table:
            if line == b"\\.\n":
                table = None
            else:
                tables[table] += 1
        elif line.startswith(b"COPY ") and (found := COPY.match(line.decode(errors="replace"))):
            table = unquoted(found["table"])
            tables[table] = 0
    errors = process.stderr.read().decode(errors="replace").strip()
    if process.wait():
        raise Refused(f"pg_restore does not accept the dump: {errors[-200:]}")
    return tables


def server_programs() -> pathlib.Path | None:
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def in_a_server(path: pathlib.Path, entry: dict, place: pathlib.Path) -> list[str]:
    """A server of its own for the time of the check, on a socket that nobody else sees, with the dump in it."""
    programs = server_programs()
    account = pwd.getpwnam("postgres")
    who = identity(account.pw_uid, account.pw_gid)
    fresh_directory(place)
    os.chown(place, account.pw_uid, account.pw_gid)
    place.chmod(0o700)
    extra = {"PGHOST": str(place), "PGUSER": "postgres"}
    options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off -c shared_buffers=32MB -c max_connections=10 -c jit=off"

    def must(argv: list[str], **kwargs) -> None:
        done = run(argv, timeout=1800, extra=extra, cwd=str(place), **{**who, **kwargs})
        if done.returncode:
            raise Refused(f"{os.path.basename(argv[0])}: {last_words(done)}")

    try:
        must([str(programs / "initdb"), "-D", f"{place}/data", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"])
        must(
            [str(programs / "pg_ctl"), "-D", f"{place}/data", "-l", f"{place}/log", "-w", "-t", "60", "-o", options, "start"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with open(path, "rb") as stream:
            must([str(programs / "pg_restore"), "--exit-on-error", "--no-owner", "--no-privileges", "--create", "-d", "postgres"], stdin=stream)
        session = sources.Session(entry["path"], extra, who)
        try:
            session.ask("BEGIN")
            return differences(entry, sources.facts_of_postgresql(session, list(entry["orders"])))
        finally:
            session.close()
    finally:
        run([str(programs / "pg_ctl"), "-D", f"{place}/data", "-m", "immediate", "stop"], timeout=60, cwd="/", **who)
        shutil.rmtree(place, ignore_errors=True)


def check_postgresql(path: pathlib.Path, entry: dict, place: pathlib.Path) -> tuple[list[str], str]:
    found = rows_of_dump(path)
    said = differences({"tables": entry["tables"]}, {"tables": found})
    if said or not server_programs():
        return said, "every row of the dump was read and counted; no PostgreSQL server is installed here to load it into"
    return in_a_server(path, entry, place), "loaded into a server and counted there"


def check(top: pathlib.Path, manifest: dict) -> list[dict]:
    """What a restore brought below `top`: one line for each source, with `problems`."""
    results = []
    if os.geteuid() == 0:
        # What checks SQLite files gets in, and no other account.
        os.chown(top, 0, pwd.getpwnam("nobody").pw_gid)
        top.chmod(0o710)
    for entry in manifest["sources"]:
        result = {"type": entry["type"], "name": entry["name"], "rows_expected": rows(entry), "problems": [], "how": ""}
        try:
            if entry["type"] == "directory":
                place = top / entry["path"].lstrip("/")
                result["how"] = "restic compared every block with its checksum"
                if not place.exists():
                    result["problems"].append(f"{entry['path']} is not in the snapshot")
            else:
                path = dump_path(top, entry)
                if sha256(path) != entry["sha256"]:
                    result["problems"].append("its SHA-256 is not the manifest's")
                if entry["type"] == "sqlite":
                    result["how"] = "integrity_check, every table counted"
                    result["problems"] += check_sqlite(path, entry)
                elif entry["type"] == "postgresql":
                    problems, result["how"] = check_postgresql(path, entry, STATE / "server")
                    result["problems"] += problems
                else:
                    result["how"] = "redis-check-rdb read it, every key counted"
                    keys = sources.keys_of_rdb(path)["keys"]
                    if keys != entry["keys"]:
                        result["problems"].append(f"it holds {keys} keys, and the manifest says {entry['keys']}")
        except (Refused, OSError) as error:
            result["problems"].append(str(error))
        result["rows_restored"] = result["rows_expected"] if not result["problems"] else None
        results.append(result)
    return results
