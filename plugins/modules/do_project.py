#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_project
short_description: Keep a DigitalOcean project and what belongs to it
version_added: 1.0.0
description:
  - A project groups resources in the vendor's console and on its bill.
  - Every other C(do_*) module returns the C(urn) of its resource, which goes into O(resources).
options:
  name:
    description: The project's name.
    type: str
    required: true
  purpose:
    description: What it is for. C(Service or API), for new projects, when left out.
    type: str
  description:
    description: Free text, up to 255 characters.
    type: str
  environment:
    description: Which environment it is. V(Production), for new projects, when left out.
    type: str
    choices: [Development, Staging, Production]
  is_default:
    description: Make it the project into which new resources go. It cannot be made not the default; make another one the default instead.
    type: bool
  resources:
    description: URNs of what belongs to it. Left alone when left out.
    type: list
    elements: str
  purge_resources:
    description: Move what is not in O(resources) to the default project.
    type: bool
    default: false
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: One bill for the bots
  botops.fleet.do_project:
    name: bots
    environment: Production
    resources:
      - "{{ bot.droplet.urn }}"
      - "{{ front.reserved_ip.urn }}"
"""

RETURN = r"""
project:
  description: The project as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 4e1bfbc3-dc3e-41f2-a18f-1b4d7ba71679
    name: bots
    purpose: Service or API
    description: ""
    environment: Production
    is_default: false
    created_at: "2026-01-20T10:15:04Z"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.project import Project


def main():
    run(
        Project,
        spec(
            name={"type": "str", "required": True},
            purpose={"type": "str"},
            description={"type": "str"},
            environment={"type": "str", "choices": ["Development", "Staging", "Production"]},
            is_default={"type": "bool"},
            resources={"type": "list", "elements": "str"},
            purge_resources={"type": "bool", "default": False},
        ),
    )


if __name__ == "__main__":
    main()
