# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `fleet_aws` comes to: what shall exist, how that differs from what aws_fleet_info found, and what it costs. All pure."""

from __future__ import annotations

import json
import string

from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet_aws_dns as dns
from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet_aws_watch as watch
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet import ANYWHERE, beside, hosts, owner_tag

RULE = "botops"
CLOSED = {"block_public_acls": True, "ignore_public_acls": True, "block_public_policy": True, "restrict_public_buckets": True}
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
ABANDONED_UPLOADS = 7
TITLES = {
    "key": "key pair", "vpc": "VPC", "gateway": "internet gateway", "profile": "instance profile", "elastic_ip": "elastic address", "lifecycle": "lifecycle of",
    "record": "DNS record",
}  # fmt: skip


def owner(tag):
    """(key, value) of the owner tag: `fleet:prod` is key fleet, value prod."""
    key, _colon, value = tag.partition(":")
    return key, value


def owner_of(values):
    """The owner tag of typed variables, as {key, value}."""
    return dict(zip(("key", "value"), owner(owner_tag(values))))


def tags_of(host, values):
    """The tags by which the inventory finds a host. AWS has a key only once, so roles are one value."""
    key, value = owner(owner_tag(values))
    found = {**{str(name): str(text) for name, text in host["tags"].items()}, key: value, "env": values["environment"]}
    if host["roles"]:
        found["role"] = ",".join(host["roles"])
    if host.get("bot"):
        found["bot"] = host["bot"]
    return found


def _ports(rule):
    low, _dash, high = rule["ports"].partition("-")
    return (0, 65535) if rule["ports"] == "all" else (int(low), int(high or low))


def _rules(rules, end, name):
    """(lines as aws_fleet_info writes them, entries as ec2_security_group takes them)."""
    lines, entries = set(), []
    for rule in rules:
        protocol = rule["protocol"]
        for peer in rule[end] or ANYWHERE:
            v6 = ":" in peer
            word = "icmpv6" if protocol == "icmp" and v6 else protocol
            ports = (-1, -1) if protocol == "icmp" else _ports(rule)
            lines.add(f"{word} {'all' if protocol == 'icmp' else '%d-%d' % ports} {peer}")
            where = {"group_name": name} if peer == "fleet" else {"cidr_ipv6": peer} if v6 else {"cidr_ip": peer}
            entries.append({"proto": word, "from_port": ports[0], "to_port": ports[1], **where})
    return sorted(lines), entries


def _security_group(declared, name):
    group = declared.get("security_group")
    if not group:
        return None
    inbound, rules = _rules(group["inbound_rules"], "from", name)
    if group.get("outbound_rules") is None:
        outbound = [f"all all {peer}" for peer in ANYWHERE]
        egress = [{"proto": "-1", "cidr_ip": ANYWHERE[0]}, {"proto": "-1", "cidr_ipv6": ANYWHERE[1]}]
    else:
        outbound, egress = _rules(group["outbound_rules"], "to", name)
    return {"name": name, "inbound": inbound, "outbound": outbound, "rules": rules, "rules_egress": egress}


def _policies(rights, texts, where):
    """{name: document}: the files of the rights, with the names of this fleet put in."""
    return {right: json.loads(string.Template(texts[right]).substitute(where)) for right in rights}


def _bucket(bucket, partition):
    arn = f"arn:{partition}:s3:::{bucket['name']}"
    days = {
        "noncurrent_version_expiration_days": bucket["noncurrent_days"], "abort_incomplete_multipart_upload_days": ABANDONED_UPLOADS,
        **({"expiration_days": bucket["expire_days"]} if bucket["expire_days"] else {}),
        **({"transition_days": bucket["archive_days"]} if bucket["archive_days"] else {}),
    }  # fmt: skip
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }],
    }  # fmt: skip
    return {"name": bucket["name"], "policy": policy, "lifecycle": days}


def plan(values, account, partition, texts):
    """What shall exist. `texts` is {right: text of its policy file}."""
    declared, name = values["aws"], values["name"]
    key, value = owner(owner_tag(values))
    bucket, alarms = declared.get("bucket"), declared.get("alarms")
    where = {
        "partition": partition, "account": account, "region": declared["region"], "fleet": name, "owner_key": key, "owner_value": value,
        "bucket": bucket["name"] if bucket else "",
    }  # fmt: skip
    machines = [
        {"name": host, "instance_type": about["instance_type"], "image": about["image"], "volume_size": about["volume_size"],
         "tags": {**tags_of(about, values), "Name": host}, "elastic_ip": about["elastic_ip"]}
        for host, about in hosts(declared)
    ]  # fmt: skip
    return {
        "name": name, "region": declared["region"], "zone": declared.get("availability_zone") or "",
        "owner": {"key": key, "value": value}, "tags": {key: value}, "shared_tags": {key: value, "Name": name},
        "key": {"name": name, "public_key": declared["public_key"]} if declared.get("public_key") else None,
        "vpc": {"name": name, "cidr": declared["ip_range"]} if declared.get("ip_range") else None,
        "security_group": _security_group(declared, name),
        "role": {"name": name, "trust": TRUST, "policies": _policies(declared["rights"], texts, where)} if declared["rights"] else None,
        "hosts": machines,
        "bucket": _bucket(bucket, partition) if bucket else None,
        "topic": {"name": name, "subscriptions": [{"protocol": "email", "endpoint": address} for address in alarms["emails"]]} if alarms else None,
        "log_groups": watch.log_groups(declared, name),
        "alarms": watch.alarms(declared, name),
        "records": dns.records(declared),
    }  # fmt: skip


def wanted(declared):
    """What aws_fleet_info has to know of the hosts."""
    return [
        {"name": name, "instance_type": host["instance_type"], "owner": host["image"]["owner"], "image": host["image"]["name"]}
        for name, host in hosts(declared)
    ]


# --- beside what is there


def _own(listed, plan, name=None):
    """The fleet's own of that name."""
    key, value = plan["owner"]["key"], plan["owner"]["value"]
    return next((one for one in listed if one["tags"].get(key) == value and one["tags"].get("Name") == (name or plan["name"])), None)


def there(plan, found):
    """The ids that tasks need, empty while a thing is not there."""
    vpc = _own(found["vpcs"], plan) if plan["vpc"] else found["default_vpc"]
    identity = vpc["id"] if vpc else ""
    if plan["vpc"]:
        subnet = next((one for one in found["subnets"] if one["vpc"] == identity and not one["default"]), None)
        # A gateway that a run made and did not attach belongs to no network yet.
        gateway = next((one for one in found["gateways"] if one["vpc"] in ("", identity)), None)
        table = next((one for one in found["tables"] if one["vpc"] == identity and one["main"]), None)
    else:
        gateway = table = None
        zones = [one for one in found["subnets"] if one["vpc"] == identity and one["default"] and (not plan["zone"] or one["zone"] == plan["zone"])]
        subnet = min(zones, key=lambda one: one["zone"], default=None)
    group = next((one for one in found["security_groups"] if one["vpc"] == identity and one["name"] == plan["name"]), None)
    return {
        "vpc": vpc, "subnet": subnet, "gateway": gateway, "table": table, "security_group": group,
        "key": found["keys"][0] if found["keys"] else None,
        "instances": {one["name"]: one for one in found["instances"]},
        "addresses": {one["tags"].get("Name", ""): one for one in found["addresses"]},
        "alarms": {one["name"]: one for one in found["alarms"]},
    }


def same_key(one, other):
    """Whether two public keys are the same, whatever is said of whose they are."""
    return one.split()[:2] == other.split()[:2]


def tags_differ(have, want, exactly=False):
    have = {key: value for key, value in have.items() if not key.startswith("aws:")}
    return have != want if exactly else any(have.get(key) != value for key, value in want.items())


def changes(plan, found):
    """Every difference as {kind, name, title, action, why}, in the order in which they are removed from the world."""
    here, said = there(plan, found), []

    def differ(kind, name, have, reasons=()):
        reasons = [reason for reason in reasons if reason] if have else []
        if not have or reasons:
            title = f"{TITLES.get(kind, kind.replace('_', ' '))} {name}"
            said.append({"kind": kind, "name": name, "title": title, "action": "change" if have else "create", "why": reasons})

    if plan["key"]:
        key = here["key"]
        differ("key", plan["key"]["name"], key, key and ["" if same_key(key["public_key"], plan["key"]["public_key"]) else "public key"])
    if plan["vpc"]:
        _network(plan, here, differ)
    group = plan["security_group"]
    if group:
        have = here["security_group"]
        differ("security_group", group["name"], have, have and [
            *(f"{end} rules" for end in ("inbound", "outbound") if have[end] != group[end]), tags_differ(have["tags"], plan["shared_tags"]) and "tags",
        ])  # fmt: skip
    _rights(plan, found, differ)
    for host in plan["hosts"]:
        have = here["instances"].get(host["name"])
        differ("instance", host["name"], have, have and _instance(plan, host, have, here))
    for host in plan["hosts"]:
        if host["elastic_ip"]:
            address, machine = here["addresses"].get(host["name"]), here["instances"].get(host["name"])
            differ("elastic_ip", host["name"], address, ["" if machine and address and address["instance"] == machine["id"] else "instance"])
    _bucket_changes(plan, found, differ)
    watch.log_changes(plan, found, differ, tags_differ)
    topic = found["topic"]
    if plan["topic"]:
        wanted = sorted(f"{one['protocol']} {one['endpoint']}" for one in plan["topic"]["subscriptions"])
        differ("topic", plan["topic"]["name"], topic, topic and [topic["subscriptions"] != wanted and "subscriptions",
                                                                 tags_differ(topic["tags"], plan["tags"]) and "tags"])  # fmt: skip
    for alarm in watch.alarms_now(plan, found):
        have = here["alarms"].get(alarm["name"])
        differ("alarm", alarm["name"], have, have and [key for key in have if have[key] != alarm.get(key)])
    dns.changes(plan, found, addresses(found), coming(plan, here), differ)
    return said


def _network(plan, here, differ):
    name, vpc, subnet = plan["vpc"]["name"], here["vpc"], here["subnet"]
    differ("vpc", name, vpc, vpc and [tags_differ(vpc["tags"], plan["shared_tags"]) and "tags"])
    differ("subnet", name, subnet, subnet and [not subnet["public"] and "public addresses", tags_differ(subnet["tags"], plan["shared_tags"]) and "tags"])
    gateway, table = here["gateway"], here["table"]
    attached = bool(vpc and gateway and gateway["vpc"] == vpc["id"])
    differ("gateway", name, gateway, gateway and [not attached and "attachment", tags_differ(gateway["tags"], plan["shared_tags"]) and "tags"])
    # The network's main table comes with it: what is compared is its way out.
    differ("route", f"{name} 0.0.0.0/0", table and table["default_route"], [not (gateway and table and table["default_route"] == gateway["id"]) and "gateway"])


def _rights(plan, found, differ):
    wanted, role, profile = plan["role"], found["role"], found["profile"]
    if not wanted:
        return
    name = wanted["name"]
    differ("role", name, role, role and [role["trust"] != wanted["trust"] and "trust", role["attached"] and "attached policies",
                                         tags_differ(role["tags"], plan["tags"]) and "tags"])  # fmt: skip
    differ("profile", name, profile, profile and [profile["roles"] != [name] and "role"])
    have = role["policies"] if role else {}
    for right, document in wanted["policies"].items():
        differ("policy", f"{name} {right}", have.get(right), [have.get(right) != document and "statement"])
    for right in sorted(set(have) - set(wanted["policies"])):
        differ("policy", f"{name} {right}", True, ["not declared"])


def _instance(plan, host, have, here):
    group = here["security_group"]
    return [
        tags_differ(have["tags"], host["tags"], exactly=True) and "tags", not have["imdsv2"] and "metadata",
        plan["security_group"] and have["groups"] != [group["id"] if group else ""] and "security group",
        plan["role"] and have["profile"] != plan["name"] and "instance profile",
    ]


def _bucket_changes(plan, found, differ):
    wanted, have = plan["bucket"], found["bucket"]
    if wanted:
        differ("bucket", wanted["name"], have, have and [
            not have["versioning"] and "versioning", have["encryption"] not in ("AES256", "aws:kms") and "encryption",
            have["public_access"] != CLOSED and "public access", have["policy"] != wanted["policy"] and "policy",
            tags_differ(have["tags"], plan["tags"]) and "tags",
        ])  # fmt: skip
        rule = have["lifecycle"].get(RULE) if have else None
        differ("lifecycle", wanted["name"], rule, rule and [rule != {**wanted["lifecycle"], "enabled": True} and "days"])


def notes(plan, found):
    """What differs and no run corrects, because it would stop or replace a host, or no module can."""
    said, here = [], there(plan, found)
    if plan["vpc"] and here["vpc"] and here["vpc"]["cidr"] != plan["vpc"]["cidr"]:
        said.append(f"network {plan['name']} is {here['vpc']['cidr']}, not {plan['vpc']['cidr']}: a range cannot be changed")
    for host in plan["hosts"]:
        have = here["instances"].get(host["name"])
        if not have:
            continue
        name, volume = host["name"], have["volume"]
        if have["type"] != host["instance_type"]:
            said.append(f"{name} is a {have['type']}, not a {host['instance_type']}: stop it, `aws ec2 modify-instance-attribute`, start it")
        if not have["monitoring"]:
            said.append(f"{name} has no detailed monitoring: aws ec2 monitor-instances --instance-ids {have['id']}")
        if have["state"] in ("stopping", "stopped"):
            said.append(f"{name} is {have['state']}: aws ec2 start-instances --instance-ids {have['id']}")
        if volume and (volume["size"], volume["type"]) != (host["volume_size"], "gp3"):
            said.append(f"{name} has {volume['size']} GiB of {volume['type']}, not {host['volume_size']} GiB of gp3: "
                        f"aws ec2 modify-volume --volume-id {volume['id']}")  # fmt: skip
        if volume and not volume["encrypted"]:
            said.append(f"{name} has a volume that is not encrypted: replace the host")
        if not plan["role"] and have["profile"]:
            said.append(f"{name} has the instance profile {have['profile']}, and none is declared: aws ec2 disassociate-iam-instance-profile")
    declared = {host["name"] for host in plan["hosts"]}
    said += dns.notes(plan, found, addresses(found), coming(plan, here))
    surplus = watch.surplus(plan, found)
    if surplus:
        said.append("not declared: aws cloudwatch delete-alarms --alarm-names " + " ".join(f'"{name}"' for name in surplus))
    return said + [
        f"instance {one['name'] or one['id']} is not declared and stays; to remove it:\naws ec2 terminate-instances --instance-ids {one['id']}"
        for one in found["instances"] if one["name"] not in declared
    ]  # fmt: skip


def new_hosts(plan, found):
    known = {one["name"] for one in found["instances"]}
    return [host["name"] for host in plan["hosts"] if host["name"] not in known]


def images(plan, found):
    """{new host: its image}; a host whose image is not to be told is none of them."""
    newest = {(one["owner"], one["name"]): one["newest"] for one in found["images"]}
    new = set(new_hosts(plan, found))
    wanted = {host["name"]: newest.get((host["image"]["owner"], host["image"]["name"])) for host in plan["hosts"] if host["name"] in new}
    return {name: found[0] for name, found in wanted.items() if found}


def addresses(found):
    """{host: public address}: an elastic one before the instance's own."""
    known = {one["name"]: one["public_ip"] for one in found["instances"] if one["public_ip"]}
    machines = {one["id"]: one["name"] for one in found["instances"]}
    return {**known, **{machines[one["instance"]]: one["ip"] for one in found["addresses"] if one["instance"] in machines}}


def coming(plan, here):
    """Hosts whose elastic address is not on them yet: what they answer at now is not what they will."""
    machines, known = here["instances"], here["addresses"]
    return [
        host["name"] for host in plan["hosts"]
        if host["elastic_ip"] and not (host["name"] in machines and known.get(host["name"], {}).get("instance") == machines[host["name"]]["id"])
    ]  # fmt: skip


def view(plan, found):
    """All that tasks and plan.yml read of a comparison. `names` is {kind: names of what differs}."""
    differences, here = changes(plan, found), there(plan, found)
    policies, names = (plan["role"] or {"policies": {}})["policies"], {}
    for one in differences:
        names.setdefault(one["kind"], []).append(one["name"])
    return {
        "changes": differences, "names": names, "there": here, "notes": notes(plan, found), "new": new_hosts(plan, found),
        "images": images(plan, found), "addresses": addresses(found),
        "alarms": [alarm for alarm in watch.alarms_now(plan, found) if alarm["name"] in names.get("alarm", ())],
        "log_groups": [group for group in plan["log_groups"] if group["name"] in names.get("log_group", ())],
        "metric_filters": watch.metric_filters(plan, names.get("metric_filter", ())),
        "policies": {right: policies.get(right) for right in (name.rpartition(" ")[2] for name in names.get("policy", ()))},
        # By host: the address that is there and not on it, or none yet.
        "elastic": [{"host": name, "ip": here["addresses"].get(name, {}).get("ip", "")} for name in names.get("elastic_ip", ())],
    }  # fmt: skip


def doomed(plan, found, with_data=False):
    """What a removal takes away: all that bears the owner tag, and alarms that tell the fleet's topic. `lines` say it to the operator."""
    key, value = plan["owner"]["key"], plan["owner"]["value"]

    def ours(one):
        return bool(one) and one["tags"].get(key) == value

    topic = found["topic"] if ours(found["topic"]) else None
    bucket = found["bucket"]["name"] if found["bucket"] and not found["bucket"]["foreign"] and ours(found["bucket"]) else ""
    ids = {one["id"] for one in found["instances"]}
    going = {
        "alarms": [one["name"] for one in found["alarms"]
                   if (topic and topic["arn"] in one["alarm_actions"]) or one["dimensions"].get("InstanceId") in ids],
        "topic": topic["name"] if topic else "",
        "records": dns.doomed(plan, found),
        # Without the data, a last snapshot of each volume stays.
        "snapshots": [] if with_data else [{"name": one["name"], "volume": one["volume"]["id"]} for one in found["instances"] if one["volume"]],
        "instances": [one["id"] for one in found["instances"]],
        "addresses": [one["ip"] for one in found["addresses"]],
        "security_groups": [one["id"] for one in found["security_groups"]],
        "subnets": [{"vpc": one["vpc"], "cidr": one["cidr"]} for one in found["subnets"] if ours(one)],
        "gateways": [{"id": one["id"], "vpc": one["vpc"]} for one in found["gateways"]],
        "vpcs": [one["id"] for one in found["vpcs"]],
        "key_pairs": [one["name"] for one in found["keys"] if ours(one)],
        "role": found["role"]["name"] if ours(found["role"]) else "",
        "policies": sorted(found["role"]["policies"]) if ours(found["role"]) else [],
        "bucket": bucket if with_data else "",
        "log_groups": [one["name"] for one in found["log_groups"] if ours(one)] if with_data else [],
    }  # fmt: skip
    return {**going, "lines": [
        *(f"instance {one['name']} ({one['id']})" for one in found["instances"]),
        *(f"elastic address {ip}" for ip in going["addresses"]),
        *(f"DNS record {dns.title(one)} ({', '.join(one['values'])})" for one in going["records"]),
        *(f"VPC {identity}, with its subnet and gateway" for identity in going["vpcs"]),
        *(f"security group {identity}" for identity in going["security_groups"]),
        *(f"key pair {name}" for name in going["key_pairs"]),
        *([f"role and instance profile {going['role']}"] if going["role"] else []),
        *(f"alarm {name}" for name in going["alarms"]),
        *([f"topic {going['topic']}"] if going["topic"] else []),
        *([f"bucket, with every version of all that is in it, {going['bucket']}"] if going["bucket"] else []),
        *(f"log group, with all that is in it, {name}" for name in going["log_groups"]),
        *([f"stays, for want of fleet_with_data: bucket {bucket}"] if bucket and not with_data else []),
        *(f"stays, for want of fleet_with_data: log group {one['name']}" for one in found["log_groups"] if ours(one) and not with_data),
    ]}  # fmt: skip


# --- what it costs


def costs(plan, found, table, prices):
    """Lines of {what, size, monthly, today, declared, dated} by the dated table, after a run and before it; `prices` (fleet_prices) beats it.

    A price is None where none is known.
    """
    region, hours = table["regions"].get(plan["region"], {}), table["hours"]

    def price(name, unit=1.0):
        one = prices.get(name)
        if one is not None:
            return one if unit == hours else one * unit
        known = {**region, **region.get("types", {})}.get(name)
        return None if known is None else round(known * unit, 2)

    def priced(machines, alarms=()):
        lines = []
        for host in machines:
            name, size, kind = host["name"], host["volume_size"], host.get("volume_type", "gp3")
            lines += [
                {"what": f"instance {name}", "size": host["instance_type"], "monthly": 0 if host.get("stopped") else price(host["instance_type"], hours)},
                *([{"what": f"volume of {name}", "size": f"{size} GiB {kind}", "monthly": price(kind, size)}] if size else []),
                *([{"what": f"public address of {name}", "size": "public_ipv4", "monthly": price("public_ipv4", hours)}] if host.get("public", True) else []),
                *([{"what": f"detailed monitoring of {name}", "size": "detailed_monitoring", "monthly": price("detailed_monitoring")}]
                  if host.get("monitoring", True) else []),
            ]  # fmt: skip
        if alarms:
            lines.append({"what": "alarms", "size": f"{len(alarms)} x alarm", "monthly": price("alarm", len(alarms))})
        return lines

    answering, wanted, surplus = addresses(found), {alarm["name"] for alarm in plan["alarms"]}, watch.surplus(plan, found)
    running = [
        {"name": one["name"] or one["id"], "instance_type": one["type"], "stopped": one["state"] == "stopped", "monitoring": one["monitoring"],
         "public": one["name"] in answering, "volume_size": (one["volume"] or {}).get("size"), "volume_type": (one["volume"] or {}).get("type")}
        for one in found["instances"]
    ]  # fmt: skip
    declared = {host["name"] for host in plan["hosts"]}
    staying = [machine for machine in running if machine["name"] not in declared]
    lines = beside(
        priced(plan["hosts"], [*wanted, *surplus]), priced(staying), priced(running, [*(wanted & {one["name"] for one in found["alarms"]}), *surplus])
    )
    dated = table["date"] + ("" if table.get("checked") else " (set down by hand and not compared with AWS: refresh them, docs/clouds.md)")
    return [{**line, "dated": dated} for line in lines]
