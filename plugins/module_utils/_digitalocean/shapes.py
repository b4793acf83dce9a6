# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How resources are returned, by their own modules and by do_info alike. Pure functions from the API's form to ours."""

from __future__ import annotations


def slug(value):
    return value.get("slug") if isinstance(value, dict) else value


def address(droplet, kind, version="v4"):
    for network in (droplet.get("networks") or {}).get(version) or []:
        if network["type"] == kind:
            return network["ip_address"]
    return None


def ssh_key(raw):
    return {name: raw[name] for name in ("id", "name", "fingerprint", "public_key")}


def droplet(raw):
    """Without the price list and the region's catalogue, with the addresses where one looks for them."""
    return {
        "id": raw["id"],
        "name": raw["name"],
        "status": raw["status"],
        "public_ipv4": address(raw, "public"),
        "private_ipv4": address(raw, "private"),
        "public_ipv6": address(raw, "public", "v6"),
        "region": slug(raw["region"]),
        "size": raw["size_slug"],
        "image": (raw["image"] or {}).get("slug") or (raw["image"] or {}).get("id"),
        "vcpus": raw["vcpus"],
        "memory": raw["memory"],
        "disk": raw["disk"],
        "price_monthly": (raw.get("size") or {}).get("price_monthly"),
        "tags": sorted(raw["tags"] or []),
        "vpc_uuid": raw.get("vpc_uuid"),
        "features": sorted(raw["features"] or []),
        "snapshot_ids": raw["snapshot_ids"],
        "volume_ids": raw["volume_ids"],
        "created_at": raw["created_at"],
        "urn": "do:droplet:%s" % raw["id"],
    }


def vpc(raw):
    return {name: raw.get(name) for name in ("id", "urn", "name", "description", "region", "ip_range", "default", "created_at")}


def snapshot(raw):
    return {
        name: raw.get(name)
        for name in (
            "id",
            "name",
            "resource_id",
            "resource_type",
            "regions",
            "min_disk_size",
            "size_gigabytes",
            "created_at",
        )
    }


def droplet_of(volume):
    """The droplet that a volume is on: the vendor's list never has more than one."""
    return next(iter(volume.get("droplet_ids") or []), None)


def volume(raw):
    names = ("id", "name", "size_gigabytes", "filesystem_type", "filesystem_label", "description", "created_at")
    view = {name: raw.get(name) for name in names}
    view.update(region=slug(raw["region"]), droplet_id=droplet_of(raw), tags=sorted(raw["tags"] or []), urn="do:volume:%s" % raw["id"])
    return view


def firewall(raw):
    names = ("id", "name", "status", "inbound_rules", "outbound_rules", "droplet_ids", "tags", "created_at")
    return {name: raw.get(name) for name in names}


def reserved_ip(raw):
    droplet_of = raw.get("droplet") or {}
    return {
        "ip": raw["ip"],
        "region": slug(raw["region"]),
        "droplet_id": droplet_of.get("id"),
        "droplet_name": droplet_of.get("name"),
        "locked": raw.get("locked"),
        "project_id": raw.get("project_id"),
        "urn": "do:floatingip:%s" % raw["ip"],
    }


def certificate(raw):
    names = ("id", "name", "type", "state", "dns_names", "not_after", "sha1_fingerprint", "created_at")
    return {name: raw.get(name) for name in names}


def load_balancer(raw):
    names = (
        "id",
        "name",
        "ip",
        "status",
        "size_unit",
        "algorithm",
        "forwarding_rules",
        "health_check",
        "sticky_sessions",
        "firewall",
        "droplet_ids",
        "tag",
        "vpc_uuid",
        "redirect_http_to_https",
        "enable_proxy_protocol",
        "enable_backend_keepalive",
        "http_idle_timeout_seconds",
        "created_at",
    )
    return dict({name: raw.get(name) for name in names}, region=slug(raw["region"]), urn="do:loadbalancer:%s" % raw["id"])


def database(raw):
    """Where the cluster is, without how to get in: passwords are returned apart, and only when asked for."""
    names = ("id", "name", "engine", "version", "region", "size", "num_nodes", "storage_size_mib", "status", "tags", "created_at")
    view = {name: raw.get(name) for name in names}
    for prefix, key in (("", "connection"), ("private_", "private_connection")):
        where = raw.get(key) or {}
        view[prefix + "host"] = where.get("host")
    view["port"] = (raw.get("connection") or {}).get("port")
    view["vpc_uuid"] = raw.get("private_network_uuid")
    window = raw.get("maintenance_window") or {}
    view["maintenance_window"] = {"day": window.get("day"), "hour": window.get("hour")}
    view["urn"] = "do:dbaas:%s" % raw["id"]
    return view


def alert_policy(raw):
    """Without the webhooks' addresses, which are secrets."""
    alerts = raw.get("alerts") or {}
    view = {name: raw.get(name) for name in ("uuid", "type", "compare", "value", "window", "enabled", "tags", "entities")}
    view.update(name=raw["description"], emails=alerts.get("email") or [], slack_channels=[one["channel"] for one in alerts.get("slack") or []])
    return view


def uptime_check(raw):
    return {name: raw.get(name) for name in ("id", "name", "target", "type", "regions", "enabled")}


def project(raw):
    return {name: raw.get(name) for name in ("id", "name", "purpose", "description", "environment", "is_default", "created_at")}


def app(raw):
    """Without the specification's secrets, which the vendor gives back encrypted, and without its history."""
    active, newest = raw.get("active_deployment") or {}, raw.get("in_progress_deployment") or raw.get("pending_deployment") or {}
    components = ("services", "workers", "jobs", "static_sites", "functions")
    return {
        "id": raw["id"],
        "name": raw["spec"]["name"],
        "region": raw["spec"].get("region"),
        "live_url": raw.get("live_url"),
        "default_ingress": raw.get("default_ingress"),
        "active_deployment_id": active.get("id"),
        "active_deployment_phase": active.get("phase"),
        "in_progress_deployment_id": newest.get("id"),
        "components": sorted(component["name"] for kind in components for component in raw["spec"].get(kind) or []),
        "created_at": raw.get("created_at"),
        "urn": "do:app:%s" % raw["id"],
    }


def region(raw):
    return {name: raw.get(name) for name in ("slug", "name", "available", "features", "sizes")}


def size(raw):
    names = ("slug", "description", "vcpus", "memory", "disk", "transfer", "price_monthly", "price_hourly", "available", "regions")
    return {name: raw.get(name) for name in names}


def image(raw):
    names = ("id", "slug", "name", "distribution", "type", "public", "regions", "min_disk_size", "status", "created_at")
    return {name: raw.get(name) for name in names}


def tag(raw):
    return {"name": raw["name"], "count": (raw.get("resources") or {}).get("count")}


def domain(raw):
    return {"name": raw["name"], "ttl": raw.get("ttl"), "urn": "do:domain:%s" % raw["name"]}


def domain_record(raw):
    names = ("id", "type", "name", "data", "ttl", "priority", "port", "weight", "flags", "tag")
    return {name: raw.get(name) for name in names}


def account(raw):
    return {name: raw.get(name) for name in ("uuid", "email", "status", "droplet_limit", "floating_ip_limit")}
