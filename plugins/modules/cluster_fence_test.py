#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_fence_test
short_description: Internal to the role ha_cluster - fence an idle member for real, through its configured devices, and record whether that worked
version_added: 1.0.0
description:
  - Run on a member that is not the target. Refuses a target that runs resources.
  - Every level of devices is tried by itself, as a second level that was never tried is worth nothing. A device that reports
    success while the target stays in the cluster has switched off something else, and fails the test.
  - The cluster's fencing levels are put back as they were, whatever happens.
options:
  target:
    description: The member to switch off and on.
    type: str
    required: true
  levels:
    description: Levels of devices, each a list of fencing resources that exist in the cluster.
    type: list
    elements: list
    required: true
  devices:
    description: What the record vouches for - a digest for each device.
    type: dict
    required: true
  off_seconds:
    description: How long the devices have.
    type: int
    default: 120
  return_seconds:
    description: How long the target has to come back.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    description: Checks whether the test could be done and touches nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Fence the standby
  botops.fleet.cluster_fence_test:
    target: beta
    levels: [[fence-beta-ipmilan]]
    devices: {fence-beta-ipmilan: 1f0c}
"""

RETURN = r"""
record:
  description: C(date), C(epoch), C(result) (ok or failed), C(why), C(seconds) until fenced, C(return_seconds), C(by), C(devices).
  type: dict
  returned: when a test was done
skipped_because:
  description: Why nothing was tested.
  type: str
  returned: when nothing was tested
"""

import time
import xml.etree.ElementTree as ET

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import corosync, status

SCOPE = ["--scope", "fencing-topology"]


class Test:
    def __init__(self, module):
        self.module, self.target = module, module.params["target"]

    def command(self, *argv):
        return self.module.run_command(list(argv))

    def cluster(self):
        code, out, err = self.command("crm_mon", "--one-shot", "--output-as=xml")
        return status.parse(out) if code == 0 and "<summary" in out else None

    def refuse(self):
        seen = self.cluster()
        if seen is None:
            return "the cluster does not run on this host"
        node = seen["nodes"].get(self.target)
        if node is None:
            return "%s is no member of this cluster (members: %s)" % (self.target, ", ".join(sorted(seen["nodes"])))
        if node["resources"]:
            return "%s is active (%s); switch over first, then test it" % (self.target, ", ".join(node["resources"]))
        if not node["online"]:
            return "%s is not online" % self.target
        if not seen["quorate"]:
            return "the cluster has no quorum"
        if seen["maintenance"]:
            return "the cluster is in maintenance mode"
        known = {item["id"] for item in seen["resources"]}
        missing = sorted({device for level in self.module.params["levels"] for device in level} - known)
        if missing or not self.module.params["levels"]:
            return "the cluster has no fencing device for %s (%s)" % (self.target, ", ".join(missing) or "none declared")
        return None

    # --- the target's membership, as corosync sees it

    def membership(self):
        """(joined, how often it joined): a member that was really off has left or joined once more."""
        values = corosync.cmap(self.command("corosync-cmapctl")[1])
        names = {v: k.rsplit(".", 1)[0] for k, v in values.items() if k.startswith("nodelist.node.") and k.endswith(".name")}
        number = values.get("%s.nodeid" % names.get(self.target), "")
        prefix = "runtime.members.%s." % number
        return values.get(prefix + "status") == "joined", int(values.get(prefix + "join_count", 0))

    def gone(self, before):
        """True once corosync has noticed. It takes token + consensus; anything later means that it was not switched off."""
        values = corosync.cmap(self.command("corosync-cmapctl")[1])
        window = (int(values.get("totem.token", 3000)) + int(values.get("totem.consensus", 3600))) / 1000.0 + 10
        deadline = time.monotonic() + window
        while time.monotonic() < deadline:
            joined, count = self.membership()
            if not joined or count > before:
                return True
            time.sleep(0.3)
        return False

    # --- the levels

    def with_level(self, original, devices):
        """Only this level for the target; everything else as it was."""
        root = ET.fromstring(original) if original else ET.Element("fencing-topology")
        for level in [level for level in root if level.get("target") == self.target]:
            root.remove(level)
        ET.SubElement(root, "fencing-level", id="fence-test", target=self.target, index="1", devices=",".join(devices))
        self.replace(ET.tostring(root, encoding="unicode"))

    def replace(self, text):
        code, out, err = self.command("cibadmin", "--replace", *SCOPE, "--xml-text", text)
        if code:
            self.module.fail_json(msg="The cluster refuses the fencing levels: %s" % err.strip())

    def fence(self, devices):
        """(why it failed, seconds until fenced, seconds until it was back)."""
        before, started = self.membership()[1], time.monotonic()
        limit = self.module.params["off_seconds"]
        code, out, err = self.command("stonith_admin", "--reboot", self.target, "--timeout", str(limit))
        fenced = time.monotonic() - started
        if code:
            return "%s: %s" % (", ".join(devices), (err or out).strip() or "exit status %d" % code), fenced, 0
        if not self.gone(before):
            return (
                "%s reported success, but %s never left the cluster: the device switches something else, or nothing"
                % (", ".join(devices), self.target)
            ), fenced, 0
        deadline = started + self.module.params["return_seconds"]
        while time.monotonic() < deadline:
            seen = self.cluster()
            node = (seen or {"nodes": {}})["nodes"].get(self.target)
            joined, count = self.membership()
            # Pacemaker may still believe in the member that was switched off: it has to have joined once more.
            if joined and count > before and node and node["online"]:
                return "", fenced, time.monotonic() - started
            time.sleep(1)
        where = "corosync is there, Pacemaker is not" if self.membership()[0] else "nothing is heard of it"
        return "%s was switched off and did not come back within %d s (%s)" % (
            self.target, self.module.params["return_seconds"], where), fenced, 0

    def run(self):
        original = self.command("cibadmin", "--query", *SCOPE)
        original = original[1] if original[0] == 0 else ""
        slowest, back = 0, 0
        try:
            for devices in self.module.params["levels"]:
                self.with_level(original, devices)
                why, fenced, returned = self.fence(devices)
                slowest, back = max(slowest, fenced), max(back, returned)
                if why:
                    return why, slowest, back
        finally:
            self.replace(original or "<fencing-topology/>")
        return "", slowest, back


def main():
    module = AnsibleModule(
        argument_spec={
            "target": {"type": "str", "required": True},
            "levels": {"type": "list", "elements": "list", "required": True},
            "devices": {"type": "dict", "required": True},
            "off_seconds": {"type": "int", "default": 120},
            "return_seconds": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    test = Test(module)
    why_not = test.refuse()
    if why_not:
        module.exit_json(changed=False, skipped_because=why_not, target=test.target)
    if module.check_mode:
        module.exit_json(changed=True, skipped_because="check mode: %s could be tested" % test.target, target=test.target)
    why, seconds, back = test.run()
    now = time.time()
    record = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)) + " UTC",
        "epoch": int(now),
        "result": "failed" if why else "ok",
        "why": why,
        "seconds": round(seconds, 1),
        "return_seconds": round(back, 1),
        "by": module.run_command(["crm_node", "--name"])[1].strip(),
        "devices": module.params["devices"],
    }
    module.exit_json(changed=True, record=record, target=test.target)


if __name__ == "__main__":
    main()
