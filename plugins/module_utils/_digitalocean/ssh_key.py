# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SSH keys."""

from __future__ import annotations

import base64
import hashlib

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
)


def fingerprint(public_key):
    """The MD5 fingerprint by which the vendor knows a public key; None when it is no public key."""
    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, ValueError):
        return None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def key_material(public_key):
    """Type and key without the comment, which means nothing."""
    return " ".join(public_key.split()[:2])


class SshKey(DigitalOcean):
    kind = "ssh_key"
    path, many, one = "/v2/account/keys", "ssh_keys", "ssh_key"
    immutable = {"public_key": "the vendor cannot replace a key: add the new one under a new name, then remove this one"}

    def validate(self):
        if self.params["public_key"] is not None:
            if "PRIVATE KEY" in self.params["public_key"]:
                raise Failure("public_key: that is a private key. Give the line from the .pub file.")
            if fingerprint(self.params["public_key"]) is None:
                raise Failure("public_key: not a public key in OpenSSH's format, `type base64 [comment]`.")

    def find(self):
        """By name; a key that is there under another name is the same key, and is renamed."""
        keys = self.client.listing(self.path, self.many)
        named = [key for key in keys if key["name"] == self.params["name"]]
        if self.params["state"] == "absent" or named or not self.params["public_key"]:
            return named
        return [key for key in keys if key["fingerprint"] == fingerprint(self.params["public_key"])]

    def describe(self, raw):
        return "id %s, %s" % (raw["id"], raw["fingerprint"])

    def current(self, raw):
        return {"name": raw["name"], "public_key": key_material(raw["public_key"])}

    def wanted(self, raw):
        public = self.params["public_key"]
        return {"name": self.params["name"], "public_key": key_material(public) if public else None}

    def create(self, wanted):
        body = {"name": self.params["name"], "public_key": self.params["public_key"].strip()}
        return self.client.post(self.path, body, "adding %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        done = self.client.put("%s/%s" % (self.path, raw["id"]), {"name": wanted["name"]}, "renaming %s" % self.title)
        self.did("renamed from %s" % raw["name"])
        return done[self.one]

    def shape(self, raw):
        return shapes.ssh_key(raw)
