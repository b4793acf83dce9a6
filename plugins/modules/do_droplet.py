#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_droplet
short_description: Create, change, resize, stop or destroy a DigitalOcean droplet
version_added: 1.0.0
description:
  - Keeps one droplet as declared. It is found by its name (and O(owner_tag)), so a second run finds it again instead of creating
    another; two droplets of that name are an error that lists them.
  - Corrects tags, size, backup plan, power and name. What cannot be changed (region, image, VPC) is an error, not silently ignored.
  - Waits until the droplet is active and has its addresses, and returns them.
options:
  name:
    description:
      - Host name of the droplet; letters, digits, dot and dash.
      - With O(id), a droplet that is called otherwise is refused, or renamed with O(rename=true).
    type: str
  id:
    description:
      - The droplet's number, to choose between several of one name or to rename it.
      - A droplet without the O(owner_tag) is refused, in either state.
    type: str
  rename:
    description: Give the droplet O(id) the name O(name).
    type: bool
    default: false
  owner_tag:
    description:
      - Tag that marks what belongs to this fleet, for example V(fleet:prod). It is added to new droplets.
      - A droplet of that name without the tag is not touched; with O(state=present) it is an error, with O(state=absent) no change.
    type: str
  region:
    description: Slug of the region, for example V(nyc3). Required to create.
    type: str
  size:
    description:
      - Slug of the size, for example V(s-1vcpu-2gb). Required to create.
      - A droplet of another size is resized; see O(allow_downtime), O(snapshot_before_resize) and O(resize_disk).
    type: str
  image:
    description:
      - Slug or number of an image, or the name of a snapshot of this account. Required to create.
      - Compared when given; leave it out for droplets whose image has been retired.
    type: str
  ssh_keys:
    description: Names, numbers or fingerprints of keys in the account. Used at creation only.
    type: list
    elements: str
  vpc:
    description: Name or UUID of the VPC network. The region's default network when left out.
    type: str
  user_data:
    description: Cloud-init data, up to 64 KiB. Used at creation only. It is never shown; but anyone on the droplet can read it, so put no secret into it.
    type: str
  tags:
    description: Tags of the droplet. Left alone when left out.
    type: list
    elements: str
  purge_tags:
    description: Remove tags that are not in O(tags). The O(owner_tag) always stays.
    type: bool
    default: true
  backups:
    description: Whether the vendor takes backups. Left alone when left out.
    type: bool
  backup_policy:
    description: When backups are taken. Needs O(backups=true).
    type: dict
    suboptions:
      plan:
        description: How often.
        type: str
        choices: [daily, weekly]
        default: weekly
      weekday:
        description: Day of a weekly backup. The vendor's default is Sunday.
        type: str
        choices: [SUN, MON, TUE, WED, THU, FRI, SAT]
      hour:
        description: Hour (UTC) at which the four-hour window begins.
        type: int
        choices: [0, 4, 8, 12, 16, 20]
        default: 0
  monitoring:
    description: Install the metrics agent, which alert policies need. Works at creation only.
    type: bool
  ipv6:
    description: Whether the droplet has a public IPv6 address. It can be switched on later, not off.
    type: bool
  droplet_agent:
    description: Install the agent for the web console. The vendor decides by image when left out. Used at creation only.
    type: bool
  power_state:
    description: Whether the droplet runs. A running one is shut down cleanly, and switched off only when it does not react in 120 s.
    type: str
    choices: [running, stopped]
  allow_downtime:
    description: Allow a resize to power a running droplet off. Without it, a droplet of another size is an error.
    type: bool
    default: false
  snapshot_before_resize:
    description: Take a snapshot while the droplet is off, before it is resized.
    type: bool
    default: true
  resize_disk:
    description: Grow the disk, too. This cannot be undone, and the droplet can never be made smaller again.
    type: bool
    default: false
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: A droplet for the bot
  botops.fleet.do_droplet:
    name: bot-1
    owner_tag: fleet:prod
    region: nyc3
    size: g-2vcpu-8gb
    image: debian-13-x64
    vpc: bots-nyc3
    ssh_keys: [operator-laptop]
    tags: [env:prod, role:primary, bot:polymarket]
    monitoring: true
    backups: true
    backup_policy:
      plan: daily
      hour: 4
  register: bot

- name: Where it can be reached
  ansible.builtin.debug:
    msg: "{{ bot.droplet.public_ipv4 }} and {{ bot.droplet.private_ipv4 }}"

- name: A bigger one, in the maintenance window
  botops.fleet.do_droplet:
    name: bot-1
    size: c-4
    allow_downtime: true

- name: Destroy it, but only if it is this fleet's
  botops.fleet.do_droplet:
    name: bot-1
    owner_tag: fleet:prod
    state: absent
"""

RETURN = r"""
droplet:
  description: The droplet as it is afterwards, or as it was before it was destroyed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 3164444
    name: bot-1
    status: active
    public_ipv4: 203.0.113.7
    private_ipv4: 10.44.0.2
    public_ipv6: null
    region: nyc3
    size: g-2vcpu-8gb
    image: debian-13-x64
    vcpus: 2
    memory: 8192
    disk: 25
    price_monthly: 63.0
    tags: ["bot:polymarket", "env:prod", "fleet:prod", "role:primary"]
    vpc_uuid: 5a4981aa-9653-4bd1-bef5-d6bff52042e4
    features: [backups, monitoring, private_networking]
    snapshot_ids: []
    volume_ids: []
    created_at: "2026-01-20T10:15:04Z"
    urn: "do:droplet:3164444"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
  sample: [shut down, took the snapshot bot-1-before-resize-to-c-4, resized from g-2vcpu-8gb to c-4, powered on]
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.droplet import Droplet
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec


def main():
    run(
        Droplet,
        spec(
            name={"type": "str"},
            id={"type": "str"},
            rename={"type": "bool", "default": False},
            owner_tag={"type": "str"},
            region={"type": "str"},
            size={"type": "str"},
            image={"type": "str"},
            ssh_keys={"type": "list", "elements": "str", "no_log": False},
            vpc={"type": "str"},
            user_data={"type": "str", "no_log": True},
            tags={"type": "list", "elements": "str"},
            purge_tags={"type": "bool", "default": True},
            backups={"type": "bool"},
            backup_policy={
                "type": "dict",
                "options": {
                    "plan": {"type": "str", "choices": ["daily", "weekly"], "default": "weekly"},
                    "weekday": {"type": "str", "choices": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]},
                    "hour": {"type": "int", "choices": [0, 4, 8, 12, 16, 20], "default": 0},
                },
            },
            monitoring={"type": "bool"},
            ipv6={"type": "bool"},
            droplet_agent={"type": "bool"},
            power_state={"type": "str", "choices": ["running", "stopped"]},
            allow_downtime={"type": "bool", "default": False},
            snapshot_before_resize={"type": "bool", "default": True},
            resize_disk={"type": "bool", "default": False},
        ),
        required_one_of=[("name", "id")],
    )


if __name__ == "__main__":
    main()
