#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_certificate
short_description: Upload or request a TLS certificate for DigitalOcean load balancers
version_added: 1.0.0
description:
  - Keeps a certificate under a name, either one of Let's Encrypt for O(dns_names) that the vendor issues and renews, or one that you
    bring.
  - The vendor cannot change a certificate. Another content under the same name is an error that says how to rotate it.
options:
  name:
    description: The certificate's name. For certificates that you rotate, put the year or the serial number into it.
    type: str
    required: true
  dns_names:
    description: Names for a certificate of Let's Encrypt. Their domains must be in this account. Excludes the PEM options.
    type: list
    elements: str
  leaf_certificate:
    description: The certificate in PEM. It is compared by its fingerprint.
    type: str
  private_key:
    description: Its private key in PEM. Sent at creation only, never shown.
    type: str
  certificate_chain:
    description: The intermediate certificates in PEM.
    type: str
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: A certificate that renews itself
  botops.fleet.do_certificate:
    name: bot-example-com
    dns_names: [bot.example.com]

- name: One of our own
  botops.fleet.do_certificate:
    name: bot-example-com-2026
    leaf_certificate: "{{ lookup('ansible.builtin.file', 'bot.crt') }}"
    private_key: "{{ vault_bot_key }}"
    certificate_chain: "{{ lookup('ansible.builtin.file', 'chain.pem') }}"
"""

RETURN = r"""
certificate:
  description: The certificate as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 892071a0-bb95-49bc-8021-3afd67a210bf
    name: bot-example-com
    type: lets_encrypt
    state: verified
    dns_names: [bot.example.com]
    not_after: "2027-02-22T00:23:00Z"
    sha1_fingerprint: dfcc9f57d86bf58e321c2c6c31c7a971be244ac7
    created_at: "2026-01-20T10:15:04Z"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.certificate import Certificate
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec


def main():
    run(
        Certificate,
        spec(
            name={"type": "str", "required": True},
            dns_names={"type": "list", "elements": "str"},
            leaf_certificate={"type": "str"},
            private_key={"type": "str", "no_log": True},
            certificate_chain={"type": "str"},
        ),
        required_if=[("state", "present", ["dns_names", "leaf_certificate"], True)],
        mutually_exclusive=[("dns_names", "leaf_certificate")],
        required_together=[("leaf_certificate", "private_key")],
        required_by={"certificate_chain": ["leaf_certificate"]},
    )


if __name__ == "__main__":
    main()
