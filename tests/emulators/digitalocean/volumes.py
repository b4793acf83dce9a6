"""Block volumes and their actions."""

from __future__ import annotations

import re

from .compute import check_tags, start_action, the_action, the_droplet, the_region, touch
from .server import Refusal, not_emulated, not_found, now, route

NAME = re.compile(r"^[a-z][a-z0-9\-]{0,63}$")
LABEL_LENGTH = {"ext4": 16, "xfs": 12}
LARGEST = 16384


def prepare(emulator):
    for name in ("volumes", "volume_actions"):
        emulator.table(name)


def the_volume(emulator, identity):
    if identity not in emulator.table("volumes"):
        raise not_found()
    return emulator.table("volumes")[identity]


def check_size(value):
    if not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise Refusal(422, "size_gigabytes is not valid")
    return value


@route("GET", "/v2/volumes")
def list_volumes(emulator, request):
    found = list(emulator.table("volumes").values())
    if "name" in request.query:
        found = [volume for volume in found if volume["name"] == request.query["name"]]
    if "region" in request.query:
        found = [volume for volume in found if volume["region"]["slug"] == request.query["region"]]
    return emulator.page(request, "volumes", found)


@route("POST", "/v2/volumes")
def create_volume(emulator, request):
    name, size, slug = request.need("name", "size_gigabytes", "region")
    body = request.body
    if body.get("snapshot_id"):
        raise not_emulated("volume from a snapshot")
    region, kind, label = the_region(slug), body.get("filesystem_type") or "", body.get("filesystem_label") or ""
    if not NAME.match(name):
        raise Refusal(422, "Name is invalid")
    if kind and kind not in LABEL_LENGTH or label and len(label) > LABEL_LENGTH.get(kind, 0):
        raise Refusal(422, "filesystem type or label is invalid")
    if any(volume["name"] == name and volume["region"]["slug"] == slug for volume in emulator.table("volumes").values()):
        raise Refusal(409, f"a volume with the name {name} exists already in {slug}")
    volume = {
        "id": emulator.uuid(),
        "name": name,
        "size_gigabytes": check_size(size),
        "region": region,
        "description": body.get("description") or "",
        "filesystem_type": kind,
        "filesystem_label": label,
        "droplet_ids": [],
        "tags": check_tags(body.get("tags")),
        "created_at": now(),
    }
    for tag in volume["tags"]:
        emulator.table("tags").setdefault(tag, {})
    emulator.table("volumes")[volume["id"]] = volume
    return 201, {"volume": volume}


@route("GET", "/v2/volumes/{identity}")
def get_volume(emulator, request, identity):
    return 200, {"volume": the_volume(emulator, identity)}


@route("DELETE", "/v2/volumes/{identity}")
def delete_volume(emulator, request, identity):
    if the_volume(emulator, identity)["droplet_ids"]:
        raise Refusal(409, "The volume is attached to a Droplet: detach it first.")
    del emulator.table("volumes")[identity]
    return 204, None


# --- actions


def of(emulator, identity):
    return emulator.table("volume_actions").setdefault(identity, [])


@route("GET", "/v2/volumes/{identity}/actions")
def volume_actions(emulator, request, identity):
    the_volume(emulator, identity)
    return emulator.page(request, "actions", list(reversed(of(emulator, identity))))


@route("GET", "/v2/volumes/{identity}/actions/{action_id}")
def get_volume_action(emulator, request, identity, action_id):
    the_volume(emulator, identity)
    action = the_action(emulator, action_id)
    if action not in of(emulator, identity):
        raise not_found()
    return 200, {"action": action}


@route("POST", "/v2/volumes/{identity}/actions")
def act_on_volume(emulator, request, identity):
    volume = the_volume(emulator, identity)
    (kind,) = request.need("type")
    if any(action["status"] == "in-progress" for action in of(emulator, identity)):
        raise Refusal(422, "Volume already has a pending event.")
    if kind not in ("attach", "detach", "resize"):
        raise Refusal(422, "No such action type.")
    if kind == "resize":
        (size,) = request.need("size_gigabytes")
        if check_size(size) <= volume["size_gigabytes"]:
            raise Refusal(422, "A volume can only be made larger.")
        work = resizing(volume, size)
    else:
        (droplet_id,) = request.need("droplet_id")
        work = moving(emulator, volume, the_droplet(emulator, droplet_id), kind)
    action = start_action(emulator, kind, None, work, resource_type="backend")
    action.update(region=volume["region"], region_slug=volume["region"]["slug"])
    of(emulator, identity).append(action)
    return 202, {"action": action}


def resizing(volume, size):
    def work(said):
        volume["size_gigabytes"] = size

    return work


def moving(emulator, volume, droplet, kind):
    if kind == "attach" and volume["droplet_ids"]:
        raise Refusal(422, "The volume is attached to a Droplet already.")
    if kind == "attach" and droplet["region"]["slug"] != volume["region"]["slug"]:
        raise Refusal(422, "The Droplet is in another region than the volume.")
    if kind == "attach" and droplet["locked"]:
        raise Refusal(422, "Droplet already has a pending event.")
    if kind == "detach" and volume["droplet_ids"] != [droplet["id"]]:
        raise Refusal(422, "The volume is not attached to this Droplet.")

    def work(said):
        others = [identity for identity in droplet["volume_ids"] if identity != volume["id"]]
        droplet["volume_ids"] = [*others, volume["id"]] if kind == "attach" else others
        volume["droplet_ids"] = [droplet["id"]] if kind == "attach" else []
        touch(emulator, droplet)

    return work
