# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""VPCs."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import (
    DigitalOcean,
    one_of,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    Gone,
    wait_for,
)


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
