#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_elasticache_replication_group
short_description: Create, change or remove a Redis or Valkey replication group of ElastiCache
version_added: 1.0.0
description:
  - Keeps a primary with its replicas, encryption, windows and snapshots. M(community.aws.elasticache) knows single clusters only and has no
    check mode.
options:
  name:
    description: The group's id; at most 40 lower-case letters, digits and single dashes.
    type: str
    required: true
  description:
    description: Free text. Required to create.
    type: str
  engine:
    description: V(redis) when a group is created without it. A group can move from V(redis) to V(valkey).
    type: str
    choices: [redis, valkey]
  engine_version:
    description: Such as V(7.1), which means any 7.1.x.
    type: str
  node_type:
    description: Such as V(cache.t4g.micro). Required to create.
    type: str
  replicas:
    description: Replicas of each primary. When a group is created without it, 1 with O(automatic_failover) and 0 otherwise.
    type: int
  shards:
    description: Primaries, for a group in cluster mode. Left out, the group has one and cluster mode is off. It cannot be changed.
    type: int
  automatic_failover:
    description: Promote a replica when the primary fails.
    type: bool
  multi_az:
    description: Put primary and replicas into different zones. Needs O(automatic_failover).
    type: bool
  subnet_group:
    description: Cache subnet group. It cannot be changed.
    type: str
  security_groups:
    description: Ids of the security groups.
    type: list
    elements: str
  parameter_group:
    description: Cache parameter group.
    type: str
  port:
    description: Port. 6379 by default. It cannot be changed.
    type: int
  encryption_at_rest:
    description: Encrypt what is on disk. It cannot be changed.
    type: bool
  encryption_in_transit:
    description: Speak TLS. Not changed here, since clients have to be moved along.
    type: bool
  kms_key_id:
    description: Key for O(encryption_at_rest). It cannot be changed.
    type: str
  auth_token:
    description:
      - Password of the group. Needs O(encryption_in_transit). It is set at creation, or where there was none.
      - The vendor does not tell the token, so another one is not noticed here. Rotate it with C(aws elasticache modify-replication-group).
    type: str
  snapshot_retention_days:
    description: Days that daily snapshots are kept. 0 means none.
    type: int
  snapshot_window:
    description: When snapshots are taken, as in V(05:00-06:00), UTC.
    type: str
  maintenance_window:
    description: When the vendor may patch, as in V(sun:23:00-mon:01:30), UTC.
    type: str
  auto_minor_version_upgrade:
    description: Let the vendor upgrade minor versions.
    type: bool
  apply_immediately:
    description: Apply changes now, or in the next maintenance window. The number of replicas always changes now.
    type: bool
    default: true
  final_snapshot:
    description: Name of a snapshot to take before the group is removed.
    type: str
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.state
  - botops.fleet.aws.tags
"""

EXAMPLES = r"""
- name: The message bus, with a replica in another zone
  botops.fleet.aws_elasticache_replication_group:
    region: us-east-1
    name: core-bus
    description: message bus of the core
    engine: valkey
    node_type: cache.t4g.small
    replicas: 1
    automatic_failover: true
    multi_az: true
    subnet_group: core-private
    security_groups: [sg-0123456789abcdef0]
    encryption_at_rest: true
    encryption_in_transit: true
    auth_token: "{{ vault_bus_token }}"
    snapshot_retention_days: 7
"""

RETURN = r"""
elasticache_replication_group:
  description: The group as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    name: core-bus
    status: available
    endpoint: master.core-bus.abc123.use1.cache.amazonaws.com
    reader_endpoint: replica.core-bus.abc123.use1.cache.amazonaws.com
    port: 6379
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._aws.elasticache_replication_group import ReplicationGroup
from ansible_collections.botops.fleet.plugins.module_utils._aws.module import run, spec


def main():
    run(
        ReplicationGroup,
        spec(
            name={"type": "str", "required": True},
            description={"type": "str"},
            engine={"type": "str", "choices": ["redis", "valkey"]},
            engine_version={"type": "str"},
            node_type={"type": "str"},
            replicas={"type": "int"},
            shards={"type": "int"},
            automatic_failover={"type": "bool"},
            multi_az={"type": "bool"},
            subnet_group={"type": "str"},
            security_groups={"type": "list", "elements": "str"},
            parameter_group={"type": "str"},
            port={"type": "int"},
            encryption_at_rest={"type": "bool"},
            encryption_in_transit={"type": "bool"},
            kms_key_id={"type": "str", "no_log": False},
            auth_token={"type": "str", "no_log": True},
            snapshot_retention_days={"type": "int"},
            snapshot_window={"type": "str"},
            maintenance_window={"type": "str"},
            auto_minor_version_upgrade={"type": "bool"},
            apply_immediately={"type": "bool", "default": True},
            final_snapshot={"type": "str"},
        ),
    )


if __name__ == "__main__":
    main()
