# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reserved addresses."""

from __future__ import annotations

import ipaddress

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import (
    DigitalOcean,
    one_of,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    not_yet,
    wait_for,
)


class ReservedIp(DigitalOcean):
    """Has no name: it is known by its address, by the droplet it is on, or as the one that is free in a region."""

    kind = "reserved_ip"
    goes_slowly = True
    path, many, one = "/v2/reserved_ips", "reserved_ips", "reserved_ip"
    immutable = {"region": "an address stays in its region: reserve another one there"}
    identities = ("ip",)

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

    def shape(self, raw):
        return shapes.reserved_ip(raw)
