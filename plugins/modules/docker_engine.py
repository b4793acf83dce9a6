#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine
short_description: Make the running Docker engine use its configuration without stopping containers
version_added: 1.0.0
description:
  - Starts and enables the engine and the units that belong to it, and sees to it that the engine has read its configuration file.
  - What dockerd takes over on SIGHUP is reloaded. For the rest it is restarted, but only if no container runs, if
    live-restore keeps them, or if O(allow_restart=true). Otherwise the module warns that a restart is pending and says what to type.
  - What the engine read when it started is noted in C(/run/docker-engine.json), because the engine cannot be asked.
options:
  config:
    description: The declared content of the configuration file. The file itself is written elsewhere.
    type: dict
    required: true
  config_file:
    description: Where the engine reads it.
    type: path
    default: /etc/docker/daemon.json
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

import json
import os
import shlex
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._docker import engine

UNIT = "docker.service"
RECORD = "/run/docker-engine.json"
FORWARD = "/proc/sys/net/ipv4/ip_forward"


class Engine:
    def __init__(self, module):
        self.module = module
        self.actions = []
        self.pending = []

    # --- systemd

    def systemctl(self, *argv):
        status, out, err = self.module.run_command(["systemctl"] + list(argv))
        if status:
            unit = argv[-1]
            _s, journal, _e = self.module.run_command(["journalctl", "--no-pager", "-q", "-n", "15", "-o", "cat", "-u", unit])
            self.module.fail_json(
                msg="`systemctl %s` failed: %s. The unit's last words:\n%s" % (" ".join(argv), (err or out).strip(), journal.strip()),
                actions=self.actions,
                pending=self.pending,
            )

    def show(self, unit):
        wanted = "LoadState,ActiveState,UnitFileState,MainPID,ExecMainStartTimestampMonotonic,NeedDaemonReload"
        _status, out, _err = self.module.run_command(["systemctl", "show", "-p", wanted, unit])
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def do(self, words, *argv):
        self.actions.append(words)
        if not self.module.check_mode and argv:
            self.systemctl(*argv)

    def unit(self, spec):
        name = spec["name"]
        now = self.show(name)
        if not spec["enabled"]:
            if now.get("UnitFileState") == "enabled" or now.get("ActiveState") == "active":
                self.do("disable and stop %s" % name, "disable", "--now", name)
            return
        if now.get("LoadState") == "not-found":
            if not self.module.check_mode:
                self.module.fail_json(msg="The unit %s does not exist on this host." % name, actions=self.actions, pending=[])
            self.actions.append("enable and start %s" % name)
            return
        if now.get("UnitFileState") != "enabled":
            self.do("enable %s" % name, "enable", name)
        if now.get("ActiveState") != "active":
            self.do("start %s" % name, "start", name)
        elif spec["restart"]:
            self.do("restart %s" % name, "restart", name)
        elif spec["check"] and self.module.run_command(shlex.split(spec["check"]))[0]:
            self.do("restart %s, which no longer passes `%s`" % (name, spec["check"]), "restart", name)

    def forward(self):
        with open(FORWARD, encoding="ascii") as handle:
            if handle.read().strip() == "1":
                return
        self.actions.append("set net.ipv4.ip_forward to 1")
        if self.module.check_mode:
            return
        try:
            with open(FORWARD, "w", encoding="ascii") as handle:
                handle.write("1\n")
        except OSError as error:
            self.module.fail_json(
                msg="Containers reach nothing without net.ipv4.ip_forward, and it cannot be set: %s." % error.strerror,
                actions=self.actions,
                pending=[],
            )

    # --- the engine

    def docker(self, *argv):
        status, out, _err = self.module.run_command(["docker"] + list(argv))
        return out.strip() if status == 0 else ""

    def containers(self):
        """{id: name} of those that run."""
        rows = [line.split(" ", 1) for line in self.docker("ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}").splitlines()]
        return dict(rows)

    def live_restore(self):
        return self.docker("info", "--format", "{{.LiveRestoreEnabled}}") == "true"

    def answers(self, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.docker("version", "--format", "{{.Server.Version}}"):
                return
            time.sleep(0.3)
        self.module.fail_json(msg="Docker was started but does not answer.", actions=self.actions, pending=self.pending)

    @staticmethod
    def identity(now):
        started = int(now.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
        return {
            "id": "%s/%s" % (now.get("MainPID"), now.get("ExecMainStartTimestampMonotonic")),
            "started": time.time() - time.monotonic() + started,
        }

    def read(self, path):
        try:
            with open(path, encoding="utf-8") as handle:
                return json.load(handle)
        except (OSError, ValueError):
            return None

    def running_config(self, now):
        path = self.module.params["config_file"]
        written = os.stat(path).st_mtime if os.path.exists(path) else None
        return engine.running_config(self.read(RECORD), self.identity(now), self.read(path) or {}, written)

    def note(self, config):
        if self.module.check_mode:
            return
        data = {"engine": self.identity(self.show(UNIT))["id"], "config": config}
        handle = os.open(RECORD + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            json.dump(data, stream)
        os.replace(RECORD + ".new", RECORD)

    @staticmethod
    def replaced(now):
        """The program that runs is no longer the one on the disk: the package was upgraded."""
        try:
            return os.readlink("/proc/%s/exe" % now.get("MainPID")).endswith(" (deleted)")
        except OSError:
            return False

    def converge(self):
        wanted = self.module.params["config"]
        now = self.show(UNIT)
        if now.get("LoadState") == "not-found":
            if not self.module.check_mode:
                self.module.fail_json(msg="Docker is not installed: there is no %s." % UNIT, actions=self.actions, pending=[])
            self.actions.append("enable and start %s" % UNIT)
            return
        if now.get("UnitFileState") != "enabled":
            self.do("enable %s" % UNIT, "enable", UNIT)
        if now.get("ActiveState") != "active":
            self.do("start %s" % UNIT, "start", UNIT)
            if not self.module.check_mode:
                self.answers()
            self.note(wanted)
            return
        running = self.running_config(now)
        reload, reasons = engine.plan(running, wanted, self.replaced(now))
        if reload:
            self.do("reload %s" % UNIT, "reload", UNIT)
            running = engine.after_reload(running, wanted)
        if reload and not self.module.check_mode:
            self.wait_for_live_restore(bool(wanted.get("live-restore")))
        if not reasons:
            self.note(running if running is not None else wanted)
            return
        self.restart(reasons, running, wanted)

    def wait_for_live_restore(self, expected):
        """SIGHUP is answered in its own time; a restart right behind it would find live-restore still off."""
        deadline = time.monotonic() + 10
        while self.live_restore() != expected and time.monotonic() < deadline:
            time.sleep(0.2)

    def restart(self, reasons, running, wanted):
        before = self.containers()
        # In check mode no reload was done, but it would have been.
        live = bool(wanted.get("live-restore")) if self.module.check_mode else self.live_restore()
        names = sorted(before.values())
        if not engine.restart_is_safe(reasons, names, live, self.module.params["allow_restart"]):
            self.pending = reasons
            self.module.warn(engine.pending_sentence(reasons, names, live))
            self.note(running)
            return
        self.do("restart %s for %s" % (UNIT, ", ".join(reasons)), "restart", UNIT)
        if self.module.check_mode:
            return
        self.answers()
        self.note(wanted)
        lost = sorted(name for key, name in before.items() if key not in self.containers())
        if lost and not self.module.params["allow_restart"]:
            self.module.fail_json(
                msg="Docker was restarted with live-restore, and these containers no longer run: %s. `docker start` them." % ", ".join(lost),
                actions=self.actions,
                pending=[],
            )


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
            "allow_restart": {"type": "bool", "default": False},
            "ip_forward": {"type": "bool", "default": True},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit},
        },
        supports_check_mode=True,
    )
    work = Engine(module)
    if not module.check_mode and any(
        work.show(name).get("NeedDaemonReload") == "yes" for name in [UNIT] + [spec["name"] for spec in module.params["units"]]
    ):
        work.systemctl("daemon-reload")
    for spec in module.params["units"]:
        work.unit(spec)
    work.converge()
    if module.params["ip_forward"]:
        work.forward()
    module.exit_json(changed=bool(work.actions), actions=work.actions, pending=work.pending)


if __name__ == "__main__":
    main()
