#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_facts
short_description: Internal to the role auditd - whether the kernel gives this host its audit system, and what there is to watch
version_added: 1.0.0
description:
  - Asks the kernel for the state of its audit system, looks for paths and accounts, and asks dpkg what is missing, in one round trip.
  - Fails with one sentence where the kernel gives no audit. A container shares its kernel with its host, whose audit system it must not touch.
  - Changes nothing.
options:
  paths:
    description: Paths to look for. One that ends in a slash has to be a directory.
    type: list
    elements: str
    default: []
  bots:
    description: Names of bots; the account of each is the one that owns the group of its C(/etc/bot-NAME).
    type: list
    elements: str
    default: []
  packages:
    description: Packages that shall be there. See RV(missing_packages).
    type: list
    elements: str
    default: []
  required:
    description: Fail where the kernel gives no audit.
    type: bool
    default: true
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
- name: Preflight | What the kernel gives and what is there
  botops.fleet.audit_facts:
    paths: [/etc/passwd, /etc/ssh/]
    bots: [paper]
    packages: [auditd]
"""

RETURN = r"""
refusal:
  description: Why the kernel gives no audit, in a sentence; empty where it does.
  type: str
  returned: always
status:
  description: Of the kernel's audit system C(enabled), C(failure), C(pid) of the daemon, C(backlog_limit), C(lost) and C(backlog).
  type: dict
  returned: always
machine:
  description: The processor's name, such as V(x86_64).
  type: str
  returned: always
compat32:
  description: Whether programs of 32 bits run as well.
  type: bool
  returned: always
present:
  description: Of O(paths) those that are there, each with the C(path) that the kernel knows it by and whether it is a C(directory).
  type: dict
  returned: always
accounts:
  description: Numbers of the accounts of O(bots), as far as they are there.
  type: dict
  returned: always
missing_packages:
  description: Those of O(packages) that apt has to be asked for.
  type: list
  elements: str
  returned: always
"""

import errno
import grp
import os
import pwd
import socket
import struct

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _packages

NETLINK_AUDIT = 9
AUDIT_GET = 1000
NLMSG_ERROR = 2
NLM_F_REQUEST = 1
HEADER = struct.Struct("=IHHII")
STATUS = ("mask", "enabled", "failure", "pid", "rate_limit", "backlog_limit", "lost", "backlog")
CONTAINERS = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
INSTEAD = "leave the role out there (auditd_enabled: false)"


def kernel():
    """(state, refusal): one message to the kernel, one back."""
    marks = [path for path in CONTAINERS if os.path.exists(path)]
    if marks:
        return {}, "this is a container (%s), and the audit system is its host's: apply the role there, and %s" % (marks[0], INSTEAD)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT) as netlink:
            netlink.settimeout(5)
            netlink.bind((0, 0))
            netlink.send(HEADER.pack(HEADER.size, AUDIT_GET, NLM_F_REQUEST, 1, 0))
            answer = netlink.recv(8192)
    except (OSError, AttributeError) as error:
        return {}, "the kernel answers no audit request (%s): boot one that has it, or %s" % (error, INSTEAD)
    return parsed(answer)


def parsed(answer):
    """(state, refusal) from one netlink message."""
    kind = HEADER.unpack_from(answer)[1]
    if kind == NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, HEADER.size)[0]
        name = errno.errorcode.get(number, str(number))
        return {}, "the kernel refuses audit requests here (%s), as it does in containers and with audit=0: boot without audit=0, or %s" % (name, INSTEAD)
    count = min(len(STATUS), (len(answer) - HEADER.size) // 4)
    return dict(zip(STATUS, struct.unpack_from("=%dI" % count, answer, HEADER.size))), ""


def looked(path):
    """{path, directory} where it is there. Links on the way are resolved: a rule is for the file, not for the way to it."""
    plain = path.rstrip("/") or "/"
    if not os.path.lexists(plain) or (path.endswith("/") and not os.path.isdir(plain)):
        return None
    if os.path.isdir(plain):
        return {"path": os.path.realpath(plain), "directory": True}
    # A program is the file behind the link; of anything else the link is what gets replaced.
    if os.access(plain, os.X_OK):
        return {"path": os.path.realpath(plain), "directory": False}
    return {"path": os.path.join(os.path.realpath(os.path.dirname(plain)), os.path.basename(plain)), "directory": False}


def account(bot):
    """Number of the account of a bot, or None."""
    try:
        name = grp.getgrgid(os.stat("/etc/bot-%s" % bot).st_gid).gr_name
        number = pwd.getpwnam(name).pw_uid
    except (OSError, KeyError):
        return None
    return number or None


def main():
    strings = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={"paths": strings, "bots": strings, "packages": strings, "required": {"type": "bool", "default": True}}, supports_check_mode=True
    )
    status, refusal = kernel()
    if refusal and module.params["required"]:
        module.fail_json(msg="auditd: " + refusal + ".", refusal=refusal)
    present = {path: looked(path) for path in module.params["paths"]}
    accounts = {bot: account(bot) for bot in module.params["bots"]}
    module.exit_json(
        changed=False,
        refusal=refusal,
        status=status,
        machine=os.uname().machine,
        compat32=os.path.exists("/proc/sys/abi/vsyscall32"),
        present={path: found for path, found in present.items() if found},
        accounts={bot: number for bot, number in accounts.items() if number is not None},
        missing_packages=_packages.missing(module.run_command, module.params["packages"]),
    )


if __name__ == "__main__":
    main()
