#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_accounts
short_description: Internal to the role bot_app - accounts and directories of bots
version_added: 1.0.0
description:
  - Makes one system account with its own group for each bot, without a login shell and in no group of power, and the bot's
    directories with their owners and modes. All bots of a host in one round trip.
  - Configuration and releases belong to root and can be read by the bot; data and logs belong to the bot.
options:
  bots:
    description: Descriptions as the filter P(botops.fleet.bot_specs#filter) makes them.
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Says what would be made or changed.
  diff_mode:
    support: full
    description: One line for each account or directory.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Accounts and directories of this host's bots
  botops.fleet.bot_accounts:
    bots: "{{ bot_app_bots | botops.fleet.bot_specs({'host': inventory_hostname}) }}"
"""

RETURN = r"""
changes:
  description: What was made or changed, a line each.
  type: list
  elements: str
  returned: always
"""

import grp
import os
import pwd

from ansible.module_utils.basic import AnsibleModule

# Membership makes a break-in to the bot a break-in to the host.
POWERFUL = ("root", "sudo", "admin", "wheel", "docker", "lxd", "incus", "libvirt", "disk", "shadow")


def directories(bot):
    user, paths = bot["user"], bot["paths"]
    return [
        (paths["etc"], "root", user, 0o750),
        (paths["home"], "root", user, 0o750),
        (paths["releases"], "root", user, 0o750),
        (paths["data"], user, user, 0o750),
        (paths["logs"], user, user, 0o750),
        (paths["backups"], user, user, 0o700),
        (os.path.dirname(os.path.dirname(paths["state"])), "root", "root", 0o755),
        (os.path.dirname(paths["state"]), "root", "root", 0o755),
        (paths["state"], "root", "root", 0o700),
    ]


class Accounts:
    def __init__(self, module):
        self.module, self.changes = module, []

    def run(self, *argv):
        status, out, err = self.module.run_command(list(argv))
        if status:
            self.module.fail_json(msg="%s failed: %s" % (argv[0], (err or out).strip()), changes=self.changes)

    def account(self, bot):
        user, uid = bot["user"], bot.get("uid")
        powers = [name for name in POWERFUL if user in members(name)]
        if powers:
            self.module.fail_json(
                msg="%s: the user %s is a member of %s; give the bot a user of its own." % (bot["label"], user, ", ".join(powers)),
                changes=self.changes,
            )
        try:
            present = pwd.getpwnam(user)
        except KeyError:
            self.changes.append("account %s" % user)
            if not self.module.check_mode:
                number = ["--uid", str(uid), "--gid", str(uid)] if uid else ["--gid", user]
                if user not in [group.gr_name for group in grp.getgrall()]:
                    self.run("groupadd", "--system", *(["--gid", str(uid)] if uid else []), user)
                self.run(
                    "useradd", "--system", *number, "--no-create-home", "--home-dir", bot["paths"]["home"],
                    "--shell", "/usr/sbin/nologin", "--comment", "bot " + bot["name"], user,
                )  # fmt: skip
            return
        if uid and present.pw_uid != uid:
            self.module.fail_json(
                msg="%s: the user %s exists with uid %d, not %d; remove it or declare its uid." % (bot["label"], user, present.pw_uid, uid),
                changes=self.changes,
            )

    def directory(self, path, owner, group, mode):
        wanted = (number(pwd.getpwnam, owner), number(grp.getgrnam, group), mode)
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
            # A link is an operator's way to another disk; its target is judged instead, when it is a directory.
            if not os.path.isdir(path):
                self.module.fail_json(msg="%s exists and is not a directory; move it away." % path, changes=self.changes)
        if os.path.isdir(path):
            info = os.stat(path)
            if (info.st_uid, info.st_gid, info.st_mode & 0o7777) == wanted:
                return
        self.changes.append("%s %s:%s %04o" % (path, owner, group, mode))
        if self.module.check_mode:
            return
        if not os.path.isdir(path):
            os.makedirs(path)
        os.chown(path, wanted[0], wanted[1])
        os.chmod(path, mode)


def members(group):
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []


def number(look_up, name):
    """Of an account that check mode did not make: none."""
    try:
        return look_up(name)[2]
    except KeyError:
        return None


def main():
    module = AnsibleModule(
        argument_spec={"bots": {"type": "list", "elements": "dict", "required": True}}, supports_check_mode=True
    )
    accounts = Accounts(module)
    for bot in module.params["bots"]:
        accounts.account(bot)
        for entry in directories(bot):
            accounts.directory(*entry)
    result = {"changed": bool(accounts.changes), "changes": accounts.changes}
    if accounts.changes:
        result["diff"] = {"before": "", "after": "".join(line + "\n" for line in accounts.changes)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
