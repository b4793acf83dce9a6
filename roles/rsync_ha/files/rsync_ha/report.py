"""Figures for people and for monitoring: JSON below the state directory, metrics for node_exporter."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import time

from .common import Bot, own_era, read_json, received_eras, write_json


def aside(bot: Bot, label: str) -> list[str]:
    """Copies that were kept: DATABASE.diverged-TIME or .superseded-TIME."""
    companions = ("-wal", "-shm", "-journal", ".json")
    found = bot.directory.glob(f"**/*.{label}-*")
    return sorted(str(path) for path in found if path.is_file() and not path.name.endswith(companions))


def verdict_file(bot: Bot) -> pathlib.Path:
    """What the standby's watch found last."""
    return bot.root / "state" / f"{bot.name}-restorable.json"


def failing(entry: dict) -> float:
    """For how many seconds the newest segment could not be restored."""
    return time.time() - entry["failed_since"] if entry.get("failed_since") else 0.0


def lag(entry: dict) -> float | None:
    """Age of the newest state that restores, in seconds; None before the first."""
    return round(max(0.0, time.time() - entry["covers"]), 3) if entry.get("covers") else None


def restorable(bot: Bot) -> dict | None:
    """What the standby's watch knows; None where nothing is watched."""
    verdict = read_json(verdict_file(bot))
    if not verdict or bot.marker.exists():
        return None
    databases = {
        name: {"lag_seconds": lag(entry), "unrestorable_seconds": round(failing(entry), 1), "reason": entry["reason"], "position": entry["position"]}
        for name, entry in verdict["databases"].items()
    }
    return {"era": verdict["era"], "looked_seconds_ago": round(time.time() - verdict["at"], 1), "databases": databases}


def passive(bot: Bot) -> dict:
    """What this host knows without an agent: its era, what it received, what it kept aside."""
    own, received = own_era(bot), received_eras(bot)
    heartbeat = read_json(bot.incoming / "records" / "heartbeat")
    return {
        "bot": bot.name,
        "host": bot.config["host"],
        "active": bot.marker.exists(),
        "own_era": own.id if own else None,
        "received_era": received[0].id if received else None,
        "heartbeat_age_seconds": round(time.time() - heartbeat["at"], 3) if heartbeat.get("at") else None,
        "peer_said": heartbeat or None,
        "diverged": aside(bot, "diverged"),
        "superseded": aside(bot, "superseded"),
        "restorable": restorable(bot),
        "offsite": read_json(bot.root / f"{bot.name}-offsite.json") or None,
        "free_bytes": shutil.disk_usage(bot.root).free,
    }


def publish_active(bot: Bot, status: dict | None) -> None:
    write_json(bot.root / f"{bot.name}.json", {**passive(bot), "replication": status})
    write_metrics(bot, status)


def publish_passive(bot: Bot, older_than: float = 0) -> None:
    path = bot.root / f"{bot.name}.json"
    if older_than and path.exists() and time.time() - path.stat().st_mtime < older_than:
        return
    told = read_json(bot.root / f"{bot.name}.json").get("replication") if bot.marker.exists() else None
    if told is None or time.time() - told["at"] > 30:
        publish_active(bot, None)


def metrics(bot: Bot, known: dict, status: dict | None) -> list[tuple[str, str, str, float]]:
    """Name, help, labels, value."""
    here = f'bot="{bot.name}"'
    lines = [
        ("rsync_ha_active", "1 where the bot's data is written.", here, int(known["active"])),
        ("rsync_ha_replicating", "1 while the agent runs.", here, int(status is not None)),
        ("rsync_ha_diverged_copies", "Databases kept aside because the peer never had their last rows.", here, len(known["diverged"])),
        ("rsync_ha_free_bytes", "Free space where the replica is.", here, known["free_bytes"]),
    ]
    if known["heartbeat_age_seconds"] is not None:
        lines.append(("rsync_ha_heartbeat_age_seconds", "Since the active host was last heard.", here, known["heartbeat_age_seconds"]))
    if known["offsite"] and not known["active"]:
        age = round(time.time() - known["offsite"]["at"], 1)
        lines.append(("rsync_ha_offsite_age_seconds", "Since the start of the last complete copy to object storage.", here, age))
    for name, entry in (known["restorable"] or {"databases": {}})["databases"].items():
        label = f'{here},database="{name}"'
        if entry["lag_seconds"] is not None:
            lines.append(("rsync_ha_restorable_lag_seconds", "Age of the newest state that restores on this standby.", label, entry["lag_seconds"]))
        lines.append(("rsync_ha_unrestorable_seconds", "For how long the newest segment has not restored here.", label, entry["unrestorable_seconds"]))
    if status is None:
        return lines
    for name, entry in status["databases"].items():
        label = f'{here},database="{name}"'
        lines.append(("rsync_ha_database_lag_seconds", "Commits younger than this may be missing on the peer.", label, entry["lag_seconds"]))
        lines.append(("rsync_ha_database_txid", "Newest transaction here.", label, entry["txid"]))
        lines.append(("rsync_ha_database_replicated_txid", "Newest transaction on the peer.", label, entry["replicated_txid"]))
    if status["files"]["lag_seconds"] is not None:
        lines.append(("rsync_ha_files_lag_seconds", "Since the start of the last complete pass over the files.", here, status["files"]["lag_seconds"]))
    lines.append(("rsync_ha_unreplicated_databases", "SQLite databases that cannot be replicated.", here, len(status["unreplicated"])))
    lines.append(("rsync_ha_errors", "Things that do not work now.", here, len(status["errors"])))
    return lines


def write_metrics(bot: Bot, status: dict | None) -> None:
    directory = pathlib.Path(bot.config["textfile_directory"] or "/nonexistent")
    if not directory.is_dir():
        return
    known = passive(bot)
    text, told = [], set()
    for name, what, labels, value in sorted(metrics(bot, known, status)):
        if name not in told:
            told.add(name)
            text += [f"# HELP {name} {what}", f"# TYPE {name} gauge"]
        text.append(f"{name}{{{labels}}} {value}")
    temporary = directory / f".rsync_ha_{bot.name}.{os.getpid()}"
    with contextlib.suppress(OSError):
        temporary.write_text("\n".join(text) + "\n")
        temporary.chmod(0o644)
        os.replace(temporary, directory / f"rsync_ha_{bot.name}.prom")
