"""Projects and what is in them. Whatever is not in another one is in the default project."""

from __future__ import annotations

import re

from .server import Refusal, not_found, now, route

URN = re.compile(r"^do:(dbaas|domain|droplet|floatingip|loadbalancer|space|volume|kubernetes|vpc):(.+)$")
TABLES = {
    "droplet": ("droplets", int),
    "loadbalancer": ("load_balancers", str),
    "floatingip": ("reserved_ips", str),
    "domain": ("domains", str),
    "dbaas": ("databases", str),
    "volume": ("volumes", str),
}
ENVIRONMENTS = ("Development", "Staging", "Production")


def prepare(emulator):
    default = new_project(emulator, {"name": "first-project", "purpose": "Just trying out"}, default=True)
    emulator.tables["projects"] = {default["id"]: default}
    emulator.tables["assigned"] = {}


def new_project(emulator, body, default=False):
    return {
        "id": emulator.uuid(),
        "owner_uuid": "99525febec065ca37b2ffe4f852fd2b2581895e7",
        "owner_id": 258992,
        "name": body["name"],
        "description": body.get("description", ""),
        "purpose": body["purpose"],
        "environment": body.get("environment", "Development"),
        "created_at": now(),
        "updated_at": now(),
        "is_default": default,
    }


def the_default(emulator):
    return next(project for project in emulator.table("projects").values() if project["is_default"])


def project_of(emulator, urn):
    return emulator.table("assigned").get(urn) or the_default(emulator)["id"]


def the_project(emulator, identity):
    if identity == "default":
        return the_default(emulator)
    if identity not in emulator.table("projects"):
        raise not_found()
    return emulator.table("projects")[identity]


def exists(emulator, urn):
    match = URN.match(urn)
    if not match:
        raise Refusal(400, f"invalid resource urn {urn}")
    table, kind = TABLES.get(match.group(1), (None, str))
    return table is None or kind(match.group(2)) in emulator.table(table)


@route("GET", "/v2/projects")
def list_projects(emulator, request):
    return emulator.page(request, "projects", list(emulator.table("projects").values()))


@route("POST", "/v2/projects")
def create_project(emulator, request):
    request.need("name", "purpose")
    if any(project["name"] == request.body["name"] for project in emulator.table("projects").values()):
        raise Refusal(409, "name is already in use")
    project = new_project(emulator, request.body)
    emulator.table("projects")[project["id"]] = project
    return 201, {"project": project}


@route("GET", "/v2/projects/{identity}")
def get_project(emulator, request, identity):
    return 200, {"project": the_project(emulator, identity)}


def change_project(emulator, request, identity):
    project = the_project(emulator, identity)
    names = ("name", "description", "purpose", "environment")
    if request.method == "PUT":
        # Replacing wants all of it, as the vendor does.
        for name in (*names, "is_default"):
            if name not in request.body:
                raise Refusal(400, f"{name} is required")
    if request.body.get("environment", "Production") not in ENVIRONMENTS:
        raise Refusal(422, "environment is invalid")
    if request.body.get("is_default"):
        for other in emulator.table("projects").values():
            other["is_default"] = False
        project["is_default"] = True
    project.update({name: request.body[name] for name in names if name in request.body}, updated_at=now())
    return 200, {"project": project}


route("PUT", "/v2/projects/{identity}")(change_project)
route("PATCH", "/v2/projects/{identity}")(change_project)


@route("DELETE", "/v2/projects/{identity}")
def delete_project(emulator, request, identity):
    project = the_project(emulator, identity)
    if project["is_default"]:
        raise Refusal(403, "the default project cannot be deleted", "forbidden")
    if any(owner == identity and exists(emulator, urn) for urn, owner in emulator.table("assigned").items()):
        raise Refusal(412, "cannot delete a project with resources. move or delete the resources first")
    del emulator.table("projects")[identity]
    return 204, None


@route("GET", "/v2/projects/{identity}/resources")
def list_resources(emulator, request, identity):
    project = the_project(emulator, identity)
    found = [
        {"urn": urn, "assigned_at": now(), "links": {"self": f"{emulator.url}/v2/{urn}"}, "status": "ok"}
        for urn, owner in emulator.table("assigned").items()
        if owner == project["id"] and exists(emulator, urn)
    ]
    return emulator.page(request, "resources", found)


@route("POST", "/v2/projects/{identity}/resources")
def assign_resources(emulator, request, identity):
    project = the_project(emulator, identity)
    (resources,) = request.need("resources")
    answer = []
    for urn in resources:
        known = exists(emulator, urn)
        if known:
            emulator.table("assigned")[urn] = project["id"]
        answer.append(
            {
                "urn": urn,
                "assigned_at": now(),
                "links": {"self": f"{emulator.url}/v2/{urn}"},
                "status": "assigned" if known else "not_found",
            }
        )
    return 200, {"resources": answer}
