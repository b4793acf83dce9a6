# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cloud firewalls."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import (
    UUID,
    DigitalOcean,
    check_tags,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    is_not_yet,
    not_yet,
    target_list,
    unordered,
)


def normal_ports(protocol, ports):
    """The vendor's one way to write ports: "0" is all of them, and always for ICMP."""
    text = str(ports or "").strip()
    if protocol == "icmp" or text in ("", "all", "0", "1-65535", "0-65535"):
        return "0"
    match = re.match(r"^(\d+)(?:\s*-\s*(\d+))?$", text)
    low, high = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (0, 0)
    if not 1 <= low <= high <= 65535:
        raise Failure("ports: %r is neither a port, a range such as 8000-9000, nor all." % ports)
    return str(low) if low == high else "%d-%d" % (low, high)


def normal_address(address):
    """Addresses as networks in their shortest form: 10.0.0.1 is 10.0.0.1/32, 10.0.0.5/24 is 10.0.0.0/24."""
    if is_not_yet(address):
        return address
    try:
        network = ipaddress.ip_network(str(address).strip(), strict=False)
    except ValueError:
        raise Failure("addresses: %r is neither an address nor a network in CIDR notation." % address) from None
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


PEERS = ("addresses", "tags", "droplet_ids", "load_balancer_uids", "kubernetes_ids")


def normal_rules(rules, end):
    """Rules as a set: one for each protocol and ports, with everything that may use it. Order and repetition mean nothing."""
    by_key = {}
    for rule in rules or []:
        key = (rule["protocol"], normal_ports(rule["protocol"], rule.get("ports")))
        peers = by_key.setdefault(key, {name: [] for name in PEERS})
        for name in PEERS:
            values = (rule.get(end) or {}).get(name) or []
            peers[name] = unordered(peers[name] + [normal_address(v) if name == "addresses" else v for v in values])
    # Empty lists stay: that a rule has none of a kind is a part of it, or one too many would not be seen.
    return unordered({"protocol": protocol, "ports": ports, end: peers} for (protocol, ports), peers in by_key.items())


def wire_rules(rules, end):
    """Rules as the API takes them: without what is empty."""
    return [dict(rule, **{end: {name: values for name, values in rule[end].items() if values}}) for rule in rules]


def join_rules(have, want, purge, end):
    """The rules afterwards: exactly the wanted ones, or the wanted ones added to those that are there."""
    if want is None:
        return None
    return normal_rules(want if purge else list(have or []) + list(want), end)


class Firewall(DigitalOcean):
    kind = "firewall"
    path, many, one = "/v2/firewalls", "firewalls", "firewall"

    def validate(self):
        params = self.params
        if not re.match(r"^[a-zA-Z0-9][a-zA-Z0-9.\-]+$", params["name"]):
            raise Failure("name: %r may only have letters, digits, dot and dash, and has at least two of them." % params["name"])
        check_tags("tags", params["tags"])
        for option, end in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
            for index, rule in enumerate(params[option] or []):
                where = "%s[%d]" % (option, index)
                try:
                    normal_rules([rule], end)
                except Failure as error:
                    raise Failure("%s.%s" % (where, error)) from None
                check_tags("%s.%s.tags" % (where, end), rule[end]["tags"])
                if not any(rule[end].values()):
                    raise Failure("%s.%s names nobody; give addresses, tags, droplets, load_balancers or kubernetes_ids." % (where, end))

    def describe(self, raw):
        return "id %s, created %s" % (raw["id"], raw["created_at"])

    def current(self, raw):
        return {
            "name": raw["name"],
            "inbound_rules": normal_rules(raw.get("inbound_rules"), "sources"),
            "outbound_rules": normal_rules(raw.get("outbound_rules"), "destinations"),
            "tags": unordered(raw.get("tags")),
            "droplet_ids": unordered(raw.get("droplet_ids")),
        }

    def wanted(self, raw):
        params, have = self.params, self.seen(raw) if raw else {}
        wanted = {"name": params["name"]}
        for option, end in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
            rules = self._resolved(option, end)
            wanted[option] = join_rules(have.get(option), rules, params["purge_rules"], end)
        wanted["tags"] = target_list(have.get("tags"), params["tags"], params["purge_targets"])
        wanted["droplet_ids"] = target_list(have.get("droplet_ids"), self.droplet_ids("droplets", params["droplets"]), params["purge_targets"])
        if raw is None:
            wanted = {name: value if value is not None else [] for name, value in wanted.items()}
        return wanted

    def _resolved(self, option, end):
        if self.params[option] is None:
            return None
        rules = []
        for rule in self.params[option]:
            peers = rule[end]
            rules.append(
                {
                    "protocol": rule["protocol"],
                    "ports": rule["ports"],
                    end: {
                        "addresses": peers["addresses"],
                        "tags": peers["tags"],
                        "droplet_ids": self.droplet_ids("%s.%s.droplets" % (option, end), peers["droplets"]),
                        "load_balancer_uids": [self._balancer(option, one) for one in peers["load_balancers"] or []],
                        "kubernetes_ids": peers["kubernetes_ids"],
                    },
                }
            )
        return rules

    def _balancer(self, option, value):
        item = self.reference(option, value, "/v2/load_balancers", "load_balancers", UUID.match)
        return item["id"] if item else not_yet(value)

    def check_creation(self, wanted):
        if not wanted["inbound_rules"] and not wanted["outbound_rules"]:
            raise Failure("%s does not exist; creating it needs at least one rule." % self.title)
        self._check_targets(wanted)

    def check_update(self, raw, changes):
        self._check_targets({field: after for field, (before, after) in changes.items()})

    def _check_targets(self, wanted):
        if len(wanted.get("droplet_ids") or []) > 10:
            raise Failure("droplets: a firewall takes at most 10 droplets by number (%d given); use a tag." % len(wanted["droplet_ids"]))
        if len(wanted.get("tags") or []) > 5:
            raise Failure("tags: a firewall takes at most 5 tags (%d given)." % len(wanted["tags"]))

    def _all_tags(self, wanted):
        tags = set(wanted.get("tags") or [])
        for option, end in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
            for rule in wanted.get(option) or []:
                tags.update(rule[end].get("tags") or [])
        return sorted(tags)

    def body(self, raw, wanted):
        body = super().body(raw, wanted)
        for option, end in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
            body[option] = wire_rules(body[option], end)
        return body

    def create(self, wanted):
        self.ensure_tags(self._all_tags(wanted))
        return super().create(wanted)

    def update(self, raw, changes, wanted):
        self.ensure_tags(self._all_tags({field: after for field, (before, after) in changes.items()}))
        return super().update(raw, changes, wanted)

    def settled(self, raw):
        if raw["status"] != "waiting" and not raw.get("pending_changes"):
            return raw, raw["status"]
        now = self.read(raw)
        if now["status"] == "failed":
            raise Failure("%s could not be applied to all droplets; the vendor reports it as failed." % self.title)
        done = now["status"] == "succeeded" and not now.get("pending_changes")
        return (now if done else None), "%s, %d changes pending" % (
            now["status"],
            len(now.get("pending_changes") or []),
        )

    def shape(self, raw):
        return shapes.firewall(raw)
