#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_firewall
short_description: Keep a DigitalOcean cloud firewall exactly as declared
version_added: 1.0.0
description:
  - The rules are a set for each direction; order, repetition and spelling (C(all) and C(0), an address and its /32) mean nothing.
  - Applies to droplets by tag or by name. Tags that do not exist yet are created, so that new droplets are protected from the start.
  - A rule that somebody added by hand is removed, unless O(purge_rules=false).
options:
  name:
    description: The firewall's name.
    type: str
    required: true
  inbound_rules:
    description: What may reach the droplets. Left alone when left out, nothing may with an empty list.
    type: list
    elements: dict
    suboptions:
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp, icmp]
        required: true
      ports:
        description: A port, a range such as V(8000-9000), or V(all). Has no meaning for ICMP.
        type: str
        default: all
      sources:
        description: Who may connect. At least one kind is needed.
        type: dict
        required: true
        suboptions: &peers
          addresses:
            description: Addresses and networks, IPv4 and IPv6.
            type: list
            elements: str
          tags:
            description: All droplets with one of these tags.
            type: list
            elements: str
          droplets:
            description: Names or numbers of droplets.
            type: list
            elements: str
          load_balancers:
            description: Names or UUIDs of load balancers.
            type: list
            elements: str
          kubernetes_ids:
            description: UUIDs of Kubernetes clusters.
            type: list
            elements: str
  outbound_rules:
    description: What the droplets may reach. Left alone when left out, nothing with an empty list.
    type: list
    elements: dict
    suboptions:
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp, icmp]
        required: true
      ports:
        description: A port, a range such as V(8000-9000), or V(all). Has no meaning for ICMP.
        type: str
        default: all
      destinations:
        description: Where to. At least one kind is needed.
        type: dict
        required: true
        suboptions: *peers
  purge_rules:
    description: Remove rules that are not declared, in the directions that are.
    type: bool
    default: true
  tags:
    description: Droplets with one of these tags are behind the firewall. At most 5. Left alone when left out.
    type: list
    elements: str
  droplets:
    description: Names or numbers of droplets that are behind the firewall. At most 10; prefer tags. Left alone when left out.
    type: list
    elements: str
  purge_targets:
    description: Take away tags and droplets that are not in O(tags) and O(droplets).
    type: bool
    default: true
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: SSH from the office, everything out
  botops.fleet.do_firewall:
    name: bots
    tags: [fleet:prod]
    inbound_rules:
      - protocol: tcp
        ports: "22"
        sources:
          addresses: [198.51.100.0/24]
      - protocol: icmp
        sources:
          addresses: [0.0.0.0/0, "::/0"]
    outbound_rules:
      - protocol: tcp
        destinations: &anywhere
          addresses: [0.0.0.0/0, "::/0"]
      - protocol: udp
        destinations: *anywhere
"""

RETURN = r"""
firewall:
  description: The firewall as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: bb4b2611-3d72-467b-8602-280330ecd65c
    name: bots
    status: succeeded
    inbound_rules: [{protocol: tcp, ports: "22", sources: {addresses: [198.51.100.0/24]}}]
    outbound_rules: [{protocol: tcp, ports: "0", destinations: {addresses: [0.0.0.0/0, "::/0"]}}]
    droplet_ids: []
    tags: ["fleet:prod"]
    created_at: "2026-01-20T10:15:04Z"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.firewall import Firewall
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec


def rules(end):
    strings = {"type": "list", "elements": "str"}
    names = ("addresses", "tags", "droplets", "load_balancers", "kubernetes_ids")
    return {
        "type": "list",
        "elements": "dict",
        "options": {
            "protocol": {"type": "str", "choices": ["tcp", "udp", "icmp"], "required": True},
            "ports": {"type": "str", "default": "all"},
            end: {"type": "dict", "required": True, "options": {name: dict(strings) for name in names}},
        },
    }


def main():
    run(
        Firewall,
        spec(
            name={"type": "str", "required": True},
            inbound_rules=rules("sources"),
            outbound_rules=rules("destinations"),
            purge_rules={"type": "bool", "default": True},
            tags={"type": "list", "elements": "str"},
            droplets={"type": "list", "elements": "str"},
            purge_targets={"type": "bool", "default": True},
        ),
    )


if __name__ == "__main__":
    main()
