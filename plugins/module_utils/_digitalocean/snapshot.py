# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Snapshots of droplets and volumes."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.droplet import Droplet
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    wait_for,
)


class Snapshot(DigitalOcean):
    kind = "snapshot"
    path, many, one = "/v2/snapshots", "snapshots", "snapshot"
    visible_at_once = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.source = None

    def find(self):
        """By name, and by droplet when one is given: two droplets may each have a snapshot called `before-upgrade`."""
        params = self.params
        snapshots = self.client.listing(self.path, self.many, resource_type="droplet")
        if params["id"]:
            return self._find_by_id(snapshots)
        found = [raw for raw in snapshots if raw["name"] == params["name"]]
        # Without a candidate there is nothing to narrow: the droplet may be gone as well.
        if params["droplet"] and (found or params["state"] == "present"):
            if params["state"] == "present" or not params["droplet"].isdigit():
                self.source = self.droplet("droplet", params["droplet"])
            identity = self.source["id"] if self.source else params["droplet"]
            found = [raw for raw in found if raw["resource_id"] == str(identity)]
        return found

    def _find_by_id(self, snapshots):
        params = self.params
        found = [raw for raw in snapshots if str(raw["id"]) == params["id"]]
        if not found and params["state"] == "present":
            raise Failure("id: there is no snapshot %s. Leave id out to have one taken." % params["id"])
        for raw in found:
            if params["name"] not in (None, raw["name"]):
                raise Failure("id: snapshot %s is called %s, not %s. Correct id or name. Nothing was changed." % (params["id"], raw["name"], params["name"]))
            if params["droplet"]:
                self.source = self.droplet("droplet", params["droplet"])
            if self.source and raw["resource_id"] != str(self.source["id"]):
                raise Failure("droplet: snapshot %s (id) is not one of droplet %s. Correct either. Nothing was changed." % (params["id"], params["droplet"]))
        return found

    @property
    def title(self):
        return "snapshot %s" % (self.params["name"] or self.params["id"])

    def describe(self, raw):
        return "id %s of droplet %s, created %s" % (raw["id"], raw["resource_id"], raw["created_at"])

    def current(self, raw):
        return {"name": raw["name"], "droplet_id": raw["resource_id"]}

    def wanted(self, raw):
        return {"name": self.params["name"], "droplet_id": str(self.source["id"]) if self.source else None}

    def check_creation(self, wanted):
        if not self.params["droplet"]:
            raise Failure("%s does not exist; taking it needs droplet." % self.title)

    def create(self, wanted):
        helper = Droplet(self.client, dict(self.params, name=self.source["name"], id=self.source["id"]), log=self.log)
        helper._act(self.source["id"], "snapshot", name=self.params["name"])
        return wait_for(lambda: (next(iter(self.find()), None), "not listed"), "%s to be listed" % self.title, 60, self.log)

    def shape(self, raw):
        return shapes.snapshot(raw)
