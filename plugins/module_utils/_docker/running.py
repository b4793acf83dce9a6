# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine of this host and the units beside it, through systemctl and docker."""

from __future__ import annotations

import json
import os
import shlex
import time

from ansible_collections.botops.fleet.plugins.module_utils._docker import engine

UNIT = "docker.service"
RECORD = "/run/botops/docker-engine.json"
FORMER_RECORD = "/run/docker-engine.json"  # of an engine that has run since an earlier version
FORWARD = "/proc/sys/net/ipv4/ip_forward"


def read(path):
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except (OSError, ValueError):
        return None


def show(module, unit):
    wanted = "LoadState,ActiveState,UnitFileState,MainPID,ExecMainStartTimestampMonotonic,NeedDaemonReload"
    _status, out, _err = module.run_command(["systemctl", "show", "-p", wanted, unit])
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def identity(now):
    started = int(now.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    return {
        "id": "%s/%s" % (now.get("MainPID"), now.get("ExecMainStartTimestampMonotonic")),
        "started": time.time() - time.monotonic() + started,
    }


def known_config(module, path):
    """What the engine that runs has read, or None if that cannot be told (any more)."""
    now = show(module, UNIT)
    if now.get("ActiveState") != "active":
        return None
    written = os.stat(path).st_mtime if os.path.exists(path) else None
    return engine.running_config(read(RECORD) or read(FORMER_RECORD), identity(now), read(path) or {}, written)


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
        return show(self.module, unit)

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

    def running_config(self):
        known = known_config(self.module, self.module.params["config_file"])
        return self.module.params["running_config"] if known is None else known

    def note(self, config):
        if self.module.check_mode:
            return
        data = {"engine": identity(self.show(UNIT))["id"], "config": config}
        os.makedirs(os.path.dirname(RECORD), mode=0o755, exist_ok=True)
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

    def daemon_reload(self, units):
        stale = any(self.show(name).get("NeedDaemonReload") == "yes" for name in [UNIT] + units)
        if stale and not self.module.check_mode:
            self.systemctl("daemon-reload")

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
        running = self.running_config()
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
