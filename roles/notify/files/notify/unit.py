"""A unit that failed, in words: what happened, since when, its last lines, and what to type."""

from __future__ import annotations

import pathlib
import re
import time

from notify import common

PROPERTIES = (
    "Description", "LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts", "StateChangeTimestamp",
    "InvocationID",
)  # fmt: skip
RESULTS = {
    "exit-code": "ended with an error", "signal": "was killed", "core-dump": "crashed", "watchdog": "stopped answering its watchdog",
    "timeout": "took too long", "oom-kill": "ran out of memory and was killed", "start-limit-hit": "failed too often and is not started any more",
    "resources": "could not be started: something it needs is missing", "protocol": "did not say that it had started",
    "exec-condition": "was not started: its condition failed",
}  # fmt: skip
SIGNALS = {"6": "SIGABRT", "9": "SIGKILL", "11": "SIGSEGV", "15": "SIGTERM"}
LINES = 5
DEPLOYING = pathlib.Path("/run/botops/deploying")
# The first that matches; \1 is the bot.
ADVICE = [
    (r"bot-(.+)-health\.service", ["systemctl status bot-{0}", "journalctl -u bot-{0} -n 50"]),
    (r"bot-(.+)-retention\.service", ["journalctl -u {unit} -n 20", "systemctl start {unit}"]),
    (
        r"bot-(.+)\.service",
        [
            "journalctl -u {unit} -n 50", "systemctl restart {unit}",
            "after a deployment: ansible-playbook playbooks/deploy.yml -e bot={0} -e version=THE_LAST_GOOD_ONE",
        ],
    ),
    (r"botops-backup-check\.service", ["botops-backup check --repositories", "botops-backup run"]),
    (r"botops-backup\.service", ["journalctl -u {unit} -n 50", "botops-backup run"]),
    (r"botops-restore-drill\.service", ["journalctl -u {unit} -n 50", "botops-backup drill"]),
    (r"botops-docker-prune\.service", ["df -h /var/lib/docker", "journalctl -u {unit} -n 20"]),
    (r"docker\.service|containerd\.service", ["journalctl -u {unit} -n 50", "systemctl restart {unit}"]),
    (r"botops-integrity\.service|.*integrity.*\.service", ["journalctl -u {unit} -n 50", "somebody changed a file: see which, and who (last)"]),
    (r"certbot\.service|.*(?:acme|renew).*\.service", ["certbot certificates", "certbot renew --dry-run"]),
    (r"nginx\.service|haproxy\.service", ["journalctl -u {unit} -n 50", "systemctl restart {unit}"]),
    (r"(?:corosync|pacemaker)\.service", ["crm_mon -1 -fr", "ansible-playbook playbooks/ha_status.yml"]),
]


def is_being_deployed(unit: str, now: float) -> bool:
    """A deployment that died says so until its time is over, and no longer."""
    try:
        return now < float((DEPLOYING / unit).read_text())
    except (OSError, ValueError):
        return False


def bot_of(unit: str) -> str:
    found = re.fullmatch(r"bot-(.+?)(?:-health|-retention)?\.\w+", unit)
    return found[1] if found else ""


def advice(unit: str) -> list[str]:
    for pattern, lines in ADVICE:
        if found := re.fullmatch(pattern, unit):
            return [line.format(*found.groups(), unit=unit) for line in lines]
    return [f"systemctl status {unit}", f"journalctl -u {unit} -n 50", f"systemctl start {unit}"]


def properties(unit: str) -> dict:
    text = common.output(["systemctl", "show", "--timestamp=unix", "--property=" + ",".join(PROPERTIES), "--", unit])
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def journal(unit: str, invocation: str) -> list[str]:
    """The last lines of this run of it, without systemd's own."""
    # An older journald does not know the invocation of what ended at once; then its unit's lines, and last those about the unit.
    matches = [[f"_SYSTEMD_INVOCATION_ID={invocation}"]] if invocation.strip("0") else []
    text = ""
    for match in [*matches, [f"_SYSTEMD_UNIT={unit}"], ["-u", unit]]:
        text = text if text.strip() else common.output(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", str(LINES), *match])
    return [line[:160] for line in text.splitlines() if line.strip()][-LINES:]


def happened(found: dict) -> str:
    result = found.get("Result", "")
    words = RESULTS.get(result, f"failed ({result})" if result and result != "success" else "failed")
    status = found.get("ExecMainStatus", "0")
    if result == "exit-code":
        words += f" (status {status})"
    elif result in ("signal", "core-dump"):
        words += f" by {SIGNALS.get(status, 'signal ' + status)}"
    restarts = found.get("NRestarts", "0")
    return words + (f"; started again {restarts} times before" if restarts not in ("0", "") else "")


def since(found: dict, now: float) -> str:
    stamp = found.get("StateChangeTimestamp", "").lstrip("@")
    if not stamp.isdigit():
        return common.iso(now)
    return f"{common.iso(int(stamp))} ({common.ago(max(0, now - int(stamp)))} ago)"


def described(unit: str, host: str, now: float | None = None) -> dict:
    """Severity, subject, body and key of the message about this unit; its secrets are still in it."""
    now = time.time() if now is None else now
    found = properties(unit)
    bot, what = bot_of(unit), happened(found)
    body = [f"host: {host}"]
    if bot:
        body.append(f"bot: {bot}")
    body += [f"unit: {unit} ({found.get('Description', 'unknown')})", f"what: it {what}", f"since: {since(found, now)}"]
    lines = journal(unit, found.get("InvocationID", ""))
    if lines:
        body += ["last lines:", *("  " + line for line in lines)]
    # Words, and what runs on the control node, need no sudo.
    body += ["type:", *("  " + ("" if line.startswith(("after", "somebody", "ansible")) else "sudo ") + line for line in advice(unit))]
    severity = "critical" if bot and unit == f"bot-{bot}.service" or not bot else "warning"
    return {"severity": severity, "subject": f"{unit.rpartition('.')[0]} {what.partition(';')[0]}", "body": "\n".join(body), "key": f"unit:{unit}"}
