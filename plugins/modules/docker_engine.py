#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine
short_description: Internal to the role docker_host - make the running Docker engine use its configuration without stopping containers
version_added: 1.0.0
description:
  - Starts and enables the engine and the units that belong to it, and sees to it that the engine has read its configuration file.
  - What dockerd takes over on SIGHUP is reloaded. For the rest it is restarted, but only if no container runs, if
    live-restore keeps them, or if O(allow_restart=true). Otherwise the module warns that a restart is pending and says what to type.
  - What the engine read when it started is noted in C(/run/botops/docker-engine.json), because the engine cannot be asked.
options:
  config:
    description: The declared content of the configuration file. The file itself is written elsewhere.
    type: dict
    required: true
  config_file:
    description: Where the engine reads it.
    type: path
    default: /etc/docker/daemon.json
  running_config:
    description:
      - What the engine was known to have read before O(config_file) was written, as C(docker_host_check) returns it.
      - Without it, nothing is known when the file was changed by hand or the host was booted since the last run, and a restart is
        assumed to be needed.
    type: dict
  allow_restart:
    description: Restart the engine even if that stops containers.
    type: bool
    default: false
  ip_forward:
    description: Keep C(net.ipv4.ip_forward) on.
    type: bool
    default: true
  units:
    description: Units beside the engine that shall be enabled and active, or not. Handled before the engine is started.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit.
        type: str
        required: true
      enabled:
        description: Whether it shall be enabled and active. V(false) disables and stops it.
        type: bool
        default: true
      restart:
        description: Restart it in any case, since its files have changed.
        type: bool
        default: false
      check:
        description: Command (no shell) that must succeed; if it does not, the unit is restarted.
        type: str
  pending:
    description: Name of the note of M(botops.fleet.file_set), crossed out when everything runs as declared.
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what would be done and does nothing.
  diff_mode:
    support: none
    description: The configuration file's diff is shown by the task that writes it.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Let the engine use its new configuration
  botops.fleet.docker_engine:
    config:
      live-restore: true
      log-driver: local
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, in words.
  type: list
  elements: str
  returned: always
pending:
  description: The options that wait for a restart.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _units
from ansible_collections.botops.fleet.plugins.module_utils._docker.running import Engine
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note


def main():
    unit = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool", "default": True},
        "restart": {"type": "bool", "default": False},
        "check": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "config_file": {"type": "path", "default": "/etc/docker/daemon.json"},
            "running_config": {"type": "dict"},
            "allow_restart": {"type": "bool", "default": False},
            "ip_forward": {"type": "bool", "default": True},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit},
            "pending": {"type": "str"},
        },
        supports_check_mode=True,
    )
    work = Engine(module)
    work.daemon_reload([spec["name"] for spec in module.params["units"]])
    for spec in module.params["units"]:
        work.unit(spec)
    work.converge()
    if module.params["ip_forward"]:
        work.forward()
    if not module.check_mode:
        note = Note(module.params["pending"])
        work.actions += _units.retire_all(module.run_command, note.paths)
        note.clear()
    module.exit_json(changed=bool(work.actions), actions=work.actions, pending=work.pending)


if __name__ == "__main__":
    main()
