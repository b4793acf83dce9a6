"""What other parts of the collection leave behind: backups, drills, fencing tests, replication, audit, paper runs. All of it read, nothing done again."""

from __future__ import annotations

import json
import os
import pathlib

from compliance import common
from compliance.model import control

FENCE_TESTS = pathlib.Path("/var/lib/botops/ha_cluster/fence-tests.json")
BOTS = pathlib.Path("/var/lib/botops/bot_app")


def age_control(name: str, title: str, since: object, limit: float, now: object, evidence: str, severity: str = "high") -> dict:
    """limit: seconds. A time that lies in the future is no proof of anything."""
    expected, moment = f"at most {common.ago(limit)} ago", common.moment_of(since) if since else None
    if moment is None:
        return control(name, title, expected, "never", False, severity, evidence=evidence)
    age = (now - moment).total_seconds()
    actual = f"{common.ago(age)} ago" if age >= -300 else f"{common.ago(-age)} from now: a clock is wrong"
    return control(name, title, expected, actual, -300 <= age <= limit, severity, evidence=evidence)


def backup_controls(backup: dict, drill: dict, declared: dict | None, checked: common.Done | None, now: object) -> list[dict]:
    if not declared:
        return [control("backup:age", "Every bot's last complete backup is young enough", "backups", "none are declared for this host", None)]
    result = []
    if declared["saves"]:
        limit = declared["age_hours"] * 3600
        title, where = "Every bot's last complete backup is young enough", "/var/lib/botops/evidence/backup.json; sudo botops-backup run"
        if backup.get("verdict") == "standby":
            result.append(age_control("backup:age", title + " (this host stands by and saves nothing)", backup.get("time"), limit, now, where))
        else:
            # The oldest of all bots speaks for the host; one that never was saved is the oldest.
            times = [(backup.get("last_good") or {}).get(bot, "") for bot in declared["bots"]] or [backup.get("time", "")]
            result.append(age_control("backup:age", title, min(times), limit, now, where))
    if declared["drills"]:
        result.append(age_control("backup:drill", "A restore was verified not long ago", drill.get("last_good"), declared["drill_days"] * 86400, now,
                                  "/var/lib/botops/evidence/drill.json; sudo systemctl start botops-restore-drill"))  # fmt: skip
    if checked is not None:
        result.append(control("backup:check", "What proves backups is signed by this host", "botops-backup check succeeds", checked.last or "it does",
                              checked.status == 0, "high", evidence="sudo botops-backup check"))  # fmt: skip
    return result


def fencing_controls(records: dict, members: list[str], days: float, now: object) -> list[dict]:
    result = []
    for member in members:
        record = records.get(member) or {}
        good = record.get("result") == "ok"
        since = common.iso(common.datetime.datetime.fromtimestamp(record["epoch"], common.datetime.timezone.utc)) if good and record.get("epoch") else ""
        entry = age_control(f"fencing:{member}", f"Switching {member} off was tried for real", since, days * 86400, now,
                            "ansible-playbook playbooks/fence_test.yml")  # fmt: skip
        if record and not good:
            entry["actual"] = f"the last test failed: {record.get('why', 'unknown')}"
        result.append(entry)
    return result


def replication_controls(status: list[dict], seconds: float) -> list[dict]:
    """status: `botops-rsync-ha status --json`."""
    result = []
    for entry in status:
        source = entry.get("replication") if entry.get("active") else entry.get("restorable")
        lags = [figures.get("lag_seconds") for figures in ((source or {}).get("databases") or {}).values()]
        broken = [str(figures["reason"]) for figures in ((source or {}).get("databases") or {}).values() if figures.get("unrestorable_seconds")]
        if source is None:
            actual, held = "nothing is known of it", False
        elif broken:
            actual, held = f"what arrived cannot be restored: {broken[0]}", False
        else:
            unknown = [lag for lag in lags if lag is None]
            most = max((lag for lag in lags if lag is not None), default=0.0)
            actual, held = "not known yet" if unknown else f"{most:.1f} s", not unknown and most <= seconds
        result.append(control(f"replication:{entry['bot']}", "The other host is not far behind", f"at most {seconds:g} s", actual, held, "high",
                              evidence="sudo botops-rsync-ha status"))  # fmt: skip
    return result


def audit_controls(audit: dict) -> list[dict]:
    title = "The kernel's audit has lost no event"
    if not audit:
        return [control("audit:lost", title, "none", "no audit is kept on this host", None)]
    lost = audit.get("lost")
    held = isinstance(lost, int) and lost == 0
    where = "/var/lib/botops/evidence/audit.json; sudo auditctl -s"
    return [control("audit:lost", title, "0", "not known" if lost is None else lost, held, "high", evidence=where)]


def paper_controls(live: dict, found: dict[str, dict]) -> list[dict]:
    """live: hours of paper trading wanted, by bot. found: release, seconds on record here, allowed (by the gate), override (its reason)."""
    result = []
    for bot, hours in sorted(live.items()):
        entry = found.get(bot) or {}
        here, release = entry.get("seconds", 0) / 3600, entry.get("release", "")
        if not release:
            actual, held = "no release runs here", None
        elif here >= hours:
            actual, held = f"{here:.1f} h by {release}", True
        elif entry.get("override"):
            actual, held = f"{here:.1f} h by {release}, and an override: {entry['override']}", False
        else:
            # The gate also counts what another host of the same run has on record.
            actual, held = f"{here:.1f} h here by {release}" + (", and the gate let it through" if entry.get("allowed") else ""), bool(entry.get("allowed"))
        result.append(control(f"paper:{bot}", "The release that trades live has its paper run on record", f"{hours:g} h", actual, held, "high",
                              evidence=f"/var/lib/botops/bot_app/{bot}/paper.json, live.log"))  # fmt: skip
    return result


def paper_record(bot: str) -> dict:
    state = BOTS / bot
    try:
        release = os.path.basename(os.readlink(f"/opt/bot-{bot}/current"))
    except OSError:
        return {}
    record = common.read_json(state / "paper.json").get(release) or {}
    reason = ""
    for line in common.read(str(state / "live.log")).splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("release") == release:
            reason = entry.get("override_reason") or ""
    allowed = common.read_json(state / "state.json").get("live_allowed") or []
    return {"release": release, "seconds": record.get("seconds", 0), "allowed": release in allowed, "override": reason}


def look(declared: dict, limits: dict) -> list[dict]:
    moment = common.now()
    backup, drill = (common.read_json(common.EVIDENCE / f"{name}.json") for name in ("backup", "drill"))
    checked = common.run(["/usr/local/sbin/botops-backup", "check"], 120) if declared["backups"] else None
    result = backup_controls(backup, drill, declared["backups"], checked, moment)
    if declared["fencing"]:
        result += fencing_controls(common.read_json(FENCE_TESTS), declared["fencing"], limits["fencing_days"], moment)
    if declared["replication"]:
        told = common.run(["/usr/local/sbin/botops-rsync-ha", "status", "--json"])
        try:
            result += replication_controls(json.loads(told.out), limits["replication_seconds"])
        except ValueError:
            result.append(control("replication:status", "The other host is not far behind", "a status", told.last or "none", False, "high"))
    result += audit_controls(common.read_json(common.EVIDENCE / "audit.json"))
    return result + paper_controls(declared["live"], {bot: paper_record(bot) for bot in declared["live"]})
