# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role fleet can say about its declaration before it asks a cloud."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils._cloud import BUCKET, REGION
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.volume import LARGEST as LARGEST_VOLUME
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.volume import NAME as VOLUME
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet import hosts, volumes
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._fleet_aws import check_aws, check_owner_tag
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._fleet_hosts import NAME, hosts_of_record, name_and_count, of_one_name, roles

TAG = re.compile(r"^[a-zA-Z0-9_\-:]{1,255}$")
LABEL = re.compile(r"^[a-z0-9-]+$")
LONGEST_VOLUME = 64
KEY = re.compile(r"^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$")


def check(values: dict) -> list[str]:
    found: list[str] = []
    if not NAME.match(values["fleet_name"]):
        found.append(f"fleet_name: {values['fleet_name']!r} is no name; write lower-case letters, digits and hyphens, such as prod.")
    tags = {"fleet_owner_tag": values["fleet_owner_tag"], "fleet_environment": values["fleet_environment"]}
    found += [f"{name}: {tag!r} is no tag; write letters, digits, hyphens, underscores and colons." for name, tag in tags.items() if tag and not TAG.match(tag)]
    if values["fleet_monthly_budget"] < 0:
        found.append("fleet_monthly_budget: is below zero; write dollars a month, or 0 for no limit.")
    for name, price in values["fleet_prices"].items():
        if isinstance(price, bool) or not isinstance(price, (int, float)) or price < 0:
            found.append(f"fleet_prices.{name}: must be dollars a month, such as 15.15.")
    found += _admin(values["fleet_admin"])
    declared = values["fleet_digitalocean"]
    if declared.get("region"):
        for part in (_hosts, _network, _firewall, _shared, _records, _alerts, _bucket):
            found += [f"fleet_digitalocean.{sentence}" for sentence in part(declared)]
    elif any(declared.get(key) for key in ("hosts", "databases", "ip_range", "load_balancer", "firewall", "bucket")):
        found.append("fleet_digitalocean.region: is missing; write the region, such as nyc3.")
    found += [f"fleet_aws.{sentence}" for sentence in check_aws(values["fleet_aws"])]
    if values["fleet_aws"].get("region"):
        found += check_owner_tag(values["fleet_owner_tag"])
    if declared.get("region") and values["fleet_aws"].get("region"):
        names = {name for name, _host in hosts(declared)}
        found += [f"fleet_aws.hosts: {name} is a host of fleet_digitalocean already; give each a name of its own."
                  for name, _host in hosts(values["fleet_aws"]) if name in names]  # fmt: skip
    return found


def _admin(admin: dict) -> list[str]:
    if not admin.get("name"):
        return ["fleet_admin.name: is missing; write the account's name, such as admin."] if admin.get("keys") else []
    found = [] if admin["keys"] else ["fleet_admin.keys: is empty, so nobody could log in as it; write a public key."]
    return found + [f"fleet_admin.keys[{number}]: is no public SSH key; write the line of an id_ed25519.pub."
                    for number, key in enumerate(admin["keys"]) if not KEY.match(key)]  # fmt: skip


def _hosts(declared: dict) -> list[str]:
    found = []
    for number, host in enumerate(declared["hosts"]):
        where = f"hosts[{number}]"
        found += name_and_count(where, host) + roles(where, host)
        found += [f"{where}.tags: {tag!r} is no tag; write letters, digits, hyphens, underscores and colons." for tag in host["tags"] if not TAG.match(tag)]
        found += _volumes(where, host)
    # Those of one host are told above: engine with 1-data and engine-1 with data are meant.
    owners: dict[str, set[str]] = {}
    for volume, host, _about in volumes(declared):
        owners.setdefault(volume, set()).add(host)
    found += [f"hosts: volumes of {' and '.join(sorted(named))} would both be called {volume}; write another name of one of them."
              for volume, named in sorted(owners.items()) if len(named) > 1]  # fmt: skip
    return found + of_one_name(declared)


def _volumes(where: str, host: dict) -> list[str]:
    """Of the volumes of one host, or of the same host several times: a volume is called after both."""
    found = []
    names = [volume["name"] for volume in host["volumes"]]
    found += [f"{where}.volumes: two are called {name}; give each a name of its own." for name in sorted({name for name in names if names.count(name) > 1})]
    for number, volume in enumerate(host["volumes"]):
        at, name, size = f"{where}.volumes[{number}]", volume["name"], volume["size_gigabytes"]
        full = max((name for name, _host, _about in volumes({"hosts": [{**host, "volumes": [volume]}]})), key=len, default="")
        if not LABEL.match(name):
            found.append(f"{at}.name: {name!r} is no name of a volume; write lower-case letters, digits and dashes, such as data.")
        elif len(full) > LONGEST_VOLUME:
            found.append(f"{at}.name: {full} has {len(full)} characters, and a volume's name, with its host's before it, {LONGEST_VOLUME} at most; "
                         "write a shorter one.")  # fmt: skip
        elif LABEL.match(full) and not VOLUME.match(full):
            found.append(f"{at}.name: the volume would be called {full}, and its name has to begin with a letter; write such a name for the host.")
        if not 1 <= size <= LARGEST_VOLUME:
            found.append(f"{at}.size_gigabytes: {size} is no size; write GiB from 1 to {LARGEST_VOLUME}.")
    return found


def _network(declared: dict) -> list[str]:
    text = declared.get("ip_range")
    if not text:
        return []
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return [f"ip_range: {text!r} is no network; write it as 10.108.0.0/20."]
    if not network.is_private or not 16 <= network.prefixlen <= 28:
        return [f"ip_range: {text} is not a private network of /16 to /28; write one such as 10.108.0.0/20."]
    return []


def _firewall(declared: dict) -> list[str]:
    rules = declared.get("firewall")
    if not rules:
        return []
    roles = {role for host in declared["hosts"] for role in host["roles"]}
    found = []
    for key, end in (("inbound_rules", "from"), ("outbound_rules", "to")):
        for number, rule in enumerate(rules.get(key) or []):
            for entry in rule[end]:
                if entry in roles:
                    continue
                try:
                    ipaddress.ip_network(entry)
                except ValueError:
                    found.append(f"firewall.{key}[{number}].{end}: {entry!r} is neither a network nor the role of a declared host; "
                                 f"roles are {', '.join(sorted(roles)) or 'none'}.")  # fmt: skip
    if not any(rule["protocol"] == "tcp" and _has(rule["ports"], 22) for rule in rules["inbound_rules"]):
        found.append("firewall.inbound_rules: none lets TCP port 22 in, so Ansible could not reach the hosts; add one with `from` as narrow as it can be.")
    return found


def _has(ports: str, port: int) -> bool:
    if ports == "all":
        return True
    low, _dash, high = ports.partition("-")
    return low.strip().isdigit() and int(low) <= port <= int(high.strip() if high.strip().isdigit() else low)


def _shared(declared: dict) -> list[str]:
    found = []
    for kind in ("databases", "certificates", "ssh_keys", "uptime_checks"):
        names = [entry["name"] for entry in declared[kind]]
        found += [f"{kind}: two are called {name}; give each a name of its own." for name in sorted({name for name in names if names.count(name) > 1})]
    balancer = declared.get("load_balancer")
    if balancer:
        if not any(balancer["role"] in host["roles"] for host in declared["hosts"]):
            found.append(f"load_balancer.role: no declared host has the role {balancer['role']}; give it to one, or name another.")
        certificates = {entry["name"] for entry in declared["certificates"]}
        for number, rule in enumerate(balancer["forwarding_rules"]):
            name = rule.get("certificate")
            if rule.get("entry_protocol") in ("https", "http2") and not rule.get("tls_passthrough") and not name:
                found.append(f"load_balancer.forwarding_rules[{number}]: has no certificate; name one, or pass TLS through.")
            elif name and certificates and name not in certificates:
                found.append(f"load_balancer.forwarding_rules[{number}].certificate: {name} is not among certificates.")
    return found


def _records(declared: dict) -> list[str]:
    known = {name for name, _host in hosts(declared)}
    return [sentence for number, record in enumerate(declared["records"]) for sentence in hosts_of_record(f"records[{number}]", record, known)]


def _alerts(declared: dict) -> list[str]:
    alerts = declared.get("alerts")
    if not alerts:
        return []
    found = [] if alerts["emails"] else ["alerts.emails: is empty, so nobody would be told; write an address."]
    for metric, value in alerts["above"].items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            found.append(f"alerts.above.{metric}: must be a number.")
    return found


def _bucket(declared: dict) -> list[str]:
    bucket = declared.get("bucket")
    if not bucket:
        return []
    found = []
    if not BUCKET.match(bucket["name"]):
        found.append(f"bucket.name: {bucket['name']!r} is no name of a bucket; write 3 to 63 lower-case letters, digits and hyphens.")
    if bucket.get("region") and not REGION.match(bucket["region"]):
        found.append(f"bucket.region: {bucket['region']!r} is no region; write one such as nyc3.")
    if bucket["expire_days"] < 0:
        found.append(f"bucket.expire_days: is {bucket['expire_days']}; write days, or 0 for never.")
    if bucket["noncurrent_days"] < 1:
        found.append(f"bucket.noncurrent_days: is {bucket['noncurrent_days']}; write at least 1, since what is deleted by mistake is only there.")
    if bucket["abort_days"] < 1:
        found.append(f"bucket.abort_days: is {bucket['abort_days']}; write at least 1, since an upload takes its time.")
    return found
