#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_ecs_service
short_description: Keep an ECS service as declared, and leave its size to autoscaling when told
version_added: 1.0.0
description:
  - Creates, changes and removes a service, and waits until its tasks run or its deployment has failed, with the reason.
  - Unlike M(community.aws.ecs_service) it needs no desired count, so it does not undo what autoscaling decided.
options:
  name:
    description: The service's name.
    type: str
    required: true
  cluster:
    description: Name or ARN of the cluster.
    type: str
    default: default
  task_definition:
    description: Family (its newest revision is meant), C(FAMILY:REVISION) or ARN. Required to create.
    type: str
  desired_count:
    description: How many tasks shall run. 1 when a service is created without it; otherwise left alone when left out.
    type: int
  autoscaled:
    description: Use O(desired_count) only when the service is created; from then on M(botops.fleet.aws_scalable_target) decides.
    type: bool
    default: false
  scheduling_strategy:
    description: V(REPLICA) runs O(desired_count) tasks, V(DAEMON) one on every instance.
    type: str
    choices: [REPLICA, DAEMON]
    default: REPLICA
  launch_type:
    description: Where tasks run. It cannot be changed.
    type: str
    choices: [FARGATE, EC2, EXTERNAL]
  capacity_provider_strategy:
    description: Instead of O(launch_type), the capacity providers and their shares.
    type: list
    elements: dict
    suboptions:
      capacity_provider:
        description: V(FARGATE), V(FARGATE_SPOT) or one of M(botops.fleet.aws_ecs_capacity_provider).
        type: str
        required: true
      weight:
        description: Share of the tasks.
        type: int
        default: 1
      base:
        description: So many tasks run here before shares count.
        type: int
        default: 0
  network:
    description: For task definitions in mode C(awsvpc).
    type: dict
    suboptions:
      subnets:
        description: Ids of the subnets.
        type: list
        elements: str
        required: true
      security_groups:
        description: Ids of the security groups.
        type: list
        elements: str
        default: []
      assign_public_ip:
        description: Give tasks a public address.
        type: bool
        default: false
  load_balancers:
    description: Target groups that tasks are registered with. An empty list removes them.
    type: list
    elements: dict
    suboptions:
      target_group_arn:
        description: ARN of the target group.
        type: str
        required: true
      container_name:
        description: Container that is registered.
        type: str
        required: true
      container_port:
        description: Its port.
        type: int
        required: true
  health_check_grace_period_seconds:
    description: Seconds after a task's start in which the load balancer's verdict does not count.
    type: int
  deployment:
    description: How tasks are replaced. What is left out is left alone.
    type: dict
    suboptions:
      minimum_healthy_percent:
        description: Share of tasks that keep running meanwhile.
        type: int
      maximum_percent:
        description: Share of tasks that may run meanwhile. 100 with a minimum of 0 keeps a bot from ever running twice.
        type: int
      circuit_breaker:
        description: Give up a deployment whose tasks do not become healthy.
        type: bool
      rollback:
        description: Put the last good deployment back then.
        type: bool
  enable_execute_command:
    description: Allow C(aws ecs execute-command) into containers.
    type: bool
  platform_version:
    description: Version of Fargate's platform.
    type: str
  propagate_tags:
    description: Where tasks get their tags from.
    type: str
    choices: [SERVICE, TASK_DEFINITION]
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.state
  - botops.fleet.aws.tags
"""

EXAMPLES = r"""
- name: One strategy engine, never two
  botops.fleet.aws_ecs_service:
    region: us-east-1
    cluster: core
    name: strategy-engine
    task_definition: strategy-engine
    desired_count: 1
    launch_type: FARGATE
    network: {subnets: [subnet-0a1b2c3d, subnet-4e5f6a7b], security_groups: [sg-0123456789abcdef0]}
    deployment: {minimum_healthy_percent: 0, maximum_percent: 100, circuit_breaker: true, rollback: true}

- name: As many game shards as autoscaling says
  botops.fleet.aws_ecs_service:
    region: us-east-1
    cluster: core
    name: game-shard
    task_definition: game-shard
    autoscaled: true
    capacity_provider_strategy:
      - {capacity_provider: FARGATE, base: 1}
      - {capacity_provider: FARGATE_SPOT, weight: 3}
"""

RETURN = r"""
ecs_service:
  description: The service as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    name: strategy-engine
    arn: arn:aws:ecs:us-east-1:123456789012:service/core/strategy-engine
    status: ACTIVE
    desired_count: 1
    running_count: 1
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._aws.ecs_service import EcsService
from ansible_collections.botops.fleet.plugins.module_utils._aws.module import run, spec


def main():
    strategy = {
        "capacity_provider": {"type": "str", "required": True},
        "weight": {"type": "int", "default": 1},
        "base": {"type": "int", "default": 0},
    }
    network = {
        "subnets": {"type": "list", "elements": "str", "required": True},
        "security_groups": {"type": "list", "elements": "str", "default": []},
        "assign_public_ip": {"type": "bool", "default": False},
    }
    balancer = {
        "target_group_arn": {"type": "str", "required": True},
        "container_name": {"type": "str", "required": True},
        "container_port": {"type": "int", "required": True},
    }
    deployment = {
        "minimum_healthy_percent": {"type": "int"},
        "maximum_percent": {"type": "int"},
        "circuit_breaker": {"type": "bool"},
        "rollback": {"type": "bool"},
    }
    run(
        EcsService,
        spec(
            name={"type": "str", "required": True},
            cluster={"type": "str", "default": "default"},
            task_definition={"type": "str"},
            desired_count={"type": "int"},
            autoscaled={"type": "bool", "default": False},
            scheduling_strategy={"type": "str", "choices": ["REPLICA", "DAEMON"], "default": "REPLICA"},
            launch_type={"type": "str", "choices": ["FARGATE", "EC2", "EXTERNAL"]},
            capacity_provider_strategy={"type": "list", "elements": "dict", "options": strategy},
            network={"type": "dict", "options": network},
            load_balancers={"type": "list", "elements": "dict", "options": balancer},
            health_check_grace_period_seconds={"type": "int"},
            deployment={"type": "dict", "options": deployment},
            enable_execute_command={"type": "bool"},
            platform_version={"type": "str"},
            propagate_tags={"type": "str", "choices": ["SERVICE", "TASK_DEFINITION"]},
        ),
        mutually_exclusive=[("launch_type", "capacity_provider_strategy")],
    )


if __name__ == "__main__":
    main()
