#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_profile
short_description: Apply a map of kernel settings in one round trip and report what this kernel does not take
version_added: 1.0.0
description:
  - Writes each setting to C(/proc/sys) where its value differs. Settings that the running kernel does not know, refuses or holds
    read-only are reported in RV(skipped), never a failure.
  - The settings are not made permanent by this module; that is a file in C(/etc/sysctl.d).
options:
  settings:
    description: Kernel settings by their dotted name.
    type: dict
    required: true
  shared_kernel:
    description: >-
      The host is a container. Then only C(net.) settings are applied, which belong to the container; all others would
      change the machine that it runs on.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Compares and changes nothing.
  diff_mode:
    support: full
    description: Values before and after.
  idempotent:
    support: full
    description: What cannot be set is skipped again, and is not a change.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Apply the security settings
  botops.fleet.sysctl_profile:
    settings:
      kernel.dmesg_restrict: 1
      net.ipv4.tcp_syncookies: 1
"""

RETURN = r"""
applied:
  description: Settings that were written, or would be in check mode.
  type: dict
  returned: always
skipped:
  description: Settings that could not be applied, with the reason.
  type: dict
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule


def path_of(key, root="/proc/sys"):
    # Interface names may hold dots; they are then written with slashes, as sysctl(8) has it.
    return os.path.join(root, key if "/" in key else key.replace(".", "/"))


def plain(value):
    return " ".join(str(value).split())


def order(item):
    """A change to forwarding puts the kernel's own defaults back into other settings, such as accept_redirects."""
    return not item[0].endswith(("ip_forward", "forwarding")), item[0]


def converge(settings, shared_kernel, check_mode, root="/proc/sys"):
    applied, before, skipped = {}, {}, {}
    for key, value in sorted(settings.items(), key=order):
        path, wanted = path_of(key, root), plain(int(value) if isinstance(value, bool) else value)
        if not os.path.exists(path):
            skipped[key] = "this kernel does not know it"
            continue
        try:
            with open(path, encoding="utf-8") as handle:
                now = plain(handle.read())
        except OSError as error:
            skipped[key] = "cannot be read (%s)" % error.strerror
            continue
        if now == wanted:
            continue
        if shared_kernel and not key.startswith("net"):
            skipped[key] = "belongs to the machine that this container runs on (%s there)" % now
            continue
        if check_mode:
            if os.access(path, os.W_OK):
                before[key], applied[key] = now, wanted
            else:
                skipped[key] = "is read-only here (%s)" % now
            continue
        try:
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(wanted + "\n")
            with open(path, encoding="utf-8") as handle:
                after = plain(handle.read())
        except OSError as error:
            skipped[key] = "was refused (%s); it stays at %s" % (error.strerror, now)
            continue
        if after == now:
            skipped[key] = "was taken without effect; it stays at %s" % now
        else:
            before[key], applied[key] = now, after
    return applied, before, skipped


def main():
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "shared_kernel": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    applied, before, skipped = converge(module.params["settings"], module.params["shared_kernel"], module.check_mode)
    result = {"changed": bool(applied), "applied": applied, "skipped": skipped}
    if module._diff:
        result["diff"] = {
            "before_header": "kernel", "after_header": "kernel",
            "before": "".join("%s = %s\n" % pair for pair in sorted(before.items())),
            "after": "".join("%s = %s\n" % pair for pair in sorted(applied.items())),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
