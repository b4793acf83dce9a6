# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking things up: what there is of a kind, in the same form in which its own module returns it."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure

# kind: (path, key of the listing, shape, filters the API has: option -> query parameter)
KINDS = {
    "alert_policy": ("/v2/monitoring/alerts", "policies", shapes.alert_policy, {}),
    "app": ("/v2/apps", "apps", shapes.app, {}),
    "certificate": ("/v2/certificates", "certificates", shapes.certificate, {"name": "name"}),
    "database": ("/v2/databases", "databases", shapes.database, {"tag": "tag_name"}),
    "domain": ("/v2/domains", "domains", shapes.domain, {}),
    "domain_record": ("/v2/domains/%s/records", "domain_records", shapes.domain_record, {}),
    "droplet": ("/v2/droplets", "droplets", shapes.droplet, {"tag": "tag_name", "name": "name"}),
    "firewall": ("/v2/firewalls", "firewalls", shapes.firewall, {}),
    "image": ("/v2/images", "images", shapes.image, {}),
    "load_balancer": ("/v2/load_balancers", "load_balancers", shapes.load_balancer, {}),
    "project": ("/v2/projects", "projects", shapes.project, {}),
    "region": ("/v2/regions", "regions", shapes.region, {}),
    "reserved_ip": ("/v2/reserved_ips", "reserved_ips", shapes.reserved_ip, {}),
    "size": ("/v2/sizes", "sizes", shapes.size, {}),
    "snapshot": ("/v2/snapshots", "snapshots", shapes.snapshot, {}),
    "ssh_key": ("/v2/account/keys", "ssh_keys", shapes.ssh_key, {}),
    "tag": ("/v2/tags", "tags", shapes.tag, {}),
    "uptime_check": ("/v2/uptime/checks", "checks", shapes.uptime_check, {}),
    "volume": ("/v2/volumes", "volumes", shapes.volume, {"name": "name", "region": "region"}),
    "vpc": ("/v2/vpcs", "vpcs", shapes.vpc, {}),
}


def names_of(item):
    """What an item may be called by: its name, slug or address."""
    return [item[key] for key in ("name", "slug", "ip") if item.get(key)]


def regions_of(item):
    """Where an item is: in one region, in several, or nowhere in particular."""
    if "regions" in item:
        return item["regions"] or []
    return [item["region"]] if item.get("region") else []


def chosen(items, name=None, tag=None, region=None):
    """The items that fit all that is given; an item that has no tags fits no tag."""
    for item in items:
        if name is not None and name not in names_of(item):
            continue
        if tag is not None and tag not in (item.get("tags") or []):
            continue
        if region is not None and region not in regions_of(item):
            continue
        yield item


def look_up(client, params):
    kind = params["kind"]
    if kind == "account":
        return [shapes.account(client.get("/v2/account", "reading the account")["account"])]
    path, key, shape, filters = KINDS[kind]
    if kind == "domain_record":
        if not params["domain"]:
            raise Failure("kind: domain_record needs domain.")
        path = path % params["domain"]
    if params["tag"] and kind not in ("alert_policy", "database", "droplet", "volume"):
        raise Failure("tag: a %s has no tags; this is for droplet, database, volume and alert_policy." % kind.replace("_", " "))
    query = {}
    for option, parameter in filters.items():
        # The API takes one filter at a time; the others are applied here.
        if params[option] and not query:
            query[parameter] = params[option]
    if kind == "image" and params["private"] is not None:
        query["private"] = params["private"]
    items = [shape(raw) for raw in client.listing(path, key, **query)]
    return sorted(chosen(items, params["name"], params["tag"], params["region"]), key=lambda item: str(names_of(item)[:1] or item.get("id")))
