# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the connection in use would come in again under the variables of the role hardening; one sentence for each reason why not."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.module_utils import _ufw


def pattern_matches(pattern, text):
    """sshd's patterns: * and ?, a leading ! negates."""
    words = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern.lstrip("!"))
    return re.match("^%s$" % words, text) is not None


def allowed(patterns, names):
    if not patterns:
        return True
    if any(pattern.startswith("!") and pattern_matches(pattern, name) for pattern in patterns for name in names):
        return False
    return any(not pattern.startswith("!") and pattern_matches(pattern, name) for pattern in patterns for name in names)


def check(values):
    """`values` holds what the host said of the connection in use, and the typed variables without the role's prefix."""
    connection = values.get("connection")
    if not connection:
        return []  # not reached by SSH: a console or a container's exec stays open whatever happens here
    said = []
    user, client, port = connection["user"], connection["client"], connection["port"]
    for index, account in enumerate(values.get("admin_users") or []):
        if account["name"] == user and account.get("state") == "absent":
            said.append("hardening_admin_users[%d]: removes %s, the account you are connected as; connect as another one" % (index, user))
    users_allowed = values.get("ssh_allow_users") or []
    # user@host patterns are matched by the user's part; the address is judged by sshd.
    if not allowed([pattern.split("@")[0] for pattern in users_allowed], [user]):
        said.append(
            "hardening_ssh_allow_users: %s does not let in %s, the account you are connected as; add it"
            % (", ".join(users_allowed), user)
        )
    groups = list(values.get("groups") or [])
    for account in values.get("admin_users") or []:
        if account["name"] == user:
            groups += account.get("groups") or []
    groups_allowed = values.get("ssh_allow_groups") or []
    if not allowed(groups_allowed, groups):
        said.append(
            "hardening_ssh_allow_groups: %s is in none of %s and would be locked out; add a group of it (%s)"
            % (user, ", ".join(groups_allowed), ", ".join(groups))
        )
    if user == "root" and values.get("ssh_permit_root_login") == "no":
        said.append(
            "hardening_ssh_permit_root_login: you are connected as root, whose login would be refused from now on; run "
            "playbooks/bootstrap.yml first and connect as an administrator, or use prohibit-password"
        )
    if values.get("password_in_use") and not values.get("ssh_password_authentication"):
        said.append(
            "hardening_ssh_password_authentication: this run connects with a password, which would be refused from now on; "
            "put your key into hardening_admin_users and connect with it"
        )
    ports = values.get("ssh_ports") or []
    if port not in ports:
        said.append(
            "hardening_ssh_ports: port %d, on which you are connected, is not in %s; keep it, connect on the new one, then remove it"
            % (port, ports)
        )
    if values.get("firewall_enabled"):
        if not _ufw.admits(values.get("rules") or [], values.get("firewall_default_incoming"), client, port, connection.get("server")):
            said.append(
                "hardening_firewall_ssh_from: no rule lets in %s on port %d, the connection in use; add that address or its network"
                % (client, port)
            )
    return said
