# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all aws_* modules say about the life cycle, tags and their attributes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) creates what is missing and corrects what differs.
      - V(absent) removes it. Removing what is not there is no change.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: Wait until the resource is usable, or gone.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait before giving up. What was begun goes on; running the task again continues to wait for it.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Tells what would change. Sends reading requests only.
  diff_mode:
    support: full
    description: Shows the managed fields before and after. Secrets are never shown.
  idempotent:
    support: full
    description: A second run finds nothing to do and writes nothing.
requirements:
  - the collection amazon.aws, version 10 or later
notes:
  - Runs on the control node; use C(delegate_to=localhost) or a play for C(localhost).
  - What creates something is sent once; after a lost answer the thing is looked for by its name before anything else is sent.
author:
  - botops.fleet contributors (@botops)
"""

    TAGS = r"""
options:
  tags:
    description: Tags by their key. They are left alone when this is left out.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Remove tags that are not named. Those of AWS itself stay.
    type: bool
    default: true
"""
