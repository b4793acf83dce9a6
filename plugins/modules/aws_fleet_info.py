#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_fleet_info
short_description: Look up everything of a fleet in an AWS account and region at once
version_added: 1.0.0
description:
  - Returns what the role P(botops.fleet.fleet#role) compares with its declaration - network, key, security group, instances, addresses,
    instance profile, bucket, log groups, topic, alarms and DNS records - in one process with one session, where the modules of amazon.aws would be sixteen.
  - Sends reading requests only.
options:
  name:
    description: Name of the fleet, after which what several hosts share is called.
    type: str
    required: true
  owner_key:
    description: Key of the tag by which the fleet's own is known.
    type: str
    required: true
  owner_value:
    description: Value of that tag.
    type: str
    required: true
  hosts:
    description: Hosts that shall exist. Images are looked up for those that do not exist yet.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Tag C(Name) of the instance.
        type: str
        required: true
      instance_type:
        description: Type of the instance.
        type: str
        required: true
      owner:
        description: Account that owns the image, or V(self), V(amazon).
        type: str
        required: true
      image:
        description: Name of the image, with V(*) for what changes from one to the next.
        type: str
        required: true
  bucket:
    description: Bucket to look at.
    type: str
    default: ""
  log_groups:
    description: Log groups of CloudWatch to look at, with their metric filters.
    type: list
    elements: str
    default: []
  zones:
    description: Public hosted zones of Route 53 to look at.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
  records:
    description: Names of the records to look for in O(zones), in full.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.info
"""

EXAMPLES = r"""
- name: What of the fleet is there
  botops.fleet.aws_fleet_info:
    region: us-east-1
    name: prod
    owner_key: fleet
    owner_value: prod
    hosts:
      - {name: engine, instance_type: t3.small, owner: "136693071363", image: debian-13-amd64-*}
    bucket: example-prod-backups
  register: found
"""

RETURN = r"""
fleet:
  description: What was found, by kind.
  returned: always
  type: dict
  sample:
    account: "123456789012"
    partition: aws
    instances:
      - id: i-0123456789abcdef0
        name: engine
        state: running
        type: t3.small
        public_ip: 203.0.113.7
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._aws.fleet_info import FleetInfo
from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AnsibleAWSModule, Aws, spec
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure


def main():
    argument_spec = spec(
        tagged=False,
        name={"type": "str", "required": True},
        owner_key={"type": "str", "required": True, "no_log": False},
        owner_value={"type": "str", "required": True},
        hosts={
            "type": "list", "elements": "dict", "default": [],
            "options": {name: {"type": "str", "required": True} for name in ("name", "instance_type", "owner", "image")},
        },
        bucket={"type": "str", "default": ""},
        log_groups={"type": "list", "elements": "str", "default": []},
        zones={"type": "list", "elements": "str", "default": []},
        records={"type": "list", "elements": "str", "default": []},
    )
    for name in ("state", "wait", "wait_timeout"):
        argument_spec.pop(name)
    if AnsibleAWSModule is None:
        AnsibleModule(argument_spec=argument_spec, supports_check_mode=True).fail_json(
            msg="The collection amazon.aws is missing: ansible-galaxy collection install amazon.aws"
        )
    module = AnsibleAWSModule(default_args=False, argument_spec=argument_spec, supports_check_mode=True)
    try:
        found = FleetInfo(Aws(module), module.params).everything()
    except Failure as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, fleet=found)


if __name__ == "__main__":
    main()
