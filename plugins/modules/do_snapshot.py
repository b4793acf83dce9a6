#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_snapshot
short_description: Take or delete a snapshot of a DigitalOcean droplet
version_added: 1.0.0
description:
  - Takes a snapshot once. A snapshot of that name of that droplet that is there already is no change.
  - A snapshot of a running droplet is consistent like a disk after a power cut; stop the bot or the droplet first where that matters.
options:
  name:
    description: The snapshot's name. Put a date or a release into it when each run shall take a new one.
    type: str
  id:
    description: The snapshot's number, to choose between several of one name when one shall be deleted.
    type: str
  droplet:
    description: Name or number of the droplet. Required to take a snapshot; narrows the search when one is deleted.
    type: str
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: Keep the state before an upgrade
  botops.fleet.do_snapshot:
    name: "bot-1-before-{{ release }}"
    droplet: bot-1

- name: Remove it when the upgrade has proved itself
  botops.fleet.do_snapshot:
    name: "bot-1-before-{{ release }}"
    droplet: bot-1
    state: absent
"""

RETURN = r"""
snapshot:
  description: The snapshot as it is afterwards, or as it was before it was deleted. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: "6372321"
    name: bot-1-before-4f1c
    resource_id: "3164444"
    resource_type: droplet
    regions: [nyc3]
    min_disk_size: 25
    size_gigabytes: 2.36
    created_at: "2026-01-20T10:15:04Z"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.snapshot import Snapshot


def main():
    run(
        Snapshot,
        spec(name={"type": "str"}, id={"type": "str"}, droplet={"type": "str"}),
        required_one_of=[("name", "id")],
        required_if=[("state", "present", ["name"])],
    )


if __name__ == "__main__":
    main()
