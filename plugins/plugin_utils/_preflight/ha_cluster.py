# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the ha_cluster role's variables, as sentences. Pure."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.plugin_utils import _ha_cluster

NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,14}$")
ID = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
AGENT = re.compile(r"^(ocf:[\w.-]+:[\w.-]+|systemd:[\w@.:\\-]+|lsb:[\w.-]+|service:[\w@.-]+)$")
DURATION = re.compile(r"^(\d+)\s*(ms|s|sec|m|min|h)?$")
UNITS = {"ms": 0.001, None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
PASSWORDLESS = ("fence_operator", "fence_aws", "fence_gce", "fence_sbd", "fence_scsi", "fence_do", "fence_dummy", "fence_virt")


def seconds(value):
    match = DURATION.match(str(value).strip())
    return int(match.group(1)) * UNITS[match.group(2)] if match else None


def check(values):
    return [
        *check_name(values),
        *check_members(values["members"], values["witnesses"]),
        *check_fencing(values),
        *check_timings(values),
        *check_resources(values),
        *check_heuristics(values),
        *check_rest(values),
    ]


def check_name(values):
    if not NAME.match(values["ha_cluster_name"]):
        yield (
            f"ha_cluster_name is {values['ha_cluster_name']!r}: write 1 to 15 letters, digits, '-' or '_', "
            "beginning with a letter."
        )


def check_members(members, witnesses):
    if len(members) < 2:
        who = f"only {members[0]['name']}" if members else "nobody"
        yield (
            f"The inventory group cluster_nodes has {who}: a cluster needs two members. For a single host leave this role out."
        )
    if len(members) > 16:
        yield f"The inventory group cluster_nodes has {len(members)} members: corosync takes 16 at most."
    if len(members) % 2 == 0 and not witnesses:
        yield (
            "The inventory group cluster_witness is empty: with an even number of members two halves would be equal. Put one "
            "more host, which is neither member, into cluster_witness."
        )
    if len(witnesses) > 1:
        names = ", ".join(w["name"] for w in witnesses)
        yield f"The inventory group cluster_witness has {len(witnesses)} hosts ({names}): one is used; leave one."
    yield from check_addresses(members, witnesses)


def check_addresses(members, witnesses):
    seen, ids = {}, {}
    member_names = {member["name"] for member in members}
    for host in members + witnesses:
        name = host["name"]
        if host in witnesses and name in member_names:
            yield (
                f"{name} is in cluster_witness and in cluster_nodes: a witness on a member's host is lost together with "
                "that member. Use a third host."
            )
            continue
        if not host["addresses"]:
            yield f"No address is known for {name}: set ha_cluster_addresses for it, for example [10.0.0.11]."
        for address in host["addresses"]:
            if not _ha_cluster.is_address(address):
                yield f"ha_cluster_addresses of {name}: {address!r} is not an IP address; write addresses, not names."
            elif address in seen and seen[address] != name:
                if host in witnesses:
                    yield (
                        f"The witness {name} has the address {address}, which is the member {seen[address]}'s: a witness on a "
                        "member's host is lost together with that member. Use a third host."
                    )
                else:
                    yield f"{seen[address]} and {name} in cluster_nodes are the same node: both have the address {address}."
            seen[address] = name
        if host in members:
            if host["id"] in ids:
                yield (
                    f"{ids[host['id']]} and {name} have the same node id {host['id']}: set ha_cluster_node_id for one of them."
                )
            if not 1 <= host["id"] <= 65535:
                yield f"ha_cluster_node_id of {name} is {host['id']}: write a number from 1 to 65535."
            ids[host["id"]] = name
    links = {len(member["addresses"]) for member in members if member["addresses"]}
    if len(links) > 1:
        counts = ", ".join(f"{m['name']}: {len(m['addresses'])}" for m in members)
        yield f"ha_cluster_addresses: every member needs the same number of addresses, one a link ({counts})."
    if links and max(links) > 8:
        yield f"ha_cluster_addresses: corosync uses 8 links at most, {max(links)} are given."


def check_fencing(values):
    names = {member["name"] for member in values["members"]}
    seen, fenced = set(), set()
    for index, device in enumerate(values["ha_cluster_fencing"]):
        where = f"ha_cluster_fencing[{index}]"
        identifier = _ha_cluster.device_id(device)
        if identifier in seen:
            yield f"{where}: the id {identifier} is used twice; give each device an id of its own."
        seen.add(identifier)
        if not re.match(r"^fence_[a-z0-9_]+$", device["agent"]):
            yield f"{where}.agent is {device['agent']!r}: write an agent's name, such as fence_ipmilan."
        if bool(device.get("node")) == bool(device.get("plugs")):
            yield (
                f"{where}: name what the device switches off: either `node: NAME` for one member, or `plugs: {{NAME: PLUG, …}}` "
                "for a device with several."
            )
        for node in _ha_cluster.targets(device):
            if node not in names:
                yield f"{where}: {node} is not in the inventory group cluster_nodes ({', '.join(sorted(names)) or 'empty'})."
            fenced.add(node)
        yield from check_secrets(where, device)
    missing = sorted(names - fenced)
    if values["ha_cluster_automatic"] and missing and values.get("is_member", True):
        yield (
            f"ha_cluster_automatic is true, and ha_cluster_fencing has no device for {', '.join(missing)}: nothing could make sure "
            "that a lost member is off. Add a device for each member, or set ha_cluster_automatic: false (an operator confirms)."
        )


def check_secrets(where, device):
    options, secret = device.get("options") or {}, device.get("secrets") or {}
    for name in sorted(options):
        if name in ("password", "passwd", "secret_key", "token", "snmp_priv_passwd"):
            yield f"{where}.options.{name}: move it to {where}.secrets, where it stays out of diffs, logs and process lists."
    for name in sorted(secret):
        if not str(secret[name] or "").strip():
            yield f"{where}.secrets.{name} is empty: set it from the vault."
    wanted = device["agent"] not in PASSWORDLESS and not device["agent"].startswith(("fence_dummy", "fence_heuristics"))
    others = {"password_script", "passwd_script", "identity_file", "secure", "ssh", "no_password"}
    if wanted and not set(secret) and not others & set(options):
        yield f"{where}: the password for {device['agent']} is missing: set {where}.secrets.password from the vault."
    if device["agent"] in _ha_cluster.IPMI_AGENTS:
        for name in _ha_cluster.PASSWORD:
            if len(str(secret.get(name) or "")) > 20:
                yield f"{where}.secrets.{name} has {len(str(secret[name]))} characters: IPMI 2.0 takes 20 at most."


def check_timings(values):
    token, consensus = values["ha_cluster_token_ms"], values["ha_cluster_consensus_ms"]
    device, sync = values["ha_cluster_qdevice_timeout_ms"], values["ha_cluster_qdevice_sync_timeout_ms"]
    stonith, monitor = values["ha_cluster_stonith_timeout_seconds"], values["ha_cluster_monitor_seconds"]
    if not 1000 <= token <= 60000:
        yield f"ha_cluster_token_ms is {token}: write 1000 to 60000; below, a busy moment is taken for a dead member."
    if consensus and consensus < token * 1.2:
        yield (
            f"ha_cluster_consensus_ms ({consensus}) must be at least 1.2 × ha_cluster_token_ms ({token}): write 0 for that value, "
            f"or {int(token * 1.2)} or more."
        )
    if device <= token:
        yield (
            f"ha_cluster_qdevice_timeout_ms ({device}) must be greater than ha_cluster_token_ms ({token}): the witness would be "
            "given up before a lost member is."
        )
    if sync <= device:
        yield (
            f"ha_cluster_qdevice_sync_timeout_ms ({sync}) must be greater than ha_cluster_qdevice_timeout_ms ({device}): the witness "
            "would have no time to vote when the members lose each other."
        )
    if stonith < 10:
        yield f"ha_cluster_stonith_timeout_seconds is {stonith}: write at least 10; switching a host off takes seconds."
    if stonith * 1000 <= token:
        yield (
            f"ha_cluster_stonith_timeout_seconds ({stonith}) must be greater than ha_cluster_token_ms ({token}): fencing would be "
            "given up before the member is known to be gone."
        )
    if monitor < 1:
        yield f"ha_cluster_monitor_seconds is {monitor}: write 1 or more."
    for index, resource in enumerate(values["ha_cluster_resources"]):
        for operation in resource.get("operations") or []:
            interval, timeout = seconds(operation.get("interval", 0)), seconds(operation.get("timeout", 20))
            where = f"ha_cluster_resources[{index}] ({resource['id']}), operation {operation.get('name')}"
            if interval is None or timeout is None:
                yield f"{where}: write interval and timeout as 10s, 2min or 500ms."
            elif operation.get("name") == "stop" and timeout >= 1800:
                yield f"{where}: a timeout of {operation['timeout']} would hold a failover up for that long; write less than 30min."


def check_resources(values):
    seen, grouped = {}, {}
    for index, resource in enumerate(values["ha_cluster_resources"]):
        where = f"ha_cluster_resources[{index}]"
        if not ID.match(resource["id"]):
            yield f"{where}.id is {resource['id']!r}: letters, digits, '_', '-' and '.', not a digit first."
        if resource["id"] in seen:
            yield f"{where}.id: {resource['id']} is also ha_cluster_resources[{seen[resource['id']]}]; ids are unique."
        seen[resource["id"]] = index
        if resource["agent"].startswith("stonith:"):
            yield f"{where}.agent: fencing devices belong in ha_cluster_fencing."
        elif not AGENT.match(resource["agent"]):
            yield f"{where}.agent is {resource['agent']!r}: write ocf:PROVIDER:NAME or systemd:UNIT."
        elif resource["agent"].startswith("systemd:") and resource["agent"].endswith(".service"):
            yield f"{where}.agent: leave .service out: {resource['agent'][:-8]}."
        if resource["agent"] == "ocf:heartbeat:IPaddr2":
            yield from check_floating(where, resource, values)
    for index, group in enumerate(values["ha_cluster_groups"]):
        where = f"ha_cluster_groups[{index}] ({group['id']})"
        if group["id"] in seen:
            yield f"{where}: the id is also that of a resource; choose another."
        for member in group["members"]:
            if member not in seen:
                yield f"{where}: {member} is not declared in ha_cluster_resources."
            elif member in grouped:
                yield f"{where}: {member} is already a member of {grouped[member]}; a resource has one place."
            grouped[member] = group["id"]
    known = set(seen) | {group["id"] for group in values["ha_cluster_groups"]}
    known |= {f"{r['id']}-clone" for r in values["ha_cluster_resources"] if r.get("clone") is not None}
    names = {member["name"] for member in values["members"]}
    for index, constraint in enumerate(values["ha_cluster_constraints"]):
        for key in ("resource", "with", "first", "then"):
            if constraint.get(key) and constraint[key] not in known:
                yield f"ha_cluster_constraints[{index}].{key}: {constraint[key]} is not declared; known: {', '.join(sorted(known))}."
        if constraint.get("node") and constraint["node"] not in names:
            yield f"ha_cluster_constraints[{index}].node: {constraint['node']} is not in the inventory group cluster_nodes."


def check_floating(where, resource, values):
    options = resource.get("options") or {}
    address = str(options.get("ip") or "")
    if not _ha_cluster.is_address(address):
        yield f"{where}.options.ip is {address!r}: write the floating address, such as 192.0.2.10, without a prefix."
        return
    for host in values["members"] + values["witnesses"]:
        if address in host["addresses"]:
            yield f"{where}.options.ip: {address} is {host['name']}'s own address; a floating address belongs to no host."
    prefix = options.get("cidr_netmask")
    if prefix is None:
        return
    try:
        network = ipaddress.ip_interface(f"{address}/{prefix}").network
    except ValueError:
        yield f"{where}.options.cidr_netmask is {prefix!r}: write the prefix length, such as 24."
        return
    if prefix not in (32, "32") and not any(
        ipaddress.ip_address(a) in network for m in values["members"] for a in m["addresses"] if _ha_cluster.is_address(a)
    ) and not options.get("nic"):
        addresses = ", ".join(f"{m['name']} {'/'.join(m['addresses'])}" for m in values["members"])
        yield (
            f"{where}.options.ip: {address} is outside the members' subnet ({addresses} are not in {network}). Use a free address "
            "in their subnet, or name the interface in options.nic."
        )


def check_heuristics(values):
    for index, command in enumerate(values["ha_cluster_heuristics"] or []):
        if not re.match(r"^/\S+( \S+)*$", command):
            yield (
                f"ha_cluster_heuristics[{index}] is {command!r}: write a program's absolute path and its arguments, such as "
                "/usr/bin/test -e /run/trading; no shell reads it."
            )


def check_rest(values):
    key = values["ha_cluster_authkey"]
    if key and len(key) < 128:
        yield f"ha_cluster_authkey has {len(key)} characters: corosync wants 128 to 4096, all of them secret."
    users = [
        (f"ha_cluster_fencing[{index}]", device) for index, device in enumerate(values["ha_cluster_fencing"])
        if device["agent"] == "fence_do"
    ] + [
        (f"ha_cluster_resources[{index}]", resource) for index, resource in enumerate(values["ha_cluster_resources"])
        if resource["agent"] == "ocf:botops:do-reserved-ip"
    ]
    for where, user in users:
        if not values["ha_cluster_do_token"] and not (user.get("options") or {}).get("token_file"):
            yield f"{where}: DigitalOcean's API needs a token: set ha_cluster_do_token from the vault."
        for node, plug in sorted((user.get("plugs") or {}).items()):
            if not str(plug).isdigit():
                yield f"{where}.plugs.{node} is {plug!r}: write the droplet's number (id), not its name."
    hook = values["ha_cluster_alert_hook"]
    if hook and not hook.startswith("/"):
        yield f"ha_cluster_alert_hook is {hook!r}: write the absolute path of a program on the members."
    for name, advice in (
        ("stonith-enabled", "without fencing a bot runs twice; for a cluster without a device set ha_cluster_automatic: false"),
        ("no-quorum-policy", "a member without quorum has to stop"),
    ):
        value = str(values["ha_cluster_properties"].get(name, "")).lower()
        if value in ("false", "no", "off", "0", "ignore", "freeze", "demote"):
            yield f"ha_cluster_properties.{name} is {value}: {advice}. Leave it out."
    if values["ha_cluster_fence_test_max_age_days"] < 1:
        yield f"ha_cluster_fence_test_max_age_days is {values['ha_cluster_fence_test_max_age_days']}: write 1 or more."
