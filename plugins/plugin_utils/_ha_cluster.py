# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the ha_cluster role's variables to members, files and a cluster configuration. Pure functions."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import zlib

from ansible_collections.botops.fleet.plugins.plugin_utils._other_hosts import variables

SECRETS = "/var/lib/botops/ha_cluster/fencing"
OPERATOR = "fence-operator"
# Agents that run ipmitool: they would hand it the password on its command line, where every user can read it.
IPMI_AGENTS = (
    "fence_ipmilan", "fence_ipmilanplus", "fence_idrac", "fence_ilo3", "fence_ilo4", "fence_ilo5", "fence_imm",
)
PASSWORD = ("password", "passwd")
# Which package brings an agent where the distribution ships them in a few bundles; elsewhere each has its own.
BUNDLES = {
    "debian-12": {"*": "fence-agents"},
    "ubuntu-22.04": {
        **dict.fromkeys(IPMI_AGENTS + ("fence_mpath", "fence_sbd", "fence_scsi", "fence_virsh"), "fence-agents-base"),
        "*": "fence-agents-extra",
    },
}
OURS = ("fence_operator", "fence_do")


def is_address(text):
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


# --- who ------------------------------------------------------------------------------------------------


def member_id(name):
    """Stable whatever the order of the inventory: a member's number must not change while the cluster runs."""
    return zlib.crc32(name.encode()) % 65535 + 1


def addresses(name, hostvars):
    """The host's cluster addresses: declared, else the one that Ansible connects to, else its default route's."""
    given = hostvars.get("ha_cluster_addresses")
    if given:
        return [str(address) for address in given]
    for candidate in (hostvars.get("ansible_host"), name):
        if candidate and is_address(candidate):
            return [str(candidate)]
    facts = hostvars.get("ansible_facts") or {}
    default = (facts.get("default_ipv4") or {}).get("address")
    return [default] if default else []


def members(names, hostvars):
    found = []
    for name in names:
        its = variables(hostvars, name)
        found.append({
            "name": str(name),
            "id": int(its.get("ha_cluster_node_id") or member_id(str(name))),
            "addresses": addresses(str(name), its),
        })
    return found


# --- packages ---------------------------------------------------------------------------------------------


def agent_packages(fencing, distribution, version):
    """Packages that bring the fencing agents on this distribution."""
    release = distribution.lower() + "-" + (version if distribution == "Ubuntu" else version.partition(".")[0])
    bundle = BUNDLES.get(release)
    found = set()
    for device in fencing:
        agent = device["agent"]
        if agent in OURS:
            continue
        if agent in IPMI_AGENTS:
            found.add("ipmitool")
        if bundle:
            found.add(bundle.get(agent, bundle["*"]))
        else:
            found.add("fence-agents-ipmilan" if agent in IPMI_AGENTS else agent.replace("fence_", "fence-agents-").replace("_", "-"))
    return sorted(found)


# --- fencing ----------------------------------------------------------------------------------------------


def device_id(device):
    if device.get("id"):
        return device["id"]
    return "fence-%s-%s" % (device.get("node") or "all", device["agent"].replace("fence_", "").replace("_", "-"))


def targets(device):
    return [device["node"]] if device.get("node") else sorted(device.get("plugs") or {})


def by_file(device):
    """The password of an agent that runs ipmitool goes into a file that a wrapper around ipmitool reads."""
    return {
        name: value for name, value in (device.get("secrets") or {}).items()
        if device["agent"] in IPMI_AGENTS and name in PASSWORD
    }


def device_resource(device):
    identifier = device_id(device)
    options = dict(device.get("options") or {})
    if device["agent"] in IPMI_AGENTS:
        options.setdefault("lanplus", "1")
        # The agent asks for the power state until it is what was ordered; what it would sleep before that, two seconds, is a takeover's.
        options.setdefault("power_wait", "0")
    for name in device.get("secrets") or {}:
        if name in by_file(device):
            options["ipmitool_path"] = "%s/%s/ipmitool" % (SECRETS, identifier)
        else:
            options[name] = "lrm://"
    if device.get("plugs"):
        options["pcmk_host_map"] = ";".join("%s:%s" % pair for pair in sorted(device["plugs"].items()))
        options["pcmk_host_check"] = "static-list"
    else:
        options["pcmk_host_list"] = device["node"]
        options["pcmk_host_check"] = "static-list"
    return {
        "id": identifier,
        "agent": "stonith:%s" % device["agent"],
        "options": options,
        "operations": [{"name": "monitor", "interval": "%ds" % (device.get("monitor_seconds") or 60), "timeout": "30s"}],
    }


def device_digest(device):
    """What a recorded test vouches for: change the device and the test counts no more. Secrets are left out."""
    told = {name: device.get(name) for name in ("agent", "options", "plugs", "node")}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fencing_levels(fencing, names):
    levels = {}
    for device in fencing:
        for node in targets(device):
            levels.setdefault(node, {}).setdefault(int(device.get("level") or 1), []).append(device_id(device))
    return {node: [levels[node][level] for level in sorted(levels[node])] for node in names if node in levels}


def fencing_files(fencing):
    """Secrets and wrappers as entries for file_set."""
    files = []
    for device in fencing:
        identifier = device_id(device)
        for name, value in sorted((device.get("secrets") or {}).items()):
            if name in by_file(device):
                directory = "%s/%s" % (SECRETS, identifier)
                files += [
                    {"path": directory, "state": "directory", "mode": "0700"},
                    {"path": directory + "/password", "secret_content": value + "\n", "mode": "0600"},
                    {"path": directory + "/ipmitool", "content": wrapper(directory), "mode": "0700"},
                ]
                continue
            directory = "/var/lib/pacemaker/lrm/secrets/%s" % identifier
            sign = hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()
            files += [
                {"path": "/var/lib/pacemaker/lrm", "state": "directory", "mode": "0700"},
                {"path": "/var/lib/pacemaker/lrm/secrets", "state": "directory", "mode": "0700"},
                {"path": directory, "state": "directory", "mode": "0700"},
                {"path": "%s/%s" % (directory, name), "secret_content": value, "mode": "0600"},
                {"path": "%s/%s.sign" % (directory, name), "secret_content": sign, "mode": "0600"},
            ]
    return files


def wrapper(directory):
    return """#!/bin/sh
# Gives ipmitool its password in a file, not on its command line. Managed by botops.fleet ha_cluster.
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  count=$((count - 1))
  if [ "$argument" = -P ] && [ "$count" -gt 0 ]; then
    shift
    count=$((count - 1))
  else
    set -- "$@" "$argument"
  fi
done
exec /usr/bin/ipmitool -f %s/password "$@"
""" % directory


def device_digests(fencing):
    """For each node, the digests of the devices that can switch it off."""
    found = {}
    for device in fencing:
        for node in targets(device):
            found.setdefault(node, {})[device_id(device)] = device_digest(device)
    return found


def merge_records(known, results=()):
    """The newest record of each member's fencing test, out of what the members have and what was tested just now."""
    merged = {}
    fresh = {result["target"]: result["record"] for result in results if result.get("record")}
    for records in [*known, fresh]:
        for node, record in (records or {}).items():
            if node not in merged or record.get("epoch", 0) >= merged[node].get("epoch", 0):
                merged[node] = record
    return merged


def test_report(results):
    """One line a member, from what cluster_fence_test answered."""
    lines = []
    for result in results:
        record = result.get("record")
        if not record:
            lines.append("%s: not tested: %s" % (result["target"], result.get("skipped_because")))
        elif record["result"] == "ok":
            lines.append("%s: ok, off after %.1f s, back in the cluster after %.1f s (by %s)" % (
                result["target"], record["seconds"], record["return_seconds"], record["by"]))
        else:
            lines.append("%s: FAILED: %s" % (result["target"], record["why"]))
    return lines


# --- certificates -----------------------------------------------------------------------------------------


def requests(hosts, witness):
    """The requests of the members whose certificate is missing, running out, or another witness's."""
    found = {}
    for host in hosts:
        seen = host.get("__ha_cluster_certificate") or {}
        if not seen.get("request"):
            continue
        if not seen.get("authority_digest") or (
            witness.get("authority_digest") and seen["authority_digest"] != witness["authority_digest"]
        ):
            found[host["inventory_hostname"]] = seen["request"]
    return found


# --- the cluster's configuration ------------------------------------------------------------------------


def cib(values):
    """The arguments of pacemaker_cib from the role's variables."""
    fencing, names = values["fencing"], values["members"]
    if values.get("fencing_only"):
        values = dict(values, resources=[], groups=[], constraints=[])
    resources = [device_resource(device) for device in fencing]
    if values["automatic"]:
        levels = fencing_levels(fencing, names)
    else:
        # The devices are there and watched, but no level uses them: a lost node waits for the operator's word.
        levels = {node: [[OPERATOR]] for node in names}
        resources.append({
            "id": OPERATOR,
            "agent": "stonith:fence_operator",
            "options": {"pcmk_host_list": " ".join(names), "pcmk_host_check": "static-list"},
            "operations": [{"name": "monitor", "interval": "3600s", "timeout": "20s"}],
        })
    for given in values["resources"]:
        resource = {key: value for key, value in given.items() if value is not None}
        if not resource.get("operations"):
            seconds = values["monitor_seconds"]
            resource["operations"] = [
                {"name": "monitor", "interval": "%ds" % seconds, "timeout": "20s"},
                {"name": "start", "interval": "0s", "timeout": "90s"},
                {"name": "stop", "interval": "0s", "timeout": "60s"},
            ]
        resources.append(resource)
    properties = {
        "stonith-enabled": True,
        "stonith-action": "reboot",
        "stonith-timeout": "%ds" % values["stonith_timeout_seconds"],
        "no-quorum-policy": "stop",
        # One start that failed is tried again, where it was, before the resource goes elsewhere.
        "start-failure-is-fatal": False,
    }
    properties.update(values["properties"])
    defaults = {"resource-stickiness": 10000, "migration-threshold": 3, "failure-timeout": "60s"}
    defaults.update(values["resource_defaults"])
    alerts = []
    if values["alert_hook"]:
        alerts.append({
            "id": "botops-alert",
            "path": values["alert_agent"],
            "recipients": [values["alert_hook"]],
            "select": ["nodes", "fencing", "resources"],
            "meta": {"timeout": "15s"},
        })
    return {
        "resources": resources,
        "groups": values["groups"],
        # A device waits on another member than its target: when the target is lost, no device has to be moved first.
        "constraints": [
            {"type": "location", "resource": device_id(device), "node": device["node"], "score": "-INFINITY"}
            for device in fencing if device.get("node") and len(names) > 1
        ] + values["constraints"],
        "properties": properties,
        "resource_defaults": defaults,
        "fencing_topology": levels,
        "alerts": alerts,
    }
