# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""App Platform: a specification compared by what it means, and deployments that are waited for."""

from __future__ import annotations

import re

from ansible.module_utils.urls import open_url

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import DigitalOcean
from ansible_collections.botops.fleet.plugins.module_utils._resource import HIDDEN, Failure, canonical, covers, sort_key, wait_for

# Lists whose members have a name: their order means nothing, and a member that is not declared shall go.
NAMED = {
    "services": "name", "workers": "name", "jobs": "name", "static_sites": "name", "functions": "name", "databases": "name",
    "domains": "domain", "envs": "key",
}  # fmt: skip
# The same, but the vendor adds members of its own when none are declared.
OPTIONAL = {"alerts": "rule", "log_destinations": "name"}
# What the vendor never fills in by itself: when it is there and not declared, it was removed from the declaration.
OWNED = (
    "autoscaling", "bitbucket", "build_command", "catchall_document", "cors", "dockerfile_path", "error_document", "git", "github", "gitlab",
    "image", "liveness_health_check", "log_destinations", "output_dir", "run_command", "termination",
)  # fmt: skip
COMPONENTS = ("services", "workers", "jobs", "static_sites", "functions")
# What opens a destination of logs or a registry.
SECRET_FIELDS = ("api_key", "password", "registry_credentials", "token")
RUNNING = ("UNKNOWN", "PENDING_BUILD", "BUILDING", "PENDING_DEPLOY", "DEPLOYING")
LOG_LINES = 15


def is_secret_variable(value):
    return str(value.get("type")).upper() == "SECRET"


def secrets_of(value):
    """All secrets of a specification, as text: secret variables, and what logs and registries are opened with."""
    found = []
    if isinstance(value, dict):
        if is_secret_variable(value) and value.get("value") is not None:
            found.append(str(value["value"]))
        for name, item in value.items():
            found += [str(item)] if name in SECRET_FIELDS and item and isinstance(item, (str, int)) else secrets_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            found += secrets_of(item)
    return [secret for secret in found if secret]


def normal_spec(value, key=None):
    """A specification in which equal meaning compares equal: named lists sorted, empty ones gone, secrets hidden."""
    if isinstance(value, dict):
        # The vendor gives secrets back encrypted: whether one changed cannot be seen.
        if key == "envs" and is_secret_variable(value):
            value = dict(value, value=HIDDEN)
        value = {name: HIDDEN if name in SECRET_FIELDS and item else item for name, item in value.items()}
        cleaned = {name: normal_spec(item, name) for name, item in value.items() if item is not None}
        return {name: item for name, item in cleaned.items() if item not in ([], {}) or name in NAMED}
    if isinstance(value, list):
        items = [normal_spec(item, key) for item in value]
        label = NAMED.get(key) or OPTIONAL.get(key)
        return sorted(items, key=lambda item: (str(item.get(label)), sort_key(item))) if label else items
    return value


def complete(spec):
    """Name what was left out because there is none of it, so that a component that was removed is seen to be missing."""
    result = dict(spec)
    for section in (*COMPONENTS, "databases", "domains"):
        result[section] = result.get(section) or []
    for section in COMPONENTS:
        result[section] = [dict(component, envs=component.get("envs") or []) for component in result[section]]
    result["envs"] = result.get("envs") or []
    return canonical(normal_spec(result))


def with_removals(spec, have):
    """`spec` with an empty value for what its components have at the vendor and shall not have any more."""
    result = dict(spec)
    for section in COMPONENTS:
        there = {component["name"]: component for component in have.get(section) or []}
        result[section] = [
            {**{key: "" for key in OWNED if key in there.get(component["name"], {}) and key not in component}, **component} for component in spec[section]
        ]
    return result


def check_spec(spec):
    """What the vendor would refuse, as sentences."""
    said = []
    if not re.match(r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$", str(spec.get("name") or "")):
        said.append("spec.name: %r is not a name: 2 to 32 lower-case letters, digits and dashes, a letter first." % spec.get("name"))
    names = []
    for section in COMPONENTS:
        components = spec.get(section)
        if components is None:
            continue
        if not isinstance(components, list) or not all(isinstance(component, dict) for component in components):
            said.append("spec.%s: a list of components, each a mapping with a name." % section)
            continue
        for index, component in enumerate(components):
            name = component.get("name")
            if not name:
                said.append("spec.%s[%d]: has no name." % (section, index))
            elif name in names:
                said.append("spec.%s[%d].name: %r is the name of another component, too." % (section, index, name))
            names.append(name)
    if not said and not names:
        said.append("spec: has no component; give services, workers, jobs, static_sites or functions.")
    return said


def tail(text, lines=LOG_LINES):
    """The last lines of a log, without what colours a terminal."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return "\n".join(line.rstrip() for line in plain.strip().splitlines()[-lines:])


class App(DigitalOcean):
    kind = "app"
    goes_slowly = True
    path, many, one = "/v2/apps", "apps", "app"
    immutable = {"region": "an app cannot move: create one under another name there"}

    @staticmethod
    def secret_values(params):
        return secrets_of(params["spec"])

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.newest_before = None
        self.spec = self.params["spec"]

    @property
    def title(self):
        return "app %s" % (self.params["name"] or (self.spec or {}).get("name"))

    def validate(self):
        if not self.params["name"] and not (self.spec or {}).get("name"):
            raise Failure("name: neither name nor spec.name says which app is meant.")
        if self.params["state"] == "absent" or self.spec is None:
            return
        self.spec = dict(self.spec, name=self.spec.get("name") or self.params["name"])
        if self.params["name"] and self.spec["name"] != self.params["name"]:
            raise Failure("name: %s and spec.name: %s differ; leave one of them out." % (self.params["name"], self.spec["name"]))
        said = check_spec(self.spec)
        if said:
            raise Failure(" ".join(said))

    def find(self):
        name = self.params["name"] or self.spec["name"]
        return [raw for raw in self.client.listing(self.path, self.many) if raw["spec"]["name"] == name]

    def describe(self, raw):
        return "id %s, %s" % (raw["id"], raw.get("live_url"))

    # --- comparing

    def current(self, raw):
        newest = self._newest(raw)
        view = {"region": raw["spec"].get("region"), "spec": complete(raw["spec"]), "deployment": newest["phase"] if newest else "none"}
        active = raw.get("active_deployment") or {}
        if self.params["rollback_to"]:
            view["rollback_to"] = (
                self.params["rollback_to"] if self.params["rollback_to"] in (active.get("id"), active.get("cloned_from")) else active.get("id")
            )
        return view

    def wanted(self, raw):
        wanted = {"region": None, "spec": None, "deployment": None, "rollback_to": self.params["rollback_to"]}
        if self.spec is None:
            return wanted
        spec = complete(self.spec)
        have = complete(raw["spec"]) if raw else {}
        spec = with_removals(spec, have)
        # Shown as it will be: what the vendor fills in by itself is no difference.
        wanted["spec"] = have if covers(have, spec) else spec
        wanted["region"] = self.spec.get("region") if raw else None
        if raw and self.seen(raw)["deployment"] in ("ERROR", "CANCELED"):
            wanted["deployment"] = "ACTIVE"
        if raw and self.params["force_deploy"] and not self.deployed:
            wanted["deployment"] = "ACTIVE (again)"
        return wanted

    deployed = False

    def _newest(self, raw):
        page = self.client.get("%s/%s/deployments" % (self.path, raw["id"]), "reading the deployments of %s" % self.title, per_page=1, page=1)
        return next(iter(page.get("deployments") or []), None)

    def check_creation(self, wanted):
        if self.params["rollback_to"]:
            raise Failure("%s does not exist, so there is nothing to roll back." % self.title)
        if self.spec is None:
            raise Failure("%s does not exist; creating it needs spec." % self.title)

    # --- doing

    def create(self, wanted):
        body = {"spec": self.spec}
        if self.params["project_id"]:
            body["project_id"] = self.params["project_id"]
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        newest = self._newest(raw)
        self.newest_before = newest["id"] if newest else None
        self.deployed = True
        base = "%s/%s" % (self.path, raw["id"])
        if "rollback_to" in changes:
            body = {"deployment_id": self.params["rollback_to"], "skip_pin": True}
            self.client.post(base + "/rollback", body, "rolling %s back" % self.title)
            self.did("rolled back to %s" % self.params["rollback_to"])
        elif "spec" in changes:
            self.client.put(base, {"spec": self.spec}, "changing %s" % self.title)
            self.did("changed the spec")
        else:
            self.client.post(base + "/deployments", {"force_build": True}, "deploying %s" % self.title)
            self.did("deployed again")
        return self.read(raw)

    # --- waiting

    def settled(self, raw):
        newest = self._newest(raw)
        if newest is None or newest["id"] == self.newest_before:
            return None, "waiting for the deployment to begin"
        phase = newest["phase"]
        if phase in RUNNING:
            return None, phase
        if phase in ("ERROR", "CANCELED"):
            self._failed(raw, newest)
        return self.read(raw), phase

    def _failed(self, raw, deployment):
        sentence = "The deployment %s of %s ended with %s." % (deployment["id"], self.title, deployment["phase"])
        log = self._log(raw, deployment)
        previous = (raw.get("active_deployment") or self.read(raw).get("active_deployment") or {}).get("id")
        if self.params["rollback_on_failure"] and previous:
            self.client.post("%s/%s/rollback" % (self.path, raw["id"]), {"deployment_id": previous, "skip_pin": True}, "rolling %s back" % self.title)
            self.did("rolled back to %s" % previous)
            wait_for(lambda: self._rolled_back(raw, deployment["id"]), "the rollback of %s" % self.title, self.params["wait_timeout"], self.log)
            sentence += " The previous one (%s) was put back." % previous
        elif previous:
            sentence += " The previous one (%s) goes on serving." % previous
        raise Failure(sentence + (" The end of its log:\n%s" % log if log else " It left no log."))

    def _rolled_back(self, raw, failed):
        newest = self._newest(raw)
        if newest["id"] == failed or newest["phase"] in RUNNING:
            return None, newest["phase"]
        return newest, newest["phase"]

    def _log(self, raw, deployment):
        """The end of the build's or the deployment's log. That it cannot be had must not hide the failure itself."""
        for kind in ("BUILD", "DEPLOY"):
            try:
                answer = self.client.get("%s/%s/deployments/%s/logs" % (self.path, raw["id"], deployment["id"]), "reading the log", type=kind)
                for url in answer.get("historic_urls") or []:
                    # These addresses carry their own permission; the token must not go there.
                    text = tail(open_url(url, timeout=self.client.timeout, use_proxy=True).read(1_000_000).decode(errors="replace"))
                    if text:
                        return text
            except Exception as error:  # whatever it is: what matters is that the deployment failed
                self.log("no %s log: %s" % (kind, error))
        return ""

    def shape(self, raw):
        return shapes.app(raw)
