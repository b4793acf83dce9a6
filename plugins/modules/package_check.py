#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: package_check
short_description: Internal to the roles - which of some packages apt has to be asked for
version_added: 1.0.0
description:
  - Asks dpkg, in hundredths of a second, where C(ansible.builtin.apt) opens its whole cache to find that nothing is missing.
  - For roles that have no other look at the host before they install. Those that have one are given the packages there.
options:
  packages:
    description: Packages that shall be there, C(package=version) where the version counts.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: Looks and changes nothing, in check mode and outside it.
  diff_mode:
    support: none
    description: There is nothing to show.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Install | What is there
  botops.fleet.package_check:
    packages: [nginx, openssl]
  register: found

- name: Install | Packages
  ansible.builtin.apt:
    name: "{{ found.missing_packages }}"
  when: found.missing_packages | length > 0
"""

RETURN = r"""
missing_packages:
  description: Those of O(packages) that are not installed, or not whole, or not in that version.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _packages


def main():
    module = AnsibleModule(argument_spec={"packages": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True)
    module.exit_json(changed=False, missing_packages=_packages.missing(module.run_command, module.params["packages"]))


if __name__ == "__main__":
    main()
