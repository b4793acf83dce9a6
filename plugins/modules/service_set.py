#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_set
short_description: Internal to the roles - units run as declared, and with the files that are there
version_added: 1.0.0
description:
  - Enables, starts, restarts and reloads all units of a role in one round trip, where a loop over
    C(ansible.builtin.systemd_service) needs one for each.
  - Reads the note that M(botops.fleet.file_set) keeps under O(pending). A unit that has not yet taken over what is noted there
    does so now, also when the run that changed the files died long ago. The note is crossed out when every unit has.
  - A unit whose own file was noted and is gone, removed or renamed, is stopped and forgotten once the others run.
  - A unit that stays on its old configuration fails the task, with its last words; the note stays, and the next run tries again.
options:
  pending:
    description: Name of the note, as given to M(botops.fleet.file_set).
    type: str
    required: true
  units:
    description: The units, in the order in which they are looked after.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the unit, with its suffix.
        type: str
        required: true
      state:
        description: V(kept) leaves it running or stopped, for units that somebody else starts and stops.
        type: str
        choices: [started, stopped, kept]
        default: started
      enabled:
        description: Whether it starts at boot. Left alone when not given.
        type: bool
      restart_on:
        description: Regular expressions, matched from the beginning of a path. A noted path that matches restarts the unit.
        type: list
        elements: str
        default: []
      reload_on:
        description: The same for a reload, unless the unit is restarted anyway.
        type: list
        elements: str
        default: []
      workers:
        description:
          - The unit answers a reload with new worker processes, as nginx and HAProxy do. One that goes on with its old ones has
            refused the configuration, whatever C(systemctl) said.
        type: bool
        default: false
      confirm:
        description: Command (no shell) that succeeds once the unit works, asked after a start, restart or reload.
        type: list
        elements: str
        default: []
      log:
        description: File whose end explains a failure better than the journal.
        type: path
  renamed:
    description: As for M(botops.fleet.file_set). The old names are removed once every unit works with the new ones.
    type: dict
    default: {}
  wait_seconds:
    description: How long a unit may take until it works, in seconds.
    type: int
    default: 15
attributes:
  check_mode:
    support: full
    description: Reports what would be done. Units that are not installed yet are taken for ones to be started.
  diff_mode:
    support: none
    description: The files' diff is shown by the task that writes them.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: nginx takes over what was written
  botops.fleet.service_set:
    pending: nginx
    units:
      - name: nginx.service
        enabled: true
        reload_on: [/etc/nginx/]
        workers: true
"""

RETURN = r"""
actions:
  description: What was done, or would be, in words.
  type: list
  elements: str
  returned: always
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _takeover, _units
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note

UNIT = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped", "kept"], "default": "started"},
    "enabled": {"type": "bool"},
    "restart_on": {"type": "list", "elements": "str", "default": []},
    "reload_on": {"type": "list", "elements": "str", "default": []},
    "workers": {"type": "bool", "default": False},
    "confirm": {"type": "list", "elements": "str", "default": []},
    "log": {"type": "path"},
}


class Services:
    def __init__(self, module):
        self.module, self.actions = module, []
        self.note = Note(module.params["pending"])

    def show(self, *names):
        _status, out, _err = self.module.run_command(["systemctl", "show", "--property=" + _units.PROPERTIES, *names])
        return _units.blocks(out)

    def fail(self, spec, sentence):
        if spec["log"]:
            argv = ["tail", "-n", "5", spec["log"]]
        else:
            argv = ["journalctl", "--no-pager", "-q", "-n", "10", "-o", "cat", "-u", spec["name"]]
        _status, out, _err = self.module.run_command(argv)
        self.module.fail_json(msg="%s Its last words:\n%s" % (sentence, out.strip()), actions=self.actions)

    def systemctl(self, verb, spec):
        argv = ["systemctl", verb, spec["name"]]
        status, out, err = self.module.run_command(argv)
        if status:
            self.fail(spec, "`%s` failed: %s" % (" ".join(argv), (err or out).strip()))

    def converge(self):
        specs = self.module.params["units"]
        found = self.show(*[spec["name"] for spec in specs]) if specs else {}
        stale = any(unit.get("NeedDaemonReload") == "yes" for unit in found.values())
        stale = stale or _units.touched(["/etc/systemd/system/"], self.note.paths)
        if stale and not self.module.check_mode:
            self.module.run_command(["systemctl", "daemon-reload"], check_rc=True)
            found = self.show(*[spec["name"] for spec in specs])
        for spec in specs:
            self.unit(spec, found.get(spec["name"], {}))
        self.forget_old_names()
        if not self.module.check_mode:
            self.actions += _units.retire_all(self.module.run_command, self.note.paths)
            self.note.clear()

    def forget_old_names(self):
        for path in _takeover.links(self.module.params["renamed"]):
            self.actions.append("remove %s" % path)
            if not self.module.check_mode:
                os.unlink(path)

    def unit(self, spec, now):
        if now.get("LoadState") != "loaded" and spec["state"] != "started":
            return  # not there, so neither enabled nor running
        if now.get("LoadState") != "loaded" and not self.module.check_mode:
            self.module.fail_json(msg="The unit %s does not exist on this host." % spec["name"], actions=self.actions)
        for verb in _units.steps(spec, now, self.note.paths):
            self.actions.append("%s %s" % (verb, spec["name"]))
            if self.module.check_mode:
                continue
            pid = int(now.get("MainPID") or 0)
            before = _units.children(pid) if verb == "reload" and spec["workers"] else {}
            self.systemctl(verb, spec)
            if verb in ("start", "restart", "reload"):
                self.wait(spec, verb, before)
            if verb == "reload":
                _units.note_reload(spec["name"])

    def wait(self, spec, verb, before):
        """Returns when the unit works with what is there."""
        deadline = time.monotonic() + self.module.params["wait_seconds"]
        while True:
            now = self.show(spec["name"]).get(spec["name"], {})
            if _units.at_rest(now):
                return
            if now.get("ActiveState") == "failed":
                self.fail(spec, "%s was asked to %s and failed." % (spec["name"], verb))
            sentence = self.unready(spec, verb, now, before)
            if sentence is None:
                return
            if time.monotonic() > deadline:
                self.fail(spec, sentence)
            time.sleep(0.2)

    def unready(self, spec, verb, now, before):
        """What is still missing, as a sentence, or None."""
        if now.get("ActiveState") != "active":
            return "%s does not run after its %s (%s)." % (spec["name"], verb, now.get("ActiveState"))
        if verb == "reload" and spec["workers"] and not set(_units.children(int(now.get("MainPID") or 0)).items()) - set(before.items()):
            return "%s was asked to reload and goes on with its old configuration: it refused the new one." % spec["name"]
        if spec["confirm"] and self.module.run_command(spec["confirm"])[0]:
            return "%s runs, but `%s` fails." % (spec["name"], " ".join(spec["confirm"]))
        return None


def main():
    module = AnsibleModule(
        argument_spec={
            "pending": {"type": "str", "required": True},
            "units": {"type": "list", "elements": "dict", "required": True, "options": UNIT},
            "renamed": {"type": "dict", "default": {}},
            "wait_seconds": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    services = Services(module)
    services.converge()
    module.exit_json(changed=bool(services.actions), actions=services.actions)


if __name__ == "__main__":
    main()
