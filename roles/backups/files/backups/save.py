"""One run: a copy of every source with its manifest, then the same snapshot into each repository."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import time
import urllib.request
from functools import partial

from . import active, sources
from .common import STATE, Refused, complain, fresh_directory, iso, now, read_json, record, run, say, size, stamp, write_json
from .restic import Repository, repositories

STAGING = STATE / "staging"


def version(*argv: str) -> str:
    found = re.search(r"\d+(\.\d+)+", run(list(argv), timeout=20).stdout)
    return found[0] if found else ""


class Collected:
    """What one snapshot will hold."""

    def __init__(self, name: str):
        self.name = name
        self.directory = STAGING / name
        self.paths: list[str] = []
        self.exclude: list[str] = []
        self.patterns: list[str] = []
        self.manifest: dict = {}
        self.failed: dict[str, str] = {}

    def attempt(self, what: str, work) -> dict | None:
        """A source that cannot be read is named, and the others are saved."""
        begun = time.monotonic()
        try:
            facts = work()
        except (Refused, OSError, ValueError) as error:
            self.failed[what] = str(error)
            complain(f"{self.name}: {what} could not be saved: {error}")
            return None
        for query, why in (facts.pop("refused", None) or {}).items():
            self.failed[f"{what}, query {query!r}"] = why
            complain(f"{self.name}: {what}: the query {query!r} has no answer: {why}")
        return {**facts, "seconds": round(time.monotonic() - begun, 2)}


def collect_bot(bot: dict, config: dict, run_id: str) -> Collected:
    found = Collected(bot["name"])
    fresh_directory(found.directory, 0o711)
    entries, secrets = [], config["secrets"]
    directories = [path for path in [bot.get("directory"), *bot["directories"], *volumes(bot, found)] if path]
    for top in directories:
        if not os.path.isdir(top):
            found.failed[f"directory {top}"] = "it does not exist; take it out of backups_bots or make it"
            complain(f"{bot['name']}: directory {top} could not be saved: it does not exist")
            continue
        for path in sources.databases_below(top, bot["exclude"]):
            copy = found.directory / "sqlite" / path.strip("/").replace("/", "%")
            queries = [query for pattern, query in bot["sqlite_orders"].items() if sources.excluded(os.path.relpath(path, top), [pattern])]
            facts = found.attempt(f"SQLite {path}", partial(sources.dump_sqlite, path, copy, queries, config["sqlite_busy_seconds"]))
            if facts:
                if facts["integrity"] != "ok":
                    found.failed[f"SQLite {path}"] = f"it is damaged: {facts['integrity'][:200]}"
                    complain(f"{bot['name']}: {path} is damaged: {facts['integrity'][:200]}")
                entries.append({"type": "sqlite", "name": os.path.relpath(path, top), "path": path, "dump": str(copy), **facts})
            found.exclude += [path + suffix for suffix in ("", *sources.COMPANIONS)]
        found.paths.append(top)
        found.patterns += bot["exclude"]
        entries.append({"type": "directory", "name": top, "path": top})
    for kind, dump in (("postgresql", sources.dump_postgresql), ("redis", sources.dump_redis)):
        for source in bot[kind]:
            copy = found.directory / kind / (source["name"] + (".dump" if kind == "postgresql" else ".rdb"))
            copy.parent.mkdir(exist_ok=True)
            password = secrets[kind].get(f"{bot['name']}/{source['name']}", "")
            title = f"{'PostgreSQL' if kind == 'postgresql' else 'Redis'} {source['name']}"
            facts = found.attempt(title, partial(dump, source, copy, password))
            if facts:
                entries.append({"type": kind, "name": source["name"], "dump": str(copy), "path": source.get("database", ""), **facts})
            else:
                copy.unlink(missing_ok=True)
    released = sources.release(bot["name"])
    if released and bot["release"]:
        found.paths.append(released["path"])
    etc = f"/etc/bot-{bot['name']}"
    if os.path.isdir(etc):
        found.paths.append(etc)
        found.exclude += [f"{etc}/{name}" for name in sources.SECRET_FILES]
    # Not what lies beside these: the last good configuration, with its secrets.
    state = [f"/var/lib/botops/bot_app/{bot['name']}/{name}" for name in ("state.json", "paper.json", "live.log")]
    found.paths += [path for path in (*state, f"/etc/systemd/system/bot-{bot['name']}.service") if os.path.exists(path)]
    found.manifest = {"bot": bot["name"], "account": sources.account(bot), "release": released, "directories": directories, "sources": entries}
    return finish(found, config, run_id)


def volumes(bot: dict, found: Collected) -> list[str]:
    """Where the engine keeps a named volume; bind mounts are directories."""
    paths = []
    for name in bot["volumes"]:
        done = run(["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", name], timeout=30)
        if done.returncode:
            found.failed[f"volume {name}"] = (done.stderr or "docker gave no answer").strip()
            complain(f"{found.name}: volume {name} could not be saved: {found.failed[f'volume {name}']}")
        else:
            paths.append(done.stdout.strip())
    return paths


def collect_host(config: dict, run_id: str) -> Collected:
    found = Collected("@host")
    fresh_directory(found.directory, 0o711)
    found.paths = [path for path in config["host_paths"] if os.path.lexists(path)]
    # A repository's own keys in itself would open nothing that is not open already.
    found.exclude = ["/etc/botops/backups/secrets.json", "/etc/botops/backups/ssh"]
    found.manifest = {"bot": "", "sources": [{"type": "directory", "name": path, "path": path} for path in found.paths]}
    return finish(found, config, run_id)


def finish(found: Collected, config: dict, run_id: str) -> Collected:
    tools = {"restic": ("restic", "version"), "pg_dump": ("pg_dump", "--version"), sources.redis_client(): (sources.redis_client(), "--version")}
    used = {entry["type"] for entry in found.manifest["sources"]}
    wanted = {"restic"} | ({"pg_dump"} if "postgresql" in used else set()) | ({sources.redis_client()} if "redis" in used else set())
    found.manifest.update(
        format=1, host=config["host"], time=iso(now()), run=run_id, failed=found.failed,
        versions={name: version(*argv) for name, argv in tools.items() if name in wanted},
    )  # fmt: skip
    write_json(found.directory / "manifest.json", found.manifest, 0o600)
    return found


def escaped(path: str) -> str:
    """For an exclude file, in which restic reads patterns and variables."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path).replace("$", "$$")


def push(found: Collected, repository: Repository) -> dict:
    """Returns what restic did, with `failed` where files could not be read."""
    begun = time.monotonic()
    listing = STATE / "exclude"
    listing.write_text("".join(escaped(path) + "\n" for path in found.exclude) + "".join(f"{pattern}\n" for pattern in found.patterns))
    # Retention goes by host and tags: one series for each bot, and an incomplete snapshot never takes the place of a complete one.
    tags = ["botops", f"bot={found.name}" if found.name != "@host" else "what=host"]
    if found.failed:
        tags.append("incomplete=yes")
    done = repository(
        "backup", "--json", "--exclude-file", str(listing), "--host", found.manifest["host"],
        *[word for tag in tags for word in ("--tag", tag)], str(found.directory), *found.paths,
    )  # fmt: skip
    summary, unread = {}, {}
    for line in (done.stdout + "\n" + done.stderr).splitlines():
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            if isinstance(message, dict) and message.get("message_type") == "summary":
                summary = message
            elif isinstance(message, dict) and message.get("message_type") == "error":
                path = message.get("item", "")
                # What the bot removed while restic was looking is no error.
                if os.path.lexists(path):
                    unread[path] = str((message.get("error") or {}).get("message") or "could not be read")
    if done.returncode not in (0, 3) or not summary.get("snapshot_id"):
        raise repository.refusal(done, "the backup")
    for path, why in unread.items():
        complain(f"{found.name}: {path} could not be read: {why}")
    return {
        "snapshot": summary["snapshot_id"][:8], "bytes": summary["total_bytes_processed"], "added": summary["data_added"],
        "files": summary["total_files_processed"], "seconds": round(time.monotonic() - begun, 2), "unread": unread,
    }  # fmt: skip


def save(config: dict, only: str = "", where: str = "") -> int:
    """0 when everything is in every repository, or in the one that was asked for."""
    begun, run_id = time.monotonic(), stamp()
    problems, standby, written = [], [], []
    known = sources.bots(config)
    chosen = [bot for bot in known if only in ("", bot["name"])]
    if only and not chosen:
        raise Refused(f"There is no bot {only!r} here; known are: {', '.join(bot['name'] for bot in known) or 'none'}.")
    fresh_directory(STAGING, 0o711)
    collected = []
    try:
        free = shutil.disk_usage(STAGING).free
        if free < config["min_free_mb"] * 1_000_000:
            raise Refused(f"{STAGING} has {size(free)} free and backups_min_free_mb asks for {config['min_free_mb']} MB: make room.")
        for bot in chosen:
            try:
                elsewhere = active.on_standby(bot["name"]) if config["only_active"] else ""
            except Refused as error:
                problems.append(f"{bot['name']}: {error}")
                continue
            if elsewhere:
                standby.append(elsewhere)
            else:
                collected.append(collect_bot(bot, config, run_id))
        if not only and config["host_paths"]:
            collected.append(collect_host(config, run_id))
        for found in collected:
            problems += [f"{found.name}: {what}: {why}" for what, why in found.failed.items()]
        for repository in repositories(config, where):
            try:
                # Also the question whether anybody is there: a backup would ask a store that is away for a quarter of an hour.
                repository.unlock()
                for found in collected:
                    result = push(found, repository)
                    repository.remember_manifest(result["snapshot"], found.manifest)
                    problems += [f"{found.name}: {path}: {why}" for path, why in result.pop("unread").items()]
                    written.append({"what": found.name, "repository": repository.name, **result})
                    amount = f"{size(result['bytes'])}, {size(result['added'])} new"
                    say(f"{found.name} → {repository.name}: snapshot {result['snapshot']}, {amount}, {result['seconds']} s")
                if repository.retention and collected and not problems:
                    repository.forget(repository.retention, config["host"])
            except Refused as error:
                problems.append(str(error))
                complain(str(error))
    finally:
        shutil.rmtree(STAGING, ignore_errors=True)
    for line in standby:
        say(line)
    seconds = round(time.monotonic() - begun, 1)
    if not where:
        evidence(config, run_id, problems, standby, written, seconds)
    say(f"backup {'failed' if problems else 'ok'} after {seconds} s" + (f", {len(problems)} problem(s): {'; '.join(problems)}" if problems else ""))
    return 1 if problems else 0


def evidence(config: dict, run_id: str, problems: list, standby: list, written: list, seconds: float) -> None:
    before = read_json(pathlib.Path("/var/lib/botops/evidence/backup.json"))
    good = before.get("last_good") or {}
    if not problems:
        for entry in written:
            good[entry["what"]] = iso(now())
    verdict = "failed" if problems else "standby" if standby and not [entry for entry in written if entry["what"] != "@host"] else "ok"
    record("backup", {
        "source": "botops-backup", "host": config["host"], "time": iso(now()), "run": run_id, "verdict": verdict, "seconds": seconds,
        "problems": problems, "standby": standby, "snapshots": written, "last_good": good,
    })  # fmt: skip
    ping(config, bool(problems))


def ping(config: dict, failed: bool) -> None:
    """A dead-man's switch elsewhere, which also rings when nothing ran at all."""
    url = config["secrets"].get("ping_url") or ""
    if url:
        try:
            urllib.request.urlopen(url.rstrip("/") + ("/fail" if failed else ""), timeout=15).close()
        except OSError as error:
            complain(f"The ping URL did not answer: {type(error).__name__}. The backup itself is not affected.")
