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
        "image": raw["image"].get("slug") or raw["image"].get("id"),
        "vcpus": raw["vcpus"],
        "memory": raw["memory"],
        "disk": raw["disk"],
        "price_monthly": (raw.get("size") or {}).get("price_monthly"),
        "tags": sorted(raw["tags"]),
        "vpc_uuid": raw.get("vpc_uuid"),
        "features": sorted(raw["features"]),
        "snapshot_ids": raw["snapshot_ids"],
        "volume_ids": raw["volume_ids"],
        "created_at": raw["created_at"],
        "urn": "do:droplet:%s" % raw["id"],
    }


def vpc(raw):
    return {
        name: raw.get(name)
        for name in ("id", "urn", "name", "description", "region", "ip_range", "default", "created_at")
    }


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
    return dict(
        {name: raw.get(name) for name in names}, region=slug(raw["region"]), urn="do:loadbalancer:%s" % raw["id"]
    )
