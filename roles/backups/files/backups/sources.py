"""What a bot has, and a consistent copy of each part of it with the facts that a restore is judged by."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import pathlib
import pwd
import shutil
import stat
import subprocess
import sys
import threading

from .common import Refused, environment, identity, last_words, run, sha256

MAGIC = b"SQLite format 3\0"
CHILD = str(pathlib.Path(__file__).with_name("sqlite_child.py"))
COMPANIONS = ("-wal", "-shm", "-journal")
# Of a bot's configuration, what holds secrets: it comes from the vault, not from a backup.
SECRET_FILES = ("secrets.env", "credentials", "compose.override.yml")


# --- finding --------------------------------------------------------------------------------------------------


def bots(config: dict) -> list[dict]:
    """Declared bots, and those that the role bot_app left on this host."""
    declared = {bot["name"]: bot for bot in config["bots"]}
    found = {}
    if config["find_bots"]:
        for path in sorted(pathlib.Path("/etc").glob("bot-*/bot.json")):
            name = path.parent.name.removeprefix("bot-")
            found[name] = {**config["bot_defaults"], "name": name, "directory": f"/var/lib/bot-{name}"}
    return [{**found.get(name, {}), **declared.get(name, {})} for name in sorted({*found, *declared})]


def is_sqlite(path: str) -> bool:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def excluded(relative: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(relative, pattern) or fnmatch.fnmatch(os.path.basename(relative), pattern) for pattern in patterns)


def databases_below(top: str, patterns: list[str]) -> list[str]:
    """SQLite files by their header, whatever they are called. What was kept aside by a restore or a promotion stays out."""
    found = []
    for directory, names, files in os.walk(top):
        names[:] = sorted(name for name in names if not excluded(os.path.relpath(os.path.join(directory, name), top), patterns))
        for name in sorted(files):
            path = os.path.join(directory, name)
            if name.endswith(COMPANIONS) or excluded(os.path.relpath(path, top), patterns):
                continue
            with contextlib.suppress(FileNotFoundError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode) and info.st_size >= 512 and is_sqlite(path):
                    found.append(path)
    return found


def owner(path: str) -> dict:
    info = os.lstat(path)
    try:
        name = pwd.getpwuid(info.st_uid).pw_name
    except KeyError:
        name = ""
    return {"uid": info.st_uid, "gid": info.st_gid, "user": name, "mode": stat.S_IMODE(info.st_mode)}


def account(bot: dict) -> dict:
    try:
        entry = pwd.getpwnam(bot.get("user") or "bot-" + bot["name"])
    except KeyError:
        return {}
    return {"user": entry.pw_name, "uid": entry.pw_uid, "gid": entry.pw_gid, "home": entry.pw_dir, "shell": entry.pw_shell}


def release(name: str) -> dict:
    current = pathlib.Path(f"/opt/bot-{name}/current")
    if not current.is_symlink():
        return {}
    path = current.resolve()
    return {"id": path.name, "path": str(path)} if path.is_dir() else {}


# --- SQLite ---------------------------------------------------------------------------------------------------


def sqlite_child(*arguments: str, queries: list[str], who: dict, timeout: float = 3600) -> dict:
    done = run([sys.executable, "-I", "-B", CHILD, *arguments], timeout=timeout, input=json.dumps(queries), cwd="/", **who)
    if done.returncode:
        raise Refused(last_words(done).removeprefix("error: "))
    return json.loads(done.stdout)


def dump_sqlite(path: str, copy: pathlib.Path, queries: list[str], busy: float) -> dict:
    """By the database's owner, so that side files stay its own and nothing of the bot's is parsed by root."""
    about = owner(path)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o711)
    workshop = copy.parent / "workshop"
    workshop.mkdir(mode=0o700, exist_ok=True)
    os.chown(workshop, about["uid"], about["gid"])
    made = workshop / "copy"
    try:
        facts = sqlite_child("dump", path, str(made), str(busy), queries=queries, who=identity(about["uid"], about["gid"]))
        digest = sha256(made)
        os.replace(made, copy)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    with open(path, "rb") as stream:
        wal = stream.read(20)[18:20] == b"\x02\x02"
    return {"bytes": copy.stat().st_size, "sha256": digest, "wal": wal, "owner": about, **facts}


def facts_of_sqlite(copy: pathlib.Path, queries: list[str], who: dict) -> dict:
    return sqlite_child("facts", str(copy), "full", queries=queries, who=who)


# --- PostgreSQL -----------------------------------------------------------------------------------------------


def postgresql_environment(source: dict, password: str) -> dict:
    values = {
        "PGHOST": source["host"], "PGPORT": str(source["port"]), "PGUSER": source["user"], "PGSSLMODE": source["sslmode"],
        "PGSSLROOTCERT": source["ca"], "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "15", "PGAPPNAME": "botops-backup",
    }  # fmt: skip
    return {name: value for name, value in values.items() if value}


def run_as(source: dict) -> dict:
    if not source["run_as"]:
        return {}
    try:
        entry = pwd.getpwnam(source["run_as"])
    except KeyError:
        raise Refused(f"the account {source['run_as']} (run_as) does not exist on this host") from None
    return identity(entry.pw_uid, entry.pw_gid)


class Session:
    """psql with one open transaction, for a snapshot that a dump shares."""

    END = "end-of-answer-7f3a"

    def __init__(self, database: str, extra: dict, who: dict):
        self.psql = subprocess.Popen(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(extra), cwd="/", **who,
        )  # fmt: skip
        self.errors: list[str] = []
        threading.Thread(target=lambda: self.errors.extend(self.psql.stderr), daemon=True).start()

    def ask(self, query: str) -> list[str]:
        """The lines of an answer. What ends with a line break is handed over as it is, for psql's own commands."""
        try:
            self.psql.stdin.write(query + ("" if query.endswith("\n") else ";\n") + f"\\echo {self.END}\n")
            self.psql.stdin.flush()
        except BrokenPipeError:
            pass
        lines = []
        for line in self.psql.stdout:
            if line.rstrip("\n") == self.END:
                return lines
            lines.append(line.rstrip("\n"))
        self.psql.wait()
        raise Refused(" ".join(line.strip() for line in self.errors[-3:]) or "psql ended without an answer")

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.psql.stdin.close()
        self.psql.stdout.close()
        self.psql.wait()


TABLES = (
    "SELECT json_agg(json_build_array(n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname)) ORDER BY 1) FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname NOT LIKE 'pg_t%'"
)


def facts_of_postgresql(session: Session, queries: list[str]) -> dict:
    listed = json.loads("".join(session.ask(TABLES)) or "[]") or []
    tables = {name: int(session.ask(f"SELECT count(*) FROM {quoted}")[0]) for name, quoted in listed}
    answers, refused = {}, {}
    session.ask("\\set ON_ERROR_STOP 0\n")
    for query in queries:
        # One that fails ends neither the transaction nor the session.
        session.ask("SAVEPOINT botops")
        wrapped = f"SELECT row_to_json(answer) FROM ({query.rstrip().rstrip(';')}) AS answer LIMIT 1"
        *lines, failed, why = session.ask(f"{wrapped};\n\\echo :ERROR\n\\echo :LAST_ERROR_MESSAGE\n")
        session.ask("ROLLBACK TO SAVEPOINT botops")
        if failed == "true":
            refused[query] = why
        else:
            answers[query] = list(json.loads(lines[0]).values()) if lines else None
    session.ask("\\set ON_ERROR_STOP 1\n")
    return {"tables": tables, "orders": answers, "refused": refused}


def dump_postgresql(source: dict, copy: pathlib.Path, password: str) -> dict:
    """The dump, the counts and the last order are of one and the same moment: they share a snapshot."""
    extra, who = postgresql_environment(source, password), run_as(source)
    session = Session(source["database"], extra, who)
    try:
        session.ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = session.ask("SELECT pg_export_snapshot()")[0]
        server = session.ask("SHOW server_version")[0]
        with open(copy, "wb") as stream:
            # Without compression of its own: restic compresses, and finds what did not change since yesterday.
            dumped = run(
                ["pg_dump", "--format=custom", "--compress=0", f"--snapshot={snapshot}", "-d", source["database"]],
                stdout=stream, extra=extra, cwd="/", **who,
            )  # fmt: skip
        if dumped.returncode:
            raise Refused(last_words(dumped).removeprefix("pg_dump: error: "))
        facts = facts_of_postgresql(session, source["orders"])
    finally:
        session.close()
    return {"bytes": copy.stat().st_size, "sha256": sha256(copy), "server": server, **facts}


# --- Redis ----------------------------------------------------------------------------------------------------


def redis_client() -> str:
    return next((name for name in ("redis-cli", "valkey-cli") if shutil.which(name, path=environment()["PATH"])), "redis-cli")


def redis_words(source: dict) -> list[str]:
    tls = ["--tls", *(["--cacert", source["ca"]] if source["ca"] else [])] if source["tls"] else []
    return [redis_client(), "-h", source["host"], "-p", str(source["port"]), *(["--user", source["user"]] if source["user"] else []), *tls]


def keys_of_rdb(copy: pathlib.Path) -> dict:
    """redis-check-rdb reads the whole file; its last lines say how many keys there were, and how many of them end some day."""
    checker = redis_client().replace("-cli", "-check-rdb")
    done = run([checker, str(copy)], timeout=3600)
    counts = {}
    for line in done.stdout.splitlines():
        words = line.split("]")[-1].split()
        if len(words) == 3 and words[0].isdigit() and words[1:] == ["keys", "read"]:
            counts["keys"] = int(words[0])
        elif len(words) == 2 and words[0].isdigit() and words[1] == "expires":
            counts["expires"] = int(words[0])
    if done.returncode or "keys" not in counts:
        raise Refused(f"{checker} does not accept the copy: {last_words(done)}")
    return counts


def dump_redis(source: dict, copy: pathlib.Path, password: str) -> dict:
    extra = {"REDISCLI_AUTH": password} if password else {}
    done = run([*redis_words(source), "--rdb", str(copy)], timeout=3600, extra=extra)
    if done.returncode or not copy.exists() or not copy.stat().st_size:
        raise Refused(last_words(done))
    return {"bytes": copy.stat().st_size, "sha256": sha256(copy), **keys_of_rdb(copy)}
