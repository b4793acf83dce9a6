# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Pacemaker, corosync and the witness say, as one plain dictionary. Pure functions over their output."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET

FENCING = "stonith:"
OPERATOR = "stonith:fence_operator"


def yes(element, name):
    return element is not None and element.get(name) == "true"


def parse(crm_mon, qdevice="", topology="", constraints=""):
    """crm_mon --output-as=xml, corosync-qdevice-tool -s and the CIB's sections fencing-topology and constraints."""
    root = ET.fromstring(crm_mon)
    summary = root.find("summary")
    resources = [resource(element) for element in root.iter("resource")]
    nodes = {node.get("name"): describe_node(node) for node in root.findall("nodes/node")}
    for item in resources:
        for name in item["on"]:
            if name in nodes and not item["fencing"]:
                nodes[name]["resources"].append(item["id"])
    devices = [item["id"] for item in resources if item["fencing"]]
    operator = {item["id"] for item in resources if item["agent"] == OPERATOR}
    levels = fencing_levels(topology)
    used = {device for by_index in levels.values() for group in by_index for device in group}
    active = sorted(name for name, node in nodes.items() if node["resources"])
    return {
        "quorate": yes(summary.find("current_dc"), "with_quorum"),
        "dc": (summary.find("current_dc").get("name") or "") if summary.find("current_dc") is not None else "",
        "maintenance": yes(summary.find("cluster_options"), "maintenance-mode"),
        "nodes": nodes,
        "active": active,
        "standby": sorted(name for name, node in nodes.items() if node["online"] and name not in active),
        "lost": sorted(name for name, node in nodes.items() if not node["online"]),
        "waiting_for_operator": sorted(n for n, node in nodes.items() if node["unclean"]),
        "resources": resources,
        "failed": sorted(item["id"] for item in resources if item["failed"] or item["blocked"]),
        "witness": witness(qdevice),
        "fencing_devices": sorted(set(devices) - operator),
        "fencing_levels": levels,
        "automatic": bool(levels) and not used & operator,
        "failures": failures(root),
        "moves": [
            {"id": ban.get("id"), "resource": ban.get("resource")} for ban in root.findall("bans/ban") if ban.get("id", "").startswith("cli-")
        ] + constraints_of_moves(constraints),
        "fence_history": [dict(event.attrib) for event in root.findall("fence_history/fence_event")][:10],
    }


def describe_node(node):
    return {
        "online": yes(node, "online") and not yes(node, "pending"),
        "unclean": yes(node, "unclean"),
        "standby": yes(node, "standby"),
        "maintenance": yes(node, "maintenance"),
        "resources": [],
    }


def resource(element):
    return {
        "id": element.get("id"),
        "agent": element.get("resource_agent", ""),
        "role": element.get("role", ""),
        "fencing": element.get("resource_agent", "").startswith(FENCING),
        "failed": yes(element, "failed"),
        "blocked": yes(element, "blocked"),
        "on": [node.get("name") for node in element.findall("node")],
    }


def failures(root):
    """What failed where and how often; `banned` where it is not tried again for the time being."""
    why = {(each.get("node"), each.get("op_key", "").rsplit("_", 2)[0]): each.get("exitreason") or "" for each in root.findall("failures/failure")}
    found = []
    for node in root.findall("node_history/node"):
        for entry in node.findall("resource_history"):
            count, limit = entry.get("fail-count"), entry.get("migration-threshold")
            if not count or entry.get("id", "").startswith("fence-"):
                continue
            banned = count == "INFINITY" or int(count) >= 1000000 or bool(limit) and limit != "INFINITY" and int(count) >= int(limit)
            name = node.get("name")
            found.append({"node": name, "resource": entry.get("id"), "count": count, "banned": banned, "why": why.get((name, entry.get("id")), "")})
    return found


def constraints_of_moves(text):
    """`crm_resource --move` leaves a preference that crm_mon does not show."""
    if not text.strip():
        return []
    found = (each for each in ET.fromstring(text).iter("rsc_location") if each.get("id", "").startswith("cli-prefer"))
    return [{"id": each.get("id"), "resource": each.get("rsc")} for each in found]


def fencing_levels(topology):
    levels = {}
    if not topology.strip():
        return levels
    for level in ET.fromstring(topology).iter("fencing-level"):
        levels.setdefault(level.get("target"), {})[int(level.get("index"))] = level.get("devices", "").split(",")
    return {target: [by_index[index] for index in sorted(by_index)] for target, by_index in levels.items()}


def witness(qdevice):
    """connected, disconnected, or none where the cluster has no witness."""
    found = re.search(r"^State:\s+(.+)$", qdevice, re.MULTILINE)
    if not found:
        return "none" if not qdevice.strip() else "disconnected"
    return "connected" if found.group(1).strip() == "Connected" else "disconnected"


def age(epoch):
    days = (time.time() - epoch) / 86400
    return "today" if days < 1 else "%d d ago" % days


def table(status, tests, lag=None):
    """The rows of ha_status: what an operator wants to know first, first."""
    rows = [["", "state"]]
    unknown = "nobody" if not status["waiting_for_operator"] else "unknown: %s may still run" % ", ".join(status["waiting_for_operator"])
    rows.append(["active", ", ".join(status["active"]) or unknown])
    rows.append(["standby", ", ".join(status["standby"]) or "none"])
    if status["lost"]:
        rows.append(["lost", ", ".join(status["lost"])])
    if status["waiting_for_operator"]:
        node = status["waiting_for_operator"][0]
        rows.append(["waiting", "for the word that %s is off (failed_node_is_off=%s)" % (node, node)])
    if lag is not None:
        rows.append(["lag", lag])
    rows.append(["quorum", "yes" if status["quorate"] else "NO: nothing runs here"])
    rows.append(["witness", status["witness"]])
    how = "automatic" if status["automatic"] else "an operator confirms"
    rows.append(["fencing", "%s (%s)" % (how, ", ".join(status["fencing_devices"]) or "no device")])
    for node in sorted(status["nodes"]):
        record = tests.get(node)
        said = "never" if not record else "%s, %s (%s)" % (record.get("result"), age(record.get("epoch", 0)), record.get("date"))
        rows.append(["last test", "%s: %s" % (node, said)])
    if status["maintenance"]:
        rows.append(["maintenance", "ON: nothing is recovered"])
    if status["failed"]:
        rows.append(["failed", ", ".join(status["failed"])])
    return rows


def render(rows):
    width = max(len(row[0]) for row in rows)
    return ["%-*s  %s" % (width, name, value) for name, value in rows if name or value != "state"]


def choose(views):
    """The table of the member whose word counts, quorate before not, and what is known of those that gave none."""
    answers = {name: view for name, view in views.items() if isinstance(view, dict) and (view.get("cluster") or {}).get("answers")}
    lines = []
    for name in sorted(answers, key=lambda name: not answers[name]["cluster"]["quorate"]):
        lines = list(answers[name]["table"])
        break
    for name in views:
        if name not in answers:
            view = views[name] if isinstance(views[name], dict) else {}
            lines.append("%s: %s" % (name, (view.get("cluster") or {}).get("why") or "cannot be reached"))
    return lines
