#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_ssh_key
short_description: Add, rename or remove an SSH key of a DigitalOcean account
version_added: 1.0.0
description:
  - Keeps a public key in the account under a name, so that new droplets can be given it.
  - A key that is in the account under another name is renamed, not added again.
options:
  name:
    description: The key's name in the account.
    type: str
    required: true
  public_key:
    description:
      - The key as one line in OpenSSH's format, C(type base64 [comment]). The comment is not compared.
      - Required with O(state=present).
    type: str
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: Let the operator's key into new droplets
  botops.fleet.do_ssh_key:
    name: operator-laptop
    public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"

- name: Retire a key
  botops.fleet.do_ssh_key:
    name: former-colleague
    state: absent
"""

RETURN = r"""
ssh_key:
  description: The key as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample: {id: 512189, name: operator-laptop, fingerprint: "3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa", public_key: "ssh-ed25519 AAAA…"}
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.ssh_key import SshKey


def main():
    run(
        SshKey,
        spec(name={"type": "str", "required": True}, public_key={"type": "str", "no_log": False}),
        required_if=[("state", "present", ["public_key"])],
    )


if __name__ == "__main__":
    main()
