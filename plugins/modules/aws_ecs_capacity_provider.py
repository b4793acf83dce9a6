#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_ecs_capacity_provider
short_description: Create, change or remove an ECS capacity provider on an Auto Scaling group
version_added: 1.0.0
description:
  - Keeps a capacity provider, which M(community.aws.ecs_cluster) can attach to a cluster and cannot create.
options:
  name:
    description: The provider's name. It must not begin with aws, ecs or fargate.
    type: str
    required: true
  auto_scaling_group:
    description: Name or ARN of the group whose instances are used. Required to create; it cannot be changed.
    type: str
  managed_scaling:
    description: Let ECS size the group. What is left out is left alone.
    type: dict
    suboptions:
      enabled:
        description: Whether ECS does so.
        type: bool
        default: true
      target_capacity:
        description: Percentage of the instances that shall be in use; below 100 keeps some spare.
        type: int
      minimum_step:
        description: The fewest instances that are added or removed at a time.
        type: int
      maximum_step:
        description: The most instances that are added or removed at a time.
        type: int
      instance_warmup_seconds:
        description: Seconds until a new instance counts.
        type: int
  managed_termination_protection:
    description: Keep instances with tasks from being removed. The group must protect new instances from scale-in.
    type: bool
  managed_draining:
    description: Move tasks away before an instance is removed.
    type: bool
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.state
  - botops.fleet.aws.tags
"""

EXAMPLES = r"""
- name: Instances for what Fargate cannot run, such as a VPN container
  botops.fleet.aws_ecs_capacity_provider:
    region: eu-central-1
    name: outpost
    auto_scaling_group: outpost
    managed_scaling: {target_capacity: 100}
    managed_draining: true
"""

RETURN = r"""
ecs_capacity_provider:
  description: The provider as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    name: outpost
    arn: arn:aws:ecs:eu-central-1:123456789012:capacity-provider/outpost
    status: ACTIVE
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._aws.ecs_capacity_provider import CapacityProvider
from ansible_collections.botops.fleet.plugins.module_utils._aws.module import run, spec


def main():
    scaling = {
        "enabled": {"type": "bool", "default": True},
        "target_capacity": {"type": "int"},
        "minimum_step": {"type": "int"},
        "maximum_step": {"type": "int"},
        "instance_warmup_seconds": {"type": "int"},
    }
    run(
        CapacityProvider,
        spec(
            name={"type": "str", "required": True},
            auto_scaling_group={"type": "str"},
            managed_scaling={"type": "dict", "options": scaling},
            managed_termination_protection={"type": "bool"},
            managed_draining={"type": "bool"},
        ),
    )


if __name__ == "__main__":
    main()
