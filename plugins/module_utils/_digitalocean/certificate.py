# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates for load balancers and the CDN."""

from __future__ import annotations

import base64
import hashlib
import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import (
    DigitalOcean,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    unordered,
)


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
