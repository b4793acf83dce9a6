# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is laid over a bot's own compose file, so that its data, images, limits and powers are the bot's. Pure."""

from __future__ import annotations

import json
import os
import re

from ansible_collections.botops.fleet.plugins.module_utils._bot import powers
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused

MB = 1 << 20
DEFAULT_MB, DEFAULT_CPUS, MOST_PROCESSES = 512, 1.0, 512
# What Compose would make a directory of, although a file was meant.
FILE_NAME = re.compile(r"[^/]\.(?!d\Z)[A-Za-z0-9]{1,8}\Z")
# Read by the unit's own program, which starts a sidecar again that ended, and only while the unit runs.
RESTART_LABEL = "botops.restart"
LEFT_OUT = "left-out"


class Override(list):
    """A list that replaces the file's instead of being joined with it."""


class Overlay:
    def __init__(self, bot, config, target, holds, images=None):
        """`config`: as `docker compose config` shows it. `holds(path)`: what the release has there: "file", "directory" (with
        something in it), "empty" or "". `images`: by service, what is known of its image once it is there: user, volumes."""
        self.bot, self.config, self.target, self.holds = bot, config, target, holds
        self.mine, self.images = bot["service"], images or {}
        self.services = {name: service for name, service in sorted(config["services"].items()) if self.wanted(name)}
        # `shown`: paths of the release that a service mounts, and the service.
        self.directories, self.warnings, self.volumes, self.shown = {}, [], {}, {}

    def wanted(self, name):
        return self.bot["services"].get(name, {}).get("enabled", True)

    def refuse(self, sentence, *values):
        raise Refused("%s: %s" % (self.bot["label"], sentence % values))

    # --- the whole

    def judge(self):
        every, file = sorted(self.config["services"]), self.bot["compose_file"]
        if self.mine not in self.services:
            self.refuse("%s has no service %r; it has %s: name the bot's one in `service`.", file, self.mine, ", ".join(every))
        for name in sorted(set(self.bot["services"]) - set(every)):
            self.refuse("`services` speaks of %s, which %s does not have; it has %s.", name, file, ", ".join(every))
        for name, service in self.services.items():
            for other in service.get("depends_on") or {}:
                if not self.wanted(other):
                    self.refuse("service %s depends on %s, which is left out (enabled: false); leave both out or neither.", name, other)
            asked = powers.asked(service) + self.host_paths(name, service)
            for power in sorted(set(asked) - set(self.bot["allow"])):
                self.refuse("service %s asks for %s; write allow: [%s] if it needs that, or take it out of %s.", name, power, json.dumps(power), file)

    def make(self):
        """The overlay as text; what has to be there for it is in `directories` and what to say about it in `warnings`."""
        self.judge()
        services = {name: {"profiles": Override([LEFT_OUT])} for name in self.config["services"] if not self.wanted(name)}
        for name, service in self.services.items():
            changed = services[name] = {"image": image_tag(self.bot, os.path.basename(self.target), name)}
            self.restart(name, service, changed)
            changed.update(powers.dropped(service, name == self.mine))
            self.limit(name, service, changed)
            self.single(name, service, changed)
            self.publish(name, service, changed)
            mounts = self.mounts(name, service)
            if mounts:
                changed["volumes"] = mounts
        return dump({"services": services, **({"volumes": self.volumes} if self.volumes else {})})

    # --- life

    def restart(self, name, service, changed):
        """No restart policy, which would bring a bot back behind the unit's, or the cluster's, back."""
        deploy = (service.get("deploy") or {}).get("restart_policy") or {}
        policy = {"any": "always", "none": "no"}.get(deploy.get("condition"), deploy.get("condition")) if deploy else service.get("restart")
        if deploy:
            changed["deploy"] = {"restart_policy": {"condition": "none"}}
        changed["restart"] = "no"
        if policy in (None, "", "no"):
            changed["labels"] = {RESTART_LABEL: "no" if policy == "no" else "on-failure"}
            return
        if self.bot["ha"]:
            self.refuse(
                "service %s sets restart: %s, which would restart it behind the cluster's back; remove it from %s.",
                name, policy, self.bot["compose_file"],
            )  # fmt: skip
        if name == self.mine:
            self.warnings.append("%s: restart: %s of service %s is overridden; the unit restarts the bot." % (self.bot["label"], policy, name))
        changed["labels"] = {RESTART_LABEL: policy.split(":")[0]}

    def single(self, name, service, changed):
        """Two copies of a bot trade twice."""
        copies = max(int((service.get("deploy") or {}).get("replicas") or 1), int(service.get("scale") or 1))
        if name == self.mine and copies > 1:
            self.warnings.append("%s: service %s asks for %d copies and gets one: two would trade twice." % (self.bot["label"], name, copies))
            if service.get("scale"):
                changed["scale"] = 1
            changed.setdefault("deploy", {})["replicas"] = 1

    def publish(self, name, service, changed):
        given = self.bot["ports"] if name == self.mine else self.bot["services"].get(name, {}).get("ports")
        if given:
            changed["ports"] = Override(given)
            return
        open_ports = [str(port.get("published")) for port in service.get("ports") or [] if port.get("published") and not port.get("host_ip")]
        if open_ports:
            self.warnings.append(
                "%s: service %s publishes %s on every address; docker_host_published_ports says who may reach it, or give it `ports` with an address."
                % (self.bot["label"], name, ", ".join(open_ports))
            )

    # --- limits

    def limit(self, name, service, changed):
        """What the operator says, else what the file says, each in the place that the file uses; the bot itself is never without."""
        given = self.bot["services"].get(name, {}) if name != self.mine else {key: self.bot[key] for key in self.bot["limits_given"]}
        resources = (service.get("deploy") or {}).get("resources") or {}
        theirs = resources.get("limits") or {}
        reserved = size((resources.get("reservations") or {}).get("memory") or service.get("mem_reservation"))
        memory = given["memory_mb"] * MB if given.get("memory_mb") else size(theirs.get("memory") or service.get("mem_limit"))
        if not memory and name == self.mine:
            memory = max(DEFAULT_MB * MB, reserved)
        if given.get("memory_mb") and reserved > memory:
            self.refuse(
                "memory_mb of service %s is %d, and %s reserves %d MB for it; give that or more.",
                name,
                given["memory_mb"],
                self.bot["compose_file"],
                reserved // MB,
            )
        cpus = given.get("cpus") or float(theirs.get("cpus") or service.get("cpus") or 0) or (DEFAULT_CPUS if name == self.mine else 0)
        limits = {}
        if memory:
            # Compose takes a limit in both places only when they agree, and one place for all of a service.
            if theirs:
                limits["memory"] = str(memory)
            if not theirs or service.get("mem_limit"):
                changed["mem_limit"] = str(memory)
            # Otherwise Docker allows as much again of swap, in which a bot is neither dead nor alive.
            changed["memswap_limit"] = str(max(memory, size(service.get("memswap_limit")))) if service.get("memswap_limit") else str(memory)
        if cpus:
            if theirs:
                limits["cpus"] = str(cpus)
            if not theirs or service.get("cpus"):
                changed["cpus"] = cpus
        if name == self.mine and not (service.get("pids_limit") or theirs.get("pids")):
            if theirs:
                limits["pids"] = MOST_PROCESSES
            else:
                changed["pids_limit"] = MOST_PROCESSES
        if limits:
            changed.setdefault("deploy", {}).setdefault("resources", {})["limits"] = limits

    # --- what is mounted

    def own(self, path):
        return any(inside(path, root) for root in [*self.bot["read_write_paths"], self.bot["paths"]["backups"]])

    def host_paths(self, name, service):
        """What a service would reach outside of the release and the bot's own directories. Beneath an allowed path all is allowed."""
        found = []
        for mount in service.get("volumes") or []:
            source = mount.get("source") or ""
            if mount["type"] == "bind" and not (inside(source, self.target) or self.own(source)):
                if not any(path.startswith("/") and inside(source, path) for path in self.bot["allow"]):
                    found.append(source)
            elif mount["type"] == "volume" and source:
                volume = (self.config.get("volumes") or {}).get(source) or {}
                if volume.get("external") or volume.get("driver_opts") or volume.get("driver", "local") != "local":
                    found.append("volume:" + source)
        for kind in ("secrets", "configs"):
            for used in service.get(kind) or []:
                path = ((self.config.get(kind) or {}).get(used["source"] if isinstance(used, dict) else used) or {}).get("file") or ""
                if path and not inside(path, self.target) and not any(one.startswith("/") and inside(path, one) for one in self.bot["allow"]):
                    found.append(path)
        return found

    def mounts(self, name, service):
        declared = list(service.get("volumes") or [])
        covered = {mount["target"].rstrip("/") for mount in declared} | {one.split(":")[0].rstrip("/") for one in texts(service.get("tmpfs"))}
        # An image keeps data there, in a volume without a name that the next start would not find again.
        for path in sorted(self.images.get(name, {}).get("volumes") or []):
            if path.rstrip("/") not in covered:
                declared.append({"type": "volume", "target": path})
        found = [self.bind(name, mount) if mount["type"] == "bind" else self.volume(name, mount) for mount in declared if mount["type"] in ("bind", "volume")]
        return [mount for mount in found if mount]

    def bind(self, name, mount):
        source, laid = mount["source"], {"type": "bind", "target": mount["target"], "read_only": bool(mount.get("read_only"))}
        if not inside(source, self.target):
            if self.own(source) and not laid["read_only"]:
                self.keep(source, name)
            return None
        path = os.path.relpath(source, self.target)
        there = self.holds(path)
        if path in self.bot["shared"] or there in ("", "empty"):
            if not there and FILE_NAME.search(path):
                self.refuse(
                    "service %s mounts ./%s, which is not in the release: Docker would make a directory of it. Mount the directory around it, or add the file.",
                    name, path,
                )  # fmt: skip
            laid["source"] = place(self.bot, path)
            self.keep(laid["source"], name)
            return laid
        if there == "directory" and not laid["read_only"]:
            self.warnings.append(
                "%s: service %s mounts ./%s, which is part of the release and read-only; name it in `shared` if the service writes there."
                % (self.bot["label"], name, path)
            )
        self.shown[path] = name
        return {**laid, "source": source, "read_only": True}

    def volume(self, name, mount):
        source = mount.get("source")
        if source and "volume:" + source in self.bot["allow"]:
            return None
        laid = {"type": "volume", "target": mount["target"], "read_only": bool(mount.get("read_only"))}
        key = source or re.sub(r"[^A-Za-z0-9]+", "-", name + mount["target"]).strip("-")
        directory = "%s/volumes/%s" % (self.bot["paths"]["data"], key)
        if self.uses(self.mine, source) or (name == self.mine):
            self.keep(directory, name)
            return {**laid, "type": "bind", "source": directory}
        # As a volume, whose first start gets the image's own files and owner, as an owner of the compose file expects.
        self.volumes[key] = {"driver": "local", "driver_opts": {"type": "none", "o": "bind", "device": directory}}
        self.keep(directory, None)
        return {**laid, "source": key}

    def uses(self, name, volume):
        return bool(volume) and any(mount.get("source") == volume and mount["type"] == "volume" for mount in self.services[name].get("volumes") or [])

    def keep(self, directory, name):
        """A directory of the bot's data that has to be there, and the services that write to it."""
        writers = self.directories.setdefault(directory, [])
        if name and name not in writers:
            writers.append(name)


def place(bot, path):
    """Where a path of the release lies when it outlives it: logs with the logs, all else with the data."""
    first, _slash, rest = path.partition("/")
    return os.path.join(bot["paths"]["logs"], rest).rstrip("/") if first == "logs" else os.path.join(bot["paths"]["data"], path)


def image_tag(bot, release, service=None):
    """By bot, service and release. The slash keeps bot a's service b apart from a bot a-b."""
    service = service or bot["service"]
    plain = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-") or "service"
    return "%s/%s:%s" % (bot["label"], plain, release)


def dependencies(services, name):
    """[(service, condition)] of all that must be there before `name`, each once, the farthest first."""
    found = {}

    def visit(current):
        for other, how in sorted((services[current].get("depends_on") or {}).items()):
            if other in services and other not in found:
                visit(other)
                found[other] = how.get("condition") or "service_started"

    visit(name)
    return list(found.items())


def inside(path, root):
    root = root.rstrip("/")
    return path == root or path.startswith(root + "/")


def texts(value):
    return [value] if isinstance(value, str) else list(value or [])


def size(value):
    """Bytes; `config` shows them as a number or as the text of one."""
    return int(value or 0)


def dump(value):
    """JSON, which is YAML, with Compose's tag before a list that replaces another."""
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (json.dumps(key), dump(inner)) for key, inner in value.items())
    return ("!override " if isinstance(value, Override) else "") + json.dumps(value)
