#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vip_check
short_description: Internal to the role haproxy_vip - find out on a host whether a floating address is free and the proxy's files are there
version_added: 1.0.0
description:
  - Asks the neighbours by ARP whether anybody has the address. Whoever answers is named by hardware address and refused,
    unless it is this host itself or one of the O(peers) that share the address.
  - Looks for files that have to exist. Changes nothing.
options:
  address:
    description: The floating address; empty asks nobody.
    type: str
    default: ""
  interface:
    description: Interface on which to ask.
    type: str
    default: ""
  peers:
    description: Addresses of the hosts that may hold the floating address.
    type: list
    elements: str
    default: []
  files:
    description: Paths that have to exist.
    type: list
    elements: str
    default: []
  packages:
    description: Packages that shall be there, C(package=version) where the version counts. See RV(missing_packages).
    type: list
    elements: str
    default: []
  wait_seconds:
    description: How long to wait for an answer.
    type: float
    default: 0.6
attributes:
  check_mode:
    support: full
    description: Only looks. Missing files are warned of, since an earlier role may be about to make them.
  diff_mode:
    support: none
    description: There is nothing to show.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Preflight | Floating address and certificates
  botops.fleet.vip_check:
    address: 10.0.0.10
    interface: eth1
    peers: [10.0.0.11, 10.0.0.12]
"""

RETURN = r"""
holder:
  description: Hardware address of whoever has the floating address; empty if nobody answered.
  type: str
  returned: always
missing_packages:
  description: Those of O(packages) that apt has to be asked for.
  type: list
  elements: str
  returned: always
"""

import os
import socket
import struct
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _packages

ETH_P_ARP = 0x0806
BROADCAST = b"\xff" * 6


def text(mac):
    return ":".join("%02x" % byte for byte in mac)


def own_mac(interface):
    with open("/sys/class/net/%s/address" % interface) as stream:
        return bytes.fromhex(stream.read().strip().replace(":", ""))


def ask(interface, addresses, seconds):
    """Who has each address: {address: hardware address}. The sender's address is 0.0.0.0, so that no neighbour learns one."""
    mac = own_mac(interface)
    found = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as link:
        link.bind((interface, 0))
        deadline = time.monotonic() + seconds
        again = 0.0
        while time.monotonic() < deadline and len(found) < len(addresses):
            if time.monotonic() >= again:
                for address in addresses:
                    head = struct.pack("!6s6sH", BROADCAST, mac, ETH_P_ARP)
                    body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, b"\0" * 4, b"\0" * 6, socket.inet_aton(address))
                    link.send(head + body)
                again = time.monotonic() + 0.2
            link.settimeout(0.1)
            try:
                frame = link.recv(64)
            except TimeoutError:
                continue
            if len(frame) >= 42 and frame[20:22] == b"\0\2":
                sender = socket.inet_ntoa(frame[28:32])
                if sender in addresses:
                    found[sender] = frame[22:28]
    return found


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "default": ""},
            "interface": {"type": "str", "default": ""},
            "peers": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "wait_seconds": {"type": "float", "default": 0.6},
        },
        supports_check_mode=True,
    )
    values = module.params
    missing = [path for path in values["files"] if not os.path.exists(path)]
    sentences = ["%s does not exist on this host; it has to be there before HAProxy is configured" % path for path in missing]
    if module.check_mode:
        for sentence in sentences:
            module.warn(sentence)
        sentences = []
    holder = ""
    address = values["address"]
    if address and ":" not in address:
        try:
            found = ask(values["interface"], [address], values["wait_seconds"])
            if address in found:
                holder = text(found[address])
                friends = ask(values["interface"], [peer for peer in values["peers"] if ":" not in peer and peer != address], values["wait_seconds"])
                if found[address] not in friends.values():
                    sentences.append(
                        "the floating address %s is in use already: %s answers for it, which is none of %s; choose another one or switch that host off"
                        % (address, holder, ", ".join(values["peers"]) or "the pair's hosts")
                    )
        except OSError as error:
            sentences.append("nobody could be asked for %s on %s: %s" % (address, values["interface"], error))
    if sentences:
        module.fail_json(msg="\n".join(sentences), holder=holder)
    module.exit_json(changed=False, holder=holder, missing_packages=_packages.missing(module.run_command, values["packages"]))


if __name__ == "__main__":
    main()
