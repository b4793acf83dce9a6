"""Controls, waivers, the score and what became worse. Pure: no file, no clock and no host."""

from __future__ import annotations

import datetime

SEVERITIES = ("low", "medium", "high")
HISTORY_DAYS = 90
# A run by hand every few seconds does not make the history grow without end.
HISTORY_MOST = 1000
# Points of the score that may go without a message while no single control became worse.
DROP = 1.0


def control(name: str, title: str, expected: object, actual: object, held: bool | None, severity: str = "medium", source: str = "botops", evidence: str = ""):
    """One control. `held` None says that it does not apply to this host; `evidence` is what to type or where to look."""
    status = "not_applicable" if held is None else "pass" if held else "fail"
    return {
        "id": name, "title": title, "expected": str(expected), "actual": str(actual), "severity": severity, "source": source, "evidence": evidence,
        "status": status, "waiver": None,
    }  # fmt: skip


def ended(waiver: dict, today: datetime.date) -> bool:
    """A waiver holds through its last day."""
    return datetime.date.fromisoformat(waiver["until"]) < today


def judged(controls: list[dict], waivers: list[dict], today: datetime.date, sources: list[str]) -> list[dict]:
    """The controls with their waivers: what fails and is waived is `waived`, and fails again when the waiver has ended.

    sources: what ran. A waiver of a control that none of these has is a control of its own, which fails: it hides nothing and misleads.
    """
    by_id = {waiver["control"]: waiver for waiver in waivers}
    result = []
    for entry in controls:
        waiver = by_id.get(entry["id"])
        if waiver:
            over = ended(waiver, today)
            entry = {**entry, "waiver": {**waiver, "expired": over}}
            if entry["status"] == "fail" and not over:
                entry["status"] = "waived"
        result.append(entry)
    known = {entry["id"] for entry in controls}
    for waiver in waivers:
        if waiver["control"] not in known and source_of(waiver["control"]) in sources:
            result.append(control(
                f"waiver:{waiver['control']}", "Every waiver is for a control of this host", "a control of this name", "there is none",
                False, "low", evidence="take the entry out of compliance_waivers",
            ))  # fmt: skip
    return result


def source_of(name: str) -> str:
    """Which judge a control's name belongs to."""
    prefix = name.partition(":")[0]
    return prefix if prefix in ("openscap", "lynis", "ssh-audit", "debsums") else "botops"


def counts(controls: list[dict]) -> dict[str, int]:
    found = dict.fromkeys(("pass", "fail", "waived", "not_applicable"), 0)
    for entry in controls:
        found[entry["status"]] += 1
    return found


def score(controls: list[dict]) -> float:
    """Percent of the controls that apply and are not waived; a waiver neither helps nor harms. 0 where nothing was looked at."""
    found = counts(controls)
    judged_ones = found["pass"] + found["fail"]
    return round(100 * found["pass"] / judged_ones, 1) if judged_ones else 0.0


def by_source(controls: list[dict]) -> dict[str, dict]:
    """Counts and score of each judge."""
    result = {}
    for source in sorted({entry["source"] for entry in controls}):
        mine = [entry for entry in controls if entry["source"] == source]
        found = counts(mine)
        # A judge to whom nothing of this host applies has no opinion of it.
        result[source] = {**found, "score": score(mine) if found["pass"] + found["fail"] else None}
    return result


def verdict(controls: list[dict], points: float, minimum: float) -> list[str]:
    """Why this is no pass, as sentences; nothing where it is one."""
    said = []
    if points < minimum:
        said.append(f"the score is {points} %, and {minimum} % is the least")
    high = [entry["id"] for entry in controls if entry["status"] == "fail" and entry["severity"] == "high"]
    if high:
        said.append(f"of high severity: {', '.join(high)}")
    over = [entry["id"] for entry in controls if entry["status"] == "fail" and (entry["waiver"] or {}).get("expired")]
    if over:
        said.append(f"the waiver has ended: {', '.join(over)}")
    return said


def worse(before: list[dict], after: list[dict]) -> list[dict]:
    """Controls that fail now and did not in the run before, the gravest first; nothing after the very first run."""
    if not before:
        return []
    failed = {entry["id"] for entry in before if entry["status"] == "fail"}
    found = [entry for entry in after if entry["status"] == "fail" and entry["id"] not in failed]
    # A judge that was not asked before has not made anything worse.
    asked = {entry["source"] for entry in before}
    found = [entry for entry in found if entry["source"] in asked]
    return sorted(found, key=lambda entry: (-SEVERITIES.index(entry["severity"]), entry["id"]))


def history(known: list[dict], entry: dict, moment: datetime.datetime) -> list[dict]:
    """With this run's entry, and without what is older than 90 days."""
    oldest = (moment - datetime.timedelta(days=HISTORY_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [*(old for old in known if oldest <= old.get("time", "") < entry["time"]), entry][-HISTORY_MOST:]


def message(host: str, found: list[dict], points: float, before: float) -> dict | None:
    """What botops-notify is told, or nothing. One key, so that the same trouble rings once."""
    if not found and points > before - DROP:
        return None
    severity = "critical" if any(entry["severity"] == "high" for entry in found) else "warning"
    subject = f"compliance: {len(found)} control{'' if len(found) == 1 else 's'} became worse" if found else f"compliance: score fell to {points} %"
    lines = [f"host: {host}", f"score: {points} % (before: {before} %)"]
    lines += [f"{entry['severity']}: {entry['id']}: {entry['actual']} (expected {entry['expected']})"[:220] for entry in found[:8]]
    if len(found) > 8:
        lines.append(f"and {len(found) - 8} more")
    return {"severity": severity, "subject": subject, "body": "\n".join([*lines, "type:", "  sudo botops-compliance show --failing"])}
