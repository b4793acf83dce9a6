#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pacemaker_cib
short_description: Bring a Pacemaker cluster's configuration to what is declared, in one change
version_added: 1.0.0
description:
  - Compares the declared resources, groups, constraints, properties, fencing levels and alerts with the cluster's
    configuration (the CIB) and applies the difference as one atomic patch, so that the cluster never acts on half of it.
  - What the module made is marked inside the CIB by a tag. With O(purge), an element that carries the mark and is no longer
    declared is removed; whatever others made is left alone.
  - Run it on one node of a running cluster.
options:
  resources:
    description: Primitive resources and fencing devices.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Name of the resource.
        type: str
        required: true
      agent:
        description: For example V(ocf:heartbeat:IPaddr2), V(systemd:bot-paper) or V(stonith:fence_ipmilan).
        type: str
        required: true
      options:
        description: The agent's parameters. Every user of the host may read the CIB's values in C(ps) and logs, so give secrets as V(lrm://).
        type: dict
        default: {}
      meta:
        description: Meta attributes, such as V(migration-threshold).
        type: dict
        default: {}
      operations:
        description: Operations, each with C(name), C(interval), C(timeout), C(on-fail) and so on.
        type: list
        elements: dict
        default: []
      clone:
        description: Run it on every node; the clone's meta attributes.
        type: dict
  groups:
    description: Ordered, colocated resources. Each has C(id), C(members) and C(meta).
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Name of the group.
        type: str
        required: true
      members:
        description: Resources in the order in which they start.
        type: list
        elements: str
        required: true
      meta:
        description: Meta attributes.
        type: dict
        default: {}
  constraints:
    description:
      - V(location) takes C(resource), C(node) and C(score); V(colocation) takes C(resource), C(with) and C(score); V(order)
        takes C(first), C(then), C(kind) and C(symmetrical). The score is INFINITY unless given.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description: Kind of the constraint.
        type: str
        choices: [location, colocation, order]
        required: true
      id:
        description: Name; made from what it constrains when left out.
        type: str
      resource:
        description: The resource that is placed.
        type: str
      node:
        description: Where.
        type: str
      with:
        description: The resource that it is placed beside.
        type: str
      score:
        description: How strongly.
        type: str
      first:
        description: What happens first.
        type: str
      then:
        description: What happens after that.
        type: str
      kind:
        description: Mandatory, Optional or Serialize.
        type: str
      symmetrical:
        description: Stop in the reverse order.
        type: bool
  properties:
    description: Cluster properties.
    type: dict
    default: {}
  resource_defaults:
    description: Meta attributes of every resource.
    type: dict
    default: {}
  operation_defaults:
    description: Settings of every operation.
    type: dict
    default: {}
  fencing_topology:
    description: For each node the levels of fencing, each a list of devices that must all succeed.
    type: dict
    default: {}
  alerts:
    description: Each has C(id), C(path), C(recipients), C(select) (nodes, fencing, resources, attributes), C(options) and C(meta).
    type: list
    elements: dict
    default: []
  purge:
    description: Remove what the module made once and is no longer declared.
    type: bool
    default: true
  wait_seconds:
    description: After a change, wait at most so long until the cluster has done what follows from it. 0 does not wait.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    description: Reports what would change. On a host where Pacemaker is not installed yet, that is everything.
  diff_mode:
    support: full
    description: The configuration before and after, without values that look like secrets.
  idempotent:
    support: full
    description: Compares meaning, not identifiers or the order of settings.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: An address and a bot that stay together
  botops.fleet.pacemaker_cib:
    properties:
      stonith-enabled: true
    resources:
      - id: vip
        agent: ocf:heartbeat:IPaddr2
        options: {ip: 192.0.2.10, cidr_netmask: 24}
        operations: [{name: monitor, interval: 2s, timeout: 20s}]
      - id: bot
        agent: systemd:bot-paper
    groups:
      - id: trading
        members: [vip, bot]
"""

RETURN = r"""
notes:
  description: What was left alone on purpose, and what went with something that was removed.
  type: list
  elements: str
  returned: always
"""

import os
import tempfile
import time
import xml.etree.ElementTree as ET

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import cib

EMPTY = "<cib><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>"


def run(module, argv, ok=(0,), data=None):
    status, out, err = module.run_command(argv, data=data)
    if status not in ok:
        words = (err or out).strip() or "exit status %d" % status
        module.fail_json(msg="`%s` failed: %s" % (" ".join(argv[:3]), words))
    return out


def current(module):
    if not module.get_bin_path("cibadmin"):
        if module.check_mode:
            return EMPTY
        module.fail_json(msg="Pacemaker is not installed on this host (no cibadmin): apply the ha_cluster role first.")
    status, out, err = module.run_command(["cibadmin", "--query"])
    if status and module.check_mode:
        return EMPTY
    if status:
        module.fail_json(msg="The cluster does not answer: %s. Look at `systemctl status pacemaker corosync`." % err.strip())
    return out


def verify(module, path, text):
    """Pacemaker's judgement of the configuration alone. Its warnings are about what it would do next (fence, restart): no errors."""
    root = ET.fromstring(text)
    status = root.find("status")
    if status is not None:
        status.clear()
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(ET.tostring(root, encoding="unicode"))
    status, out, err = module.run_command(["crm_verify", "--xml-file", path, "-V"])
    said = (err + out).strip()
    if status and ("Errors found during check" in said or "Warnings found during check" not in said):
        module.fail_json(msg="Pacemaker refuses this configuration; nothing was changed. %s" % said)


def patch(module, before, after):
    """One atomic change. The patch carries no version, so that a node's status update in between does not refuse it."""
    with tempfile.TemporaryDirectory(prefix="cib-") as directory:
        old, new, diff = (os.path.join(directory, name) for name in ("old.xml", "new.xml", "patch.xml"))
        for path, content in ((old, before), (new, after)):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(content)
        verify(module, os.path.join(directory, "verify.xml"), after)
        # 1 says that the two differ.
        out = run(module, ["crm_diff", "--original", old, "--new", new, "--no-version"], ok=(0, 1))
        if module.check_mode or not out.strip():
            return
        with open(diff, "w", encoding="utf-8") as stream:
            stream.write(out)
        run(module, ["cibadmin", "--patch", "--xml-file", diff])


def wait(module, seconds):
    if seconds <= 0:
        return
    # crm_resource --wait returns when no action is left to do; give a fresh change the moment it takes to become one.
    time.sleep(1)
    status, out, err = module.run_command(["crm_resource", "--wait", "--timeout=%ds" % seconds])
    if status:
        module.warn("After %d seconds the cluster is still busy: %s" % (seconds, (err or out).strip()))


def main():
    module = AnsibleModule(
        argument_spec={
            "resources": {"type": "list", "elements": "dict", "default": [], "options": {
                "id": {"type": "str", "required": True},
                "agent": {"type": "str", "required": True},
                "options": {"type": "dict", "default": {}},
                "meta": {"type": "dict", "default": {}},
                "operations": {"type": "list", "elements": "dict", "default": []},
                "clone": {"type": "dict"},
            }},
            "groups": {"type": "list", "elements": "dict", "default": [], "options": {
                "id": {"type": "str", "required": True},
                "members": {"type": "list", "elements": "str", "required": True},
                "meta": {"type": "dict", "default": {}},
            }},
            "constraints": {"type": "list", "elements": "dict", "default": [], "options": {
                "type": {"type": "str", "choices": ["location", "colocation", "order"], "required": True},
                "id": {"type": "str"},
                "resource": {"type": "str"},
                "node": {"type": "str"},
                "with": {"type": "str"},
                "score": {"type": "str"},
                "first": {"type": "str"},
                "then": {"type": "str"},
                "kind": {"type": "str"},
                "symmetrical": {"type": "bool"},
            }},
            "properties": {"type": "dict", "default": {}},
            "resource_defaults": {"type": "dict", "default": {}},
            "operation_defaults": {"type": "dict", "default": {}},
            "fencing_topology": {"type": "dict", "default": {}},
            "alerts": {"type": "list", "elements": "dict", "default": []},
            "purge": {"type": "bool", "default": True},
            "wait_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    before_text = current(module)
    before = ET.fromstring(before_text)
    try:
        after, notes = cib.apply(before, module.params)
    except cib.Invalid as error:
        module.fail_json(msg=str(error))
    changed = ET.tostring(before) != ET.tostring(after)
    result = {"changed": changed, "notes": notes}
    if module._diff:
        result["diff"] = {"before_header": "CIB", "after_header": "CIB", "before": cib.readable(before), "after": cib.readable(after)}
    if changed and before_text is not EMPTY:
        patch(module, before_text, ET.tostring(after, encoding="unicode"))
        if not module.check_mode:
            wait(module, module.params["wait_seconds"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
