# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role fleet can say about `fleet_aws` before AWS is asked."""

from __future__ import annotations

import difflib
import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils._cloud import BUCKET, dns_name
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet import hosts
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet_aws import owner
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet_aws_dns import within
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet_aws_watch import bots
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._fleet_hosts import hosts_of_record, name_and_count, of_one_name, roles
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight.cloudwatch_agent import LOG_GROUP

REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d+$")
TYPE = re.compile(r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")
OWNER = re.compile(r"^(\d{12}|self|amazon|aws-marketplace)$")
KEY = re.compile(r"^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+( .*)?$")
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
LABELS = re.compile(r"^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}$")
# What Route 53 takes: TTL in its API reference, ResourceRecordSet.
LONGEST_TTL = 2147483647
# Tags that the role writes itself.
OURS = ("Name", "role", "bot", "env")


def check_aws(aws: dict) -> list[str]:
    """Sentences about the declaration by itself, without the variable's name in front."""
    if not aws.get("region"):
        given = [key for key in ("hosts", "security_group", "bucket", "alarms", "logs", "ip_range", "rights", "records") if aws.get(key)]
        return ["region: is missing; write the region, such as us-east-1."] if given else []
    found = []
    for part in (_region, _hosts, _network, _rules, _storage, _alarms, _logs, _records):
        found += part(aws)
    return found


def check_owner_tag(tag: str) -> list[str]:
    """AWS has a key only once: the owner tag cannot be one of those that say something else of a host."""
    key, _value = owner(tag)
    return [f"fleet_owner_tag: at AWS the key {key} says something else of a host; write another, such as fleet:prod."] if key in OURS else []


def _region(aws):
    region, zone = aws["region"], aws.get("availability_zone")
    if not REGION.match(region):
        near = f"; {region[:-1]} is, that was a zone" if REGION.match(region[:-1]) else ""
        return [f"region: {region!r} is no region such as us-east-1{near}."]
    known = _known_regions()
    if known and region not in known:
        near = difflib.get_close_matches(region, sorted(known), 3)
        return [f"region: {region} is none that the installed botocore knows{'; did you mean ' + ' or '.join(near) if near else ''}."]
    if zone and (not zone.startswith(region) or zone == region):
        return [f"availability_zone: {zone} is not in {region}; write one such as {region}a."]
    return []


def _known_regions():
    try:
        from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.aws import known_regions

        return known_regions()
    except ImportError:
        return set()


def _hosts(aws):
    found = []
    for number, host in enumerate(aws["hosts"]):
        where = f"hosts[{number}]"
        found += name_and_count(where, host)
        if not TYPE.match(host["instance_type"]):
            found.append(f"{where}.instance_type: {host['instance_type']!r} is no instance type; write one such as t3.small.")
        if not OWNER.match(host["image"]["owner"]):
            found.append(f"{where}.image.owner: {host['image']['owner']!r} is no account; write its twelve digits, or self.")
        if not host["image"]["name"].strip("*?"):
            found.append(f"{where}.image.name: {host['image']['name']!r} means any image; write how the wanted one is called, such as debian-13-amd64-*.")
        if not 8 <= host["volume_size"] <= 16384:
            found.append(f"{where}.volume_size: is {host['volume_size']}; write 8 to 16384 GiB.")
        found += roles(where, host)
        for key in host["tags"]:
            if key in OURS or str(key).startswith("aws:"):
                found.append(f"{where}.tags: {key} is written by {'AWS' if str(key).startswith('aws:') else 'this role'}; choose another key.")
    found += of_one_name(aws)
    if aws["hosts"] and "security_group" not in aws:
        found.append("security_group: is missing, so nobody could reach the hosts; write inbound_rules.")
    return found


def _network(aws):
    text = aws.get("ip_range")
    if text:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            return [f"ip_range: {text!r} is no network; write it as 10.20.0.0/16."]
        if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 28:
            return [f"ip_range: {text} is not a private network of /16 to /28; write one such as 10.20.0.0/16."]
    if aws.get("public_key") and not KEY.match(aws["public_key"]):
        return ["public_key: is no Ed25519 or RSA key; write the line of an id_ed25519.pub."]
    return []


def _ports(text):
    """(from, to) of `ports`, or None when it says neither."""
    if text == "all":
        return 0, 65535
    match = re.match(r"^(\d{1,5})(?:-(\d{1,5}))?$", text.strip())
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    return (low, high) if 0 <= low <= high <= 65535 else None


def _rules(aws):
    group = aws.get("security_group")
    if not group:
        return []
    found = []
    for key, end in (("inbound_rules", "from"), ("outbound_rules", "to")):
        for number, rule in enumerate(group.get(key) or []):
            where = f"security_group.{key}[{number}]"
            if _ports(rule["ports"]) is None:
                found.append(f"{where}.ports: {rule['ports']!r} is neither a port, a range such as 8000-9000, nor all.")
            for entry in rule[end]:
                try:
                    entry == "fleet" or ipaddress.ip_network(entry)
                except ValueError:
                    found.append(f"{where}.{end}: {entry!r} is neither a network nor fleet, by which the fleet's own hosts are meant.")
    ssh = [_ports(rule["ports"]) for rule in group["inbound_rules"] if rule["protocol"] == "tcp"]
    if aws["hosts"] and not any(ports and ports[0] <= 22 <= ports[1] for ports in ssh):
        found.append("security_group.inbound_rules: none lets TCP port 22 in, so Ansible could not reach the hosts; add one with a narrow `from`.")
    return found


def _storage(aws):
    found, bucket = [], aws.get("bucket")
    if "backups" in aws["rights"] and not bucket:
        found.append("rights: backups needs a bucket to write to; declare bucket.")
    if not bucket:
        return found
    if not BUCKET.match(bucket["name"]):
        found.append(f"bucket.name: {bucket['name']!r} is no name of a bucket; write 3 to 63 lower-case letters, digits and hyphens.")
    found += [f"bucket.{key}: is {bucket[key]}; write days, or 0 for never." for key in ("archive_days", "expire_days") if bucket[key] < 0]
    if bucket["noncurrent_days"] < 1:
        found.append(f"bucket.noncurrent_days: is {bucket['noncurrent_days']}; write at least 1, since what is deleted by mistake is only there.")
    if bucket["expire_days"] and bucket["archive_days"] >= bucket["expire_days"] > 0:
        found.append(f"bucket.archive_days: is {bucket['archive_days']}, but objects are deleted after {bucket['expire_days']} already (expire_days).")
    return found


def _alarms(aws):
    alarms = aws.get("alarms")
    if not alarms:
        return []
    found = [] if alarms["emails"] else ["alarms.emails: is empty, so nobody would be told; write an address."]
    found += [f"alarms.emails: {address!r} is no address." for address in alarms["emails"] if not EMAIL.match(address)]
    if not 1 <= alarms["cpu"] <= 99:
        found.append(f"alarms.cpu: is {alarms['cpu']}; write 1 to 99 per cent.")
    if not aws["hosts"]:
        found.append("alarms: there are no hosts to watch; declare hosts.")
    agent = alarms.get("agent")
    if agent and "cloudwatch" not in aws["rights"]:
        found.append("alarms.agent: the hosts' agent may tell nothing; add cloudwatch to rights.")
    found += [f"alarms.agent.{key}: is {agent[key]}; write 1 to 99 per cent." for key in ("memory", "disk") if agent and not 1 <= agent[key] <= 99]
    return found


def _logs(aws):
    logs = aws.get("logs")
    if not logs:
        return []
    found = []
    if not LOG_GROUP.match(logs["prefix"]):
        found.append(f"logs.prefix: {logs['prefix']!r} cannot begin a log group's name; use letters, digits and _ - / . #, without spaces.")
    if not bots(aws):
        found.append("logs: no host has a bot whose lines could be kept; write hosts[].bot.")
    if not 1 <= logs["orders_minutes"] <= 1440:
        found.append(f"logs.orders_minutes: is {logs['orders_minutes']}; write 1 to 1440 minutes.")
    for key in ("errors", "orders"):
        text = logs[key]
        if len(text) > 1024 or text.count('"') % 2:
            found.append(f"logs.{key}: {text[:40]!r} is no filter pattern; write a word such as ERROR, or words in double quotes.")
    return found


def _records(aws):
    found, known, seen = [], {name for name, _host in hosts(aws)}, {}
    for number, record in enumerate(aws["records"]):
        where, kind = f"records[{number}]", record["type"]
        zone, name = dns_name(record["zone"]), dns_name(record["name"])
        if not LABELS.match(zone) or zone.startswith("*"):
            found.append(f"{where}.zone: {record['zone']!r} is no domain; write one such as example.com.")
        elif not within(name, zone):
            found.append(f"{where}.name: {record['name']} is not in {zone}; write the name in full, such as {name.partition('.')[0] or 'bot'}.{zone}.")
        elif not LABELS.match(name):
            found.append(f"{where}.name: {record['name']!r} is no name of a record; write letters, digits, hyphens and dots, such as bot.{zone}.")
        found += hosts_of_record(where, record, known)
        found += [f"{where}.values: {sentence}" for sentence in _record_values(kind, record["values"], name == zone)]
        if not 0 <= record["ttl"] <= LONGEST_TTL:
            found.append(f"{where}.ttl: is {record['ttl']}; write 0 to {LONGEST_TTL} seconds, such as 300.")
        others = seen.setdefault(name, [])
        if kind in others:
            found.append(f"{where}: {name} has a record of the type {kind} already; write all values into one.")
        elif others and "CNAME" in (kind, *others):
            found.append(f"{where}: {name} has a record of the type {others[0]} already, and a CNAME stands alone; give it another name.")
        others.append(kind)
    return found


def _record_values(kind, values, apex):
    """Sentences about what is written down; `apex` is whether the record has the zone's own name."""
    if kind == "A":
        return [f"{text!r} is no IPv4 address." for text in values if not _is_ipv4(text)]
    if kind == "TXT":
        bad = [text for text in values if not text or not text.isascii() or not text.isprintable()]
        return [f"{text[:40]!r} is empty or not of printable ASCII; write it so." for text in bad]
    if apex:
        return ["a CNAME cannot have the zone's own name; write an A record with hosts."]
    found = [] if len(values) < 2 else ["a CNAME has one value; write one."]
    return found + [f"{text!r} is no name such as web.example.com." for text in values if not LABELS.match(dns_name(text))]


def _is_ipv4(text):
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False
