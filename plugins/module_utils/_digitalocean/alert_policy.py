# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alert policies."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean, check_tags, one_of
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.receivers import check_receivers, disabled_remark, slack_view, wire_receivers
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, target_list, unordered

DROPLET = "v1/insights/droplet/"
METRICS = {
    "cpu": DROPLET + "cpu",
    "memory": DROPLET + "memory_utilization_percent",
    "disk": DROPLET + "disk_utilization_percent",
    "load_1": DROPLET + "load_1",
    "load_5": DROPLET + "load_5",
    "load_15": DROPLET + "load_15",
    "disk_read": DROPLET + "disk_read",
    "disk_write": DROPLET + "disk_write",
    "public_outbound": DROPLET + "public_outbound_bandwidth",
    "public_inbound": DROPLET + "public_inbound_bandwidth",
    "private_outbound": DROPLET + "private_outbound_bandwidth",
    "private_inbound": DROPLET + "private_inbound_bandwidth",
    "database_cpu": "v1/dbaas/alerts/cpu_alerts",
    "database_memory": "v1/dbaas/alerts/memory_utilization_alerts",
    "database_disk": "v1/dbaas/alerts/disk_utilization_alerts",
    "database_load": "v1/dbaas/alerts/load_15_alerts",
    "load_balancer_cpu": "v1/insights/lbaas/avg_cpu_utilization_percent",
    "load_balancer_connections": "v1/insights/lbaas/connection_utilization_percent",
    "load_balancer_health": "v1/insights/lbaas/droplet_health",
    "load_balancer_5xx": "v1/insights/lbaas/increase_in_http_error_rate_count_5xx",
}
PERCENTAGES = ("cpu", "memory", "disk", "database_cpu", "database_memory", "database_disk", "load_balancer_cpu")


class AlertPolicy(DigitalOcean):
    """The API knows no name: the description is what identifies a policy."""

    kind = "alert_policy"
    path, many, one = "/v2/monitoring/alerts", "policies", "policy"

    def validate(self):
        params = self.params
        if params["state"] == "absent":
            return
        if params["metric"]:
            one_of("metric", params["metric"], METRICS)
        if params["metric"] in PERCENTAGES and params["value"] is not None and not 0 <= params["value"] <= 100:
            raise Failure("value: %s is a percentage, %s is not." % (params["metric"], params["value"]))
        check_tags("tags", params["tags"])
        check_receivers("", params["emails"], params["slack"])
        if params["droplets"] is not None and params["metric"] and not METRICS[params["metric"]].startswith(DROPLET):
            raise Failure("droplets: %s is no metric of droplets; give entities." % params["metric"])

    def find(self):
        return [raw for raw in self.client.listing(self.path, self.many) if raw["description"] == self.params["name"]]

    def describe(self, raw):
        return "uuid %s, %s %s %s" % (raw["uuid"], raw["type"], raw["compare"], raw["value"])

    def current(self, raw):
        alerts = raw.get("alerts") or {}
        return {
            "name": raw["description"],
            "type": raw["type"],
            "compare": raw["compare"],
            "value": float(raw["value"]),
            "window": raw["window"],
            "enabled": raw["enabled"],
            "tags": unordered(raw.get("tags")),
            "entities": unordered(str(entity) for entity in raw.get("entities") or []),
            "emails": unordered(alerts.get("email")),
            "slack": slack_view(alerts.get("slack")),
        }

    def wanted(self, raw):
        params = self.params
        entities = None
        if params["droplets"] is not None or params["entities"] is not None:
            numbers = self.droplet_ids("droplets", params["droplets"]) or []
            entities = unordered([str(number) for number in numbers] + list(params["entities"] or []))
        return {
            "name": params["name"],
            "type": METRICS[params["metric"]] if params["metric"] else None,
            "compare": {"above": "GreaterThan", "below": "LessThan"}.get(params["when"]),
            "value": float(params["value"]) if params["value"] is not None else None,
            "window": params["window"] or (None if raw else "5m"),
            "enabled": params["enabled"],
            "tags": target_list(None, params["tags"], True),
            "entities": entities,
            "emails": target_list(None, params["emails"], True),
            "slack": slack_view(params["slack"]) if params["slack"] is not None else None,
        }

    def remarks(self, raw):
        return disabled_remark(self, raw)

    def check_creation(self, wanted):
        missing = [option for option, value in (("metric", wanted["type"]), ("value", wanted["value"])) if value is None]
        if missing:
            raise Failure("%s does not exist; creating it needs %s." % (self.title, " and ".join(missing)))
        if not wanted["emails"] and not wanted["slack"]:
            raise Failure("%s would tell nobody; give emails or slack." % self.title)

    def check_update(self, raw, changes):
        after = {**self.seen(raw), **{field: pair[1] for field, pair in changes.items()}}
        if not after["emails"] and not after["slack"]:
            raise Failure("%s would tell nobody; give emails or slack." % self.title)

    def body(self, raw, wanted):
        have = self.seen(raw) if raw else {"compare": "GreaterThan", "enabled": True, "tags": [], "entities": [], "emails": []}
        merged = {**have, **{name: value for name, value in wanted.items() if value is not None}}
        kept = ((raw or {}).get("alerts") or {}).get("slack")
        return {
            "type": merged["type"],
            "compare": merged["compare"],
            "value": merged["value"],
            "window": merged["window"],
            "enabled": merged["enabled"],
            "tags": merged["tags"],
            "entities": merged["entities"],
            "description": self.params["name"],
            "alerts": wire_receivers(merged["emails"], self.params["slack"] if self.params["slack"] is not None else kept),
        }

    def create(self, wanted):
        self.ensure_tags(wanted["tags"])
        return super().create(wanted)

    def update(self, raw, changes, wanted):
        self.ensure_tags(wanted["tags"])
        done = self.client.put("%s/%s" % (self.path, raw["uuid"]), self.body(raw, wanted), "changing %s" % self.title)
        self.did("changed %s" % ", ".join(sorted(changes)))
        return done[self.one]

    def delete(self, raw):
        self.client.delete("%s/%s" % (self.path, raw["uuid"]), "deleting %s" % self.title)

    def shape(self, raw):
        return shapes.alert_policy(raw)
