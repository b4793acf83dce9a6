# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DNS records: the resource is the whole set of one name and type, as resolvers see it."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    Gone,
    is_not_yet,
    list_steps,
    target_list,
    unordered,
)

DOMAIN = re.compile(r"^([a-z0-9_]([a-z0-9_\-]*[a-z0-9_])?\.)+[a-z0-9\-]{2,}$")
HOST_TYPES = ("CNAME", "MX", "NS", "SRV")
DETAILS = {"MX": ("priority",), "SRV": ("priority", "port", "weight"), "CAA": ("flags", "tag")}


def normal_data(kind, data):
    """A record's value in its one form: addresses compressed, host names lower-case and without the final dot."""
    data = data.strip()
    if is_not_yet(data):
        return data
    if kind in ("A", "AAAA"):
        try:
            address = ipaddress.ip_address(data)
        except ValueError:
            raise Failure("values: %r is not an address, which a record of type %s needs." % (data, kind)) from None
        if address.version != (4 if kind == "A" else 6):
            raise Failure("values: %s is IPv%d; a record of type %s needs IPv%d." % (data, address.version, kind, 4 if kind == "A" else 6))
        return str(address)
    return data.rstrip(".").lower() if kind in HOST_TYPES and data != "@" else data


def wire_data(kind, data):
    """As the API wants it: host names end with a dot."""
    return data + "." if kind in HOST_TYPES and data != "@" else data


def record_view(kind, record):
    """What makes a record: its value and what belongs to its type."""
    view = {"data": normal_data(kind, record["data"])}
    view.update({name: record.get(name) for name in DETAILS.get(kind, ())})
    return {name: value for name, value in view.items() if value is not None}


def full_name(name, domain):
    """`name` as a label of the zone: the API writes @ for the zone itself."""
    name = name.rstrip(".").lower()
    if name in ("", domain):
        return "@"
    return name[: -len(domain) - 1] if name.endswith("." + domain) else name


class DomainRecord(DigitalOcean):
    kind = "domain_record"
    created_in_steps = True

    @property
    def title(self):
        return "%s records of %s in %s" % (self.params["type"], self.label, self.domain)

    @property
    def domain(self):
        return self.params["domain"].rstrip(".").lower()

    @property
    def label(self):
        return full_name(self.params["name"], self.domain)

    @property
    def base(self):
        return "/v2/domains/%s/records" % self.domain

    def validate(self):
        kind, params = self.params["type"], self.params
        if not DOMAIN.match(self.domain):
            raise Failure("domain: %r is not a domain name." % params["domain"])
        if params["ttl"] is not None and params["ttl"] < 30:
            raise Failure("ttl: %d is below the 30 seconds that are the least." % params["ttl"])
        records = self._declared() or []
        for record in records:
            missing = [name for name in DETAILS.get(kind, ()) if name not in record]
            if missing and params["state"] == "present":
                raise Failure("records: a record of type %s needs %s. Use records instead of values." % (kind, ", ".join(missing)))
        if kind == "CNAME" and len(records) > 1 and params["purge"]:
            raise Failure("values: a name has one CNAME at most (%d given)." % len(records))
        if kind == "CNAME" and self.label == "@":
            raise Failure("name: the zone itself cannot be a CNAME.")

    def _declared(self):
        """values are records that consist of their data alone."""
        params = self.params
        if params["values"] is None and params["records"] is None:
            return None
        declared = [{"data": value} for value in params["values"] or []] + list(params["records"] or [])
        return [record_view(params["type"], record) for record in declared]

    # --- the set is one resource

    def find(self):
        self.zone_missing = False
        name = self.domain if self.label == "@" else "%s.%s" % (self.label, self.domain)
        try:
            records = self.client.listing(self.base, "domain_records", "reading %s" % self.title, name=name, type=self.params["type"])
        except Gone:
            if self.params["state"] == "present" and not self.params["create_domain"]:
                raise Failure("domain: %s is not a domain of this account. Add it there, or set create_domain: true." % self.domain) from None
            self.zone_missing = True
            return []
        records = [r for r in records if r["type"] == self.params["type"] and r["name"].lower() == self.label]
        return [{"records": records}] if records else []

    def current(self, raw):
        ttls = {record["ttl"] for record in raw["records"]}
        return {
            "records": unordered(record_view(self.params["type"], record) for record in raw["records"]),
            # One set has one TTL; several are drift.
            "ttl": ttls.pop() if len(ttls) == 1 else sorted(ttls),
        }

    def wanted(self, raw):
        have = self.seen(raw)["records"] if raw else []
        return {
            "records": target_list(have, self._declared(), self.params["purge"]),
            "ttl": self.params["ttl"] if raw else self.params["ttl"] or 1800,
        }

    def check_creation(self, wanted):
        if not wanted["records"]:
            raise Failure("%s do not exist; creating them needs values or records." % self.title)

    def check_update(self, raw, changes):
        if changes.get("records", (None, True))[1] == []:
            raise Failure("values: an empty set means that the name has no such record; say so with state: absent.")

    def _body(self, view, ttl):
        kind = self.params["type"]
        # The vendor wants every detail named, those of other types as null.
        details = dict.fromkeys(("priority", "port", "weight", "flags", "tag"))
        return {**details, **view, "type": kind, "name": self.label, "data": wire_data(kind, view["data"]), "ttl": ttl}

    def create(self, wanted):
        if self.zone_missing:
            self.client.post("/v2/domains", {"name": self.domain}, "adding the domain %s" % self.domain)
            self.did("added the domain %s" % self.domain)
            self.zone_missing = False
        made = [self.client.post(self.base, self._body(view, wanted["ttl"]), "creating %s" % self.title)["domain_record"] for view in wanted["records"]]
        return {"records": made}

    def update(self, raw, changes, wanted):
        kind = self.params["type"]
        ttl = wanted["ttl"] if wanted["ttl"] is not None else max(record["ttl"] for record in raw["records"])
        target = wanted["records"] if wanted["records"] is not None else self.current(raw)["records"]
        added = list_steps(self.current(raw)["records"], target)[0]
        kept, stale, seen = [], [], []
        for record in raw["records"]:
            view = record_view(kind, record)
            if view in target and view not in seen:
                seen.append(view)
                kept.append(record)
            else:
                stale.append(record)
        for record in kept:
            if record["ttl"] != ttl:
                self._replace(record, record_view(kind, record), ttl)
        # A stale record is turned into a new one where possible: the name never points to nothing.
        for view in added:
            if stale:
                self._replace(stale.pop(0), view, ttl)
            else:
                self.client.post(self.base, self._body(view, ttl), "adding to %s" % self.title)
                self.did("added %s" % view["data"])
        for record in stale:
            try:
                self.client.delete("%s/%d" % (self.base, record["id"]), "removing from %s" % self.title)
            except Gone:
                continue
            self.did("removed %s" % record["data"])
        return next(iter(self.find()), {"records": []})

    def _replace(self, record, view, ttl):
        self.client.put("%s/%d" % (self.base, record["id"]), self._body(view, ttl), "changing %s" % self.title)
        self.did("changed %s to %s" % (record["data"], view["data"]) if record["data"] != view["data"] else "set the TTL of %s" % view["data"])

    def delete(self, raw):
        for record in raw["records"]:
            try:
                self.client.delete("%s/%d" % (self.base, record["id"]), "removing %s" % self.title)
            except Gone:
                continue

    def shape(self, raw):
        return {
            "domain": self.domain,
            "name": self.label,
            "type": self.params["type"],
            "fqdn": self.domain if self.label == "@" else "%s.%s" % (self.label, self.domain),
            "values": sorted(record["data"] for record in raw["records"]),
            "ttl": max((r["ttl"] for r in raw["records"]), default=None),
            "ids": sorted(record["id"] for record in raw["records"]),
        }
