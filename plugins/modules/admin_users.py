#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: admin_users
short_description: Internal to the role hardening - accounts of administrators with their SSH keys, all in one round trip
version_added: 1.0.0
description:
  - Creates accounts with a home directory, puts exactly the declared keys into C(~/.ssh/authorized_keys), and removes accounts.
  - An account without a password hash gets no usable password and no password ageing, since an expired password would close the
    account to key logins, too.
options:
  users:
    description: The accounts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Login name.
        type: str
        required: true
      state:
        description: V(absent) removes the account and leaves its home directory.
        type: str
        choices: [present, absent]
        default: present
      keys:
        description: Public keys. Others are removed from the file. Left alone when not given.
        type: list
        elements: str
      groups:
        description: Supplementary groups to be added to. Other memberships are left alone.
        type: list
        elements: str
        default: []
      shell:
        description: Login shell of a new account.
        type: path
        default: /bin/bash
      password_hash:
        description: Hash as C(mkpasswd --method=yescrypt) prints it. Left alone when not given.
        type: str
  private_homes:
    description:
      - Close the home directories of all people (user ids from 1000 with a login shell), and the dot files in them, to other users.
      - What else is in them is behind a closed door then and keeps its modes.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing.
  diff_mode:
    support: full
    description: Keys and accounts before and after; never a password hash.
  idempotent:
    support: full
    description: A second run changes nothing.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Let the operators in
  botops.fleet.admin_users:
    users:
      - name: ops
        keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... ops@laptop"]
        groups: [adm]
"""

RETURN = r"""
changed_paths:
  description: Key files that were changed, or would be in check mode.
  type: list
  elements: str
  returned: always
accounts:
  description: Accounts that were created, changed or removed, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

import grp
import os
import pwd
import stat

from ansible.module_utils.basic import AnsibleModule

FILE = "authorized_keys"
FIRST_PERSON = 1000
NO_LOGIN = ("nologin", "false")


class Refused(Exception):
    """The host refused; the text is a sentence for the operator."""


class Accounts:
    def __init__(self, module):
        self.module = module
        self.changed_paths, self.accounts, self.before, self.after = [], [], [], []

    def run(self, *argv, **kwargs):
        status, out, err = self.module.run_command(list(argv), **kwargs)
        if status:
            raise Refused("`%s` failed: %s" % (" ".join(argv), (err or out).strip()))

    @staticmethod
    def account(name):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            return None

    @staticmethod
    def shadow(name):
        with open("/etc/shadow", encoding="utf-8") as handle:
            for line in handle:
                fields = line.rstrip("\n").split(":")
                if fields[0] == name:
                    return fields
        return [name, "", "", "", ""]

    def note(self, user, text_before, text_after):
        if user not in self.accounts:
            self.accounts.append(user)
        self.before.append(text_before)
        self.after.append(text_after)

    def converge(self, user):
        name, account = user["name"], self.account(user["name"])
        if user["state"] == "absent":
            if account:
                self.note(name, "account %s" % name, "")
                if not self.module.check_mode:
                    self.run("userdel", name)
            return
        if not account:
            self.note(name, "", "account %s" % name)
            if not self.module.check_mode:
                settings = ["-K", "PASS_MAX_DAYS=-1", "-K", "PASS_MIN_DAYS=0", "-K", "HOME_MODE=0700"]
                self.run("useradd", "--create-home", "--shell", user["shell"], "--password", "*", *settings, name)
                account = self.account(name)
        self.password(user, account)
        self.groups(user, account)
        self.keys(user, account)

    def password(self, user, account):
        name = user["name"]
        fields = self.shadow(name) if account else [name, "*", "", "", ""]
        if user["password_hash"] is not None:
            if fields[1] != user["password_hash"]:
                self.note(name, "password of %s" % name, "another password of %s" % name)
                if not self.module.check_mode:
                    self.run("chpasswd", "--encrypted", data="%s:%s\n" % (name, user["password_hash"]))
        elif account and fields[1][:1] in ("!", "*") and fields[4] not in ("", "-1", "99999"):
            self.note(name, "%s: password ages in %s days" % (name, fields[4]), "%s: no password, no ageing" % name)
            if not self.module.check_mode:
                self.run("chage", "--maxdays", "-1", "--mindays", "0", name)

    def groups(self, user, account):
        missing = []
        for group in user["groups"]:
            try:
                found = grp.getgrnam(group)
            except KeyError:
                if not self.module.check_mode:
                    raise Refused("the group %s of user %s does not exist on this host" % (group, user["name"])) from None
                missing.append(group)
                continue
            if user["name"] not in found.gr_mem and not (account and account.pw_gid == found.gr_gid):
                missing.append(group)
        if missing:
            self.note(user["name"], "", "%s in %s" % (user["name"], ", ".join(missing)))
            if not self.module.check_mode:
                self.run("usermod", "--append", "--groups", ",".join(missing), user["name"])

    def keys(self, user, account):
        if user["keys"] is None:
            return
        wanted = "".join(key.strip() + "\n" for key in user["keys"])
        home = account.pw_dir if account else "/home/%s" % user["name"]
        directory = os.path.join(home, ".ssh")
        path = os.path.join(directory, FILE)
        # The directory belongs to the user: never follow a link that leads root elsewhere.
        for place in (directory, path):
            if os.path.islink(place):
                raise Refused("%s is a symbolic link; replace it by the real thing first" % place)
        now = None
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as handle:
                now = handle.read()
        modes_right = account and now is not None and all(
            os.lstat(place).st_uid == account.pw_uid and (os.lstat(place).st_mode & 0o777) == mode
            for place, mode in ((directory, 0o700), (path, 0o600))
        )
        if now == wanted and modes_right:
            return
        self.changed_paths.append(path)
        self.note(user["name"], "%s\n%s" % (path, now or ""), "%s\n%s" % (path, wanted))
        if not self.module.check_mode:
            self.write(account, directory, wanted)

    @staticmethod
    def write(account, directory, text):
        if not os.path.isdir(directory):
            os.mkdir(directory, 0o700)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(fd, account.pw_uid, account.pw_gid)
            os.fchmod(fd, 0o700)
            temporary = ".%s.new" % FILE
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=fd)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)
                os.fchmod(stream.fileno(), 0o600)
            os.replace(temporary, FILE, src_dir_fd=fd, dst_dir_fd=fd)
        finally:
            os.close(fd)

    def close_homes(self):
        for account in pwd.getpwall():
            person = account.pw_uid >= FIRST_PERSON and account.pw_name != "nobody" and os.path.basename(account.pw_shell) not in NO_LOGIN
            if person and os.path.isdir(account.pw_dir):
                self.close_home(account)

    def close_home(self, account):
        # It belongs to the user: what is opened is judged, and a link is not followed.
        home = os.open(account.pw_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.tighten(account, account.pw_dir, home, 0o750)
            for name in sorted(entry for entry in os.listdir(home) if entry.startswith(".")):
                try:
                    found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=home)
                except OSError:
                    continue
                try:
                    if stat.S_ISREG(os.fstat(found).st_mode):
                        self.tighten(account, os.path.join(account.pw_dir, name), found, 0o740)
                finally:
                    os.close(found)
        finally:
            os.close(home)

    def tighten(self, account, path, found, most):
        info = os.fstat(found)
        mode = stat.S_IMODE(info.st_mode)
        if info.st_uid != account.pw_uid or mode & most == mode:
            return
        self.note(account.pw_name, "%s %04o" % (path, mode), "%s %04o" % (path, mode & most))
        if not self.module.check_mode:
            os.fchmod(found, mode & most)


def main():
    module = AnsibleModule(
        argument_spec={
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "keys": {"type": "list", "elements": "str", "no_log": False},
                    "groups": {"type": "list", "elements": "str", "default": []},
                    "shell": {"type": "path", "default": "/bin/bash"},
                    "password_hash": {"type": "str", "no_log": True},
                },
            },
            "private_homes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    accounts = Accounts(module)
    try:
        for user in module.params["users"]:
            accounts.converge(user)
        if module.params["private_homes"]:
            accounts.close_homes()
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error), changed_paths=accounts.changed_paths, accounts=accounts.accounts)
    result = {"changed": bool(accounts.accounts), "changed_paths": accounts.changed_paths, "accounts": accounts.accounts}
    if module._diff:
        texts = ["\n".join(text for text in side if text) for side in (accounts.before, accounts.after)]
        result["diff"] = {"before_header": "accounts", "after_header": "accounts", "before": texts[0] + "\n", "after": texts[1] + "\n"}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
