#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_volume
short_description: Create, attach, grow or remove a DigitalOcean block volume
version_added: 1.0.0
description:
  - A volume is known by its name and its region; the name is unique there.
  - Attaching, detaching and growing are waited for. Moving it away from another droplet needs O(move=true), so that a typing mistake does not
    take the data of a bot that is trading.
  - A volume never shrinks, and it goes only with O(with_data=true). The module does not mount, unmount or grow the file system on the host.
options:
  name:
    description: The volume's name; lower case letters, digits and dash, a letter first, up to 64 characters.
    type: str
    required: true
  region:
    description: Slug of the region, for example V(nyc3).
    type: str
    required: true
  size_gigabytes:
    description: Size in GiB, from 1 to 16384. Required to create. A larger one grows the volume, a smaller one is an error.
    type: int
  filesystem_type:
    description: The file system that the vendor makes on it. Used at creation only; another one afterwards is an error.
    type: str
    choices: [ext4, xfs]
  filesystem_label:
    description: Label of the file system, up to 16 characters for ext4 and 12 for xfs. Used at creation only.
    type: str
  description:
    description: Free text. Used at creation only.
    type: str
  tags:
    description: All tags the volume shall have. Left alone when left out; an empty list removes all but O(owner_tag).
    type: list
    elements: str
  owner_tag:
    description: The tag by which the volume is known as this fleet's. One of the same name without it is neither changed nor removed.
    type: str
  droplet:
    description:
      - Name or number of the droplet it shall be attached to. An empty text detaches it; left out, it stays where it is.
      - Not looked at with O(state=absent).
    type: str
  move:
    description: Allow to take it away from another droplet.
    type: bool
    default: false
  with_data:
    description: Allow O(state=absent) to remove the volume with all that is on it. It is detached first. This cannot be undone.
    type: bool
    default: false
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: Room for the recordings of a bot
  botops.fleet.do_volume:
    name: bot-1-data
    owner_tag: fleet:prod
    region: nyc3
    size_gigabytes: 50
    filesystem_type: ext4
    droplet: bot-1

- name: To the standby
  botops.fleet.do_volume:
    name: bot-1-data
    region: nyc3
    droplet: bot-2
    move: true

- name: It goes, with all that is on it
  botops.fleet.do_volume:
    name: bot-1-data
    owner_tag: fleet:prod
    region: nyc3
    with_data: true
    state: absent
"""

RETURN = r"""
volume:
  description: The volume as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 506f78a4-e098-11e5-ad9f-000f53306ae1
    name: bot-1-data
    region: nyc3
    size_gigabytes: 50
    filesystem_type: ext4
    filesystem_label: ""
    description: ""
    droplet_id: 3164444
    tags: ["fleet:prod"]
    created_at: "2026-03-02T17:00:49Z"
    urn: "do:volume:506f78a4-e098-11e5-ad9f-000f53306ae1"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.volume import Volume


def main():
    run(
        Volume,
        spec(
            name={"type": "str", "required": True},
            region={"type": "str", "required": True},
            size_gigabytes={"type": "int"},
            filesystem_type={"type": "str", "choices": ["ext4", "xfs"]},
            filesystem_label={"type": "str"},
            description={"type": "str"},
            tags={"type": "list", "elements": "str"},
            owner_tag={"type": "str"},
            droplet={"type": "str"},
            move={"type": "bool", "default": False},
            with_data={"type": "bool", "default": False},
        ),
    )


if __name__ == "__main__":
    main()
