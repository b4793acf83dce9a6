#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: rsync_ha_identity
short_description: Internal to the role rsync_ha - one host's half of a replicating pair, its accounts and its SSH key
version_added: 1.0.0
description:
  - Makes the accounts that the peer writes through and an SSH key pair whose private half never leaves the host, and
    returns the public half together with the host's public host keys.
  - Looks at the bots' databases and at the disk first, and refuses before it changes anything.
options:
  read_only:
    description: Only return what is there.
    type: bool
    default: false
  required_by:
    description: Name of the host in what is said when its key is missing. Empty accepts that.
    type: str
    default: ""
  bots:
    description: The bots with their directories, as the role's filter makes them.
    type: list
    elements: dict
    default: []
  min_free_mb:
    description: Space that has to be free where the replica goes.
    type: int
    default: 0
  accounts:
    description: Names of the accounts to make. They have no password, and no shell beyond what sshd forces on them.
    type: list
    elements: str
    default: []
  packages:
    description: Packages that shall be there, C(package=version) where the version counts. See RV(missing_packages).
    type: list
    elements: str
    default: []
  key:
    description: Path of the private key.
    type: path
    default: /etc/botops/rsync_ha/id_ed25519
attributes:
  check_mode:
    support: full
    description: Reports what would be made. The public key is empty where there is none yet.
  diff_mode:
    support: none
    description: There is nothing to show.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Preflight | Accounts and key
  botops.fleet.rsync_ha_identity:
    accounts: [botops-sftp, botops-rsync]
    min_free_mb: 1024
"""

RETURN = r"""
public_key:
  description: The public key, empty while there is none.
  type: str
  returned: always
missing_packages:
  description: Those of O(packages) that apt has to be asked for.
  type: list
  elements: str
  returned: always
host_keys:
  description: The host's own public keys, the one that Litestream is shown first.
  type: list
  elements: str
  returned: always
"""

import fnmatch
import os
import pwd
import shutil

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _packages

# Where a host has several, Litestream is shown the first of these.
PREFERRED = ("ecdsa-sha2-nistp256", "ssh-ed25519", "ssh-rsa")
HOME = "/var/lib/botops/rsync_ha"


def host_keys():
    found = []
    for name in sorted(os.listdir("/etc/ssh")):
        if name.startswith("ssh_host_") and name.endswith("_key.pub"):
            with open(os.path.join("/etc/ssh", name)) as stream:
                found.append(" ".join(stream.read().split()[:2]))
    return sorted(found, key=lambda key: PREFERRED.index(key.split()[0]) if key.split()[0] in PREFERRED else 9)


def public_key(path):
    try:
        with open(path + ".pub") as stream:
            return " ".join(stream.read().split()[:2])
    except FileNotFoundError:
        return ""


def complaints(bots, min_free_mb):
    found = []
    for bot in bots:
        for directory, _names, files in os.walk(bot["directory"]):
            for name in sorted(files):
                path = os.path.join(directory, name)
                relative = os.path.relpath(path, bot["directory"])
                if any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(relative, pattern) for pattern in bot["exclude"]):
                    continue
                declared = relative in bot["databases"]
                if not declared and not any(fnmatch.fnmatch(name, pattern) for pattern in bot["find"]):
                    continue
                with open(path, "rb") as stream:
                    head = stream.read(20)
                if not head.startswith(b"SQLite format 3\0"):
                    if declared and head:
                        found.append("%s is declared as a database of %s and is not an SQLite file" % (path, bot["name"]))
                elif head[18:20] != b"\x02\x02":
                    found.append(
                        "%s is not in WAL mode, so it cannot be replicated while it is written; stop the bot and run "
                        "sqlite3 %s 'PRAGMA journal_mode=WAL', or exclude it in rsync_ha_bots" % (path, path)
                    )
    place = HOME
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    free = shutil.disk_usage(place).free >> 20
    if free < min_free_mb:
        found.append(
            "%s has %d MB free and rsync_ha_min_free_mb asks for %d; make room, or lower it if the bot's data is small"
            % (place, free, min_free_mb)
        )
    return found


def make_account(module, name):
    try:
        pwd.getpwnam(name)
        return False
    except KeyError:
        pass
    if not module.check_mode:
        # /bin/sh: sshd runs a forced command through the shell. There is no home to put files into.
        argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name]
        module.run_command(argv, check_rc=True)
    return True


def make_key(module, path):
    if os.path.exists(path) and os.path.exists(path + ".pub"):
        return False
    if not module.check_mode:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rsync_ha", "-f", path]
        module.run_command(argv, check_rc=True, umask=0o077)
    return True


def main():
    module = AnsibleModule(
        argument_spec={
            "read_only": {"type": "bool", "default": False},
            "required_by": {"type": "str", "default": ""},
            "bots": {"type": "list", "elements": "dict", "default": []},
            "min_free_mb": {"type": "int", "default": 0},
            "accounts": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "key": {"type": "path", "default": "/etc/botops/rsync_ha/id_ed25519", "no_log": False},
        },
        supports_check_mode=True,
    )
    values = module.params
    changed = False
    if values["required_by"] and not module.check_mode and not public_key(values["key"]):
        module.fail_json(
            msg="%s has no key yet. Run the role on both hosts at once, so that each one makes its own: leave out --limit and serial"
            % values["required_by"]
        )
    if not values["read_only"]:
        found = complaints(values["bots"], values["min_free_mb"])
        if found:
            module.fail_json(msg="\n".join(found))
        for name in values["accounts"]:
            changed |= make_account(module, name)
        changed |= make_key(module, values["key"])
    missing = _packages.missing(module.run_command, values["packages"])
    module.exit_json(changed=changed, public_key=public_key(values["key"]), host_keys=host_keys(), missing_packages=missing)


if __name__ == "__main__":
    main()
