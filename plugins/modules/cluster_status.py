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
      C(nodes), C(resources), C(failed), C(fence_history), C(fence_tests).
  type: dict
  returned: always
table:
  description: Lines to print.
  type: list
  elements: str
  returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import status
from ansible_collections.botops.fleet.plugins.module_utils._pacemaker.paths import FENCE_TESTS


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
    return status.parse(out, said, topology[1] if topology[0] == 0 else ""), ""


def main():
    module = AnsibleModule(argument_spec={"lag": {"type": "str"}}, supports_check_mode=True)
    seen, why = ask(module)
    tests = read_tests()
    if seen is None:
        module.exit_json(changed=False, cluster={"answers": False, "why": why, "fence_tests": tests}, table=[why])
    seen.update(answers=True, why="", fence_tests=tests)
    lines = status.render(status.table(seen, tests, module.params["lag"]))
    module.exit_json(changed=False, cluster=seen, table=lines)


if __name__ == "__main__":
    main()
