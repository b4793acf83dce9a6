"""Databases that a server holds: the copy goes in beside the old one, is counted there, and then they change names."""

from __future__ import annotations

import os
import pathlib
import shutil
import time

from . import checks, sources
from .common import Refused, last_words, run


def preflight(entry: dict, source: dict) -> None:
    """What would fail halfway is refused at the beginning."""
    if entry["type"] == "redis" and not source["unit"]:
        raise Refused(f"Redis {entry['name']}: give its `unit` in backups_bots, such as redis-server.service; it has to be stopped for a restore.")


def bring_back(entry: dict, source: dict, password: str, path: pathlib.Path, label: str) -> list[str]:
    return (postgresql if entry["type"] == "postgresql" else redis)(entry, source, password, path, label)


# --- PostgreSQL -----------------------------------------------------------------------------------------------


def psql(source: dict, password: str, database: str, text: str) -> str:
    done = run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database], input=text, timeout=3600, cwd="/",
        extra=sources.postgresql_environment(source, password), **sources.run_as(source),
    )  # fmt: skip
    if done.returncode:
        raise Refused(f"PostgreSQL {source['name']}: {last_words(done)}")
    return done.stdout.strip()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def postgresql(entry: dict, source: dict, password: str, path: pathlib.Path, label: str) -> list[str]:
    name = source["database"]
    suffix = label.lower()
    beside, aside = f"{name[:40]}_restored_{suffix}", f"{name[:40]}_replaced_{suffix}"
    there = psql(source, password, "postgres", f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {literal(name)};")
    owner = f" OWNER {quoted(there)}" if there else ""
    psql(source, password, "postgres", f"CREATE DATABASE {quoted(beside)}{owner} TEMPLATE template0;")
    try:
        with open(path, "rb") as stream:
            done = run(
                ["pg_restore", "--exit-on-error", "-d", beside], stdin=stream, timeout=14400, cwd="/",
                extra=sources.postgresql_environment(source, password), **sources.run_as(source),
            )  # fmt: skip
        if done.returncode:
            raise Refused(f"PostgreSQL {source['name']}: {last_words(done)}")
        session = sources.Session(beside, sources.postgresql_environment(source, password), sources.run_as(source))
        try:
            session.ask("BEGIN")
            problems = checks.differences(entry, sources.facts_of_postgresql(session, list(entry["orders"])))
        finally:
            session.close()
        if problems:
            raise Refused(f"PostgreSQL {source['name']}: what was restored is not what was saved: {'; '.join(problems)}")
        away = f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(aside)};" if there else ""
        psql(source, password, "postgres", f"BEGIN; {away} ALTER DATABASE {quoted(beside)} RENAME TO {quoted(name)}; COMMIT;")
    except Refused:
        psql(source, password, "postgres", f"DROP DATABASE IF EXISTS {quoted(beside)};")
        raise
    return [f"database {aside}"] if there else []


# --- Redis ----------------------------------------------------------------------------------------------------


def ask_redis(source: dict, password: str, *words: str) -> list[str]:
    done = run([*sources.redis_words(source), *words], timeout=30, extra={"REDISCLI_AUTH": password} if password else {})
    if done.returncode or done.stdout.startswith(("ERR", "NOAUTH", "WRONGPASS")):
        raise Refused(f"Redis {source['name']}: {last_words(done)}")
    return done.stdout.splitlines()


def keys_now(source: dict, password: str, seconds: float = 60) -> int:
    """Of all databases, once the server has loaded its file."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            lines = ask_redis(source, password, "INFO", "keyspace")
            return sum(int(line.split("keys=")[1].split(",")[0]) for line in lines if "keys=" in line)
        except Refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def systemctl(action: str, unit: str) -> None:
    done = run(["systemctl", action, unit], timeout=120)
    if done.returncode:
        raise Refused(f"systemctl {action} {unit} failed: {last_words(done)}")


def redis(entry: dict, source: dict, password: str, path: pathlib.Path, label: str) -> list[str]:
    settings = {name: (ask_redis(source, password, "CONFIG", "GET", name) + ["", ""])[1] for name in ("dir", "dbfilename", "appendonly")}
    if settings["appendonly"] == "yes":
        raise Refused(
            f"Redis {source['name']} reads its append-only file and would not look at the copy: set `appendonly no`, restore, "
            "and switch it on again with `redis-cli CONFIG SET appendonly yes`."
        )
    there = pathlib.Path(settings["dir"], settings["dbfilename"])
    aside = there.with_name(f"{there.name}.replaced-{label}")
    systemctl("stop", source["unit"])
    replaced = []
    try:
        owner = os.stat(there.parent)
        if there.exists():
            os.rename(there, aside)
            replaced = [str(aside)]
        temporary = there.with_name(f".{there.name}.{label}")
        shutil.copyfile(path, temporary)
        os.chown(temporary, owner.st_uid, owner.st_gid)
        temporary.chmod(0o640)
        os.replace(temporary, there)
    finally:
        systemctl("start", source["unit"])
    found = keys_now(source, password)
    # A key whose time has come since the backup is not loaded.
    if not entry["keys"] - entry["expires"] <= found <= entry["keys"]:
        raise Refused(f"Redis {source['name']} loaded {found} keys, and the manifest says {entry['keys']}; the file of before is {aside}.")
    return replaced
