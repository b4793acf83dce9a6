"""Account, SSH keys, droplets with their actions and backups, images, snapshots, tags, regions and sizes."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re

from . import catalogue
from .server import Refusal, not_emulated, not_found, now, route

HOSTNAME = re.compile(r"^[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]$")
TAG = re.compile(r"^[a-zA-Z0-9_\-:]{1,255}$")
BUSY_STATES = {"power_off": "off", "shutdown": "off", "power_on": "active", "reboot": "active", "power_cycle": "active"}


def prepare(emulator):
    for name in ("keys", "droplets", "private", "actions", "snapshots", "tags", "vpcs", "fragments", "custom_images"):
        emulator.table(name)


# --- shared look-ups


def the_region(slug):
    if slug not in catalogue.REGION_NAMES:
        raise Refusal(422, "Region is not available")
    return catalogue.region(slug)


def the_droplet(emulator, droplet_id):
    try:
        return emulator.table("droplets")[int(droplet_id)]
    except (KeyError, ValueError):
        raise not_found() from None


def numbers_of(values):
    """Numbers of droplets; the vendor's clients send some of them as text, and it takes that."""
    try:
        return [int(value) for value in values or []]
    except (TypeError, ValueError):
        raise Refusal(422, "droplet_ids must be numbers") from None


def check_tags(tags):
    for tag in tags or []:
        if not isinstance(tag, str) or not TAG.match(tag):
            raise Refusal(422, "Tag name must only contain letters, numbers, colons, dashes, and underscores")
    return list(dict.fromkeys(tags or []))


def touch(emulator, droplet):
    emulator.table("fragments").pop(droplet["id"], None)


def fragment(emulator, droplet):
    fragments = emulator.table("fragments")
    text = fragments.get(droplet["id"])
    if text is None:
        text = fragments[droplet["id"]] = json.dumps(droplet, separators=(",", ":"))
    return text


def default_vpc(emulator, region):
    """The account's VPC in a region. The vendor makes it with the first droplet there."""
    vpcs = emulator.table("vpcs")
    for vpc in vpcs.values():
        if vpc["region"] == region and vpc["default"]:
            return vpc
    number = 100 + list(catalogue.REGION_NAMES).index(region)
    identity = emulator.uuid()
    vpcs[identity] = {
        "id": identity,
        "urn": f"do:vpc:{identity}",
        "name": f"default-{region}",
        "description": "",
        "region": region,
        "ip_range": f"10.{number}.0.0/20",
        "default": True,
        "created_at": now(),
    }
    return vpcs[identity]


def start_action(emulator, kind, droplet, work=None, resource_type="droplet", hook=None):
    """An action that completes later; the droplet is locked for that long."""
    action = {
        "id": emulator.number(),
        "status": "in-progress",
        "type": kind,
        "started_at": now(),
        "completed_at": None,
        "resource_id": droplet["id"] if droplet else None,
        "resource_type": resource_type,
        "region": droplet["region"] if droplet else None,
        "region_slug": droplet["region"]["slug"] if droplet else None,
    }
    emulator.table("actions")[action["id"]] = action
    if droplet:
        droplet["locked"] = True
        touch(emulator, droplet)

    def done(said=None):
        if work:
            work(said or {})
        if droplet:
            droplet["locked"] = False
            touch(emulator, droplet)
        action.update(status="completed", completed_at=now())

    if not (hook and emulator.call_hook(hook, {**droplet, "private": emulator.table("private")[droplet["id"]]}, done)):
        emulator.later(done)
    return action


# --- account, SSH keys


@route("GET", "/v2/account")
def account(emulator, request):
    return 200, {
        "account": {
            "droplet_limit": 10000,
            "floating_ip_limit": 100,
            "email": "operator@example.com",
            "name": "operator",
            "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True,
            "status": "active",
            "status_message": "",
        }
    }


@route("GET", "/v2/account/keys")
def list_keys(emulator, request):
    return emulator.page(request, "ssh_keys", list(emulator.table("keys").values()))


@route("POST", "/v2/account/keys")
def create_key(emulator, request):
    name, public = request.need("name", "public_key")
    try:
        blob = base64.b64decode(public.split()[1], validate=True)
    except (IndexError, ValueError):
        raise Refusal(422, "Key invalid, key should be of the format `type key [comment]`") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[i : i + 2] for i in range(0, 32, 2))
    if any(key["fingerprint"] == fingerprint for key in emulator.table("keys").values()):
        raise Refusal(422, "SSH Key is already in use on your account")
    key = {"id": emulator.number(), "fingerprint": fingerprint, "name": name, "public_key": public}
    emulator.table("keys")[key["id"]] = key
    return 201, {"ssh_key": key}


def the_key(emulator, identity):
    for key in emulator.table("keys").values():
        if identity in (str(key["id"]), key["fingerprint"]):
            return key
    raise not_found()


@route("GET", "/v2/account/keys/{identity}")
def get_key(emulator, request, identity):
    return 200, {"ssh_key": the_key(emulator, identity)}


@route("PUT", "/v2/account/keys/{identity}")
def rename_key(emulator, request, identity):
    key = the_key(emulator, identity)
    key["name"] = request.body.get("name", key["name"])
    return 200, {"ssh_key": key}


@route("DELETE", "/v2/account/keys/{identity}")
def delete_key(emulator, request, identity):
    del emulator.table("keys")[the_key(emulator, identity)["id"]]
    return 204, None


# --- what is for sale


@route("GET", "/v2/regions")
def regions(emulator, request):
    return emulator.page(request, "regions", [catalogue.region(slug) for slug in catalogue.REGION_NAMES])


@route("GET", "/v2/sizes")
def sizes(emulator, request):
    return emulator.page(request, "sizes", [catalogue.size(slug) for slug in catalogue.SIZES])


@route("GET", "/v2/images")
def images(emulator, request):
    found = [catalogue.image(slug) for slug in catalogue.IMAGES] + list(emulator.table("custom_images").values())
    if request.query.get("private") == "true":
        found = [image for image in found if not image["public"]]
    if request.query.get("type") == "application":
        found = [image for image in found if image["slug"] == "docker-20-04"]
    return emulator.page(request, "images", found)


def the_image(emulator, wanted):
    for slug in catalogue.IMAGES:
        image = catalogue.image(slug)
        if str(wanted) in (slug, str(image["id"])):
            return image
    for image in emulator.table("custom_images").values():
        if str(image["id"]) == str(wanted):
            return image
    return None


@route("GET", "/v2/images/{identity}")
def get_image(emulator, request, identity):
    image = the_image(emulator, identity)
    if not image:
        raise not_found()
    return 200, {"image": image}


# --- droplets


@route("GET", "/v2/droplets")
def list_droplets(emulator, request):
    found = list(emulator.table("droplets").values())
    if "tag_name" in request.query and "name" in request.query:
        raise Refusal(400, "name and tag_name can't be used together")
    if "tag_name" in request.query:
        found = [droplet for droplet in found if request.query["tag_name"] in droplet["tags"]]
    if "name" in request.query:
        found = [droplet for droplet in found if droplet["name"].lower() == request.query["name"].lower()]
    return emulator.page(request, "droplets", found, render=lambda droplet: fragment(emulator, droplet))


def check_policy(policy):
    if not policy:
        return {"plan": "weekly", "weekday": "SUN", "hour": 0}
    if policy.get("plan") not in ("daily", "weekly"):
        raise Refusal(422, "backup plan must be daily or weekly")
    if policy["plan"] == "weekly" and not policy.get("weekday"):
        raise Refusal(422, "weekday is required for a weekly backup plan")
    if policy["plan"] == "daily" and policy.get("weekday"):
        raise Refusal(422, "weekday is not allowed for a daily backup plan")
    return dict(policy)


def build_droplet(emulator, body, name):
    """A droplet the moment it was asked for: new, locked and without an address."""
    region = the_region(body.get("region") or "nyc3")
    if body.get("size") not in catalogue.SIZES:
        raise Refusal(422, "You specified an invalid size for Droplet creation.")
    if body["size"] not in region["sizes"]:
        raise Refusal(422, "Size is not available in this region.")
    image = the_image(emulator, body.get("image"))
    if not image:
        raise Refusal(422, "You specified an invalid image for Droplet creation.")
    if not HOSTNAME.match(name):
        raise Refusal(422, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    tags = check_tags(body.get("tags"))
    for identity in body.get("volumes") or []:
        if (
            emulator.table("volumes").get(identity, {"region": None, "droplet_ids": []})["region"] != region
            or emulator.table("volumes")[identity]["droplet_ids"]
        ):
            raise Refusal(422, "The volume is not in the Droplet's region, or attached already.")
    keys = []
    for wanted in body.get("ssh_keys") or []:
        try:
            keys.append(the_key(emulator, str(wanted))["public_key"])
        except Refusal:
            raise Refusal(422, f"{wanted} are invalid key identifiers for Droplet creation.") from None
    vpc = emulator.table("vpcs").get(body["vpc_uuid"]) if body.get("vpc_uuid") else default_vpc(emulator, region["slug"])
    if not vpc or vpc["region"] != region["slug"]:
        raise Refusal(422, "The VPC was not found in the Droplet's region.")
    policy = check_policy(body.get("backup_policy")) if body.get("backups") else None
    features = [
        feature
        for feature, asked in (
            ("backups", body.get("backups")),
            ("ipv6", body.get("ipv6")),
            ("monitoring", body.get("monitoring")),
            ("droplet_agent", body.get("with_droplet_agent")),
            ("private_networking", True),
        )
        if asked
    ]
    size = catalogue.size(body["size"])
    droplet = {
        "id": emulator.number(),
        "name": name,
        "memory": size["memory"],
        "vcpus": size["vcpus"],
        "disk": size["disk"],
        "disk_info": size["disk_info"],
        "locked": True,
        "status": "new",
        "kernel": None,
        "created_at": now(),
        "features": features,
        "backup_ids": [],
        "next_backup_window": None,
        "snapshot_ids": [],
        "image": image,
        "volume_ids": list(body.get("volumes") or []),
        "size": size,
        "size_slug": size["slug"],
        "networks": {"v4": [], "v6": []},
        "region": region,
        "tags": tags,
        "vpc_uuid": vpc["id"],
    }
    private = {
        "user_data": body.get("user_data"),
        "public_keys": keys,
        "backup_policy": policy,
        "ipv6": bool(body.get("ipv6")),
    }
    return droplet, private


def addresses(emulator, droplet, private, said):
    """Addresses come with activation: from the real host behind the droplet, or from ranges reserved for tests."""
    serial = droplet["id"] - 300_000_000
    vpc = emulator.table("vpcs")[droplet["vpc_uuid"]]
    network = ipaddress.ip_network(vpc["ip_range"])
    inside = str(network.network_address + 2 + serial % (network.num_addresses - 3))
    public = said.get("public") or str(ipaddress.ip_address("198.18.0.0") + serial % 131_000)
    droplet["networks"] = {
        "v4": [
            {
                "ip_address": said.get("private") or inside,
                "netmask": str(network.netmask),
                "gateway": str(network.network_address + 1),
                "type": "private",
            },
            {"ip_address": public, "netmask": "255.254.0.0", "gateway": "198.18.0.1", "type": "public"},
        ],
        "v6": [{"ip_address": f"2001:db8::{serial:x}", "netmask": 64, "gateway": "2001:db8::1", "type": "public"}] if private["ipv6"] else [],
    }


def add_droplet(emulator, droplet, private):
    emulator.table("droplets")[droplet["id"]] = droplet
    emulator.table("private")[droplet["id"]] = private
    for tag in droplet["tags"]:
        emulator.table("tags").setdefault(tag, {})
    for identity in droplet["volume_ids"]:
        emulator.table("volumes")[identity]["droplet_ids"] = [droplet["id"]]


@route("POST", "/v2/droplets")
def create_droplet(emulator, request):
    request.need("size", "image")
    names = request.body.get("names") or request.need("name")
    built = [build_droplet(emulator, request.body, name) for name in names]
    actions = []
    for droplet, private in built:
        add_droplet(emulator, droplet, private)

        def activate(said, droplet=droplet, private=private):
            addresses(emulator, droplet, private, said)
            droplet["status"] = "active"

        actions.append(start_action(emulator, "create", droplet, activate, hook="create"))
    links = {"actions": [{"id": action["id"], "rel": "create", "href": f"{emulator.url}/v2/actions/{action['id']}"} for action in actions]}
    if "names" in request.body:
        return 202, {"droplets": [droplet for droplet, _ in built], "links": links}
    return 202, {"droplet": built[0][0], "links": links}


@route("GET", "/v2/droplets/{droplet_id}")
def get_droplet(emulator, request, droplet_id):
    return 200, {"droplet": the_droplet(emulator, droplet_id)}


def remove_droplet(emulator, droplet):
    from .network import leave_vpc

    del emulator.table("droplets")[droplet["id"]]
    leave_vpc(emulator, f"do:droplet:{droplet['id']}", droplet)
    private = emulator.table("private").pop(droplet["id"])
    emulator.table("fragments").pop(droplet["id"], None)
    for identity in droplet["volume_ids"]:
        emulator.table("volumes")[identity]["droplet_ids"] = []
    for firewall in emulator.table("firewalls").values():
        firewall["droplet_ids"] = [i for i in firewall["droplet_ids"] or [] if i != droplet["id"]]
    for reserved in emulator.table("reserved_ips").values():
        if reserved["droplet"] and reserved["droplet"]["id"] == droplet["id"]:
            reserved["droplet"] = None
    emulator.call_hook("delete", {**droplet, "private": private})


@route("DELETE", "/v2/droplets/{droplet_id}")
def delete_droplet(emulator, request, droplet_id):
    remove_droplet(emulator, the_droplet(emulator, droplet_id))
    return 204, None


@route("DELETE", "/v2/droplets")
def delete_droplets(emulator, request):
    tag = request.query.get("tag_name")
    if not tag:
        raise Refusal(400, "tag_name is required")
    for droplet in [one for one in emulator.table("droplets").values() if tag in one["tags"]]:
        remove_droplet(emulator, droplet)
    return 204, None


@route("GET", "/v2/droplets/{droplet_id}/backups/policy")
def backup_policy(emulator, request, droplet_id):
    droplet = the_droplet(emulator, droplet_id)
    policy = emulator.table("private")[droplet["id"]]["backup_policy"]
    answer = {"droplet_id": droplet["id"], "backup_enabled": bool(policy), "next_backup_window": None}
    if policy:
        answer["backup_policy"] = {
            **policy,
            "window_length_hours": 4,
            "retention_period_days": 7 if policy["plan"] == "daily" else 28,
        }
    return 200, {"policy": answer}


@route("GET", "/v2/droplets/{droplet_id}/snapshots")
def droplet_snapshots(emulator, request, droplet_id):
    droplet = the_droplet(emulator, droplet_id)
    found = [
        {
            "id": int(s["id"]),
            "type": "snapshot",
            **{k: s[k] for k in ("name", "created_at", "regions", "min_disk_size", "size_gigabytes")},
        }
        for s in emulator.table("snapshots").values()
        if s["resource_id"] == str(droplet["id"])
    ]
    return emulator.page(request, "snapshots", found)


# --- actions


@route("GET", "/v2/droplets/{droplet_id}/actions")
def droplet_actions(emulator, request, droplet_id):
    droplet = the_droplet(emulator, droplet_id)
    found = [a for a in emulator.table("actions").values() if a["resource_id"] == droplet["id"]]
    return emulator.page(request, "actions", list(reversed(found)))


def the_action(emulator, action_id):
    try:
        return emulator.table("actions")[int(action_id)]
    except (KeyError, ValueError):
        raise not_found() from None


@route("GET", "/v2/actions/{action_id}")
def get_action(emulator, request, action_id):
    return 200, {"action": the_action(emulator, action_id)}


@route("GET", "/v2/droplets/{droplet_id}/actions/{action_id}")
def get_droplet_action(emulator, request, droplet_id, action_id):
    the_droplet(emulator, droplet_id)
    return 200, {"action": the_action(emulator, action_id)}


@route("POST", "/v2/droplets/{droplet_id}/actions")
def act(emulator, request, droplet_id):
    droplet = the_droplet(emulator, droplet_id)
    private = emulator.table("private")[droplet["id"]]
    (kind,) = request.need("type")
    body = request.body
    if droplet["locked"]:
        raise Refusal(422, "Droplet already has a pending event.")

    def work(said):
        if kind in BUSY_STATES:
            droplet["status"] = BUSY_STATES[kind]
        elif kind == "rename":
            droplet["name"] = body["name"]
        elif kind == "resize":
            size = catalogue.size(body["size"])
            droplet.update(size=size, size_slug=size["slug"], memory=size["memory"], vcpus=size["vcpus"])
            if body.get("disk"):
                droplet["disk"] = size["disk"]
        elif kind in ("enable_backups", "change_backup_policy"):
            private["backup_policy"] = check_policy(body.get("backup_policy"))
            droplet["features"] = sorted({*droplet["features"], "backups"})
        elif kind == "disable_backups":
            private["backup_policy"] = None
            droplet["features"] = [f for f in droplet["features"] if f != "backups"]
        elif kind == "enable_ipv6":
            private["ipv6"] = True
            droplet["features"] = sorted({*droplet["features"], "ipv6"})
            addresses(emulator, droplet, private, {})
        elif kind == "snapshot":
            add_snapshot(emulator, droplet, body.get("name") or droplet["name"])

    refuse_action(droplet, private, kind, body)
    hook = kind if kind in ("power_on", "power_off", "reboot", "shutdown", "power_cycle") else None
    return 201, {"action": start_action(emulator, kind, droplet, work, hook=hook)}


def refuse_action(droplet, private, kind, body):
    known = {
        *BUSY_STATES,
        "rename",
        "resize",
        "enable_backups",
        "change_backup_policy",
        "disable_backups",
        "enable_ipv6",
        "snapshot",
    }
    if kind in ("restore", "rebuild", "password_reset", "change_kernel"):
        raise not_emulated(f"droplet action {kind}")
    if kind not in known:
        raise Refusal(422, "No such action type.")
    if kind == "resize":
        if body.get("size") not in droplet["region"]["sizes"]:
            raise Refusal(422, "Size is not available in this region.")
        if droplet["status"] != "off":
            raise Refusal(422, "This Droplet is currently running. Please power it off to run this event.")
        if catalogue.SIZES[body["size"]][2] < droplet["disk"]:
            raise Refusal(422, "This size is not available because it has a smaller disk.")
    if kind == "rename" and not HOSTNAME.match(body.get("name") or ""):
        raise Refusal(422, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    if kind == "power_off" and droplet["status"] == "off":
        raise Refusal(422, "Droplet is already powered off.")
    if kind in ("enable_backups", "change_backup_policy"):
        check_policy(body.get("backup_policy"))
    if kind == "enable_backups" and private["backup_policy"]:
        raise Refusal(422, "Backups are already enabled for this Droplet.")
    if kind in ("disable_backups", "change_backup_policy") and not private["backup_policy"]:
        raise Refusal(422, "Backups are not enabled for this Droplet.")


# --- snapshots


def add_snapshot(emulator, droplet, name):
    number = emulator.number()
    emulator.table("snapshots")[str(number)] = {
        "id": str(number),
        "name": name,
        "created_at": now(),
        "regions": [droplet["region"]["slug"]],
        "resource_id": str(droplet["id"]),
        "resource_type": "droplet",
        "min_disk_size": droplet["disk"],
        "size_gigabytes": 2.5,
        "tags": [],
    }
    emulator.table("custom_images")[number] = {
        **droplet["image"],
        "id": number,
        "slug": None,
        "name": name,
        "type": "snapshot",
        "public": False,
        "regions": [droplet["region"]["slug"]],
        "min_disk_size": droplet["disk"],
    }
    droplet["snapshot_ids"] = [*droplet["snapshot_ids"], number]


@route("GET", "/v2/snapshots")
def list_snapshots(emulator, request):
    kind = request.query.get("resource_type")
    return emulator.page(request, "snapshots", [s for s in emulator.table("snapshots").values() if kind in (None, s["resource_type"])])


@route("GET", "/v2/snapshots/{snapshot_id}")
def get_snapshot(emulator, request, snapshot_id):
    if snapshot_id not in emulator.table("snapshots"):
        raise not_found()
    return 200, {"snapshot": emulator.table("snapshots")[snapshot_id]}


@route("DELETE", "/v2/snapshots/{snapshot_id}")
def delete_snapshot(emulator, request, snapshot_id):
    if emulator.table("snapshots").pop(snapshot_id, None) is None:
        raise not_found()
    emulator.table("custom_images").pop(int(snapshot_id), None)
    for droplet in emulator.table("droplets").values():
        if int(snapshot_id) in droplet["snapshot_ids"]:
            droplet["snapshot_ids"] = [i for i in droplet["snapshot_ids"] if i != int(snapshot_id)]
            touch(emulator, droplet)
    return 204, None


# --- tags


def tag_view(emulator, name):
    count, volumes = (sum(1 for one in emulator.table(table).values() if name in one["tags"]) for table in ("droplets", "volumes"))
    return {
        "name": name,
        "resources": {
            "count": count + volumes,
            "droplets": {"count": count},
            "images": {"count": 0},
            "volumes": {"count": volumes},
            "volume_snapshots": {"count": 0},
            "databases": {"count": 0},
        },
    }


@route("GET", "/v2/tags")
def list_tags(emulator, request):
    return emulator.page(request, "tags", [tag_view(emulator, name) for name in emulator.table("tags")])


@route("POST", "/v2/tags")
def create_tag(emulator, request):
    (name,) = check_tags(request.need("name"))
    emulator.table("tags").setdefault(name, {})
    return 201, {"tag": tag_view(emulator, name)}


@route("GET", "/v2/tags/{name}")
def get_tag(emulator, request, name):
    if name not in emulator.table("tags"):
        raise not_found()
    return 200, {"tag": tag_view(emulator, name)}


def without(emulator, thing, name):
    thing["tags"] = [tag for tag in thing["tags"] if tag != name]
    touch(emulator, thing)


@route("DELETE", "/v2/tags/{name}")
def delete_tag(emulator, request, name):
    if emulator.table("tags").pop(name, None) is None:
        raise not_found()
    for thing in [*emulator.table("droplets").values(), *emulator.table("volumes").values()]:
        if name in thing["tags"]:
            without(emulator, thing, name)
    return 204, None


def tagged(emulator, request, name):
    if name not in emulator.table("tags"):
        raise not_found()
    (resources,) = request.need("resources")
    for resource in resources:
        if resource["resource_type"] == "droplet":
            yield the_droplet(emulator, resource["resource_id"])
        elif resource["resource_type"] == "volume":
            if resource["resource_id"] not in emulator.table("volumes"):
                raise not_found()
            yield emulator.table("volumes")[resource["resource_id"]]


@route("POST", "/v2/tags/{name}/resources")
def tag_resources(emulator, request, name):
    for thing in tagged(emulator, request, name):
        if name not in thing["tags"]:
            thing["tags"] = [*thing["tags"], name]
            touch(emulator, thing)
    return 204, None


@route("DELETE", "/v2/tags/{name}/resources")
def untag_resources(emulator, request, name):
    for thing in tagged(emulator, request, name):
        without(emulator, thing, name)
    return 204, None


# --- a big account at once


def populate(emulator, count, duplicates=0):
    """`count` active droplets over all regions, tagged as a fleet would be; the last ones repeat their predecessor's name."""
    slugs = list(catalogue.REGION_NAMES)
    envs, roles, bots = (
        ("prod", "staging", "paper"),
        ("primary", "standby", "witness"),
        ("polymarket", "kalshi", "arbitrage"),
    )
    shared = {slug: (catalogue.region(slug), default_vpc(emulator, slug)["id"]) for slug in slugs}
    image, size = catalogue.image("debian-13-x64"), catalogue.size("s-1vcpu-1gb")
    name = None
    for number in range(count):
        if name is None or number < count - duplicates:
            name = f"bot-{number:05d}"
        region, vpc = shared[slugs[number % len(slugs)]]
        droplet = {
            "id": emulator.number(),
            "name": name,
            "memory": size["memory"],
            "vcpus": size["vcpus"],
            "disk": size["disk"],
            "disk_info": size["disk_info"],
            "locked": False,
            "status": "active",
            "kernel": None,
            "created_at": now(),
            "features": ["monitoring", "private_networking"],
            "backup_ids": [],
            "next_backup_window": None,
            "snapshot_ids": [],
            "image": image,
            "volume_ids": [],
            "size": size,
            "size_slug": size["slug"],
            "networks": {"v4": [], "v6": []},
            "region": region,
            "vpc_uuid": vpc,
            "tags": [
                "botops",
                f"env:{envs[number % 3]}",
                f"role:{roles[number // 3 % 3]}",
                f"bot:{bots[number // 9 % 3]}",
            ],
        }
        private = {"user_data": None, "public_keys": [], "backup_policy": None, "ipv6": False}
        add_droplet(emulator, droplet, private)
        addresses(emulator, droplet, private, {})
