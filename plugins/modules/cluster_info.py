#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Internal to the role ha_cluster - what a host says about itself before it becomes, or stays, a member of a cluster
version_added: 1.0.0
description:
  - Reads in one round trip what the checks across hosts need - addresses, the clock, who answers for a floating address, which
    cluster key is installed, and the recorded fencing tests. Changes nothing.
  - The accompanying action plugin adds how far the host's clock is from the control node's, and how uncertain that is.
options:
  floating_addresses:
    description: IPv4 addresses that are to be cluster resources.
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
- name: Ask each member
  botops.fleet.cluster_info:
    floating_addresses: [192.0.2.10]
  register: member
"""

RETURN = r"""
info:
  description:
    - C(interfaces) (name, mac, networks), C(authkey_digest), C(floating) (per address C(held) and C(answered_by)),
      C(units) (state of corosync, pacemaker, corosync-qdevice and corosync-qnetd), C(fence_tests), C(epoch).
  type: dict
  returned: always
clock:
  description: C(offset) from the control node's clock in seconds, and its C(uncertainty).
  type: dict
  returned: always
"""

import hashlib
import json
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import arp
from ansible_collections.botops.fleet.plugins.module_utils._pacemaker.paths import AUTHKEY, FENCE_TESTS

UNITS = ("corosync.service", "pacemaker.service", "corosync-qdevice.service", "corosync-qnetd.service")


def read(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def interfaces(module):
    status, out, err = module.run_command(["ip", "-json", "address", "show"])
    if status:
        module.fail_json(msg="`ip -json address show` failed: %s" % err.strip())
    found = []
    for link in json.loads(out):
        networks = ["%s/%s" % (a["local"], a["prefixlen"]) for a in link.get("addr_info", []) if "local" in a]
        if link.get("ifname") != "lo":
            found.append({"name": link["ifname"], "mac": link.get("address", ""), "networks": networks})
    return found


def floating(links, address):
    import ipaddress

    wanted = ipaddress.ip_address(address)
    for link in links:
        if any(network.partition("/")[0] == address for network in link["networks"]):
            return {"held": True, "answered_by": ""}
    for link in links:
        if any(wanted in ipaddress.ip_interface(network).network for network in link["networks"]):
            try:
                return {"held": False, "answered_by": arp.answered_by(link["name"], address)}
            except OSError:
                break
    return {"held": False, "answered_by": ""}


def units(module):
    argv = ["systemctl", "show", "--property=Id,ActiveState"] + list(UNITS)
    out = module.run_command(argv)[1]
    states = {}
    for block in out.split("\n\n"):
        pairs = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if pairs.get("Id"):
            states[pairs["Id"].partition(".")[0]] = pairs.get("ActiveState", "")
    return states


def main():
    module = AnsibleModule(
        argument_spec={"floating_addresses": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
    )
    links = interfaces(module)
    key = read(AUTHKEY)
    try:
        tests = json.loads(read(FENCE_TESTS) or b"{}")
    except ValueError:
        tests = {}
    info = {
        "interfaces": links,
        "authkey_digest": hashlib.sha256(key).hexdigest() if key else "",
        "floating": {address: floating(links, address) for address in module.params["floating_addresses"]},
        "units": units(module),
        "fence_tests": tests,
        "epoch": time.time(),
    }
    module.exit_json(changed=False, info=info)


if __name__ == "__main__":
    main()
