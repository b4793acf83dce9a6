"""Alert policies, uptime checks and their alerts."""

from __future__ import annotations

from .compute import check_tags, numbers_of
from .network import found
from .server import Refusal, route


def prepare(emulator):
    emulator.table("alert_policies")
    emulator.table("uptime_checks")
    emulator.table("uptime_alerts")


def check_receivers(receivers):
    for address in receivers.get("email") or []:
        # Only people of the team can be told.
        if not address.endswith("@example.com"):
            raise Refusal(422, f"email {address} is not verified for this account")


def policy_from(emulator, body):
    for name in ("type", "compare", "value", "window", "entities", "tags", "alerts", "enabled", "description"):
        if name not in body:
            raise Refusal(400, f"{name} is required")
    check_receivers(body["alerts"])
    for entity in body["entities"]:
        if body["type"].startswith("v1/insights/droplet") and numbers_of([entity])[0] not in emulator.table("droplets"):
            raise Refusal(422, f"entity {entity} does not exist")
    for tag in check_tags(body["tags"]):
        if tag not in emulator.table("tags"):
            raise Refusal(422, f"tag {tag} does not exist")
    return {**body, "value": float(body["value"])}


@route("GET", "/v2/monitoring/alerts")
def list_policies(emulator, request):
    return emulator.page(request, "policies", list(emulator.table("alert_policies").values()))


@route("POST", "/v2/monitoring/alerts")
def create_policy(emulator, request):
    policy = {**policy_from(emulator, request.body), "uuid": emulator.uuid()}
    emulator.table("alert_policies")[policy["uuid"]] = policy
    return 200, {"policy": policy}


@route("GET", "/v2/monitoring/alerts/{identity}")
def get_policy(emulator, request, identity):
    return 200, {"policy": found(emulator.table("alert_policies"), identity)}


@route("PUT", "/v2/monitoring/alerts/{identity}")
def replace_policy(emulator, request, identity):
    policy = found(emulator.table("alert_policies"), identity)
    policy.update(policy_from(emulator, request.body))
    return 200, {"policy": policy}


@route("DELETE", "/v2/monitoring/alerts/{identity}")
def delete_policy(emulator, request, identity):
    found(emulator.table("alert_policies"), identity)
    del emulator.table("alert_policies")[identity]
    return 204, None


def check_from(body):
    if body.get("type") not in ("ping", "http", "https"):
        raise Refusal(400, "type is invalid")
    if body["type"] != "ping" and not body.get("target", "").startswith(body["type"] + "://"):
        raise Refusal(400, "target does not match the type")
    return {name: body[name] for name in ("name", "type", "target", "regions", "enabled")}


@route("GET", "/v2/uptime/checks")
def list_checks(emulator, request):
    return emulator.page(request, "checks", list(emulator.table("uptime_checks").values()))


@route("POST", "/v2/uptime/checks")
def create_check(emulator, request):
    request.need("name", "target", "regions", "type")
    check = {"id": emulator.uuid(), **check_from(request.body)}
    emulator.table("uptime_checks")[check["id"]] = check
    emulator.table("uptime_alerts")[check["id"]] = {}
    return 201, {"check": check}


@route("GET", "/v2/uptime/checks/{identity}")
def get_check(emulator, request, identity):
    return 200, {"check": found(emulator.table("uptime_checks"), identity)}


@route("PUT", "/v2/uptime/checks/{identity}")
def replace_check(emulator, request, identity):
    check = found(emulator.table("uptime_checks"), identity)
    check.update(check_from({**check, **request.body}))
    return 200, {"check": check}


@route("DELETE", "/v2/uptime/checks/{identity}")
def delete_check(emulator, request, identity):
    found(emulator.table("uptime_checks"), identity)
    del emulator.table("uptime_checks")[identity], emulator.table("uptime_alerts")[identity]
    return 204, None


def alert_from(body):
    if body.get("type") in ("latency", "ssl_expiry") and body.get("threshold") is None:
        raise Refusal(400, "threshold is required")
    if body.get("type") != "ssl_expiry" and not body.get("period"):
        raise Refusal(400, "period is required")
    check_receivers(body["notifications"])
    names = ("name", "type", "threshold", "comparison", "period", "notifications")
    return {name: body[name] for name in names if body.get(name) is not None}


@route("GET", "/v2/uptime/checks/{identity}/alerts")
def list_uptime_alerts(emulator, request, identity):
    return emulator.page(request, "alerts", list(found(emulator.table("uptime_alerts"), identity).values()))


@route("POST", "/v2/uptime/checks/{identity}/alerts")
def create_uptime_alert(emulator, request, identity):
    request.need("name", "type", "notifications")
    alert = {"id": emulator.uuid(), **alert_from(request.body)}
    found(emulator.table("uptime_alerts"), identity)[alert["id"]] = alert
    return 201, {"alert": alert}


@route("PUT", "/v2/uptime/checks/{identity}/alerts/{alert_id}")
def replace_uptime_alert(emulator, request, identity, alert_id):
    alerts = found(emulator.table("uptime_alerts"), identity)
    found(alerts, alert_id)
    alerts[alert_id] = {"id": alert_id, **alert_from(request.body)}
    return 200, {"alert": alerts[alert_id]}


@route("DELETE", "/v2/uptime/checks/{identity}/alerts/{alert_id}")
def delete_uptime_alert(emulator, request, identity, alert_id):
    alerts = found(emulator.table("uptime_alerts"), identity)
    found(alerts, alert_id)
    del alerts[alert_id]
    return 204, None
