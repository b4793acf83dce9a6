#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_vpc_peering_link
short_description: Join two VPCs by a peering connection, ready for use on both sides
version_added: 1.0.0
description:
  - Requests a connection, accepts it on the other side, lets each side resolve the other's private names, and adds routes on both sides,
    also across regions. M(amazon.aws.ec2_vpc_peering) does not set name resolution and knows no routes.
  - A connection is known by the two networks, whichever of them asked for it.
  - Networks that overlap, and route tables that send the same addresses elsewhere, are refused before anything is changed.
options:
  name:
    description: The tag C(Name) of a new connection.
    type: str
    required: true
  vpc_id:
    description: The network in O(region).
    type: str
    required: true
  peer_vpc_id:
    description: The other network.
    type: str
    required: true
  peer_region:
    description: Region of the other network. O(region) when left out.
    type: str
  peer_owner_id:
    description: Account of the other network, if it is another one. Without O(peer_profile) that account has to accept by itself.
    type: str
  peer_profile:
    description: AWS profile with which the other side is changed.
    type: str
  peer_cidr:
    description: Addresses of the other network, for routes to an account that cannot be asked.
    type: str
  dns_resolution:
    description: Let each side resolve the other's names to private addresses. Both networks need DNS hostnames.
    type: bool
    default: true
  route_tables:
    description: Route tables of O(vpc_id) that get routes to the other network. Other routes are left alone.
    type: list
    elements: str
  peer_route_tables:
    description: Route tables of O(peer_vpc_id) that get routes back.
    type: list
    elements: str
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.state
  - botops.fleet.aws.tags
"""

EXAMPLES = r"""
- name: The outpost reaches the message bus of the core
  botops.fleet.aws_vpc_peering_link:
    region: us-east-1
    name: core-outpost
    vpc_id: vpc-0a1b2c3d4e5f60718
    route_tables: [rtb-0a1b2c3d4e5f60718]
    peer_region: eu-central-1
    peer_vpc_id: vpc-18273645546372819
    peer_route_tables: [rtb-18273645546372819]
"""

RETURN = r"""
vpc_peering_link:
  description: The connection as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: pcx-0123456789abcdef0
    status: active
    dns_resolution: true
    peer_dns_resolution: true
    routes: [rtb-0a1b2c3d4e5f60718 10.20.0.0/16, rtb-18273645546372819 10.10.0.0/16]
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._aws.vpc_peering_link import PeeringLink


def main():
    run(
        PeeringLink,
        spec(
            name={"type": "str", "required": True},
            vpc_id={"type": "str", "required": True},
            peer_vpc_id={"type": "str", "required": True},
            peer_region={"type": "str"},
            peer_owner_id={"type": "str"},
            peer_profile={"type": "str"},
            peer_cidr={"type": "str"},
            dns_resolution={"type": "bool", "default": True},
            route_tables={"type": "list", "elements": "str"},
            peer_route_tables={"type": "list", "elements": "str"},
        ),
    )


if __name__ == "__main__":
    main()
