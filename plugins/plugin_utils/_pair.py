# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster resources that follow from the bots of a pair: nothing of it is declared twice."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._bot.spec import DEFAULTS, HEALTH

UNIT = "ocf:botops:unit"
# Of the units: `TimeoutStopSec` of the promotion, and of the replication, with room for the journal to be read.
HANDOVER_SECONDS = 60
REPLICATION_STOP_SECONDS = 30


def operation(name, timeout, interval="0s"):
    return {"name": name, "interval": interval, "timeout": "%ds" % timeout}


def unit(name, unit_name, start, stop, monitor):
    """A systemd unit as a resource. The cluster waits a little longer than systemd, so that it is systemd that says why."""
    return {
        "id": name,
        "agent": UNIT,
        "options": {"unit": unit_name},
        "operations": [operation("start", start), operation("stop", stop), operation("monitor", 20, "%ds" % monitor)],
    }


def bot_seconds(bot):
    """(start, stop) of a bot's unit, as roles/bot_app/templates writes them into it."""
    gate = int((bot.get("health") or {}).get("timeout_seconds") or HEALTH["timeout_seconds"])
    stop = int(bot.get("stop_seconds") or DEFAULTS["stop_seconds"])
    if bot.get("mode", "systemd") == "compose":
        return gate + stop + 30, stop * 2 + 20
    return gate + 15, stop


def chain(bot, promote_seconds=300, monitor=2):
    """Data, replication and bot, in this order: a replication that is there first misses nothing of what the bot writes."""
    name = bot["name"]
    start, stop = bot_seconds(bot)
    return [
        unit(name + "-data", "botops-promote@%s.service" % name, promote_seconds + 5, HANDOVER_SECONDS, 10),
        unit(name + "-replication", "rsync-ha@%s.service" % name, 40, REPLICATION_STOP_SECONDS, 10),
        unit(name + "-bot", "bot-%s.service" % name, start + 10, stop + 10, monitor),
    ]


def resources(bots, front=(), promote_seconds=300, monitor=2):
    """`resources`, `groups` and `constraints` of ha_cluster for these bots, and `front`, the address with the proxy, beside the first.

    All bots of a pair run on one host: the other members of the group follow the first one's data. The address and the proxy are in
    a group of their own, where the first bot's data are: no order waits for a dashboard.
    """
    found = {"resources": [], "groups": [], "constraints": []}
    for bot in bots:
        members = chain(bot, promote_seconds, monitor)
        found["resources"] += members
        found["groups"].append({"id": bot["name"], "members": [member["id"] for member in members]})
    if not found["groups"]:
        return found
    lead = found["groups"][0]["members"][0]
    for group in found["groups"][1:]:
        found["constraints"].append({"type": "colocation", "resource": group["id"], "with": lead, "score": "INFINITY"})
    if front:
        found["resources"] += list(front)
        found["groups"].append({"id": "front", "members": [member["id"] for member in front]})
        found["constraints"].append({"type": "colocation", "resource": "front", "with": lead, "score": "INFINITY"})
    return found
