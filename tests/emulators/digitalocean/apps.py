"""App Platform: specifications, deployments that take their time and may fail, logs, rollback."""

from __future__ import annotations

import copy
import re

from .network import found
from .server import Refusal, not_found, now, route

COMPONENTS = ("services", "workers", "jobs", "static_sites", "functions")
NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$")
BUILD_LOG = "==> Installing\n==> Running build command\nerror: missing module 'exchange'\nbuild command exited with code 1\n"


def prepare(emulator):
    emulator.table("apps")
    emulator.table("deployments")


def completed(spec):
    """The specification as the vendor keeps it: with its defaults filled in and its secrets encrypted."""
    spec = copy.deepcopy(spec)
    if not NAME.match(spec.get("name", "")):
        raise Refusal(400, "spec.name is invalid")
    spec.setdefault("region", "nyc")
    spec.setdefault("ingress", {"rules": []})
    names = [c["name"] for kind in COMPONENTS for c in spec.get(kind) or []]
    if len(names) != len(set(names)):
        raise Refusal(400, "component names must be unique")
    for kind in COMPONENTS:
        for component in spec.get(kind) or []:
            if kind in ("services", "workers", "jobs"):
                component.setdefault("instance_count", 1)
                component.setdefault("instance_size_slug", "apps-s-1vcpu-0.5gb")
            if kind == "services":
                component.setdefault("http_port", 8080)
            for variable in component.get("envs") or []:
                variable.setdefault("scope", "RUN_AND_BUILD_TIME")
                if variable.get("type") == "SECRET" and not variable["value"].startswith("EV["):
                    variable["value"] = "EV[1:emulated:%08x]" % (hash(variable["value"]) & 0xFFFFFFFF)
    return spec


def fails(spec):
    return any(c.get("build_command") == "false" for kind in COMPONENTS for c in spec.get(kind) or [])


def deploy(emulator, app, cause, cloned_from=None):
    deployment = {
        "id": emulator.uuid(),
        "cause": cause,
        "phase": "PENDING_BUILD",
        "created_at": now(),
        "updated_at": now(),
        "phase_last_updated_at": now(),
        "spec": copy.deepcopy(app["spec"]),
        "progress": {"pending_steps": 6, "running_steps": 0, "success_steps": 0, "error_steps": 0, "total_steps": 6},
    }
    if cloned_from:
        deployment["cloned_from"] = cloned_from
    emulator.table("deployments").setdefault(app["id"], []).insert(0, deployment)
    app["in_progress_deployment"] = deployment

    def finish():
        phase = "ERROR" if fails(deployment["spec"]) else "ACTIVE"
        deployment.update(phase=phase, updated_at=now(), phase_last_updated_at=now())
        app.pop("in_progress_deployment", None)
        if phase == "ACTIVE":
            if app.get("active_deployment"):
                app["active_deployment"]["phase"] = "SUPERSEDED"
            app["active_deployment"] = deployment
            app.update(live_url=app["default_ingress"], live_url_base=app["default_ingress"])

    emulator.later(lambda: (deployment.update(phase="BUILDING"), emulator.later(finish)))
    return deployment


@route("GET", "/v2/apps")
def list_apps(emulator, request):
    return emulator.page(request, "apps", list(emulator.table("apps").values()))


@route("POST", "/v2/apps")
def create_app(emulator, request):
    spec = completed(request.need("spec")[0])
    if any(app["spec"]["name"] == spec["name"] for app in emulator.table("apps").values()):
        raise Refusal(409, "app name already exists")
    identity = emulator.uuid()
    app = {
        "id": identity,
        "owner_uuid": emulator.uuid(),
        "spec": spec,
        "created_at": now(),
        "updated_at": now(),
        "default_ingress": f"https://{spec['name']}-abcde.apps.example.com",
        "tier_slug": "basic",
        "region": {"slug": spec["region"], "label": spec["region"], "flag": "usa", "continent": "America", "data_centers": ["nyc1"]},
        "project_id": request.body.get("project_id") or emulator.uuid(),
    }
    emulator.table("apps")[identity] = app
    deploy(emulator, app, "initial deployment")
    return 200, {"app": app}


@route("GET", "/v2/apps/{identity}")
def get_app(emulator, request, identity):
    return 200, {"app": found(emulator.table("apps"), identity)}


@route("PUT", "/v2/apps/{identity}")
def replace_app(emulator, request, identity):
    app = found(emulator.table("apps"), identity)
    app.update(spec=completed(request.need("spec")[0]), updated_at=now())
    deploy(emulator, app, "app spec updated")
    return 200, {"app": app}


@route("DELETE", "/v2/apps/{identity}")
def delete_app(emulator, request, identity):
    found(emulator.table("apps"), identity)
    del emulator.table("apps")[identity]
    return 200, {"id": identity}


@route("GET", "/v2/apps/{identity}/deployments")
def list_deployments(emulator, request, identity):
    found(emulator.table("apps"), identity)
    return emulator.page(request, "deployments", emulator.table("deployments")[identity])


@route("POST", "/v2/apps/{identity}/deployments")
def create_deployment(emulator, request, identity):
    return 200, {"deployment": deploy(emulator, found(emulator.table("apps"), identity), "manual")}


def the_deployment(emulator, identity, deployment_id):
    for deployment in emulator.table("deployments").get(identity, []):
        if deployment["id"] == deployment_id:
            return deployment
    raise not_found()


@route("GET", "/v2/apps/{identity}/deployments/{deployment_id}")
def get_deployment(emulator, request, identity, deployment_id):
    return 200, {"deployment": the_deployment(emulator, identity, deployment_id)}


@route("GET", "/v2/apps/{identity}/deployments/{deployment_id}/logs")
def deployment_logs(emulator, request, identity, deployment_id):
    the_deployment(emulator, identity, deployment_id)
    if request.query.get("type") != "BUILD":
        return 200, {"historic_urls": []}
    emulator.texts["/_emulator/logs/" + deployment_id] = BUILD_LOG
    return 200, {"historic_urls": [f"{emulator.url}/_emulator/logs/{deployment_id}"]}


@route("POST", "/v2/apps/{identity}/rollback")
def rollback(emulator, request, identity):
    app = found(emulator.table("apps"), identity)
    target = the_deployment(emulator, identity, request.need("deployment_id")[0])
    if target["phase"] == "ERROR":
        raise Refusal(400, "cannot roll back to a failed deployment")
    app.update(spec=copy.deepcopy(target["spec"]), updated_at=now())
    return 200, {"deployment": deploy(emulator, app, "manual rollback", target["id"])}
