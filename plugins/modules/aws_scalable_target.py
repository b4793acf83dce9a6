#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_scalable_target
short_description: Let AWS Application Auto Scaling size a service, with its policies and schedules
version_added: 1.0.0
description:
  - Keeps a scalable target together with its policies and scheduled actions.
  - Unlike M(community.aws.application_autoscaling_policy) it writes nothing in check mode and removes what is not named any more.
options:
  service_namespace:
    description: The service whose resource is scaled.
    type: str
    default: ecs
    choices: [ecs, elasticache, dynamodb, rds, ec2, appstream, sagemaker, lambda, kafka, neptune, comprehend, cassandra, workspaces, custom-resource]
  resource_id:
    description: The resource as Application Auto Scaling names it, such as V(service/CLUSTER/SERVICE).
    type: str
    required: true
  scalable_dimension:
    description: What of it is scaled.
    type: str
    default: ecs:service:DesiredCount
  min_capacity:
    description: Never fewer. Required to create.
    type: int
  max_capacity:
    description: Never more. Required to create.
    type: int
  role_arn:
    description: Role to act as, for services without a service-linked role.
    type: str
  suspended:
    description: What is switched off for the time being. Left alone when left out.
    type: dict
    suboptions:
      dynamic_scaling_in:
        description: Policies do not remove capacity.
        type: bool
      dynamic_scaling_out:
        description: Policies do not add capacity.
        type: bool
      scheduled_scaling:
        description: Schedules do nothing.
        type: bool
  policies:
    description: The policies. Left alone when left out; an empty list removes them all.
    type: list
    elements: dict
    suboptions:
      name:
        description: The policy's name.
        type: str
        required: true
      type:
        description: V(target_tracking) keeps a metric at a value, V(step) reacts to an alarm in steps.
        type: str
        choices: [target_tracking, step]
        default: target_tracking
      metric:
        description: Predefined metric to track, such as V(ECSServiceAverageCPUUtilization).
        type: str
      resource_label:
        description: Load balancer and target group for V(ALBRequestCountPerTarget).
        type: str
      custom_metric:
        description: Instead of O(policies[].metric), a C(CustomizedMetricSpecification) in the vendor's own words.
        type: dict
      target_value:
        description: Value to keep the metric at. Required for V(target_tracking).
        type: float
      scale_in_cooldown:
        description: Seconds between two removals of capacity.
        type: int
      scale_out_cooldown:
        description: Seconds between two additions of capacity.
        type: int
      disable_scale_in:
        description: Never remove capacity.
        type: bool
        default: false
      adjustment_type:
        description: What the adjustments of O(policies[].steps) mean.
        type: str
        choices: [ChangeInCapacity, PercentChangeInCapacity, ExactCapacity]
      cooldown:
        description: Seconds between two steps.
        type: int
      metric_aggregation_type:
        description: How the alarm's metric is summed up.
        type: str
        choices: [Average, Minimum, Maximum]
      min_adjustment_magnitude:
        description: The least a V(PercentChangeInCapacity) changes.
        type: int
      steps:
        description: The steps, relative to the alarm's threshold. Required for V(step).
        type: list
        elements: dict
        suboptions:
          lower:
            description: From this far above the threshold; open when left out.
            type: float
          upper:
            description: Up to this far above the threshold; open when left out.
            type: float
          adjustment:
            description: By how much.
            type: int
            required: true
  purge_policies:
    description: Remove policies that O(policies) does not name.
    type: bool
    default: true
  schedules:
    description: Capacities at certain times. Left alone when left out; an empty list removes them all.
    type: list
    elements: dict
    suboptions:
      name:
        description: The schedule's name.
        type: str
        required: true
      schedule:
        description: When, as in V(cron(0 8 * * ? *\)), V(rate(1 hour\)) or V(at(2026-01-31T08:00:00\)).
        type: str
        required: true
      timezone:
        description: Time zone of the schedule.
        type: str
        default: UTC
      min_capacity:
        description: The target's O(min_capacity) from then on.
        type: int
      max_capacity:
        description: The target's O(max_capacity) from then on.
        type: int
      start_time:
        description: Not before this time, such as V(2026-01-31T08:00:00Z).
        type: str
      end_time:
        description: Not after this time.
        type: str
  purge_schedules:
    description: Remove schedules that O(schedules) does not name.
    type: bool
    default: true
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.state
"""

EXAMPLES = r"""
- name: Between two and eight copies, by CPU, and four while games are on
  botops.fleet.aws_scalable_target:
    region: us-east-1
    resource_id: service/core/game-shard
    min_capacity: 2
    max_capacity: 8
    policies:
      - name: cpu
        metric: ECSServiceAverageCPUUtilization
        target_value: 60
        scale_in_cooldown: 300
        scale_out_cooldown: 60
    schedules:
      - name: evening
        schedule: cron(0 18 * * ? *)
        timezone: America/New_York
        min_capacity: 4
"""

RETURN = r"""
scalable_target:
  description: The target as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    service_namespace: ecs
    resource_id: service/core/game-shard
    scalable_dimension: ecs:service:DesiredCount
    min_capacity: 2
    max_capacity: 8
    policies: []
    schedules: []
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._aws.scalable_target import ScalableTarget

NAMESPACES = ["ecs", "elasticache", "dynamodb", "rds", "ec2", "appstream", "sagemaker", "lambda", "kafka", "neptune", "comprehend",
              "cassandra", "workspaces", "custom-resource"]


def main():
    step = {"lower": {"type": "float"}, "upper": {"type": "float"}, "adjustment": {"type": "int", "required": True}}
    policy = {
        "name": {"type": "str", "required": True},
        "type": {"type": "str", "choices": ["target_tracking", "step"], "default": "target_tracking"},
        "metric": {"type": "str"},
        "resource_label": {"type": "str"},
        "custom_metric": {"type": "dict"},
        "target_value": {"type": "float"},
        "scale_in_cooldown": {"type": "int"},
        "scale_out_cooldown": {"type": "int"},
        "disable_scale_in": {"type": "bool", "default": False},
        "adjustment_type": {"type": "str", "choices": ["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]},
        "cooldown": {"type": "int"},
        "metric_aggregation_type": {"type": "str", "choices": ["Average", "Minimum", "Maximum"]},
        "min_adjustment_magnitude": {"type": "int"},
        "steps": {"type": "list", "elements": "dict", "options": step},
    }
    schedule = {
        "name": {"type": "str", "required": True},
        "schedule": {"type": "str", "required": True},
        "timezone": {"type": "str", "default": "UTC"},
        "min_capacity": {"type": "int"},
        "max_capacity": {"type": "int"},
        "start_time": {"type": "str"},
        "end_time": {"type": "str"},
    }
    run(
        ScalableTarget,
        spec(
            tagged=False,
            service_namespace={"type": "str", "default": "ecs", "choices": NAMESPACES},
            resource_id={"type": "str", "required": True},
            scalable_dimension={"type": "str", "default": "ecs:service:DesiredCount"},
            min_capacity={"type": "int"},
            max_capacity={"type": "int"},
            role_arn={"type": "str"},
            suspended={
                "type": "dict",
                "options": {name: {"type": "bool"} for name in ("dynamic_scaling_in", "dynamic_scaling_out", "scheduled_scaling")},
            },
            policies={
                "type": "list", "elements": "dict", "options": policy,
                "required_if": [("type", "target_tracking", ["target_value"]), ("type", "step", ["adjustment_type", "steps"])],
            },
            purge_policies={"type": "bool", "default": True},
            schedules={"type": "list", "elements": "dict", "options": schedule},
            purge_schedules={"type": "bool", "default": True},
        ),
    )


if __name__ == "__main__":
    main()
