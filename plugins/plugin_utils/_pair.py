# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from two hosts in `cluster_nodes`, one in `cluster_witness` and their bots: nothing of it is declared twice."""

from __future__ import annotations

import ipaddress

from ansible_collections.botops.fleet.plugins.plugin_utils import _ha_cluster
from ansible_collections.botops.fleet.plugins.plugin_utils._bot.spec import DEFAULTS, HEALTH
from ansible_collections.botops.fleet.plugins.plugin_utils._other_hosts import variables

UNIT = "ocf:botops:unit"
# Of the units: `TimeoutStopSec` of the promotion, and of the replication, with room for the journal to be read.
HANDOVER_SECONDS = 60
REPLICATION_STOP_SECONDS = 30
PROMOTE_SECONDS = 300


# --- who, and what they need of each other's firewalls ------------------------------------------------------


def members(groups):
    """The two members where the inventory has a whole pair, else nobody."""
    names = list(groups.get("cluster_nodes") or [])
    return names if len(names) == 2 and groups.get("cluster_witness") else []


def addresses(groups, hostvars):
    """{member: the address at which the other one reaches it}, for the replication."""
    found = {name: _ha_cluster.addresses(name, variables(hostvars, name)) for name in members(groups)}
    return {name: each[0] for name, each in found.items() if each}


def network(groups, hostvars, name):
    """What the firewall of the host `name` has to know of a pair.

    `peers`: addresses of the other member, which no rate limit, ban or penalty may ever shut out. `rules`: what to let in.
    `unknown`: members of which no address is known, so that no rule could be written.
    """
    found = {"peers": [], "rules": [], "unknown": []}
    nodes, witnesses = members(groups), groups.get("cluster_witness") or []
    if name not in nodes and name not in witnesses or not nodes:
        return found
    for member in nodes:
        if member != name:
            known = _ha_cluster.addresses(member, variables(hostvars, member))
            found["peers"] += known
            found["unknown"] += [] if known else [member]
    if not found["peers"]:
        return found
    found["peers"].sort()
    if name in nodes:
        found["rules"].append({"port": ["5404:5412"], "proto": "udp", "from": found["peers"], "comment": "corosync"})
    else:
        found["rules"].append({"port": ["5403"], "proto": "tcp", "from": found["peers"], "comment": "corosync-qnetd"})
        found["peers"] = []
    return found


# --- resources ----------------------------------------------------------------------------------------------


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


def chain(bot, promote_seconds=PROMOTE_SECONDS, monitor=1):
    """Data, replication and bot, in this order: a replication that is there first misses nothing of what the bot writes."""
    name = bot["name"]
    start, stop = bot_seconds(bot)
    return [
        unit(name + "-data", "botops-promote@%s.service" % name, promote_seconds + 5, HANDOVER_SECONDS, 10),
        unit(name + "-replication", "botops-rsync-ha@%s.service" % name, 40, REPLICATION_STOP_SECONDS, 10),
        unit(name + "-bot", "bot-%s.service" % name, start + 10, stop + 10, monitor),
    ]


def resources(bots, front=(), promote_seconds=PROMOTE_SECONDS, monitor=1):
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


def bots(declared):
    """Those of `bot_app_bots` that the cluster runs."""
    return [bot for bot in declared or [] if bot.get("managed_by") != "systemd"]


def replicated(declared):
    """Their entries for `rsync_ha_bots`."""
    return [{key: bot[key] for key in ("name", "user") if bot.get(key)} for bot in bots(declared)]


def front(address, interface="", proxy=True):
    """The floating address and the proxy behind it. The agent finds the interface by the address's subnet where none is named."""
    if not address:
        return []
    found = ipaddress.ip_interface(address)
    # Announced to the neighbours when it is taken: without that they would go on for minutes.
    options = {"ip": str(found.ip), "cidr_netmask": str(found.network.prefixlen), "arp_count": "5", "arp_interval": "100"}
    if interface:
        options["nic"] = interface
    made = [{
        "id": "address",
        "agent": "ocf:heartbeat:IPaddr2",
        "options": options,
        "operations": [operation("start", 20), operation("stop", 20), operation("monitor", 20, "5s")],
    }]
    return made + [unit("haproxy", "haproxy.service", 40, 60, 2)] if proxy else made


def cluster(groups, hostvars, declared=None):
    """`resources`, `groups`, `constraints` and `heuristics` of ha_cluster, from what the inventory says of the first member.

    The witness asks this, too: it needs to know no member's variables of its own. Groups and constraints are for an operator who
    left the resources as they follow, or added to them; where `declared` are others, there are none.
    """
    nodes = members(groups)
    if not nodes:
        return dict(resources([]), heuristics=[])
    its = variables(hostvars, nodes[0])
    run = bots(its.get("bot_app_bots"))
    try:
        beside = front(its.get("haproxy_vip_address"), its.get("haproxy_vip_interface"), bool(its.get("haproxy_vip_frontends")))
    except ValueError:  # haproxy_vip's own check says what is wrong with it
        beside = []
    promote = int(its.get("rsync_ha_promote_timeout_seconds") or PROMOTE_SECONDS)
    # In a partition that both halves survive, the half that trades goes on.
    found = resources(run, beside, promote)
    if declared is not None and not {each["id"] for each in found["resources"]} <= {each["id"] for each in declared}:
        found.update(groups=[], constraints=[])
    return dict(found, heuristics=["/usr/bin/test -e /run/botops-rsync-ha/%s/active" % bot["name"] for bot in run])
