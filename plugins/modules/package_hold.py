#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: package_hold
short_description: Hold packages, or let go of them, all in one round trip
version_added: 1.0.0
description:
  - Sets dpkg's selection of installed packages to C(hold) or back to C(install), so that no upgrade touches them unasked.
  - C(ansible.builtin.dpkg_selections) does the same for one package at a time.
options:
  name:
    description: Packages. Those that are not installed are left out.
    type: list
    elements: str
    required: true
  hold:
    description: Whether they are held.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing.
  diff_mode:
    support: full
    description: The selections before and after.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Keep the engine as it is until someone decides otherwise
  botops.fleet.package_hold:
    name: [docker.io, containerd]
"""

RETURN = r"""
packages:
  description: The packages whose selection was changed, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule


def selections(module, names):
    """{package: selection} of those that are installed."""
    _status, out, _err = module.run_command(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Want} ${db:Status-Status}\n"] + names)
    rows = [line.split() for line in out.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}


def to_change(current, wanted):
    return sorted(name for name, selection in current.items() if selection != wanted)


def shown(current):
    return "".join("%s %s\n" % pair for pair in sorted(current.items()))


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "hold": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    names, wanted = module.params["name"], "hold" if module.params["hold"] else "install"
    before = selections(module, names) if names else {}
    packages = to_change(before, wanted)
    if module.check_mode:
        # On a fresh host an earlier task would have installed them.
        packages = sorted(set(packages) | (set(names) - set(before) if module.params["hold"] else set()))
    elif packages:
        data = "".join("%s %s\n" % (name, wanted) for name in packages)
        module.run_command(["dpkg", "--set-selections"], data=data, check_rc=True)
    after = dict(before, **dict.fromkeys(packages, wanted))
    module.exit_json(changed=bool(packages), packages=packages, diff={"before": shown(before), "after": shown(after)})


if __name__ == "__main__":
    main()
