# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Block volumes."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean, check_tags, one_of
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, list_steps, not_yet, target_list, unordered, wait_for

NAME = re.compile(r"^[a-z][a-z0-9\-]{0,63}$")
LARGEST = 16384  # GiB, the vendor's limit for one volume
LABEL_LENGTH = {"ext4": 16, "xfs": 12}


class Volume(DigitalOcean):
    """Known by name and region: in another region the name may mean another volume."""

    kind = "volume"
    goes_slowly = True
    path, many, one = "/v2/volumes", "volumes", "volume"
    created_in_steps = True  # it is attached after it was created
    immutable = {
        "filesystem_type": "a file system is made at creation only: leave it out, or format the volume on its host",
        "filesystem_label": "a label is written at creation only: leave it out, or change it on the host",
        "description": "a description is written at creation only: leave it out",
    }

    @property
    def title(self):
        return "volume %s in %s" % (self.params["name"], self.params["region"])

    def validate(self):
        params = self.params
        check_tags("tags", params["tags"])
        check_tags("owner_tag", [params["owner_tag"]] if params["owner_tag"] else [])
        if not NAME.match(params["name"]):
            raise Failure(
                "name: %r is not the name of a volume: lower case letters, digits and dash, a letter first, at most 64 characters; write for example "
                "bot-1-data." % params["name"]
            )
        size, label = params["size_gigabytes"], params["filesystem_label"]
        if size is not None and not 1 <= size <= LARGEST:
            raise Failure("size_gigabytes: %d is not a size; write a whole number of GiB from 1 to %d." % (size, LARGEST))
        if label and not params["filesystem_type"]:
            raise Failure("filesystem_label needs filesystem_type.")
        if label and len(label) > LABEL_LENGTH[params["filesystem_type"]]:
            raise Failure(
                "filesystem_label: %r is too long for %s; write at most %d characters."
                % (label, params["filesystem_type"], LABEL_LENGTH[params["filesystem_type"]])
            )

    def find(self):
        params = self.params
        named = [raw for raw in self.client.listing(self.path, self.many, name=params["name"]) if raw.get("name") == params["name"]]
        # Half of a volume says nothing about where it is: taken for another one, it would be made twice.
        if not all(raw.get("id") and raw.get("region") for raw in named):
            raise Failure("listing volumes: the answer has one called %s without an id or a region; is api_endpoint right?" % params["name"])
        named = [raw for raw in named if shapes.slug(raw["region"]) == params["region"]]
        return self.owned(named)

    # --- comparing

    def current(self, raw):
        return {
            "size_gigabytes": raw["size_gigabytes"],
            "filesystem_type": raw.get("filesystem_type") or "",
            "filesystem_label": raw.get("filesystem_label") or "",
            "description": raw.get("description") or "",
            "tags": unordered(raw["tags"]),
            "droplet_id": shapes.droplet_of(raw) or 0,
        }

    def wanted(self, raw):
        params = self.params
        target = self.target()
        droplet_id = None if params["droplet"] is None else 0
        if params["droplet"]:
            droplet_id = target["id"] if target else not_yet(params["droplet"])
        if raw is None and not droplet_id:
            droplet_id = None
        return {
            "size_gigabytes": params["size_gigabytes"],
            "filesystem_type": params["filesystem_type"],
            "filesystem_label": params["filesystem_label"],
            "description": params["description"],
            "tags": target_list(raw["tags"] if raw else [], self.tags_with_owner(raw), True),
            "droplet_id": droplet_id,
        }

    def check_creation(self, wanted):
        if not self.params["size_gigabytes"]:
            raise Failure("%s does not exist; creating it needs size_gigabytes." % self.title)
        one_of("region", self.params["region"], {item["slug"] for item in self.client.cached("/v2/regions", "regions")})
        self._check_region()

    def _check_region(self):
        target = self.target()
        if target and shapes.slug(target["region"]) != self.params["region"]:
            raise Failure(
                "droplet: %s is in %s, and %s can only be attached there where it is. Choose a droplet there. Nothing was changed."
                % (target["name"], shapes.slug(target["region"]), self.title)
            )

    def check_update(self, raw, changes):
        before, after = changes.get("size_gigabytes", (0, 0))
        if after < before:
            raise Failure(
                "size_gigabytes: %s has %d GiB, wanted are %d, and a volume never shrinks. Write %d or more. Nothing was changed."
                % (self.title, before, after, before)
            )
        before, after = changes.get("droplet_id", (0, 0))
        if after:
            self._check_region()
        if before and after and not self.params["move"]:
            raise Failure("%s is on droplet %s. Taking it away from there needs move: true. Nothing was changed." % (self.title, before))

    # --- doing

    def create(self, wanted):
        body = {name: value for name, value in wanted.items() if value is not None and name != "droplet_id"}
        body.update(name=self.params["name"], region=self.params["region"])
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        identity = raw["id"]
        if "tags" in changes:
            self.retag(identity, *list_steps(raw["tags"], wanted["tags"]))
        before, after = changes.get("droplet_id", (0, 0))
        if before:
            self._detach(identity, before)
        if "size_gigabytes" in changes:
            self._act(identity, "resize", size_gigabytes=wanted["size_gigabytes"])
            self.did("grew from %d to %d GiB" % changes["size_gigabytes"])
        if after:
            self._attach(identity, after)
        return self.read(raw)

    def _attach(self, identity, droplet_id):
        # An action of the droplet's that is still at work would refuse ours.
        wait_for(lambda: self._unlocked(droplet_id), "droplet %s to be free" % droplet_id, self.params["wait_timeout"], self.log)
        self._act(identity, "attach", droplet_id=droplet_id)
        self.did("attached to droplet %s" % droplet_id)

    def _detach(self, identity, droplet_id):
        self._act(identity, "detach", droplet_id=droplet_id)
        self.did("detached from droplet %s" % droplet_id)

    def _unlocked(self, droplet_id):
        now = self.client.get("/v2/droplets/%d" % droplet_id, "reading droplet %s" % droplet_id)["droplet"]
        return (None if now["locked"] else now), "locked"

    def _act(self, identity, kind, **details):
        """Start one action and wait for its end: the next one would be refused while it runs."""
        what = "%s of %s" % (kind, self.title)
        actions = "%s/%s/actions" % (self.path, identity)
        action = self.client.post(actions, dict(details, type=kind, region=self.params["region"]), what)["action"]
        return self.follow(action, actions, what, "Run the task again, or look at the volume there.")

    # --- removing

    def check_deletion(self, raw):
        if not self.params["with_data"]:
            raise Failure(
                "%s (%s) goes with all that is on it, for good. Allow that with with_data: true. Nothing was changed." % (self.title, self.describe(raw))
            )

    def delete(self, raw):
        droplet_id = shapes.droplet_of(raw)
        if droplet_id:
            self._detach(raw["id"], droplet_id)
        super().delete(raw)

    def shape(self, raw):
        return shapes.volume(raw)
