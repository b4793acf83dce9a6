#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_alert_policy
short_description: Be told when a DigitalOcean droplet, database or load balancer is in trouble
version_added: 1.0.0
description:
  - Keeps an alert policy and who is told. The vendor knows no names for policies; O(name) is kept as the description, and it is what
    identifies the policy.
  - Metrics of droplets need the metrics agent, see the option C(monitoring) of M(botops.fleet.do_droplet).
options:
  name:
    description: What the policy is called, and what its messages say.
    type: str
    required: true
  metric:
    description:
      - What is watched. V(cpu), V(memory) and V(disk) are percentages; V(load_1), V(load_5) and V(load_15) are load averages; the rest of
        the droplet's are MB/s (disk) or Mbit/s (network).
      - Those that begin with C(database_) or C(load_balancer_) need O(entities).
      - Required to create.
    type: str
    choices:
      - cpu
      - memory
      - disk
      - load_1
      - load_5
      - load_15
      - disk_read
      - disk_write
      - public_outbound
      - public_inbound
      - private_outbound
      - private_inbound
      - database_cpu
      - database_memory
      - database_disk
      - database_load
      - load_balancer_cpu
      - load_balancer_connections
      - load_balancer_health
      - load_balancer_5xx
  when:
    description: On which side of O(value) the trouble is. Above, for new policies, when left out.
    type: str
    choices: [above, below]
  value:
    description: The threshold. Required to create.
    type: float
  window:
    description: For how long it must last. Five minutes, for new policies, when left out.
    type: str
    choices: [5m, 10m, 30m, 1h]
  enabled:
    description: Whether the policy is watched. Left alone when left out; one that somebody disabled is then told as a warning.
    type: bool
  tags:
    description:
      - Droplets with one of these tags are watched; a set that is kept exactly. Left alone when left out.
      - A new policy without O(tags), O(droplets) and O(entities) watches all droplets of the account.
    type: list
    elements: str
  droplets:
    description: Names or numbers of droplets that are watched; with O(entities), a set that is kept exactly.
    type: list
    elements: str
  entities:
    description: UUIDs of databases or load balancers that are watched; with O(droplets), a set that is kept exactly.
    type: list
    elements: str
  emails:
    description: Addresses that are told; they must belong to members of the team. A set that is kept exactly.
    type: list
    elements: str
  slack:
    description: Channels that are told. A set that is kept exactly.
    type: list
    elements: dict
    suboptions:
      channel:
        description: The channel, for example C(#bots).
        type: str
        required: true
      url:
        description: The incoming webhook. It is a secret, and only its fingerprint appears in a diff.
        type: str
        required: true
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: A disk that fills up stops a bot
  botops.fleet.do_alert_policy:
    name: "prod: disk above 85 %"
    metric: disk
    value: 85
    window: 10m
    tags: [fleet:prod]
    emails: [oncall@example.com]
    slack:
      - channel: "#bots"
        url: "{{ vault_slack_webhook }}"
"""

RETURN = r"""
alert_policy:
  description: The policy as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    uuid: 78b3da62-27e5-49ba-ac70-5db0b5935c64
    name: "prod: disk above 85 %"
    type: v1/insights/droplet/disk_utilization_percent
    compare: GreaterThan
    value: 85.0
    window: 10m
    enabled: true
    tags: ["fleet:prod"]
    entities: []
    emails: [oncall@example.com]
    slack_channels: ["#bots"]
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.alert_policy import METRICS, AlertPolicy
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec


def main():
    run(
        AlertPolicy,
        spec(
            name={"type": "str", "required": True},
            metric={"type": "str", "choices": list(METRICS)},
            when={"type": "str", "choices": ["above", "below"]},
            value={"type": "float"},
            window={"type": "str", "choices": ["5m", "10m", "30m", "1h"]},
            enabled={"type": "bool"},
            tags={"type": "list", "elements": "str"},
            droplets={"type": "list", "elements": "str"},
            entities={"type": "list", "elements": "str"},
            emails={"type": "list", "elements": "str"},
            slack={
                "type": "list",
                "elements": "dict",
                "options": {"channel": {"type": "str", "required": True}, "url": {"type": "str", "required": True, "no_log": True}},
            },
        ),
    )


if __name__ == "__main__":
    main()
