# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all do_* modules say about the connection, the life cycle and their attributes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_token:
    description:
      - Token of the DigitalOcean API, with write scope for what the module manages.
      - Taken from the environment variable E(DIGITALOCEAN_TOKEN), or its alias E(DIGITALOCEAN_ACCESS_TOKEN), when left out.
      - Set it once for all modules with C(module_defaults) and the action group C(group/botops.fleet.digitalocean).
    type: str
  api_endpoint:
    description:
      - Where the API is. Change it for tests only; plain C(http) is refused for public addresses.
      - Taken from the environment variable E(DIGITALOCEAN_API_ENDPOINT) when left out.
    type: str
    default: https://api.digitalocean.com
  api_timeout:
    description:
      - Seconds to wait for the answer to one request.
      - Reading and idempotent requests are repeated up to four times; what creates something is never repeated blindly, and after a
        lost answer the thing is looked for by its name first. When looking gets no answer either, the task fails and says what may exist.
    type: int
    default: 30
requirements:
  - pydo >= 0.44
notes:
  - Runs on the control node; use C(delegate_to=localhost) or a play for C(localhost).
  - Listings are always complete, and the API's rate limit is honoured by its headers.
author:
  - botops.fleet contributors (@botops)
"""

    STATE = r"""
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
    description:
      - Tells what would change, and refuses what a run would refuse. Sends reading requests only.
      - What would be created is returned with V((droplet bot-1, not there yet\)) where a value is not known before; later tasks of the plan take that.
  diff_mode:
    support: full
    description: Shows the managed fields before and after. Secrets are never shown.
  action_group:
    support: full
    membership: [botops.fleet.digitalocean]
    description: Options that C(module_defaults) sets for the group hold for this module.
  idempotent:
    support: full
    description: A second run finds nothing to do and writes nothing.
"""

    INFO = r"""
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Changes nothing.
  action_group:
    support: full
    membership: [botops.fleet.digitalocean]
    description: Options that C(module_defaults) sets for the group hold for this module.
  idempotent:
    support: full
    description: Changes nothing.
"""
