# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""VPCs, firewalls, reserved addresses, certificates and load balancers."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import (
    UUID,
    DigitalOcean,
    check_tags,
    one_of,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    Gone,
    is_not_yet,
    merged,
    not_yet,
    target_list,
    unordered,
    wait_for,
)

# --- VPC


def overlapping(ip_range, others):
    """Those of `others` ({name: range}) that share addresses with `ip_range`."""
    network = ipaddress.ip_network(ip_range)
    return sorted("%s (%s)" % (name, other) for name, other in others.items() if other and network.overlaps(ipaddress.ip_network(other)))


class Vpc(DigitalOcean):
    kind = "vpc"
    path, many, one = "/v2/vpcs", "vpcs", "vpc"
    created_in_steps = True
    immutable = {
        "region": "a network cannot move: choose another name for the one there",
        "ip_range": "a range cannot be changed: create another network and move the droplets",
    }

    def validate(self):
        if not re.match(r"^[a-zA-Z0-9\-.]+$", self.params["name"]):
            raise Failure("name: %r may only have letters, digits, dash and dot." % self.params["name"])
        if len(self.params["description"] or "") > 255:
            raise Failure("description is longer than 255 characters.")
        if self.params["ip_range"]:
            try:
                network = ipaddress.ip_network(self.params["ip_range"])
            except ValueError as error:
                raise Failure("ip_range: %s. Write a network in CIDR notation, for example 10.44.0.0/20." % error) from None
            if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 28:
                raise Failure("ip_range: %s is not a private IPv4 range between /16 and /28." % network)

    def find(self):
        self.all = self.client.listing(self.path, self.many)
        return [raw for raw in self.all if raw["name"] == self.params["name"]]

    def current(self, raw):
        return {name: raw[name] for name in ("name", "region", "ip_range", "description", "default")}

    def wanted(self, raw):
        return {name: self.params[name] for name in ("name", "region", "ip_range", "description", "default")}

    def check_creation(self, wanted):
        if not wanted["region"]:
            raise Failure("%s does not exist; creating it needs region." % self.title)
        one_of("region", wanted["region"], {item["slug"] for item in self.client.cached("/v2/regions", "regions")})
        if wanted["ip_range"]:
            clash = overlapping(wanted["ip_range"], {vpc["name"]: vpc["ip_range"] for vpc in self.all})
            if clash:
                raise Failure(
                    "ip_range: %s overlaps %s. Networks of one account must not overlap; choose another range." % (wanted["ip_range"], " and ".join(clash))
                )

    def check_update(self, raw, changes):
        if changes.get("default") == (True, False):
            raise Failure("default: %s is the default of %s; make another network the default instead." % (self.title, raw["region"]))

    def create(self, wanted):
        body = {name: wanted[name] for name in ("name", "region", "ip_range", "description") if wanted[name] is not None}
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def body(self, raw, wanted):
        have = {name: raw[name] for name in ("name", "description")}
        return {**have, **{name: wanted[name] for name in ("description", "default") if wanted[name] is not None}}

    def _members(self, raw):
        return self.client.listing("%s/%s/members" % (self.path, raw["id"]), "members")

    def _stays(self, member):
        """Whether a member still exists. One that was just deleted is listed for a while."""
        kind, identity = member["urn"].split(":")[1:3]
        path = {"droplet": "/v2/droplets/", "loadbalancer": "/v2/load_balancers/", "dbaas": "/v2/databases/"}.get(kind)
        if path is None:
            return True
        try:
            self.client.get(path + identity, "reading %s" % member["urn"])
        except Gone:
            return False
        return True

    def check_deletion(self, raw):
        if raw["default"]:
            raise Failure("%s is the default network of %s, which cannot be deleted; make another one the default first." % (self.title, raw["region"]))
        staying = [member for member in self._members(raw) if self._stays(member)]
        if staying:
            raise Failure(
                "%s still has members and cannot be deleted: %s. Delete them first%s."
                % (
                    self.title,
                    ", ".join("%s (%s)" % (member["name"], member["urn"]) for member in staying[:20]),
                    "; in check mode, what earlier tasks would delete is still there" if self.check_mode else "",
                )
            )

    def delete(self, raw):
        def empty():
            left = self._members(raw)
            return (None if left else True), "%d members are going" % len(left)

        wait_for(empty, "the members of %s to go" % self.title, self.params["wait_timeout"] if self.params["wait"] else 0, self.log)
        super().delete(raw)

    def shape(self, raw):
        return shapes.vpc(raw)


# --- firewall


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


# --- reserved address


class ReservedIp(DigitalOcean):
    """Has no name: it is known by its address, by the droplet it is on, or as the one that is free in a region."""

    kind = "reserved_ip"
    path, many, one = "/v2/reserved_ips", "reserved_ips", "reserved_ip"
    immutable = {"region": "an address stays in its region: reserve another one there"}
    identities = ("ip",)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._target = None

    @property
    def visible_at_once(self):
        """One for a droplet is listed without it until it was assigned, and looks like one that is free."""
        return not self.params["droplet"]

    @property
    def title(self):
        params = self.params
        if params["ip"]:
            return "reserved address %s" % params["ip"]
        return "reserved address %s" % ("of droplet %s" % params["droplet"] if params["droplet"] else "in %s" % params["region"])

    def validate(self):
        if self.params["ip"]:
            try:
                ipaddress.IPv4Address(self.params["ip"])
            except ValueError:
                raise Failure("ip: %r is not an IPv4 address." % self.params["ip"]) from None
        elif self.params["state"] == "absent" and not self.params["droplet"]:
            raise Failure("Releasing an address needs ip or droplet; a region alone says too little.")
        if self.params["droplet"] and self.params["unassigned"]:
            raise Failure("droplet and unassigned: true contradict each other.")

    def target(self):
        if self._target is None and self.params["droplet"]:
            self._target = self.droplet("droplet", self.params["droplet"])
        return self._target

    def find(self):
        params = self.params
        addresses = self.client.listing(self.path, self.many)
        if params["ip"]:
            found = [raw for raw in addresses if raw["ip"] == params["ip"]]
            if not found and params["state"] == "present":
                raise Failure(
                    "ip: %s is not a reserved address of this account. A certain address cannot be had: leave ip out, "
                    "and give droplet or region." % params["ip"]
                )
            return found
        if params["droplet"]:
            target = self.target()
            return [raw for raw in addresses if target and raw["droplet"] and raw["droplet"]["id"] == target["id"]]
        return [raw for raw in addresses if not raw["droplet"] and shapes.slug(raw["region"]) == params["region"]]

    def describe(self, raw):
        if "networks" in raw:  # a droplet of that name, not an address
            return super().describe(raw)
        return "%s %s" % (raw["ip"], "on %s" % raw["droplet"]["name"] if raw["droplet"] else "free")

    def current(self, raw):
        return {
            "ip": raw["ip"],
            "region": shapes.slug(raw["region"]),
            "droplet_id": raw["droplet"]["id"] if raw["droplet"] else 0,
        }

    def wanted(self, raw):
        target = self.target()
        droplet_id = target["id"] if target else (not_yet(self.params["droplet"]) if self.params["droplet"] else None)
        return {
            "region": self.params["region"],
            "droplet_id": 0 if self.params["unassigned"] else droplet_id,
        }

    def check_creation(self, wanted):
        if self.params["region"]:
            one_of("region", self.params["region"], {item["slug"] for item in self.client.cached("/v2/regions", "regions")})
        self._check_region(self.params["region"])

    def _check_region(self, region):
        target = self.target()
        if target and region and shapes.slug(target["region"]) != region:
            raise Failure(
                "%s is in %s and droplet %s in %s; an address only works in its region." % (self.title, region, target["name"], shapes.slug(target["region"]))
            )

    def check_update(self, raw, changes):
        self._check_region(shapes.slug(raw["region"]))
        before, after = changes.get("droplet_id", (0, 0))
        if before and after and not self.params["move"]:
            raise Failure(
                "%s is on droplet %s (id %s). Taking it away from there needs move: true. Nothing was changed." % (self.title, raw["droplet"]["name"], before)
            )

    def create(self, wanted):
        target = self.target()
        if target:
            # The vendor takes either a droplet or a region.
            raw = self.client.post(self.path, {"droplet_id": target["id"]}, "reserving an address for %s" % target["name"])
        else:
            raw = self.client.post(self.path, {"region": self.params["region"]}, "reserving an address in %s" % self.params["region"])
        return raw[self.one]

    def update(self, raw, changes, wanted):
        raw = wait_for(lambda: self._unlocked(raw), "%s to be free" % self.title, self.params["wait_timeout"], self.log)
        if wanted["droplet_id"]:
            body = {"type": "assign", "droplet_id": wanted["droplet_id"]}
        else:
            body = {"type": "unassign"}
        self.client.post("%s/%s/actions" % (self.path, raw["ip"]), body, "%s of %s" % (body["type"], self.title))
        self.did(
            "moved from droplet %s to %s" % changes["droplet_id"]
            if all(changes["droplet_id"])
            else "assigned to droplet %s" % wanted["droplet_id"]
            if wanted["droplet_id"]
            else "taken off its droplet"
        )
        # What counts is where the address is, not what the action says of itself.
        return wait_for(
            lambda: self._on(raw, wanted["droplet_id"]),
            "%s to move" % self.title,
            self.params["wait_timeout"],
            self.log,
        )

    def _unlocked(self, raw):
        now = raw if not raw["locked"] else self.read(raw)
        return (None if now["locked"] else now), "locked"

    def _on(self, raw, droplet_id):
        now = self.read(raw)
        here = now["droplet"]["id"] if now["droplet"] else 0
        return (now if here == droplet_id and not now["locked"] else None), "on droplet %s" % here

    def settled(self, raw):
        wanted = self.wanted(raw)["droplet_id"]
        if not raw["locked"] and wanted in (None, raw["droplet"]["id"] if raw["droplet"] else 0):
            return raw, "assigned"
        return self._on(raw, wanted) if wanted is not None else self._unlocked(raw)

    def read(self, raw):
        return self.client.get("%s/%s" % (self.path, raw["ip"]), "reading %s" % self.title)[self.one]

    def check_deletion(self, raw):
        if not raw["droplet"] or self.params["move"]:
            return
        target = self.target()
        if target is None or target["id"] != raw["droplet"]["id"]:
            raise Failure(
                "%s is on droplet %s (id %s). Releasing it from under it needs move: true. Nothing was changed."
                % (self.title, raw["droplet"]["name"], raw["droplet"]["id"])
            )

    def delete(self, raw):
        self.client.delete("%s/%s" % (self.path, raw["ip"]), "releasing %s" % self.title)

    def vanished(self, raw):
        try:
            self.read(raw)
        except Gone:
            return True, "gone"
        return None, "still there"

    def shape(self, raw):
        return shapes.reserved_ip(raw)


# --- certificate


def certificate_fingerprint(pem):
    """The SHA-1 of a certificate, by which the vendor tells which one it has; None when there is no certificate in it."""
    match = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem or "", re.S)
    if not match:
        return None
    try:
        return hashlib.sha1(base64.b64decode("".join(match.group(1).split()), validate=True), usedforsecurity=False).hexdigest()
    except ValueError:
        return None


class Certificate(DigitalOcean):
    kind = "certificate"
    path, many, one = "/v2/certificates", "certificates", "certificate"
    immutable = {
        "type": "delete it first or choose another name",
        "dns_names": "a certificate cannot be changed: request one under another name, point the load balancer to it, then delete this one",
        "sha1_fingerprint": "a certificate cannot be replaced under its name: upload the new one under another name, point the load "
        "balancer to it, then delete this one",
    }

    def validate(self):
        params = self.params
        if params["state"] == "absent":
            return
        if params["leaf_certificate"] and certificate_fingerprint(params["leaf_certificate"]) is None:
            raise Failure("leaf_certificate: not a PEM certificate. Give the file's content, not its path.")
        if params["private_key"] and "PRIVATE KEY-----" not in params["private_key"]:
            raise Failure("private_key: not a PEM private key. Give the file's content, not its path.")

    def find(self):
        found = self.client.listing(self.path, self.many, name=self.params["name"])
        return [raw for raw in found if raw["name"] == self.params["name"]]

    def describe(self, raw):
        return "id %s, %s, %s until %s" % (raw["id"], raw["type"], raw["state"], raw.get("not_after"))

    def current(self, raw):
        view = {"name": raw["name"], "type": raw["type"]}
        if raw["type"] == "custom":
            view["sha1_fingerprint"] = (raw.get("sha1_fingerprint") or "").replace(":", "").lower()
        else:
            view["dns_names"] = unordered(name.lower() for name in raw.get("dns_names") or [])
        return view

    def wanted(self, raw):
        params = self.params
        if params["dns_names"]:
            return {
                "name": params["name"],
                "type": "lets_encrypt",
                "dns_names": unordered(n.lower() for n in params["dns_names"]),
            }
        return {
            "name": params["name"],
            "type": "custom",
            "sha1_fingerprint": certificate_fingerprint(params["leaf_certificate"]),
        }

    def create(self, wanted):
        params = self.params
        if wanted["type"] == "lets_encrypt":
            body = {"name": params["name"], "type": "lets_encrypt", "dns_names": wanted["dns_names"]}
        else:
            body = {
                "name": params["name"],
                "type": "custom",
                "leaf_certificate": params["leaf_certificate"],
                "private_key": params["private_key"],
            }
            if params["certificate_chain"]:
                body["certificate_chain"] = params["certificate_chain"]
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def check_deletion(self, raw):
        balancers = self.client.cached("/v2/load_balancers", "load_balancers")
        users = [one["name"] for one in balancers if any(rule.get("certificate_id") == raw["id"] for rule in one["forwarding_rules"])]
        if users:
            raise Failure("%s is used by the load balancer %s; point that to another one first. Nothing was changed." % (self.title, ", ".join(users)))

    def settled(self, raw):
        if raw["state"] == "pending":
            raw = self.read(raw)
        if raw["state"] == "error":
            raise Failure(
                "%s was not issued: the vendor reports an error. Its names have to be domains of this account whose name "
                "servers are the vendor's. Delete it before trying again." % self.title
            )
        return (raw if raw["state"] == "verified" else None), raw["state"]

    def shape(self, raw):
        return shapes.certificate(raw)


# --- load balancer

BALANCER_FIELDS = (
    "size_unit",
    "algorithm",
    "redirect_http_to_https",
    "enable_proxy_protocol",
    "enable_backend_keepalive",
    "http_idle_timeout_seconds",
    "tls_cipher_policy",
)


# What a request must not repeat: the vendor sets it, or it says again what another field says.
VENDORS_OWN = ("id", "ip", "ipv6", "status", "created_at", "size")


def normal_health_check(check):
    """What was given of a health check; one of TCP has no path."""
    check = {name: value for name, value in check.items() if value is not None}
    return {**check, "path": ""} if check.get("protocol") == "tcp" else check


def normal_sticky(sticky):
    """Sticky sessions with all that belongs to them, so that what goes with their end is seen to go."""
    cookies = sticky["type"] == "cookies"
    return {
        "type": sticky["type"],
        "cookie_name": (sticky.get("cookie_name") or "") if cookies else "",
        "cookie_ttl_seconds": (sticky.get("cookie_ttl_seconds") or 0) if cookies else 0,
    }


def normal_forwarding(rules):
    """Forwarding rules as a set; each is complete, so that a certificate that goes is seen to go."""
    return unordered(
        {
            "entry_protocol": rule["entry_protocol"],
            "entry_port": int(rule["entry_port"]),
            "target_protocol": rule["target_protocol"],
            "target_port": int(rule["target_port"]),
            "certificate_id": rule.get("certificate_id") or "",
            "tls_passthrough": bool(rule.get("tls_passthrough")),
        }
        for rule in rules or []
    )


class LoadBalancer(DigitalOcean):
    kind = "load_balancer"
    path, many, one = "/v2/load_balancers", "load_balancers", "load_balancer"
    immutable = {
        "region": "a load balancer cannot move: create one under another name there",
        "vpc_uuid": "a load balancer stays in its VPC: create one under another name in the other",
    }

    def validate(self):
        params = self.params
        check_tags("tag", [params["tag"]] if params["tag"] else [])
        for index, rule in enumerate(params["forwarding_rules"] or []):
            encrypted = rule["entry_protocol"] in ("https", "http2", "http3")
            if encrypted and not rule["certificate"] and not rule["tls_passthrough"]:
                raise Failure("forwarding_rules[%d]: %s needs certificate, or tls_passthrough: true." % (index, rule["entry_protocol"]))
            for end in ("entry_port", "target_port"):
                if not 1 <= rule[end] <= 65535:
                    raise Failure("forwarding_rules[%d].%s: %d is not a port." % (index, end, rule[end]))
        entries = [(r["entry_port"], r["entry_protocol"] == "udp") for r in params["forwarding_rules"] or []]
        if len(set(entries)) < len(entries):
            raise Failure("forwarding_rules: two rules enter at the same port.")
        sticky = params["sticky_sessions"]
        if sticky and sticky["type"] == "cookies" and not (sticky["cookie_name"] and sticky["cookie_ttl_seconds"]):
            raise Failure("sticky_sessions: cookies need cookie_name and cookie_ttl_seconds.")

    def current(self, raw):
        firewall = raw.get("firewall") or {}
        return {
            "name": raw["name"],
            "region": shapes.slug(raw["region"]),
            "vpc_uuid": raw.get("vpc_uuid"),
            "forwarding_rules": normal_forwarding(raw["forwarding_rules"]),
            "health_check": normal_health_check(raw.get("health_check") or {}),
            "sticky_sessions": normal_sticky(raw.get("sticky_sessions") or {"type": "none"}),
            "firewall": {side: unordered(firewall.get(side)) for side in ("allow", "deny")},
            "tag": raw.get("tag") or "",
            # With a tag the vendor fills the droplets in; they are then its business, not ours.
            "droplet_ids": [] if raw.get("tag") else unordered(raw.get("droplet_ids")),
            **{name: raw.get(name) for name in BALANCER_FIELDS},
        }

    def wanted(self, raw):
        params = self.params
        vpc = self.vpc("vpc", params["vpc"]) if params["vpc"] else None
        rules = None
        if params["forwarding_rules"] is not None:
            rules = normal_forwarding(dict(rule, certificate_id=self._certificate(rule["certificate"])) for rule in params["forwarding_rules"])
        check = normal_health_check(params["health_check"] or {}) or None
        droplets = self.droplet_ids("droplets", params["droplets"])
        have = raw.get("droplet_ids") if raw and not raw.get("tag") else []
        firewall = None
        if params["firewall"]:
            firewall = {side: unordered(params["firewall"][side]) for side in ("allow", "deny") if params["firewall"][side] is not None}
        return {
            "name": params["name"],
            "region": params["region"],
            "vpc_uuid": vpc["id"] if vpc else (not_yet(params["vpc"]) if params["vpc"] else None),
            "forwarding_rules": rules,
            "health_check": check,
            "sticky_sessions": normal_sticky(params["sticky_sessions"]) if params["sticky_sessions"] else None,
            "firewall": firewall,
            # Droplets by number take the tag away, and the other way round.
            "tag": params["tag"] if params["tag"] is not None else ("" if droplets is not None else None),
            "droplet_ids": target_list(have, droplets, params["purge_droplets"]) if droplets is not None else ([] if params["tag"] else None),
            **{name: params[name] for name in BALANCER_FIELDS},
        }

    def _certificate(self, value):
        if not value:
            return None
        item = self.reference("certificate", value, "/v2/certificates", "certificates", UUID.match)
        return item["id"] if item else not_yet(value)

    def check_creation(self, wanted):
        missing = [option for option in ("region", "forwarding_rules") if not wanted[option]]
        if missing:
            raise Failure("%s does not exist; creating it needs %s." % (self.title, " and ".join(missing)))
        one_of("region", wanted["region"], {item["slug"] for item in self.client.cached("/v2/regions", "regions")})

    def body(self, raw, wanted):
        """The vendor replaces everything at once, and what is left out falls back to its default: start from all that is there."""
        have = self.seen(raw) if raw else {}
        body = {name: value for name, value in (raw or {}).items() if name not in VENDORS_OWN and value not in (None, "", [], {})}
        # As the diff shows it: what is declared, over what is there.
        body.update({name: merged(have.get(name), value) for name, value in {**have, **wanted}.items()})
        body["forwarding_rules"] = [{k: v for k, v in rule.items() if v != ""} for rule in body["forwarding_rules"]]
        for name in ("health_check", "sticky_sessions"):
            body[name] = {k: v for k, v in (body[name] or {}).items() if v not in (None, "", 0)} or None
        body.pop("droplet_ids" if body.get("tag") else "tag", None)
        if not body.get("tag"):
            body["droplet_ids"] = body.get("droplet_ids") or []
        return {name: value for name, value in body.items() if value is not None}

    def settled(self, raw):
        if raw["status"] == "active" and raw.get("ip"):
            return raw, "active"
        now = self.read(raw)
        if now["status"] == "errored":
            raise Failure("%s could not be built; the vendor reports an error." % self.title)
        return (now if now["status"] == "active" and now.get("ip") else None), now["status"]

    def vanished(self, raw):
        try:
            self.read(raw)
        except Gone:
            return True, "gone"
        return None, "still there"

    def shape(self, raw):
        return shapes.load_balancer(raw)
