#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_vpc
short_description: Create, change or remove a DigitalOcean VPC network
version_added: 1.0.0
description:
  - Keeps a private network in a region. A range that overlaps another of the account's networks is refused before anything is sent.
  - The network is known by its name. Its region and range cannot be changed; asking for others is an error that says so.
  - One that still has members is not removed, and the error names them. Members that were just deleted are waited for.
options:
  name:
    description: The network's name; letters, digits, dash and dot.
    type: str
    required: true
  region:
    description: Slug of the region, for example V(nyc3). Required to create.
    type: str
  ip_range:
    description: Range in CIDR notation, between /16 and /28. The vendor chooses one when left out.
    type: str
  description:
    description: Free text, up to 255 characters. Left alone when left out.
    type: str
  default:
    description: Make it the region's default network. It cannot be made not the default; make another one the default instead.
    type: bool
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: A network for the bots near the exchange
  botops.fleet.do_vpc:
    name: bots-nyc3
    region: nyc3
    ip_range: 10.44.0.0/20
  register: network
"""

RETURN = r"""
vpc:
  description: The network as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 5a4981aa-9653-4bd1-bef5-d6bff52042e4
    urn: "do:vpc:5a4981aa-9653-4bd1-bef5-d6bff52042e4"
    name: bots-nyc3
    description: ""
    region: nyc3
    ip_range: 10.44.0.0/20
    default: false
    created_at: "2026-01-20T10:15:04Z"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.vpc import Vpc


def main():
    run(
        Vpc,
        spec(
            name={"type": "str", "required": True},
            region={"type": "str"},
            ip_range={"type": "str"},
            description={"type": "str"},
            default={"type": "bool"},
        ),
    )


if __name__ == "__main__":
    main()
