#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Internal to the roles - refuse variables that cannot work, one sentence each, before anything is changed
version_added: 1.0.0
description:
  - Hands a role's variables to the role's checks in C(plugins/module_utils/_preflight/<role>.py) and fails with one
    sentence for each thing that is wrong. Types and unknown keys are judged earlier by the role's argument_specs.
  - Runs on the control node. Nothing is sent to the host.
options:
  role:
    description: Role whose checks are asked, without the collection's name.
    type: str
    required: true
  values:
    description: Public variables by their full name, and the facts that the checks need.
    type: dict
    default: {}
  checks:
    description: Whether the role's checks are asked; without them the variables are typed alone.
    type: bool
    default: true
  context:
    description: What the checks need beside the variables.
    type: dict
    default: {}
  others:
    description: Other roles, whose typed variables are registered as C(others), with the defaults that those roles have.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Preflight | variables
  botops.fleet.preflight:
    role: nginx
    values:
      nginx_sites: "{{ nginx_sites }}"
"""

RETURN = r"""
sentences:
  description: What is wrong, one sentence each.
  type: list
  elements: str
  returned: on failure
"""

# The work is done by the action plugin of the same name; Ansible needs this file for the documentation.
