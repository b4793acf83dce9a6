# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Droplets."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean, check_tags, one_of
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    Gone,
    list_steps,
    not_yet,
    several,
    target_list,
    unordered,
    wait_for,
)

HOSTNAME = re.compile(r"^[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]$")
SHUTDOWN_SECONDS = 120


def backup_policy(backups, policy):
    """The wanted backup plan as one value; None leaves it alone."""
    if backups is None:
        return None
    if not backups:
        return {"enabled": False}
    policy = policy or {}
    plan = policy.get("plan") or "weekly"
    return {
        "enabled": True,
        "plan": plan,
        "hour": policy["hour"] if policy.get("hour") is not None else 0,
        "weekday": (policy.get("weekday") or "SUN") if plan == "weekly" else None,
    }


def wire_policy(plan):
    """A plan as the API takes it: a daily one has no weekday."""
    return {name: plan[name] for name in ("plan", "hour", "weekday") if plan.get(name) is not None and (name, plan["plan"]) != ("weekday", "daily")}


class Droplet(DigitalOcean):
    kind = "droplet"
    path, many, one = "/v2/droplets", "droplets", "droplet"
    immutable = {
        "region": "a droplet cannot move: snapshot it and create one from the snapshot there",
        "image": "the image is used at creation only: rebuild or replace the droplet, or leave image out",
        "vpc_uuid": "a droplet stays in its VPC: create a new one in the other",
        "monitoring": "the agent is installed at creation: install do-agent on the host, or leave monitoring out",
        "ipv6": "IPv6 cannot be switched off again",
    }

    @property
    def title(self):
        return "droplet %s" % (self.params["name"] or self.params["id"])

    def validate(self):
        params = self.params
        check_tags("tags", params["tags"])
        check_tags("owner_tag", [params["owner_tag"]] if params["owner_tag"] else [])
        if params["name"] and not (HOSTNAME.match(params["name"]) and len(params["name"]) <= 255):
            raise Failure("name: %r is not a host name: only letters, digits, dot and dash, not at the end." % params["name"])
        policy = params["backup_policy"]
        if params["id"] is not None and not params["id"].isdigit():
            raise Failure("id: %r is not the number of a droplet; take it from do_info, or give name instead." % params["id"])
        if policy and not params["backups"]:
            raise Failure("backup_policy needs backups: true.")
        if policy and policy["plan"] == "daily" and policy["weekday"]:
            raise Failure("backup_policy: a daily plan has no weekday; leave it out or choose plan: weekly.")

    # --- finding

    def find(self):
        if self.params["id"]:
            return self._find_by_id()
        named = self.client.listing(self.path, self.many, name=self.params["name"])
        # The API's filter ignores case; two names that differ in case are two droplets.
        named = [raw for raw in named if raw["name"] == self.params["name"]]
        return self.owned(named)

    def _find_by_id(self):
        params = self.params
        try:
            raw = self.client.get("%s/%s" % (self.path, params["id"]), "reading %s" % self.title)[self.one]
        except Gone:
            if params["state"] == "present":
                raise Failure("id: there is no droplet %s. Leave id out to have one created." % params["id"]) from None
            return []
        if params["owner_tag"] and params["owner_tag"] not in (raw["tags"] or []):
            raise Failure(
                "id: droplet %s is %s, which does not carry the tag %s (owner_tag), so it is not this fleet's. Give the id of one that does, or "
                "tag it to adopt it. Nothing was changed." % (params["id"], raw["name"], params["owner_tag"])
            )
        if params["name"] and params["name"] != raw["name"] and not (params["rename"] and params["state"] == "present"):
            raise Failure(
                "id: droplet %s is called %s, not %s. Correct id or name%s. Nothing was changed."
                % (params["id"], raw["name"], params["name"], ", or set rename: true to rename it" if params["state"] == "present" else "")
            )
        return [raw]

    def describe(self, raw):
        where = [
            shapes.slug(raw["region"]),
            raw["status"],
            shapes.address(raw, "public"),
            "created %s" % raw["created_at"],
        ]
        return "id %s, %s" % (raw["id"], ", ".join(str(part) for part in where if part))

    # --- comparing

    def current(self, raw):
        params = self.params
        image = raw.get("image") or {}
        wanted_image = str(params["image"]) if params["image"] is not None else None
        have = {
            "name": raw["name"],
            "region": shapes.slug(raw["region"]),
            "size": raw["size_slug"],
            # The image has a slug, a number, and (a snapshot) a name: any of them may have been meant.
            "image": params["image"]
            if wanted_image in (image.get("slug"), str(image.get("id")), image.get("name"))
            else image.get("slug") or image.get("name"),
            "vpc_uuid": raw.get("vpc_uuid"),
            "tags": unordered(raw.get("tags")),
            "monitoring": "monitoring" in (raw.get("features") or []),
            "ipv6": "ipv6" in (raw.get("features") or []),
            "power_state": "stopped" if raw["status"] == "off" else "running",
        }
        if params["backups"] is not None:
            have["backups"] = self._policy(raw)
        return have

    def _policy(self, raw):
        if "backups" not in (raw.get("features") or []):
            return {"enabled": False}
        policy = self.client.get("%s/%d/backups/policy" % (self.path, raw["id"]), "reading the backup policy")["policy"]
        if not policy.get("backup_enabled", True):
            return {"enabled": False}
        kept = policy.get("backup_policy") or {}
        return {"enabled": True, "plan": kept.get("plan"), "hour": kept.get("hour"), "weekday": kept.get("weekday")}

    def wanted(self, raw):
        params = self.params
        vpc = self.vpc("vpc", params["vpc"]) if params["vpc"] else None
        placeholder = not_yet(params["vpc"]) if params["vpc"] else None
        policy = backup_policy(params["backups"], params["backup_policy"])
        if raw is None and policy == {"enabled": False}:
            policy = None  # as it is without asking
        return {
            "name": params["name"],
            "region": params["region"],
            "size": params["size"],
            "image": params["image"],
            "vpc_uuid": vpc["id"] if vpc else placeholder,
            "tags": target_list(raw["tags"] if raw else [], self.tags_with_owner(raw), params["purge_tags"]),
            "monitoring": params["monitoring"],
            # Switching on works later, off does not; at creation false is the default anyway.
            "ipv6": params["ipv6"] or (False if raw and params["ipv6"] is False else None),
            "backups": policy,
            "power_state": params["power_state"],
        }

    # --- refusing early

    def check_creation(self, wanted):
        missing = [option for option in ("region", "size", "image") if not self.params[option]]
        if missing:
            raise Failure("%s does not exist; creating it needs %s." % (self.title, ", ".join(missing)))
        self._check_size(self.params["size"], self.params["region"])
        self.keys = self._keys()
        if wanted["power_state"] == "stopped":
            raise Failure("power_state: a droplet is created running; create it first, then stop it.")

    def _check_size(self, size, region):
        sizes = {item["slug"]: item for item in self.client.cached("/v2/sizes", "sizes")}
        regions = {item["slug"]: item for item in self.client.cached("/v2/regions", "regions")}
        one_of("region", region, regions)
        one_of("size", size, sizes)
        if region not in sizes[size]["regions"]:
            raise Failure("size: %s is not offered in %s. It is in: %s. Or choose another size." % (size, region, ", ".join(sorted(sizes[size]["regions"]))))

    def _keys(self):
        """Names, numbers and fingerprints of SSH keys to numbers."""
        if not self.params["ssh_keys"]:
            return []
        known = self.client.cached("/v2/account/keys", "ssh_keys")
        numbers = []
        for wanted in self.params["ssh_keys"]:
            matches = [key for key in known if wanted in (str(key["id"]), key["fingerprint"])]
            matches = matches or [key for key in known if key["name"] == wanted]
            if len(matches) > 1:
                raise Failure("ssh_keys: %s" % several("the name %s" % wanted, ["id %s" % key["id"] for key in matches], True))
            if matches:
                numbers.append(matches[0]["id"])
            elif not self.check_mode:
                raise Failure("ssh_keys: this account has no key with the name, id or fingerprint %r; add it with do_ssh_key." % wanted)
        return numbers

    def check_update(self, raw, changes):
        if "size" not in changes:
            return
        self._check_size(changes["size"][1], shapes.slug(raw["region"]))
        sizes = {item["slug"]: item for item in self.client.cached("/v2/sizes", "sizes")}
        if sizes[changes["size"][1]]["disk"] < raw["disk"]:
            raise Failure(
                "size: %s has a smaller disk (%d GiB) than the droplet (%d GiB), and disks never shrink."
                % (changes["size"][1], sizes[changes["size"][1]]["disk"], raw["disk"])
            )
        if raw["status"] != "off" and not self.params["allow_downtime"]:
            raise Failure(
                "%s has size %s, wanted is %s. Resizing powers it off for minutes; allow that with allow_downtime: true. Nothing was "
                "changed." % (self.title, changes["size"][0], changes["size"][1])
            )

    # --- doing

    def create(self, wanted):
        params = self.params
        body = {
            "name": params["name"],
            "region": params["region"],
            "size": params["size"],
            "image": self._image(),
            "ssh_keys": self.keys,
            "tags": wanted["tags"] or [],
            "vpc_uuid": wanted["vpc_uuid"],
            "ipv6": bool(params["ipv6"]),
            "monitoring": bool(params["monitoring"]),
            "user_data": params["user_data"],
            "backups": bool(wanted["backups"]),
            "backup_policy": wire_policy(wanted["backups"]) if wanted["backups"] else None,
            "with_droplet_agent": params["droplet_agent"],
        }
        body = {name: value for name, value in body.items() if value is not None}
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def _image(self):
        """A slug or number as it is; the name of one of the account's own images as its number."""
        image = str(self.params["image"])
        if image.isdigit():
            return int(image)
        own = [item for item in self.client.cached("/v2/images", "images", private=True) if item["name"] == image]
        if len(own) > 1:
            raise Failure("image: %s" % several("the name %s" % image, [self.describe_image(item) for item in own], True))
        return own[0]["id"] if own else image

    @staticmethod
    def describe_image(item):
        return "id %s, created %s" % (item["id"], item.get("created_at"))

    def update(self, raw, changes, wanted):
        identity = raw["id"]
        if raw["locked"]:
            # An action of somebody else, or of an interrupted run, is still at work: it would refuse ours.
            raw = wait_for(lambda: self.settled(raw), "%s to be free" % self.title, self.params["wait_timeout"], self.log)
        if "name" in changes:
            self._act(identity, "rename", name=wanted["name"])
            self.did("renamed from %s" % raw["name"])
        if "tags" in changes:
            self.retag(identity, *list_steps(raw["tags"], wanted["tags"]))
        if "ipv6" in changes:
            self._act(identity, "enable_ipv6")
            self.did("switched IPv6 on")
        if "backups" in changes:
            self._backups(identity, *changes["backups"])
        if "size" in changes:
            self._resize(raw, wanted)
        elif "power_state" in changes:
            self._power(identity, wanted["power_state"])
        return self.read(raw)

    def _backups(self, identity, before, after):
        if not after["enabled"]:
            self._act(identity, "disable_backups")
            self.did("switched backups off")
            return
        policy = wire_policy(after)
        self._act(identity, "change_backup_policy" if before["enabled"] else "enable_backups", backup_policy=policy)
        self.did("set the backup plan to %s" % ", ".join("%s %s" % pair for pair in sorted(policy.items())))

    def _power(self, identity, state):
        if state == "running":
            self._act(identity, "power_on")
            self.did("powered on")
            return
        # A clean shutdown first; the plug is pulled only when the system does not react.
        self._act(identity, "shutdown")
        try:
            wait_for(lambda: self._is_off(identity), "%s to shut down" % self.title, SHUTDOWN_SECONDS, self.log)
            self.did("shut down")
        except Failure:
            self._act(identity, "power_off")
            self.did("powered off, it did not shut down within %d s" % SHUTDOWN_SECONDS)

    def _is_off(self, identity):
        status = self.client.get("%s/%d" % (self.path, identity), "reading %s" % self.title)[self.one]["status"]
        return (True if status == "off" else None), status

    def _resize(self, raw, wanted):
        identity = raw["id"]
        was_running = raw["status"] != "off"
        if was_running:
            self._power(identity, "stopped")
        try:
            if self.params["snapshot_before_resize"]:
                name = "%s-before-resize-to-%s" % (raw["name"], wanted["size"])
                self._act(identity, "snapshot", name=name)
                self.did("took the snapshot %s" % name)
            self._act(identity, "resize", size=wanted["size"], disk=self.params["resize_disk"])
            self.did("resized from %s to %s" % (raw["size_slug"], wanted["size"]))
        finally:
            # Whatever went wrong: a machine that ran shall run.
            if wanted["power_state"] != "stopped" and (was_running or wanted["power_state"] == "running"):
                self._act(identity, "power_on")
                self.did("powered on")

    def _act(self, identity, kind, **details):
        """Start one action and wait for its end: the next one would be refused while it runs."""
        what = "%s of %s" % (kind.replace("_", " "), self.title)
        action = self.client.post("%s/%d/actions" % (self.path, identity), dict(details, type=kind), what)["action"]
        return self.follow(action, "/v2/actions", what, "Look at the droplet's history.")

    # --- waiting

    def settled(self, raw):
        if raw["status"] in ("active", "off", "archive") and not raw["locked"] and (shapes.address(raw, "public") or shapes.address(raw, "private")):
            return raw, raw["status"]
        now = self.read(raw)
        ready = now["status"] in ("active", "off", "archive") and not now["locked"] and (shapes.address(now, "public") or shapes.address(now, "private"))
        return (now if ready else None), "%s%s" % (now["status"], ", locked" if now["locked"] else "")

    def vanished(self, raw):
        try:
            return None, self.read(raw)["status"]
        except Gone:
            return True, "gone"

    def shape(self, raw):
        return shapes.droplet(raw)
