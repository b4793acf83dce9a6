#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_uptime_check
short_description: Let DigitalOcean look from outside whether a bot answers
version_added: 1.0.0
description:
  - Keeps a check of a URL or address from several regions, and the alerts that belong to it.
  - It sees what monitoring on the host cannot, that the host is gone.
options:
  name:
    description: The check's name.
    type: str
    required: true
  target:
    description: A URL, or an address or host name for O(type=ping). Required to create.
    type: str
  type:
    description: How it is looked. V(https), for new checks, when left out.
    type: str
    choices: [ping, http, https]
  regions:
    description: From where; a set. V(us_east) and V(eu_west), for new checks, when left out.
    type: list
    elements: str
    choices: [us_east, us_west, eu_west, se_asia]
  enabled:
    description: Whether it is looked. Left alone when left out; a check that somebody disabled is then told as a warning.
    type: bool
  alerts:
    description: Who is told when. A set by name. Left alone when left out.
    type: list
    elements: dict
    suboptions:
      name:
        description: The alert's name.
        type: str
        required: true
      type:
        description: What it watches. V(down) is from one region, V(down_global) from all.
        type: str
        choices: [latency, down, down_global, ssl_expiry]
        required: true
      threshold:
        description: Milliseconds for V(latency), days for V(ssl_expiry). Has no meaning for the others.
        type: int
      comparison:
        description: Side of the threshold. The usual one for the type when left out.
        type: str
        choices: [greater_than, less_than]
      period:
        description: For how long it must last.
        type: str
        choices: [2m, 3m, 5m, 10m, 15m, 30m, 1h]
        default: 2m
      emails:
        description: Addresses that are told; they must belong to members of the team.
        type: list
        elements: str
      slack:
        description: Channels that are told.
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
  purge_alerts:
    description: Remove alerts that are not in O(alerts).
    type: bool
    default: true
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: Is the bot's status page there?
  botops.fleet.do_uptime_check:
    name: bot-1
    target: https://bot.example.com/healthz
    regions: [us_east, eu_west]
    alerts:
      - name: bot-1 is down
        type: down_global
        period: 2m
        emails: [oncall@example.com]
      - name: bot-1 certificate
        type: ssl_expiry
        threshold: 14
        emails: [oncall@example.com]
"""

RETURN = r"""
uptime_check:
  description: The check as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 4de7ac8b-495b-4884-9a69-1050c6793cd6
    name: bot-1
    target: https://bot.example.com/healthz
    type: https
    regions: [eu_west, us_east]
    enabled: true
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.uptime_check import UptimeCheck

SLACK = {"channel": {"type": "str", "required": True}, "url": {"type": "str", "required": True, "no_log": True}}
ALERT = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["latency", "down", "down_global", "ssl_expiry"], "required": True},
    "threshold": {"type": "int"},
    "comparison": {"type": "str", "choices": ["greater_than", "less_than"]},
    "period": {"type": "str", "choices": ["2m", "3m", "5m", "10m", "15m", "30m", "1h"], "default": "2m"},
    "emails": {"type": "list", "elements": "str"},
    "slack": {"type": "list", "elements": "dict", "options": SLACK},
}


def main():
    run(
        UptimeCheck,
        spec(
            name={"type": "str", "required": True},
            target={"type": "str"},
            type={"type": "str", "choices": ["ping", "http", "https"]},
            regions={"type": "list", "elements": "str", "choices": ["us_east", "us_west", "eu_west", "se_asia"]},
            enabled={"type": "bool"},
            alerts={"type": "list", "elements": "dict", "options": ALERT},
            purge_alerts={"type": "bool", "default": True},
        ),
    )


if __name__ == "__main__":
    main()
