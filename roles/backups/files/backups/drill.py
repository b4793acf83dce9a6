"""A restore that nobody needs, every week: the newest snapshot of every bot in every repository, with the key from the safe."""

from __future__ import annotations

import shutil
import time

from . import checks, sources
from .common import EVIDENCE, STATE, Refused, ago, complain, fresh_directory, iso, now, parse_time, read_json, record, say, signature_problem, size
from .restic import repositories, version
from .save import ping

PLACE = STATE / "drill"


def newest(snapshots: list[dict]) -> dict[str, dict]:
    """The newest of each bot, complete or not: what a restore would take today."""
    return {snapshot["about"]["bot"]: snapshot for snapshot in snapshots if "bot" in snapshot["about"]}


def weeks() -> int:
    return int(now().timestamp() // (7 * 86400))


def look_at(repository, parts: int) -> dict:
    """The repository as a whole: what is damaged may belong to an older snapshot than the one that is restored."""
    begun, part = time.monotonic(), weeks() % parts + 1
    problems: list[str] = []
    if version() < (0, 17):
        # One that reads a pack which was cut short tries for a quarter of an hour: sizes first, and no data if they are wrong.
        problems = repository.damage()
    problems = problems or repository.damage(part, parts)
    return {
        "repository": repository.name, "read": f"part {part} of {parts}", "problems": problems, "seconds": round(time.monotonic() - begun, 1),
        "verdict": "damaged" if problems else "ok",
    }  # fmt: skip


def restore_one(repository, bot: str, snapshot: dict, damaged: bool = False) -> dict:
    begun = time.monotonic()
    result = {
        "bot": bot, "repository": repository.name, "snapshot": snapshot["short_id"], "taken": iso(snapshot["when"]),
        "rpo_seconds": round((now() - snapshot["when"]).total_seconds()), "problems": [], "sources": [],
    }  # fmt: skip
    try:
        if damaged:
            raise Refused(f"repository {repository.name} is damaged, and nothing was restored from it")
        manifest = repository.manifest(snapshot)
        needed, free = repository.bytes_of(snapshot), shutil.disk_usage(PLACE).free
        if free < needed * 1.1 + 16_000_000:
            raise Refused(f"{PLACE} has {size(free)} free, and snapshot {snapshot['short_id']} needs {size(needed * 1.1 + 16_000_000)}")
        top = fresh_directory(PLACE / "restored")
        repository.restore(snapshot, str(top))
        result["sources"] = checks.check(top, manifest)
        result["problems"] = [f"{line['type']} {line['name']}: {problem}" for line in result["sources"] for problem in line["problems"]]
        result["problems"] += [f"not in the snapshot: {what}: {why}" for what, why in manifest["failed"].items()]
        result["rows_expected"] = sum(line["rows_expected"] for line in result["sources"])
        result["rows_restored"] = sum(line["rows_restored"] or 0 for line in result["sources"])
    except (Refused, OSError) as error:
        result["problems"].append(str(error))
    finally:
        shutil.rmtree(PLACE / "restored", ignore_errors=True)
    result["rto_seconds"] = round(time.monotonic() - begun, 1)
    result["verdict"] = "failed" if result["problems"] else "ok"
    return result


def drill(config: dict) -> int:
    begun, results, problems, looks = time.monotonic(), [], [], []
    fresh_directory(PLACE, 0o711)
    try:
        # Without a cache: what a new host would read is what is tried.
        for repository in repositories(config, recovery=True, cache=False):
            try:
                there = repository.snapshots()
                repository.forget_manifests(there)
                found = newest(there)
                if not found:
                    problems.append(f"Repository {repository.name} holds no snapshot of any bot.")
                look = look_at(repository, config["drill_read_parts"])
                looks.append(look)
                for problem in look["problems"]:
                    problems.append(f"Repository {repository.name} is damaged: {problem}; restore from another one or an earlier moment (docs/backups.md)")
                for bot, snapshot in sorted(found.items()):
                    result = restore_one(repository, bot, snapshot, bool(look["problems"]))
                    results.append(result)
                    problems += [f"{bot} from {repository.name}: {problem}" for problem in result["problems"]]
                    age = ago(result["rpo_seconds"])
                    say(f"{bot} from {repository.name}: snapshot {result['snapshot']}, {age} old, {result['rto_seconds']} s, {result['verdict']}")
            except Refused as error:
                problems.append(str(error))
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
    before = read_json(EVIDENCE / "drill.json")
    verified = [{**{key: line[key] for key in ("snapshot", "bot", "repository")}, "time": iso(now())} for line in results if not line["problems"]]
    recovery = all(entry.get("recovery_password") for entry in config["secrets"]["repositories"].values())
    record("drill", {
        "source": "botops-backup drill", "host": config["host"], "time": iso(now()), "verdict": "failed" if problems else "ok",
        "seconds": round(time.monotonic() - begun, 1), "key": "recovery" if recovery else "host", "problems": problems, "restored": results,
        "repositories": looks,
        "verified": verified, "last_good": iso(now()) if not problems else before.get("last_good", ""),
    }, sign=True)  # fmt: skip
    for problem in problems:
        complain(problem)
    ping({"secrets": {"ping_url": config["secrets"].get("drill_ping_url", "")}}, bool(problems))
    return 1 if problems else 0


# --- ages -----------------------------------------------------------------------------------------------------


def age_problem(what: str, since: str, limit_seconds: float) -> str:
    if not since:
        return f"there never was {what}"
    age = (now() - parse_time(since)).total_seconds()
    if age < -300:
        return f"{what} is of {since}, which is {ago(-age)} from now: a clock is wrong"
    return f"{what} is {ago(age)} old, and {ago(limit_seconds)} is the limit" if age > limit_seconds else ""


def too_old(config: dict, ask_repositories: bool = False) -> list[str]:
    """What an alert is about: nothing ran, nothing was proven, or what proves it is not signed by this host."""
    problems = []
    backup, drilled = read_json(EVIDENCE / "backup.json"), read_json(EVIDENCE / "drill.json")
    if config["saves"]:
        standby = backup.get("verdict") == "standby" and not age_problem("x", backup["time"], config["max_backup_age_hours"] * 3600)
        for bot in [] if standby else sources.bots(config):
            since = (backup.get("last_good") or {}).get(bot["name"], "")
            problems.append(age_problem(f"a complete backup of {bot['name']}", since, config["max_backup_age_hours"] * 3600))
    if config["drills"]:
        problems.append(age_problem("a verified restore", drilled.get("last_good", ""), config["max_drill_age_days"] * 86400))
        if drilled:
            problems.append(signature_problem("drill"))
    if ask_repositories:
        for repository in repositories(config):
            try:
                found = newest(repository.snapshots())
            except Refused as error:
                problems.append(str(error))
                continue
            for bot in sorted({*found, *(entry["name"] for entry in sources.bots(config))}):
                when = iso(found[bot]["when"]) if bot in found else ""
                problems.append(age_problem(f"a snapshot of {bot} in {repository.name}", when, config["max_backup_age_hours"] * 3600))
    return [problem for problem in problems if problem]


def check(config: dict, ask_repositories: bool) -> int:
    problems = too_old(config, ask_repositories)
    for problem in problems:
        complain(problem)
    if not problems:
        say("Backups and verified restores are younger than their limits.")
    return 1 if problems else 0
