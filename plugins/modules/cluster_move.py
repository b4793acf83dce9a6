#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_move
short_description: Internal to the role ha_cluster - move what a cluster runs to this member, and wait until it runs here
version_added: 1.0.0
description:
  - Judges nothing; P(botops.fleet.pair_move#filter) did before. Whatever happens, no constraint is left behind.
options:
  kind:
    description:
      - V(move) moves O(group) to this member. V(confirm) tells the cluster that O(lost) is off, on the operator's word. V(wait) only waits.
      - V(stop) stops O(held) wherever it runs, and it stays stopped. V(start) moves O(group) here and lets O(held) run again.
    type: str
    choices: [move, confirm, wait, stop, start]
    required: true
  group:
    description: The resource or group that is moved; what is colocated with it follows.
    type: str
    required: true
  resources:
    description: Resources that have to be started on this member at the end; after a V(stop), nowhere.
    type: list
    elements: str
    required: true
  held:
    description: The resource or group that is stopped, or started again.
    type: str
    default: ""
  lost:
    description: Member that is off.
    type: str
    default: ""
  cleanup:
    description: First forget failures, and take constraints of earlier moves away.
    type: bool
    default: false
  seconds:
    description: How long to wait. At least what the start of all resources may take.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: Nothing is moved.
  diff_mode:
    support: none
    description: A move has no configuration to compare.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Move the bot here
  botops.fleet.cluster_move:
    kind: move
    group: paper
    resources: [paper-bot]
"""

RETURN = r"""
seconds:
  description: How long it took until everything ran here.
  type: float
  returned: success
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import status


class Move:
    def __init__(self, module):
        self.module, self.p, self.here = module, module.params, os.uname().nodename

    def command(self, *argv):
        code, out, err = self.module.run_command(list(argv))
        if code:
            self.module.fail_json(msg="`%s` failed: %s" % (" ".join(argv), (err or out).strip() or code))
        return out

    def cluster(self):
        code, out, err = self.module.run_command(["crm_mon", "--one-shot", "--output-as=xml"])
        return status.parse(out) if code == 0 and "<summary" in out else None

    def reached(self, seen):
        on = {resource["id"]: resource["on"] for resource in seen["resources"] if not resource["failed"]}
        return all(on.get(name) == ([] if self.p["kind"] == "stop" else [self.here]) for name in self.p["resources"])

    def wait(self):
        began = time.monotonic()
        seen = None
        while time.monotonic() - began < self.p["seconds"]:
            seen = self.cluster() or seen
            if seen and self.reached(seen):
                return round(time.monotonic() - began, 1)
            time.sleep(0.2)
        return self.module.fail_json(msg=self.why(seen), seconds=round(time.monotonic() - began, 1))

    def why(self, seen):
        if seen is None:
            return "Pacemaker stopped answering on %s. Look at `journalctl -u pacemaker`." % self.here
        where = ["%s %s" % (each["id"], "on " + ", ".join(each["on"]) if each["on"] else "is not started")
                 for each in seen["resources"] if each["id"] in self.p["resources"]]
        wanted = "Not stopped" if self.p["kind"] == "stop" else "Not on " + self.here
        failed = ["%s failed on %s%s" % (each["resource"], each["node"], each["why"] and ": " + each["why"]) for each in seen["failures"]]
        return "%s after %d s: %s. %s" % (
            wanted, self.p["seconds"], ", ".join(where), "; ".join(failed) or "Look at `crm_mon -1 -fr` and at `journalctl -u pacemaker`.")

    def clear(self):
        self.module.run_command(["crm_resource", "--clear", "--resource", self.p["group"]])

    def role(self, what):
        return ["crm_resource", "--resource", self.p["held"], "--meta", what, "target-role"]

    def run(self):
        if self.p["cleanup"]:
            self.clear()
            self.command("crm_resource", "--cleanup")
        if self.p["kind"] == "confirm":
            self.command("stonith_admin", "--confirm", self.p["lost"])
        if self.p["kind"] == "stop":
            self.command(*self.role("--set-parameter"), "--parameter-value", "Stopped")
        if self.p["kind"] not in ("move", "start"):
            return self.wait()
        try:
            # The lifetime is for the case that not even the clearing is reached: a constraint that stays would keep everything here for good.
            self.command("crm_resource", "--move", "--resource", self.p["group"], "--node", self.here, "--lifetime", "PT10M")
            if self.p["kind"] == "start":
                self.command(*self.role("--delete-parameter"))
            return self.wait()
        finally:
            self.clear()


def main():
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["move", "confirm", "wait", "stop", "start"], "required": True},
            "group": {"type": "str", "required": True},
            "resources": {"type": "list", "elements": "str", "required": True},
            "held": {"type": "str", "default": ""},
            "lost": {"type": "str", "default": ""},
            "cleanup": {"type": "bool", "default": False},
            "seconds": {"type": "int", "default": 120},
        },
        required_if=[("kind", "stop", ["held"]), ("kind", "start", ["held"])],
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=module.params["kind"] != "wait", seconds=0)
    seconds = Move(module).run()
    module.exit_json(changed=module.params["kind"] != "wait", seconds=seconds)


if __name__ == "__main__":
    main()
