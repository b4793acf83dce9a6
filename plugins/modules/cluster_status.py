#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_status
short_description: Who is active, who stands by, and whether the cluster could take over now
version_added: 1.0.0
description:
  - Asks Pacemaker, corosync and the witness on this host and answers with one dictionary and a table for people. Changes nothing.
options:
  lag:
    description: What the table says about the replicated data; measured elsewhere.
    type: str
  bots:
    description: Names of bots whose unit, release and replicated data on this host are told, too.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Only reads.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Ask the cluster who is active
  botops.fleet.cluster_status:
  register: cluster
"""

RETURN = r"""
cluster:
  description:
    - C(answers) (false when the cluster does not run here; C(why) then says so), C(active), C(standby), C(lost),
      C(waiting_for_operator), C(quorate), C(witness), C(automatic), C(fencing_devices), C(fencing_levels), C(maintenance),
      C(nodes), C(resources), C(failed), C(failures), C(moves), C(fence_history), C(fence_tests), C(joined_seconds), and for each of
      O(bots) in C(bots) its C(release), C(started) and C(stopped) (of its unit, seconds since the epoch) and C(replication).
  type: dict
  returned: always
table:
  description: Lines to print.
  type: list
  elements: str
  returned: always
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import status
from ansible_collections.botops.fleet.plugins.module_utils._pacemaker.paths import FENCE_TESTS

# systemd's SD_MESSAGE_UNIT_STOPPING.
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"


def read_tests():
    try:
        with open(FENCE_TESTS, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def ask(module):
    """The cluster's view, or None when it does not run on this host."""
    if not module.get_bin_path("crm_mon"):
        return None, "Pacemaker is not installed here"
    code, out, err = module.run_command(["crm_mon", "--one-shot", "--output-as=xml"])
    if code or "<summary" not in out:
        return None, "the cluster does not run on this host (systemctl status corosync pacemaker)"
    qdevice = module.run_command(["corosync-qdevice-tool", "-s"])
    topology = module.run_command(["cibadmin", "--query", "--scope", "fencing-topology"])
    # The tool fails without a daemon; that the daemon is there but has no witness is in its words.
    said = qdevice[1] if qdevice[0] == 0 else ("State: none" if module.get_bin_path("corosync-qdevice-tool") else "")
    constraints = module.run_command(["cibadmin", "--query", "--scope", "constraints"])
    return status.parse(out, said, topology[1] if topology[0] == 0 else "", constraints[1] if constraints[0] == 0 else ""), ""


def moment(module, unit, name):
    """When that last happened to the unit, as the epoch's seconds; None when it never did."""
    code, out, err = module.run_command(["systemctl", "show", "--property=%sTimestampMonotonic" % name, "--value", unit])
    at = int(out.strip() or 0) / 1e6 if code == 0 else 0
    return round(time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + at, 3) if at else None


def last_stop(module, unit):
    """When systemd last began to stop the unit, by its journal: of a unit that is not loaded systemd itself knows nothing any more."""
    argv = ["journalctl", "--quiet", "--no-pager", "--unit", unit, "MESSAGE_ID=" + STOPPING, "--lines", "1", "--output", "json"]
    code, out, err = module.run_command(argv)
    try:
        return int(json.loads(out)["__REALTIME_TIMESTAMP"]) / 1e6 if code == 0 else None
    except (ValueError, KeyError):
        return None


def about(module, bot):
    """What this host has of a bot."""
    unit, replication = "bot-%s.service" % bot, None
    current = "/opt/bot-%s/current" % bot
    if module.get_bin_path("botops-rsync-ha", opt_dirs=["/usr/local/sbin"]):
        code, out, err = module.run_command(["/usr/local/sbin/botops-rsync-ha", "status", bot, "--json"])
        if code == 0:
            replication = json.loads(out)[0]
    return {
        "release": os.path.basename(os.readlink(current)) if os.path.islink(current) else "",
        "started": moment(module, unit, "ActiveEnter"),
        "stopped": last_stop(module, unit),
        "replication": replication,
    }


def main():
    module = AnsibleModule(argument_spec={"lag": {"type": "str"}, "bots": {"type": "list", "elements": "str", "default": []}}, supports_check_mode=True)
    seen, why = ask(module)
    tests = read_tests()
    if seen is None:
        module.exit_json(changed=False, cluster={"answers": False, "why": why, "fence_tests": tests}, table=[why])
    joined = moment(module, "pacemaker.service", "ActiveEnter")
    seen.update(answers=True, why="", fence_tests=tests, joined_seconds=int(time.time() - joined) if joined else None)
    seen["bots"] = {bot: about(module, bot) for bot in module.params["bots"]}
    lines = status.render(status.table(seen, tests, module.params["lag"]))
    module.exit_json(changed=False, cluster=seen, table=lines)


if __name__ == "__main__":
    main()
