#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_host_check
short_description: Internal to the role docker_host - ask a host whether Docker can be set up as declared, before anything is changed
version_added: 1.0.0
description:
  - Reads packages, apt sources, users, interfaces, routes and running containers in one round trip, and fails with one
    sentence for each thing that stands in the way.
  - Changes nothing. The role P(botops.fleet.docker_host#role) runs it first.
options:
  channel:
    description: Where the packages shall come from.
    type: str
    choices: [distro, upstream]
    required: true
  version:
    description: The declared version of the engine, globs allowed. Empty for any.
    type: str
    default: ''
  upgrade:
    description: Whether this run shall install the newest packages.
    type: bool
    default: false
  allow_restart:
    description: Whether running containers may be stopped.
    type: bool
    default: false
  repository_url:
    description: Address of the repository that O(channel=upstream) adds.
    type: str
    default: ''
  users:
    description: Users who shall become members of the docker group.
    type: list
    elements: str
    default: []
  schedule:
    description: A systemd calendar expression to check. Empty for none.
    type: str
    default: ''
  address_pools:
    description: Address pools that the engine shall use.
    type: list
    elements: dict
    default: []
    suboptions:
      base:
        description: The range.
        type: str
        required: true
      size:
        description: Prefix length of each network made from it.
        type: int
        required: true
  container_interfaces:
    description: Interfaces behind which containers are, C(+) at the end for any ending.
    type: list
    elements: str
    default: []
  packages:
    description: Packages whose selection is reported in RV(selections).
    type: list
    elements: str
    default: []
  wanted:
    description: Packages, with their version as C(package=version) where it counts, that shall be there. See RV(missing_packages).
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Behaves the same, except that users who do not exist yet are a warning, since an earlier role would have made them.
  diff_mode:
    support: none
    description: Nothing is changed.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: See whether Docker's own packages could be installed
  botops.fleet.docker_host_check:
    channel: upstream
    repository_url: "{{ docker_host_repository_url }}"
"""

RETURN = r"""
stale_sources:
  description: Files of apt that hold nothing but the same repository, and would contradict the declared entry.
  type: list
  elements: str
  returned: always
python_debian:
  description: Whether the library that C(ansible.builtin.deb822_repository) needs is there.
  type: bool
  returned: always
selections:
  description: What dpkg is told to do with those of O(packages) that are installed, for example V(hold) or V(install).
  type: dict
  returned: always
missing_packages:
  description: Those of O(wanted) that apt has to be asked for.
  type: list
  elements: str
  returned: always
containers:
  description: Names of the containers that run.
  type: list
  elements: str
  returned: always
live_restore:
  description: Whether the running engine would leave them running over a restart.
  type: bool
  returned: always
running_config:
  description: What the running engine has read from its configuration file; null if none runs or it cannot be told.
  type: dict
  returned: always
group:
  description: Whether the docker group exists.
  type: bool
  returned: always
new_users:
  description: Those of O(users) who are no members yet.
  type: list
  elements: str
  returned: always
undeclared_users:
  description: Members of the docker group who were not named. Membership is as good as root.
  type: list
  elements: str
  returned: always
"""

import glob
import grp
import importlib.util
import json
import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _packages
from ansible_collections.botops.fleet.plugins.module_utils._docker import host, running

OWN_SOURCE = "/etc/apt/sources.list.d/docker.sources"
ENGINES = ["docker.io", "docker-ce", "podman-docker", "docker-engine", "lxc-docker"]


class Look:
    """Everything that is read from the host."""

    def __init__(self, module):
        self.module = module

    def run(self, *argv):
        if not self.module.get_bin_path(argv[0]):
            return ""
        status, out, _err = self.module.run_command(list(argv))
        return out if status == 0 else ""

    def sources(self):
        files = {}
        for path in ["/etc/apt/sources.list"] + glob.glob("/etc/apt/sources.list.d/*.list") + glob.glob("/etc/apt/sources.list.d/*.sources"):
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as handle:
                    files[path] = handle.read()
        return files

    def engine(self):
        """(names of running containers, live-restore, names of Docker's bridges); nothing if no engine answers."""
        if not os.path.exists("/run/docker.sock"):
            return [], False, set()
        names = self.run("docker", "ps", "--format", "{{.Names}}").split()
        live = self.run("docker", "info", "--format", "{{.LiveRestoreEnabled}}").strip() == "true"
        ids = self.run("docker", "network", "ls", "-q", "--filter", "driver=bridge").split()
        bridges = set()
        if ids:
            form = '{{index .Options "com.docker.network.bridge.name"}}'
            bridges = set(self.run("docker", "network", "inspect", "--format", form, *ids).split())
        return names, live, bridges

    def bridges(self):
        return [path.split("/")[4] for path in glob.glob("/sys/class/net/*/bridge")]

    def routes(self):
        try:
            rows = json.loads(self.run("ip", "-json", "route", "show") or "[]")
        except ValueError:
            return []
        return [(row["dst"], row.get("dev", "")) for row in rows if row.get("dst", "default") != "default"]

    def docker_group(self):
        """Its members, or None if it does not exist."""
        try:
            return grp.getgrnam("docker").gr_mem
        except KeyError:
            return None


def missing_users(users):
    found = []
    for name in users:
        try:
            pwd.getpwnam(name)
        except KeyError:
            found.append(name)
    return found


def main():
    pool = {"base": {"type": "str", "required": True}, "size": {"type": "int", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "channel": {"type": "str", "choices": ["distro", "upstream"], "required": True},
            "version": {"type": "str", "default": ""},
            "upgrade": {"type": "bool", "default": False},
            "allow_restart": {"type": "bool", "default": False},
            "repository_url": {"type": "str", "default": ""},
            "users": {"type": "list", "elements": "str", "default": []},
            "schedule": {"type": "str", "default": ""},
            "address_pools": {"type": "list", "elements": "dict", "default": [], "options": pool},
            "container_interfaces": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "wanted": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    look = Look(module)
    containers, live_restore, docker_bridges = look.engine()
    installed = _packages.installed(module.run_command, sorted({*ENGINES, *given["packages"], *map(_packages.package, given["wanted"])}))
    versions = {name: installed[name][0] for name in ENGINES if name in installed}
    sentences = host.package_sentences(
        versions, given["channel"], given["version"], given["upgrade"], containers, live_restore, given["allow_restart"]
    )
    if os.path.exists("/snap/bin/docker"):
        sentences.append("Docker is installed as a snap, which ignores /etc/docker and brings its own engine: `snap remove docker` first.")
    stale = []
    if given["channel"] == "upstream":
        stale, more = host.repository_conflicts(look.sources(), given["repository_url"], OWN_SOURCE)
        sentences += more
    sentences += host.bridge_sentences(look.bridges(), given["container_interfaces"], docker_bridges)
    sentences += host.pool_sentences(given["address_pools"], look.routes(), docker_bridges)
    for name in missing_users(given["users"]):
        sentence = "docker_host_users names %s, who does not exist on this host; create the user first." % name
        if module.check_mode:
            module.warn(sentence)
        else:
            sentences.append(sentence)
    if given["schedule"] and module.get_bin_path("systemd-analyze"):
        status, _out, _err = module.run_command(["systemd-analyze", "calendar", given["schedule"]])
        if status:
            sentences.append(
                "docker_host_prune_schedule is %r, which systemd cannot read; write a calendar expression such as Sun 04:30." % given["schedule"]
            )
    members = look.docker_group()
    undeclared = [name for name in members or [] if name not in given["users"]]
    if undeclared:
        module.warn(
            "Members of the docker group who are not in docker_host_users: %s. Membership is as good as root; "
            "`gpasswd -d NAME docker` ends it." % ", ".join(undeclared)
        )
    result = {
        "stale_sources": stale,
        "python_debian": importlib.util.find_spec("debian") is not None,
        "selections": {name: installed[name][1] for name in given["packages"] if name in installed},
        "missing_packages": _packages.lacking(installed, given["wanted"]),
        "containers": containers,
        "live_restore": live_restore,
        "running_config": running.known_config(module, "/etc/docker/daemon.json"),
        "group": members is not None,
        "new_users": [name for name in given["users"] if name not in (members or [])],
        "undeclared_users": undeclared,
    }
    if sentences:
        module.fail_json(msg="\n".join(sentences), sentences=sentences, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
