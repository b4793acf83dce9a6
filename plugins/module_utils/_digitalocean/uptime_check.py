# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Uptime checks and their alerts."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.receivers import check_receivers, disabled_remark, slack_view, wire_receivers
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, target_list, unordered


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
