# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an entry of rsync_ha_bots means. Pure: used by the filter and by the checks."""

from __future__ import annotations

import posixpath

FIND = ["*.db", "*.sqlite", "*.sqlite3"]


def bots(entries):
    """Every entry with its defaults; the names are those of the role bot_app."""
    return [
        {
            "name": entry["name"],
            "user": entry.get("user") or "bot-" + entry["name"],
            "directory": posixpath.normpath(entry.get("directory") or "/var/lib/bot-" + entry["name"]),
            "databases": sorted(entry.get("databases") or []),
            "find": list(FIND if entry.get("find") is None else entry["find"]),
            "exclude": list(entry.get("exclude") or []),
        }
        for entry in entries
    ]


def directories(described, state, sftp_user, rsync_user):
    """Where the peer's data arrives: replicas over SFTP, files and their records over rsync, each under its own account."""
    return [
        {"path": f"{state}/{path}", "state": "directory", "mode": "0700", "owner": user, "group": user}
        for name in (bot["name"] for bot in described)
        for path, user in (
            (f"replicas/{name}", sftp_user),
            (f"incoming/{name}", rsync_user),
            (f"incoming/{name}/files", rsync_user),
            (f"incoming/{name}/records", rsync_user),
        )
    ]


def resources(name, start_timeout=300):
    """What ha_cluster_resources needs for a bot's data: the promotion, first of its group, and the replication, right before the bot."""
    return [
        {
            "id": name + "-data",
            "agent": "systemd:botops-promote@" + name,
            "operations": [
                {"name": "start", "interval": "0s", "timeout": "%ds" % start_timeout},
                # A handover that a dead peer holds up ends by itself before this.
                {"name": "stop", "interval": "0s", "timeout": "60s"},
                {"name": "monitor", "interval": "10s", "timeout": "20s"},
            ],
        },
        {
            "id": name + "-replication",
            "agent": "systemd:botops-rsync-ha@" + name,
            "operations": [
                {"name": "start", "interval": "0s", "timeout": "40s"},
                {"name": "stop", "interval": "0s", "timeout": "30s"},
                {"name": "monitor", "interval": "10s", "timeout": "20s"},
            ],
        },
    ]
