#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_domain_record
short_description: Keep the DNS records of one name and type at DigitalOcean
version_added: 1.0.0
description:
  - The records of one name and type are one set, as a resolver sees them. Changing an address replaces the old one; it does not add a
    second record that half of the clients would go on using.
  - A record that changes is changed in place, so the name never points to nothing in between.
options:
  domain:
    description: The zone, for example V(example.com).
    type: str
    required: true
  create_domain:
    description: Add the zone to the account when it is not there.
    type: bool
    default: false
  name:
    description: The name inside the zone, V(@) for the zone itself. A full name that ends with the zone is understood, too.
    type: str
    default: "@"
  type:
    description: Type of the records.
    type: str
    choices: [A, AAAA, CAA, CNAME, MX, NS, SRV, TXT]
    default: A
  values:
    description: The values, for types that consist of a value alone.
    type: list
    elements: str
  records:
    description: The records, for types that have more than a value (MX, SRV, CAA).
    type: list
    elements: dict
    suboptions:
      data:
        description: The value.
        type: str
        required: true
      priority:
        description: Priority of MX and SRV.
        type: int
      port:
        description: Port of SRV.
        type: int
      weight:
        description: Weight of SRV.
        type: int
      flags:
        description: Flags of CAA.
        type: int
      tag:
        description: Tag of CAA.
        type: str
        choices: [issue, issuewild, iodef]
  ttl:
    description: Seconds for which resolvers may keep the answer, at least 30. 1800 for new records when left out.
    type: int
  purge:
    description: Remove records of that name and type that are not declared.
    type: bool
    default: true
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: The bot's status page
  botops.fleet.do_domain_record:
    domain: example.com
    name: bot
    values: ["{{ front.reserved_ip.ip }}"]
    ttl: 300

- name: Only one authority may issue certificates
  botops.fleet.do_domain_record:
    domain: example.com
    type: CAA
    records:
      - data: letsencrypt.org
        flags: 0
        tag: issue
"""

RETURN = r"""
domain_record:
  description: The set as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    domain: example.com
    name: bot
    type: A
    fqdn: bot.example.com
    values: [203.0.113.45]
    ttl: 300
    ids: [28448429]
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.domain_record import DomainRecord
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec


def main():
    run(
        DomainRecord,
        spec(
            domain={"type": "str", "required": True},
            create_domain={"type": "bool", "default": False},
            name={"type": "str", "default": "@"},
            type={"type": "str", "choices": ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"], "default": "A"},
            values={"type": "list", "elements": "str"},
            records={
                "type": "list",
                "elements": "dict",
                "options": {
                    "data": {"type": "str", "required": True},
                    "priority": {"type": "int"},
                    "port": {"type": "int"},
                    "weight": {"type": "int"},
                    "flags": {"type": "int"},
                    "tag": {"type": "str", "choices": ["issue", "issuewild", "iodef"]},
                },
            },
            ttl={"type": "int"},
            purge={"type": "bool", "default": True},
        ),
    )


if __name__ == "__main__":
    main()
