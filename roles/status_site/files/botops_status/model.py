"""From what was collected to what it means: one list of checks, a verdict, and figures over time. Pure: no file, no clock and no host."""

from __future__ import annotations

from botops_status.common import ago, epoch

LEVELS = ("none", "ok", "warning", "failed")
AREAS = ("system", "ha", "backups", "compliance", "releases")
TITLES = {"system": "System", "ha": "High availability", "backups": "Backups", "compliance": "Compliance", "releases": "Bots and releases"}
# A day of looks, one a minute; and releases that a bot has run.
SERIES_SECONDS = 86400
SERIES_MOST = 1500
LOG_MOST = 40
# A clock that is a little ahead of another host's is no wrong clock.
AHEAD = 300


def check(name: str, area: str, title: str, level: str, words: str, advice: str = "", since: float | None = None) -> dict:
    """One line of what is well or not. level: none (does not apply), ok, warning or failed; advice: what to type; since: of what it speaks, epoch."""
    return {"id": name, "area": area, "title": title, "level": level, "words": words, "advice": advice, "since": since}


def worst(levels: list[str]) -> str:
    return max(levels, key=LEVELS.index, default="none")


def plural(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def graded(value: float, warning: float, failed: float) -> str:
    return "failed" if value >= failed else "warning" if value >= warning else "ok"


def aged(name: str, area: str, title: str, since: float | None, limit: float, now: float, advice: str) -> dict:
    """limit: seconds. Nothing on record fails, and so does a moment that lies ahead: it is no proof of anything."""
    if since is None:
        return check(name, area, title, "failed", "never", advice)
    age = now - since
    if age < -AHEAD:
        return check(name, area, title, "failed", f"{ago(age)} ahead of this host's clock: one of them is wrong", "timedatectl", since)
    level = "ok" if age <= limit else "failed"
    return check(name, area, title, level, f"{ago(max(age, 0))} ago" + ("" if level == "ok" else f", and it is old after {ago(limit)}"), advice, since)


# --- system -------------------------------------------------------------------------------------------------------


def system_checks(found: dict, limits: dict, now: float) -> list[dict]:
    result = []
    units = found["failed_units"]
    if units is None:
        result.append(check("units", "system", "Units", "failed", "systemd does not answer", "systemctl --failed"))
    else:
        ours = [unit for unit in units if unit.startswith(("bot-", "botops-"))]
        level = "failed" if ours else "warning" if units else "ok"
        result.append(check("units", "system", "Units", level, f"failed: {', '.join(units)}" if units else "none has failed", "systemctl --failed"))
    still = sorted(name for name, state in found["timers"].items() if state != "active")
    result.append(
        check(
            "timers",
            "system",
            "Timers",
            "failed" if still else "ok",
            f"not running: {', '.join(still)}" if still else "all wait for their time",
            f"sudo systemctl start {still[0]}" if still else "",
        )
    )
    for disk in found["disks"]:
        percent = 100 * disk["used_ratio"]
        result.append(
            check(
                f"disk:{disk['mount']}",
                "system",
                f"Disk {disk['mount']}",
                graded(percent, limits["disk_percent"], 95),
                f"{percent:.0f} % used, {disk['free_bytes'] / 1e9:.1f} GB free",
                f"sudo du -xh -d 2 {disk['mount']} | sort -h | tail",
            )
        )
    if found["memory_bytes"]:
        free = 100 * (found["memory_available_bytes"] or 0) / found["memory_bytes"]
        result.append(
            check(
                "memory",
                "system",
                "Memory",
                graded(100 - free, 90, 97),
                f"{free:.0f} % available of {found['memory_bytes'] / 1e9:.1f} GB",
                "systemctl status --no-pager; ps aux --sort=-rss | head",
            )
        )
    per_processor = found["load1"] / found["processors"]
    result.append(check("load", "system", "Load", graded(per_processor, 2, 8), f"{found['load1']:.2f} on {plural(found['processors'], 'processor')}", "top"))
    for entry in found["certificates"]:
        ends = epoch(entry["ends"])
        left = ((ends or 0) - now) / 86400
        words = f"valid for {left:.0f} more days" if left > 0 else f"ended {ago(-left * 86400)} ago"
        level = "failed" if left <= 3 else "warning" if left <= limits["certificate_days"] else "ok"
        result.append(check(f"certificate:{entry['name']}", "system", f"Certificate {entry['name']}", level, words, "sudo certbot renew; sudo nginx -t", None))
    result.append(
        check(
            "reboot",
            "system",
            "Reboot",
            "warning" if found["reboot_required"] else "ok",
            "an update waits for one" if found["reboot_required"] else "none is needed",
            "cat /run/reboot-required.pkgs",
        )
    )
    return result


def simple_evidence(entry: dict | None, name: str, area: str, title: str, limit: float, now: float, advice: str) -> list[dict]:
    """Of evidence that is a time and a verdict."""
    if entry is None:
        return []
    value = entry["value"]
    found = aged(name, area, title, epoch(value.get("time")) if value else None, limit, now, advice)
    if found["level"] == "ok" and value.get("verdict") != "ok":
        said = value.get("problems") or []
        found.update(level="failed", words="; ".join(str(line) for line in said[:3]) or f"its verdict is {value.get('verdict', 'missing')}")
    return [found]


# --- bots ---------------------------------------------------------------------------------------------------------


def bot_checks(bots: list[dict], paired: bool, limits: dict, now: float) -> list[dict]:
    result = []
    for bot in bots:
        title, unit = f"Bot {bot['name']}", f"bot-{bot['name']}"
        advice = f"journalctl -u {unit} -n 50"
        if not bot["active"]:
            stands_by = not bot["enabled"] and bot["state"] == "inactive"
            words = "stands by on this host" if stands_by and paired else "is stopped and meant to be" if stands_by else f"is {bot['state']}"
            result.append(check(f"bot:{bot['name']}", "releases", title, "none" if stands_by else "failed", words, advice))
            continue
        health = bot["health"]
        since = f"runs for {ago(now - bot['started'])}" if bot["started"] else "runs"
        if health and not health["well"]:
            words = (
                f"{since}, and does not answer: {health['words']}" if not health["answers"] else f"{since}, and says that it is not well ({health['words']})"
            )
            result.append(check(f"bot:{bot['name']}", "releases", title, "failed", words, advice, bot["started"]))
        else:
            words = since + (f", answers within {max(1, health['milliseconds']):.0f} ms" if health else ", and is not asked by HTTP")
            result.append(check(f"bot:{bot['name']}", "releases", title, "ok", words, advice, bot["started"]))
        # Counted from the start where that came later: a bot that has just begun has no order yet.
        last = max(filter(None, ((health or {}).get("last_order"), bot["started"])), default=None)
        if health and health.get("last_order") and limits["order_minutes"]:
            level = "ok" if now - last <= limits["order_minutes"] * 60 else "warning"
            result.append(
                check(
                    f"orders:{bot['name']}",
                    "releases",
                    f"Last order of {bot['name']}",
                    level,
                    f"{ago(max(0, now - health['last_order']))} ago",
                    advice,
                    health["last_order"],
                )
            )
        if bot["mode"] == "live" and bot["live"] and bot["live"]["override"]:
            result.append(
                check(
                    f"paper:{bot['name']}",
                    "releases",
                    f"Paper run of {bot['name']}",
                    "warning",
                    f"live by override, with {bot['live']['paper_hours']} h of paper trading",
                    f"sudo cat /var/lib/botops/bot_app/{bot['name']}/live.log",
                )
            )
    return result


# --- pair ---------------------------------------------------------------------------------------------------------


def pair_checks(pair: dict | None, replication: list[dict] | None, limits: dict, now: float) -> list[dict]:
    result, look = [], "sudo crm_mon -1 -fr"
    if pair and not pair["answers"]:
        result.append(check("cluster", "ha", "Cluster", "failed", pair["why"], "systemctl status corosync pacemaker"))
    elif pair:
        if pair["waiting_for_operator"]:
            node = pair["waiting_for_operator"][0]
            result.append(
                check(
                    "cluster",
                    "ha",
                    "Cluster",
                    "failed",
                    f"waits for the word that {node} is off",
                    f"ansible-playbook playbooks/failover.yml -e failed_node_is_off={node}",
                )
            )
        elif not pair["quorate"]:
            result.append(check("cluster", "ha", "Cluster", "failed", "has no quorum here: nothing runs on this host", look))
        else:
            words = f"{', '.join(pair['active']) or 'nobody'} is active, {', '.join(pair['standby']) or 'nobody'} stands by"
            result.append(check("cluster", "ha", "Cluster", "ok" if pair["active"] else "failed", words, look))
        for name, node in sorted(pair["nodes"].items()):
            level = "failed" if not node["online"] else "warning" if node["standby"] else "ok"
            words = "is not there" if not node["online"] else "was put aside (standby)" if node["standby"] else "is there"
            result.append(check(f"node:{name}", "ha", f"Member {name}", level, words, look))
        level = "ok" if pair["witness"] == "connected" else "failed"
        result.append(check("witness", "ha", "Witness", level, pair["witness"], "sudo corosync-qdevice-tool -s"))
        result.append(
            check(
                "fencing",
                "ha",
                "Fencing",
                "ok" if pair["automatic"] else "warning",
                "automatic" if pair["automatic"] else "an operator has to confirm",
                "ansible-playbook playbooks/fence_test.yml",
            )
        )
        if pair["maintenance"]:
            result.append(
                check("maintenance", "ha", "Maintenance", "warning", "is on: nothing is recovered", "sudo crm_attribute --name maintenance-mode --delete")
            )
        if pair["failed"]:
            result.append(check("resources", "ha", "Resources", "failed", f"failed: {', '.join(pair['failed'])}", look))
    members = sorted(set((pair or {}).get("nodes") or {}) | set((pair or {}).get("tests") or {}))
    for name in members:
        record = pair["tests"].get(name) or {}
        good = record.get("result") == "ok"
        found = aged(
            f"fence_test:{name}",
            "ha",
            f"Fencing test of {name}",
            record.get("epoch") if good else None,
            limits["fencing_days"] * 86400,
            now,
            "ansible-playbook playbooks/fence_test.yml",
        )
        if record and not good:
            found["words"] = f"the last one failed: {record.get('why') or 'unknown'}"
        result.append(found)
    for entry in replication or []:
        result.append(replication_check(entry, limits["replication_seconds"]))
        if entry.get("diverged"):
            result.append(
                check(
                    f"diverged:{entry['bot']}",
                    "ha",
                    f"Diverged data of {entry['bot']}",
                    "warning",
                    f"{plural(entry['diverged'], 'database')} kept aside, with rows that the other host never had",
                    "sudo botops-rsync-ha status",
                )
            )
    return result


def lags(entry: dict) -> list[float | None]:
    return [figures["lag_seconds"] for figures in entry["databases"].values()]


def replication_check(entry: dict, limit: float) -> dict:
    title, advice = f"Replication of {entry['bot']}".removesuffix(" of "), "sudo botops-rsync-ha status"
    broken = [name for name, figures in entry["databases"].items() if figures["unrestorable_seconds"]]
    if not entry["known"]:
        level, words = "failed", entry["why"]
    elif broken:
        level, words = "failed", f"what arrived of {broken[0]} cannot be restored"
    elif None in lags(entry):
        level, words = "warning", "how far the other host is behind is not known yet"
    else:
        most = max(lags(entry), default=0.0)
        level, words = "ok" if most <= limit else "failed", f"{'the other host' if entry['active'] else 'this host'} is {most:.1f} s behind"
    return check(f"replication:{entry['bot']}", "ha", title, level, words, advice)


# --- backups and compliance ---------------------------------------------------------------------------------------


def backup_checks(evidence: dict, limits: dict, now: float) -> list[dict]:
    result = []
    if entry := evidence.get("backup"):
        value, limit, advice = entry["value"], limits["backup_hours"] * 3600, "sudo botops-backup run"
        if not value:
            result.append(aged("backup", "backups", "Backup", None, limit, now, advice))
        elif value.get("verdict") == "standby":
            result.append(aged("backup", "backups", "Backup (this host stands by and saves nothing)", epoch(value.get("time")), limit, now, advice))
        else:
            result += [
                aged(f"backup:{bot}", "backups", f"Backup of {'this host' if bot == '@host' else bot}", epoch(time), limit, now, advice)
                for bot, time in sorted((value.get("last_good") or {}).items())
            ] or [aged("backup", "backups", "Backup", None, limit, now, advice)]
            if value.get("problems"):
                words = "; ".join(str(line) for line in value["problems"][:3])
                result.append(
                    check("backup_run", "backups", "Last run of the backup", "failed", words, "journalctl -u botops-backup -n 50", epoch(value.get("time")))
                )
    if entry := evidence.get("drill"):
        value, advice = entry["value"], "sudo systemctl start botops-restore-drill"
        if value or "backup" in evidence:
            result.append(aged("drill", "backups", "Verified restore", epoch(value.get("last_good")), limits["drill_days"] * 86400, now, advice))
        if value.get("problems"):
            words = "; ".join(str(line) for line in value["problems"][:3])
            result.append(
                check("drill_run", "backups", "Last restore drill", "failed", words, "journalctl -u botops-restore-drill -n 50", epoch(value.get("time")))
            )
    return result


def compliance_checks(entry: dict | None, limits: dict, now: float) -> list[dict]:
    if entry is None:
        return []
    value = entry["value"]
    result = [
        aged(
            "compliance_age",
            "compliance",
            "Compliance was looked at",
            epoch(value.get("time")),
            limits["compliance_hours"] * 3600,
            now,
            "sudo systemctl start botops-compliance",
        )
    ]
    if value:
        problems = value.get("problems") or []
        words = f"score {value.get('score')} %, {plural((value.get('counts') or {}).get('fail', 0), 'control')} failing"
        result.append(
            check(
                "compliance",
                "compliance",
                "Controls",
                "failed" if problems else "ok",
                "; ".join([words, *map(str, problems[:3])]),
                "sudo botops-compliance show --failing",
                epoch(value.get("time")),
            )
        )
    return result


def shown_compliance(entry: dict | None) -> dict | None:
    """What a page needs of compliance.json: without what holds."""
    value = (entry or {}).get("value")
    if not value:
        return None
    keys = ("id", "title", "expected", "actual", "severity", "status", "evidence", "waiver")
    controls = [{key: control.get(key) for key in keys} for control in value.get("controls") or [] if control.get("status") in ("fail", "waived")]
    history = [{"time": point.get("time"), "score": point.get("score")} for point in value.get("history") or []]
    return {
        "time": value.get("time"),
        "score": value.get("score"),
        "minimum": value.get("minimum"),
        "counts": value.get("counts") or {},
        "sources": value.get("sources") or {},
        "controls": controls,
        "history": history[-SERIES_MOST:],
    }


def shown_backups(evidence: dict) -> dict | None:
    backup, drill = ((evidence.get(name) or {}).get("value") or {} for name in ("backup", "drill"))
    if not backup and not drill:
        return None
    snapshots = [{key: entry.get(key) for key in ("what", "repository", "snapshot", "bytes", "added", "seconds")} for entry in backup.get("snapshots") or []]
    restored = [
        {key: entry.get(key) for key in ("bot", "repository", "snapshot", "rpo_seconds", "rto_seconds", "verdict")} for entry in drill.get("restored") or []
    ]
    return {
        "time": backup.get("time"),
        "verdict": backup.get("verdict"),
        "seconds": backup.get("seconds"),
        "snapshots": snapshots,
        "last_good": backup.get("last_good") or {},
        "drill_time": drill.get("time"),
        "drill_last_good": drill.get("last_good"),
        "restored": restored,
    }


# --- all together -------------------------------------------------------------------------------------------------


def judged(found: dict, limits: dict, host: str, now: float) -> dict:
    """The state of this host: what was collected, the checks, and one line. found: of collect.everything."""
    checks = [
        check(f"looked:{name}", "system", f"Looking at {name}", "failed", f"failed: {said}", "sudo botops-status run") for name, said in found["errors"].items()
    ]
    evidence = found["evidence"] or {}
    if found["system"]:
        checks += system_checks(found["system"], limits, now)
    checks += simple_evidence(evidence.get("notify"), "notify", "system", "Messages", limits["notify_hours"] * 3600, now, "sudo botops-notify status")
    checks += pair_checks(found["pair"], found["replication"], limits, now)
    checks += backup_checks(evidence, limits, now)
    checks += compliance_checks(evidence.get("compliance"), limits, now)
    checks += simple_evidence(evidence.get("audit"), "audit", "compliance", "Audit trail", limits["audit_hours"] * 3600, now, "sudo botops-audit report")
    checks += bot_checks(found["bots"] or [], bool(found["pair"]), limits, now)
    return {
        "source": "botops-status",
        "host": host,
        "epoch": now,
        "verdict": max(worst([entry["level"] for entry in checks]), "ok", key=LEVELS.index),
        "line": line(checks, found["bots"] or []),
        "checks": checks,
        "system": found["system"],
        "bots": found["bots"] or [],
        "pair": found["pair"],
        "replication": found["replication"] or [],
        "backups": shown_backups(evidence),
        "compliance": shown_compliance(evidence.get("compliance")),
        "audit": shown_audit(evidence.get("audit")),
        "notify": shown_notify(evidence.get("notify")),
        "evidence": {name: epoch(entry["value"].get("time")) for name, entry in evidence.items() if entry["value"]},
    }


def shown_audit(entry: dict | None) -> dict | None:
    value = (entry or {}).get("value")
    return {key: value.get(key) for key in ("time", "lost", "events", "mb_per_day", "budget_mb_per_day")} if value else None


def shown_notify(entry: dict | None) -> dict | None:
    value = (entry or {}).get("value")
    if not value:
        return None
    return {
        name: {key: row.get(key) for key in ("sent", "waiting", "lost", "last_sent", "failing_since")}
        for name, row in (value.get("destinations") or {}).items()
    }


def line(checks: list[dict], bots: list[dict]) -> str:
    """Is everything all right? For somebody who was asleep a moment ago."""
    wrong = sorted((entry for entry in checks if entry["level"] in ("failed", "warning")), key=lambda entry: -LEVELS.index(entry["level"]))
    if wrong:
        first = f"{wrong[0]['title']}: {wrong[0]['words']}"
        return first + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    running = [bot["name"] for bot in bots if bot["active"]]
    return f"Everything is all right; {', '.join(running)} {'runs' if len(running) == 1 else 'run'}" if running else "Everything is all right"


def area_level(checks: list[dict], area: str) -> str:
    return worst([entry["level"] for entry in checks if entry["area"] == area])


# --- over time ----------------------------------------------------------------------------------------------------


def remembered(known: dict, state: dict) -> dict:
    """The figures of the last day with this look's, and what each bot has run: {samples: [...], releases: {bot: [...]}}."""
    now = state["epoch"]
    sample = {"time": now, "orders": {}, "lag": {}, "score": (state["compliance"] or {}).get("score")}
    for bot in state["bots"]:
        if bot["orders_total"] is not None:
            sample["orders"][bot["name"]] = bot["orders_total"]
    for entry in state["replication"]:
        measured = [lag for lag in lags(entry) if lag is not None]
        if measured:
            sample["lag"][entry["bot"]] = max(measured)
    kept = [old for old in known.get("samples") or [] if now - SERIES_SECONDS <= old.get("time", 0) < now]
    return {"samples": [*kept, sample][-SERIES_MOST:], "releases": releases(known.get("releases") or {}, state["bots"])}


def releases(known: dict, bots: list[dict]) -> dict:
    """What ran since when, the newest last. A release that was there before, or is held by a pin, came back: a rollback."""
    result = dict(known)
    for bot in bots:
        log = list(result.get(bot["name"]) or [])
        if bot["release"] and (not log or log[-1]["release"] != bot["release"]):
            back = bool(log) and (bot["pinned"] or any(entry["release"] == bot["release"] for entry in log))
            log.append(
                {
                    "release": bot["release"],
                    "version": bot["version"],
                    "since": bot["deployed"],
                    "built": bot["built"],
                    "kind": "rollback" if back else "deployment",
                }
            )
        result[bot["name"]] = log[-LOG_MOST:]
    return result


def orders_per_minute(samples: list[dict], bot: str) -> list[tuple[float, float]]:
    """(time, orders a minute) between two looks. A counter that fell began anew."""
    points = [(sample["time"], sample["orders"][bot]) for sample in samples if bot in sample["orders"]]
    result = []
    for (before, least), (after, most) in zip(points, points[1:]):
        if after > before:
            result.append((after, 60 * (most - least if most >= least else most) / (after - before)))
    return result


def peer_line(name: str, peer: dict, stale: float, now: float) -> dict:
    """One line about another host: {name, level, line, epoch, old, why}. peer: {state, error} as it was last fetched."""
    state = peer.get("state") or {}
    if not state:
        why = peer.get("error") or "it was never heard"
        return {"name": name, "level": "failed", "line": f"Not known: {why}", "epoch": None, "old": True, "why": why}
    age = now - state["epoch"]
    old = age > stale
    words = f"Not heard for {ago(age)}; before that: {state['line']}" if old else state["line"]
    return {"name": name, "level": "failed" if old else state["verdict"], "line": words, "epoch": state["epoch"], "old": old, "why": peer.get("error", "")}
