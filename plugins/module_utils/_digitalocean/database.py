# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Managed database clusters and what is in them."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.firewall import normal_address
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import UUID, DigitalOcean, check_tags, one_of
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, is_not_yet, list_steps, not_yet, target_list, unordered, wait_for

SQL = ("pg", "mysql")
CACHES = ("redis", "valkey")
KEPT_DATABASE = "defaultdb"


def normal_hour(hour):
    """04:00 for 4:00, 04:00 and 04:00:00."""
    match = re.match(r"^(\d{1,2}):(\d\d)(?::\d\d)?$", str(hour))
    if not match or int(match.group(1)) > 23 or int(match.group(2)) > 59:
        raise Failure("maintenance_window.hour: %r is not a time such as 04:00 (UTC)." % hour)
    return "%02d:%s" % (int(match.group(1)), match.group(2))


def normal_source(source):
    """One trusted source: addresses have one spelling, numbers are text."""
    value = str(source["value"]).strip()
    return {"type": source["type"], "value": normal_address(value) if source["type"] == "ip_addr" else value}


def pool_view(pool):
    return {name: pool[name] for name in ("name", "db", "user", "mode", "size")}


def version_number(version):
    return [int(part) for part in re.findall(r"\d+", str(version))]


class Database(DigitalOcean):
    kind = "database"
    path, many, one = "/v2/databases", "databases", "database"
    created_in_steps = True
    immutable = {
        "engine": "an engine cannot be changed: create another cluster and move the data",
        "region": "moving a cluster is a migration with downtime: do it in the vendor's console, then change region here",
        "vpc_uuid": "a cluster stays in its VPC: create another one in the other",
    }

    def validate(self):
        params = self.params
        if params["state"] == "absent":
            return
        check_tags("tags", params["tags"])
        engine = params["engine"]
        for option, engines in (("databases", SQL), ("users", SQL), ("pools", ("pg",)), ("eviction_policy", CACHES)):
            if params[option] and engine and engine not in engines:
                raise Failure("%s: the engine %s has none; this is for %s." % (option, engine, " and ".join(engines)))
        if params["maintenance_window"]:
            normal_hour(params["maintenance_window"]["hour"])
        for index, source in enumerate(params["trusted_sources"] or []):
            try:
                normal_source(source)
            except Failure:
                raise Failure("trusted_sources[%d].value: %r is neither an address nor a network." % (index, source["value"])) from None
        names = [pool["name"] for pool in params["pools"] or []]
        if len(set(names)) < len(names):
            raise Failure("pools: two pools have the same name.")

    def find(self):
        query = {"tag_name": self.params["owner_tag"]} if self.params["owner_tag"] else {}
        return [raw for raw in self.client.listing(self.path, self.many, **query) if raw["name"] == self.params["name"]]

    # --- comparing: only the parts that are declared are read

    def current(self, raw):
        params, base = self.params, "%s/%s" % (self.path, raw["id"])
        window = raw.get("maintenance_window") or {}
        have = {
            "name": raw["name"],
            "engine": raw["engine"],
            "version": raw.get("version"),
            "region": raw["region"],
            "size": raw["size"],
            "num_nodes": raw["num_nodes"],
            "storage_size_mib": raw.get("storage_size_mib"),
            "vpc_uuid": raw.get("private_network_uuid"),
            "maintenance_window": {"day": window.get("day"), "hour": normal_hour(window["hour"])} if window else None,
        }
        if raw["status"] == "creating":
            return dict(have, databases=[], users=[], pools=[], trusted_sources=[], eviction_policy=None)
        if params["users"] is not None:
            self.users = self.client.listing(base + "/users", "users")
            have["users"] = unordered(user["name"] for user in self.users)
        if params["databases"] is not None:
            have["databases"] = unordered(item["name"] for item in self.client.listing(base + "/dbs", "dbs"))
        if params["pools"] is not None:
            have["pools"] = unordered(pool_view(pool) for pool in self.client.listing(base + "/pools", "pools"))
        if params["trusted_sources"] is not None:
            rules = self.client.get(base + "/firewall", "reading the trusted sources")["rules"]
            have["trusted_sources"] = unordered(normal_source(rule) for rule in rules)
        if params["eviction_policy"] is not None:
            have["eviction_policy"] = self.client.get(base + "/eviction_policy", "reading the eviction policy")["eviction_policy"]
        return have

    def wanted(self, raw):
        params = self.params
        have = self.seen(raw) if raw else {}
        vpc = self.vpc("vpc", params["vpc"]) if params["vpc"] else None
        window = params["maintenance_window"]
        users, databases = params["users"], params["databases"]
        if users is not None:
            # The vendor's own user and database always stay.
            users = users + [user["name"] for user in getattr(self, "users", []) if user.get("role") == "primary"]
        if databases is not None and KEPT_DATABASE in (have.get("databases") or []):
            databases = databases + [KEPT_DATABASE]
        pools = target_list([], [pool_view(pool) for pool in params["pools"]], True) if params["pools"] is not None else None
        if pools is not None and not params["purge_pools"]:
            declared = {pool["name"] for pool in pools}
            pools = unordered(pools + [pool for pool in have.get("pools") or [] if pool["name"] not in declared])
        return {
            "name": params["name"],
            "engine": params["engine"],
            "version": params["version"],
            "region": params["region"],
            "size": params["size"],
            "num_nodes": params["num_nodes"] or (None if raw else 1),
            "storage_size_mib": params["storage_size_mib"],
            "vpc_uuid": vpc["id"] if vpc else (not_yet(params["vpc"]) if params["vpc"] else None),
            "maintenance_window": {"day": window["day"], "hour": normal_hour(window["hour"])} if window else None,
            "users": target_list(have.get("users"), users, params["purge_users"]),
            "databases": target_list(have.get("databases"), databases, params["purge_databases"]),
            "pools": pools,
            "trusted_sources": target_list(have.get("trusted_sources"), self._sources(), params["purge_trusted_sources"]),
            "eviction_policy": params["eviction_policy"],
        }

    def _sources(self):
        if self.params["trusted_sources"] is None:
            return None
        sources = []
        for source in self.params["trusted_sources"]:
            value = source["value"]
            if source["type"] == "droplet":
                value = self.droplet_ids("trusted_sources", [value])[0]
            elif source["type"] == "app" and not UUID.match(value) and not is_not_yet(value):
                apps = [app for app in self.client.cached("/v2/apps", "apps") if app["spec"]["name"] == value]
                if not apps and not self.check_mode:
                    raise Failure("trusted_sources: there is no app with the name or id %r in this account." % value)
                value = apps[0]["id"] if apps else not_yet(value)
            sources.append(normal_source({"type": source["type"], "value": value}))
        return sources

    # --- refusing early

    def check_creation(self, wanted):
        missing = [option for option in ("engine", "region", "size") if not wanted[option]]
        if missing:
            raise Failure("%s does not exist; creating it needs %s." % (self.title, ", ".join(missing)))
        one_of("region", wanted["region"], {item["slug"] for item in self.client.cached("/v2/regions", "regions")})
        parts = [option for option in ("users", "databases", "pools", "trusted_sources", "eviction_policy") if wanted[option]]
        if parts and not self.params["wait"]:
            raise Failure("wait: a new cluster takes %s only when it is online, so creating it with them needs wait: true." % ", ".join(parts))

    def check_update(self, raw, changes):
        if "version" in changes:
            before, after = changes["version"]
            if version_number(after) < version_number(before):
                raise Failure("version: %s runs %s; a cluster cannot go back to %s." % (self.title, before, after))
            if not self.params["allow_upgrade"]:
                raise Failure("version: %s runs %s, wanted is %s. Upgrading cannot be undone; allow it with allow_upgrade: true." % (self.title, before, after))
        before, after = changes.get("storage_size_mib", (0, 0))
        if (before or 0) > (after or 0):
            raise Failure("storage_size_mib: %s has %d MiB; storage cannot be made smaller." % (self.title, before))

    # --- doing

    def create(self, wanted):
        params = self.params
        tags = list(params["tags"] or []) + ([params["owner_tag"]] if params["owner_tag"] else [])
        body = {
            "name": wanted["name"],
            "engine": wanted["engine"],
            "version": wanted["version"],
            "region": wanted["region"],
            "size": wanted["size"],
            "num_nodes": wanted["num_nodes"],
            "storage_size_mib": wanted["storage_size_mib"],
            "private_network_uuid": wanted["vpc_uuid"],
            "tags": unordered(tags) or None,
        }
        body = {name: value for name, value in body.items() if value is not None}
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        base = "%s/%s" % (self.path, raw["id"])
        if raw["status"] != "online":
            raw = self._online(raw)
        if {"size", "num_nodes", "storage_size_mib"} & set(changes):
            body = {name: wanted[name] if wanted[name] is not None else raw[name] for name in ("size", "num_nodes")}
            if wanted["storage_size_mib"] is not None:
                body["storage_size_mib"] = wanted["storage_size_mib"]
            self.client.put(base + "/resize", body, "resizing %s" % self.title)
            self.did("resized to %s with %d nodes" % (body["size"], body["num_nodes"]))
            raw = self._online(raw)
        if "version" in changes:
            self.client.put(base + "/upgrade", {"version": wanted["version"]}, "upgrading %s" % self.title)
            self.did("upgraded from %s to %s" % changes["version"])
            raw = self._online(raw)
        if "maintenance_window" in changes:
            self.client.put(base + "/maintenance", wanted["maintenance_window"], "setting the maintenance window of %s" % self.title)
            self.did("set the maintenance window")
        if "eviction_policy" in changes:
            self.client.put(base + "/eviction_policy", {"eviction_policy": wanted["eviction_policy"]}, "setting the eviction policy of %s" % self.title)
            self.did("set the eviction policy to %s" % wanted["eviction_policy"])
        # Pools point to users and databases: they come after what is added and go before what is removed.
        before, after = changes.get("pools", ([], []))
        wanted_names = {pool["name"] for pool in after or []}
        for pool in before or []:
            if pool["name"] not in wanted_names:
                self._remove(base + "/pools", pool["name"], "pool")
        for option, path, key in (("users", "/users", "user"), ("databases", "/dbs", "database")):
            if option in changes:
                added, removed = list_steps(*changes[option])
                for name in added:
                    self.client.post(base + path, {"name": name}, "adding the %s %s" % (key, name))
                    self.did("added the %s %s" % (key, name))
                for name in removed:
                    self._remove(base + path, name, key)
        have = {pool["name"]: pool for pool in before or []}
        for pool in after or []:
            if pool["name"] not in have:
                self.client.post(base + "/pools", pool, "adding the pool %s" % pool["name"])
                self.did("added the pool %s" % pool["name"])
            elif pool != have[pool["name"]]:
                body = {name: value for name, value in pool.items() if name != "name"}
                self.client.put("%s/pools/%s" % (base, quote(pool["name"], safe="")), body, "changing the pool %s" % pool["name"])
                self.did("changed the pool %s" % pool["name"])
        if "trusted_sources" in changes:
            self.ensure_tags([source["value"] for source in wanted["trusted_sources"] if source["type"] == "tag"])
            self.client.put(base + "/firewall", {"rules": wanted["trusted_sources"]}, "setting the trusted sources of %s" % self.title)
            self.did("set %d trusted sources" % len(wanted["trusted_sources"]))
        return self.read(raw)

    def _remove(self, base, name, key):
        try:
            self.client.delete("%s/%s" % (base, quote(name, safe="")), "removing the %s %s" % (key, name))
        except Gone:
            return
        self.did("removed the %s %s" % (key, name))

    def _online(self, raw):
        return wait_for(lambda: self.settled(self.read(raw)), "%s to be online" % self.title, self.params["wait_timeout"], self.log)

    def settled(self, raw):
        if raw["status"] != "online" or not raw.get("connection"):
            raw = self.read(raw)
        return (raw if raw["status"] == "online" else None), raw["status"]

    def vanished(self, raw):
        try:
            return None, self.read(raw)["status"]
        except Gone:
            return True, "gone"

    def shape(self, raw):
        view = shapes.database(raw)
        if self.params["return_secrets"] and raw["status"] == "online" and self.params["state"] == "present":
            view["secrets"] = self._secrets(raw)
        return view

    def _secrets(self, raw):
        base = "%s/%s" % (self.path, raw["id"])
        certificate = self.client.get(base + "/ca", "reading the CA of %s" % self.title)["ca"]["certificate"]
        secrets = {
            "connection": raw.get("connection"),
            "private_connection": raw.get("private_connection"),
            "ca_certificate": base64.b64decode(certificate).decode(),
        }
        if raw["engine"] in SQL:
            users = self.client.listing(base + "/users", "users")
            secrets["passwords"] = {user["name"]: user.get("password") for user in users}
        if raw["engine"] == "pg":
            pools = self.client.listing(base + "/pools", "pools")
            secrets["pools"] = {pool["name"]: {"connection": pool.get("connection"), "private_connection": pool.get("private_connection")} for pool in pools}
        return secrets
