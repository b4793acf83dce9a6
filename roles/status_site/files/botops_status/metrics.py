"""The same figures for Prometheus, in the text format that node_exporter's textfile collector reads. Pure."""

from __future__ import annotations

from botops_status.common import epoch
from botops_status.model import LEVELS


def quoted(value: object) -> str:
    return str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Text:
    """Samples by metric, each with its help and type once."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, str, list[str]]] = {}

    def add(self, name: str, what: str, value: object, kind: str = "gauge", **labels: object) -> None:
        """Nothing is written of what is not known (None): a zero would be a lie."""
        if value is None:
            return
        told = ",".join(f'{key}="{quoted(text)}"' for key, text in labels.items())
        number = f"{float(value):.15g}"
        self.found.setdefault(name, (what, kind, []))[2].append(f"{name}{{{told}}} {number}" if told else f"{name} {number}")

    def __str__(self) -> str:
        lines = []
        for name, (what, kind, samples) in sorted(self.found.items()):
            lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}", *samples]
        return "\n".join(lines) + "\n"


def text(state: dict) -> str:
    out, now = Text(), state["epoch"]
    out.add("botops_status_generated_timestamp_seconds", "When this host was last looked at.", now)
    out.add("botops_status_level", "The worst of all checks: 1 ok, 2 warning, 3 failed.", LEVELS.index(state["verdict"]))
    for entry in state["checks"]:
        if entry["level"] != "none":
            out.add("botops_check_level", "One check: 1 ok, 2 warning, 3 failed.", LEVELS.index(entry["level"]), check=entry["id"], area=entry["area"])
    for name, at in state["evidence"].items():
        out.add("botops_evidence_age_seconds", "Age of what another part of the collection left on record.", at and max(0, now - at), evidence=name)
    add_system(out, state["system"] or {})
    for bot in state["bots"]:
        add_bot(out, bot, now)
    add_pair(out, state["pair"], state["replication"], now)
    add_promises(out, state, now)
    return str(out)


def add_system(out: Text, system: dict) -> None:
    for disk in system.get("disks") or []:
        out.add("botops_disk_used_ratio", "Part of a file system that is used.", disk["used_ratio"], mount=disk["mount"])
    if system.get("memory_bytes"):
        ratio = (system["memory_available_bytes"] or 0) / system["memory_bytes"]
        out.add("botops_memory_available_ratio", "Part of the memory that is available.", round(ratio, 4))
    out.add("botops_load1", "Processes that run or wait, over a minute.", system.get("load1"))
    out.add("botops_uptime_seconds", "Since the host booted.", system.get("uptime_seconds"))
    units = system.get("failed_units")
    out.add("botops_failed_units", "Units of systemd that failed.", None if units is None else len(units))
    out.add("botops_reboot_required", "1 while an update waits for a reboot.", int(system["reboot_required"]) if system else None)
    for entry in system.get("certificates") or []:
        out.add("botops_certificate_expiry_timestamp_seconds", "When a certificate ends.", epoch(entry["ends"]), certificate=entry["name"])


def add_bot(out: Text, bot: dict, now: float) -> None:
    name, health = bot["name"], bot["health"] or {}
    out.add("botops_bot_active", "1 while the bot's unit runs on this host.", int(bot["active"]), bot=name)
    out.add("botops_bot_healthy", "1 while the bot answers that it is well.", int(health["well"]) if health else None, bot=name)
    out.add("botops_bot_response_seconds", "How long the bot took to answer.", health["milliseconds"] / 1000 if health.get("answers") else None, bot=name)
    out.add("botops_bot_started_timestamp_seconds", "When the bot's unit was started.", bot["started"], bot=name)
    out.add("botops_bot_restarts_total", "Starts by systemd after the bot ended by itself.", bot["restarts"], "counter", bot=name)
    out.add("botops_bot_orders_total", "Orders by the bot's own counter.", bot["orders_total"], "counter", bot=name)
    last = health.get("last_order")
    out.add("botops_bot_order_age_seconds", "Since the bot's last order.", last and max(0, now - last), bot=name)
    if bot["release"]:
        out.add("botops_bot_release_info", "1 for the release that is current.", 1, bot=name, release=bot["release"], version=bot["version"], mode=bot["mode"])
        out.add("botops_bot_deployed_timestamp_seconds", "When the current release took its place.", bot["deployed"], bot=name)
        out.add("botops_bot_paper_seconds", "Paper trading of the current release on record on this host.", bot["paper_seconds"], bot=name)


def add_pair(out: Text, pair: dict | None, replication: list[dict], now: float) -> None:
    if pair:
        out.add("botops_cluster_answers", "1 while the cluster runs on this host.", int(pair["answers"]))
        for name, record in pair["tests"].items():
            good = record["result"] == "ok" and record["epoch"]
            out.add(
                "botops_fencing_test_age_seconds",
                "Since a member was switched off for a test and that worked.",
                max(0, now - record["epoch"]) if good else None,
                member=name,
            )
    if pair and pair["answers"]:
        out.add("botops_cluster_quorate", "1 while this host's part of the cluster has the majority.", int(pair["quorate"]))
        out.add("botops_cluster_witness_connected", "1 while the witness votes.", int(pair["witness"] == "connected"))
        for name, node in pair["nodes"].items():
            out.add("botops_cluster_node_online", "1 for a member that is there.", int(node["online"]), member=name)
            out.add("botops_cluster_node_active", "1 for the member that trades.", int(name in pair["active"]), member=name)
    for entry in replication:
        for database, figures in entry["databases"].items():
            out.add("botops_replication_lag_seconds", "How far the standby is behind.", figures["lag_seconds"], bot=entry["bot"], database=database)


def add_promises(out: Text, state: dict, now: float) -> None:
    backups, found = state["backups"] or {}, state["compliance"] or {}
    for bot, time in (backups.get("last_good") or {}).items():
        at = epoch(time)
        out.add("botops_backup_age_seconds", "Since the last complete backup.", at and max(0, now - at), bot=bot)
    for entry in backups.get("snapshots") or []:
        out.add("botops_backup_bytes", "Size of the last backup.", entry["bytes"], bot=entry["what"], repository=entry["repository"])
    at = epoch(backups.get("drill_last_good"))
    out.add("botops_restore_drill_age_seconds", "Since a restore was last found equal to what was saved.", at and max(0, now - at))
    for entry in backups.get("restored") or []:
        out.add("botops_restore_drill_seconds", "How long the last restore took.", entry["rto_seconds"], bot=entry["bot"], repository=entry["repository"])
    out.add("botops_compliance_score", "Percent of the controls that hold.", found.get("score"))
    for status, count in (found.get("counts") or {}).items():
        out.add("botops_compliance_controls", "Controls by what became of them.", count, status=status)
    out.add("botops_audit_lost_events", "Events that the kernel's audit has lost.", (state["audit"] or {}).get("lost"))
    for name, row in (state["notify"] or {}).items():
        out.add("botops_notify_waiting", "Messages that wait for a destination.", row["waiting"], destination=name)
