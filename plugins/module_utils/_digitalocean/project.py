# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Projects and what belongs to them."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, is_not_yet, list_steps, target_list, unordered

URN = re.compile(r"^do:[a-z]+:\S+$")
FIELDS = ("name", "purpose", "description", "environment")


class Project(DigitalOcean):
    kind = "project"
    path, many, one = "/v2/projects", "projects", "project"
    created_in_steps = True

    def validate(self):
        for urn in self.params["resources"] or []:
            if not URN.match(urn) and not is_not_yet(urn):
                raise Failure("resources: %r is not a URN such as do:droplet:3164444. Every do_* module returns one as urn." % urn)

    def _resources(self, raw):
        return unordered(item["urn"] for item in self.client.listing("%s/%s/resources" % (self.path, raw["id"]), "resources"))

    def current(self, raw):
        view = {name: raw.get(name) for name in (*FIELDS, "is_default")}
        if self.params["resources"] is not None:
            view["resources"] = self._resources(raw)
        return view

    def wanted(self, raw):
        params = self.params
        have = self.seen(raw)["resources"] if raw and params["resources"] is not None else []
        wanted = {name: params[name] for name in FIELDS}
        wanted["is_default"] = params["is_default"]
        wanted["resources"] = target_list(have, params["resources"], params["purge_resources"])
        if raw is None:
            wanted["purpose"] = wanted["purpose"] or "Service or API"
            wanted["environment"] = wanted["environment"] or "Production"
        return wanted

    def check_update(self, raw, changes):
        if changes.get("is_default") == (True, False):
            raise Failure("is_default: %s is the default project; make another one the default instead." % self.title)

    def create(self, wanted):
        body = {name: wanted[name] for name in FIELDS if wanted[name] is not None}
        # What is in it, and that it is the default, are further requests; `update` sends them.
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        fields = {name: wanted[name] for name in changes if name != "resources"}
        if fields:
            raw = self.client.patch("%s/%s" % (self.path, raw["id"]), fields, "changing %s" % self.title)[self.one]
            self.did("changed %s" % ", ".join(sorted(fields)))
        if "resources" in changes:
            added, removed = list_steps(*changes["resources"])
            self._assign(raw["id"], added, "moved %d here")
            self._assign("default", removed, "moved %d to the default project")
        return raw

    def _assign(self, identity, urns, text):
        if not urns:
            return
        answer = self.client.post("%s/%s/resources" % (self.path, identity), {"resources": urns}, "moving resources of %s" % self.title)
        lost = [item["urn"] for item in answer["resources"] if item["status"] in ("not_found", "service_down")]
        if lost:
            raise Failure("resources: the vendor cannot find %s." % ", ".join(lost))
        self.did(text % len(urns))

    def check_deletion(self, raw):
        if raw["is_default"]:
            raise Failure("%s is the default project, which cannot be deleted; make another one the default first." % self.title)
        inside = self._resources(raw)
        if inside:
            raise Failure(
                "%s still has %d resources and cannot be deleted: %s. Move or delete them first%s."
                % (
                    self.title,
                    len(inside),
                    ", ".join(inside[:20]),
                    "; in check mode, what earlier tasks would delete is still there" if self.check_mode else "",
                )
            )

    def shape(self, raw):
        return shapes.project(raw)
