#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_reserved_ip
short_description: Reserve, assign, move or release a DigitalOcean address
version_added: 1.0.0
description:
  - A reserved address has no name. It is known by O(ip), or as the one that is on O(droplet), or as the one that is free in O(region).
  - Assigning waits until the API reports the address on the droplet. Moving it away from another droplet needs O(move=true), so that
    a typing mistake does not take the address of a bot that is trading.
options:
  ip:
    description: The address. It must be reserved already; leave it out to have one reserved.
    type: str
  droplet:
    description: Name or number of the droplet that shall have the address.
    type: str
  region:
    description: Slug of a region. Without O(ip) and O(droplet), one free address is kept there.
    type: str
  unassigned:
    description: Take the address O(ip) off its droplet and keep it.
    type: bool
    default: false
  move:
    description: Allow to take the address away from another droplet, or to release it while it is on one.
    type: bool
    default: false
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: An address that outlives the droplet
  botops.fleet.do_reserved_ip:
    droplet: bot-1
  register: front

- name: Move it to the standby
  botops.fleet.do_reserved_ip:
    ip: "{{ front.reserved_ip.ip }}"
    droplet: bot-2
    move: true

- name: Give it back
  botops.fleet.do_reserved_ip:
    ip: "{{ front.reserved_ip.ip }}"
    move: true
    state: absent
"""

RETURN = r"""
reserved_ip:
  description: The address as it is afterwards, or as it was before it was released. Empty when there is none.
  returned: always
  type: dict
  sample:
    ip: 203.0.113.45
    region: nyc3
    droplet_id: 3164444
    droplet_name: bot-1
    locked: false
    project_id: 746c6152-2fa2-11ed-92d3-27aaa54e4988
    urn: "do:floatingip:203.0.113.45"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.reserved_ip import ReservedIp


def main():
    run(
        ReservedIp,
        spec(
            ip={"type": "str"},
            droplet={"type": "str"},
            region={"type": "str"},
            unassigned={"type": "bool", "default": False},
            move={"type": "bool", "default": False},
        ),
        required_one_of=[("ip", "droplet", "region")],
    )


if __name__ == "__main__":
    main()
