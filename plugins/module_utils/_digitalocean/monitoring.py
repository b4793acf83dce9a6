# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alert policies and uptime checks."""

from __future__ import annotations

import hashlib

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean, check_tags, one_of
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, target_list, unordered

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


def slack_view(receivers):
    """Receivers in Slack for comparing and showing: the address is a secret, so only its fingerprint is kept."""
    return unordered({"channel": one["channel"], "url_sha256": hashlib.sha256(one["url"].encode()).hexdigest()[:16]} for one in receivers or [])


def wire_receivers(emails, slack):
    return {"email": unordered(emails), "slack": [{"channel": one["channel"], "url": one["url"]} for one in slack or []]}


def check_receivers(where, emails, slack):
    for address in emails or []:
        if "@" not in address:
            raise Failure("%semails: %r is not an e-mail address." % (where, address))
    for one in slack or []:
        if not one["url"].startswith("https://"):
            raise Failure("%sslack: the webhook's url must begin with https://." % where)


def disabled_remark(adapter, raw):
    """Whoever switched it off may have meant it; that nobody is told any more must not go unnoticed."""
    if raw["enabled"] or adapter.params["enabled"] is not None:
        return []
    return ["%s is disabled, so it tells nobody. Write enabled: true to switch it on, or enabled: false if that is meant." % adapter.title]


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


# --- uptime


def uptime_alert_view(alert):
    """An alert as it is compared and shown, whichever side it comes from."""
    told = alert.get("notifications") or {}
    view = {
        "name": alert["name"],
        "type": alert["type"],
        "threshold": alert.get("threshold"),
        "comparison": alert.get("comparison"),
        "period": alert.get("period"),
        "emails": unordered(told.get("email")),
        "slack": slack_view(told.get("slack")),
    }
    return {name: value for name, value in view.items() if value is not None}


class UptimeCheck(DigitalOcean):
    kind = "uptime_check"
    path, many, one = "/v2/uptime/checks", "checks", "check"
    created_in_steps = True

    def validate(self):
        params = self.params
        if params["state"] == "absent":
            return
        target, kind = params["target"], params["type"]
        if target and kind != "ping" and "://" not in target:
            raise Failure("target: %r is no URL; write for example https://%s, or choose type: ping." % (target, target))
        if target and kind and kind != "ping" and not target.startswith(kind + "://"):
            raise Failure("target: %s does not fit type: %s." % (target, kind))
        names = [alert["name"] for alert in params["alerts"] or []]
        if len(set(names)) < len(names):
            raise Failure("alerts: two alerts have the same name.")
        for index, alert in enumerate(params["alerts"] or []):
            where = "alerts[%d]." % index
            check_receivers(where, alert["emails"], alert["slack"])
            if not alert["emails"] and not alert["slack"]:
                raise Failure("%s tells nobody; give emails or slack." % where.rstrip("."))
            if alert["type"] in ("latency", "ssl_expiry") and alert["threshold"] is None:
                unit = "milliseconds" if alert["type"] == "latency" else "days"
                raise Failure("%sthreshold: an alert of type %s needs it, in %s." % (where, alert["type"], unit))

    def describe(self, raw):
        return "id %s, %s" % (raw["id"], raw["target"])

    def _alerts(self, raw):
        return self.client.listing("%s/%s/alerts" % (self.path, raw["id"]), "alerts")

    def current(self, raw):
        view = {name: raw.get(name) for name in ("name", "target", "type", "enabled")}
        view["regions"] = unordered(raw.get("regions"))
        if self.params["alerts"] is not None:
            view["alerts"] = unordered(uptime_alert_view(alert) for alert in self._alerts(raw))
        return view

    def _declared(self):
        """Alerts in the API's form."""
        declared = []
        for alert in self.params["alerts"] or []:
            wire = {
                "name": alert["name"],
                "type": alert["type"],
                "period": alert["period"],
                "threshold": alert["threshold"],
                "comparison": alert["comparison"],
                "notifications": wire_receivers(alert["emails"], alert["slack"]),
            }
            if alert["type"] in ("down", "down_global"):
                wire.update(threshold=None, comparison=None)
            elif wire["comparison"] is None:
                wire["comparison"] = "greater_than" if alert["type"] == "latency" else "less_than"
            declared.append({name: value for name, value in wire.items() if value is not None})
        return declared

    def wanted(self, raw):
        params = self.params
        alerts = None
        if params["alerts"] is not None:
            alerts = [uptime_alert_view(alert) for alert in self._declared()]
            names = {alert["name"] for alert in alerts}
            if raw and not params["purge_alerts"]:
                alerts += [alert for alert in self.seen(raw)["alerts"] if alert["name"] not in names]
            alerts = unordered(alerts)
        return {
            "name": params["name"],
            "target": params["target"],
            "type": params["type"] or (None if raw else "https"),
            "enabled": params["enabled"],
            "regions": target_list(None, params["regions"], True) or (None if raw else ["eu_west", "us_east"]),
            "alerts": alerts,
        }

    def remarks(self, raw):
        return disabled_remark(self, raw)

    def check_creation(self, wanted):
        if not wanted["target"]:
            raise Failure("%s does not exist; creating it needs target." % self.title)

    def create(self, wanted):
        body = {name: wanted[name] for name in ("name", "target", "type", "enabled", "regions")}
        # The vendor's document requires a method as well, which is the type under another name.
        body.update(method=body["type"], enabled=body["enabled"] is not False)
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        if set(changes) - {"alerts"}:
            body = {name: raw[name] for name in ("name", "target", "type", "enabled", "regions")}
            body.update({name: wanted[name] for name in body if wanted[name] is not None})
            raw = self.client.put("%s/%s" % (self.path, raw["id"]), body, "changing %s" % self.title)[self.one]
            self.did("changed %s" % ", ".join(sorted(set(changes) - {"alerts"})))
        if "alerts" in changes:
            self._set_alerts(raw, wanted["alerts"])
        return raw

    def _set_alerts(self, raw, target):
        base = "%s/%s/alerts" % (self.path, raw["id"])
        have = {alert["name"]: alert for alert in self._alerts(raw)}
        for alert in self._declared():
            there = have.get(alert["name"])
            if there is None:
                self.client.post(base, alert, "adding the alert %s" % alert["name"])
                self.did("added the alert %s" % alert["name"])
            elif uptime_alert_view(there) != uptime_alert_view(alert):
                self.client.put("%s/%s" % (base, there["id"]), alert, "changing the alert %s" % alert["name"])
                self.did("changed the alert %s" % alert["name"])
        kept = {alert["name"] for alert in target}
        for name, alert in have.items():
            if name not in kept:
                try:
                    self.client.delete("%s/%s" % (base, alert["id"]), "removing the alert %s" % name)
                except Gone:
                    continue
                self.did("removed the alert %s" % name)

    def shape(self, raw):
        return shapes.uptime_check(raw)
