#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_info
short_description: Look up what a DigitalOcean account has and what the vendor offers
version_added: 1.0.0
description:
  - Returns everything of a kind, complete, in the same form in which that kind's own module returns it.
options:
  kind:
    description: What to look for.
    type: str
    required: true
    choices:
      - account
      - alert_policy
      - app
      - certificate
      - database
      - domain
      - domain_record
      - droplet
      - firewall
      - image
      - load_balancer
      - project
      - region
      - reserved_ip
      - size
      - snapshot
      - ssh_key
      - tag
      - uptime_check
      - volume
      - vpc
  name:
    description: Only what has this name, slug or address.
    type: str
  tag:
    description: Only what has this tag; for droplets, databases, volumes and alert policies.
    type: str
  region:
    description: Only what is in, or offered in, this region.
    type: str
  domain:
    description: The zone, for O(kind=domain_record).
    type: str
  private:
    description: Only the account's own images, for O(kind=image).
    type: bool
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.info
"""

EXAMPLES = r"""
- name: The production droplets
  botops.fleet.do_info:
    kind: droplet
    tag: env:prod
  register: production

- name: What a size costs, and where it is
  botops.fleet.do_info:
    kind: size
    name: g-2vcpu-8gb
  register: size
"""

RETURN = r"""
resources:
  description: What was found, sorted by name. Empty when there is nothing.
  returned: always
  type: list
  elements: dict
  sample:
    - slug: g-2vcpu-8gb
      description: General Purpose
      vcpus: 2
      memory: 8192
      disk: 25
      transfer: 4.0
      price_monthly: 63.0
      price_hourly: 0.09375
      available: true
      regions: [nyc1, nyc3]
count:
  description: How many there are.
  returned: always
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.info import KINDS, look_up
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import CONNECTION, client_of
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure


def main():
    module = AnsibleModule(
        argument_spec=dict(
            CONNECTION,
            kind={"type": "str", "required": True, "choices": sorted([*KINDS, "account"])},
            name={"type": "str"},
            tag={"type": "str"},
            region={"type": "str"},
            domain={"type": "str"},
            private={"type": "bool"},
        ),
        supports_check_mode=True,
    )
    try:
        items = look_up(client_of(module), module.params)
    except Failure as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, resources=items, count=len(items))


if __name__ == "__main__":
    main()
