# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role hardening refuses, one sentence each. Types, choices and unknown keys are judged by argument_specs before."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.module_utils import _ufw

NAME = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
KEY = re.compile(r"^(?:[a-z0-9-]+=\S+ )?(sk-)?(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp\d+)(@openssh\.com)? [A-Za-z0-9+/]{40,}={0,3}( .*)?$")
# What the role sets itself, with the variable that sets it.
OWNED = {
    "port": "hardening_ssh_ports", "addressfamily": "hardening_ssh_address_family",
    "listenaddress": "hardening_ssh_listen_addresses", "allowusers": "hardening_ssh_allow_users",
    "allowgroups": "hardening_ssh_allow_groups", "permitrootlogin": "hardening_ssh_permit_root_login",
    "passwordauthentication": "hardening_ssh_password_authentication", "maxsessions": "hardening_ssh_max_sessions",
    "maxauthtries": "hardening_ssh_max_auth_tries", "loglevel": "hardening_ssh_log_level",
    "allowtcpforwarding": "hardening_ssh_allow_tcp_forwarding", "tcpkeepalive": "hardening_ssh_tcp_keep_alive",
}
RULE_KEYS = {
    "action", "direction", "route", "proto", "port", "from", "from_port", "to", "interface_in", "interface_out", "log", "family", "comment",
}
CHOICES = {
    "action": ("allow", "deny", "reject", "limit"), "direction": ("in", "out"), "proto": _ufw.PROTOCOLS,
    "log": ("none", "new", "all"), "family": ("both", "ipv4", "ipv6"),
}


def check(values):
    """All sentences about these variables. The caller passes `connection` once the host was asked how it is reached."""
    said = []
    if values.get("bootstrap"):
        return someone_gets_in(values) + users(values)
    for part in (users, ssh, firewall, kernel, rest):
        said += part(values)
    # Only sensible variables can be judged for what they let in.
    if not said and "connection" in values:
        said += lockout(values)
    return said


def someone_gets_in(values):
    """After the bootstrap the next run must be possible without root's login."""
    for user in values.get("hardening_admin_users") or []:
        if user.get("keys") and user.get("state", "present") == "present" and user.get("sudo", "none") != "none":
            return []
    return [
        "hardening_admin_users: nobody in it has keys and sudo (nopasswd or password), so no later run could become root; "
        "declare at least one such account"
    ]


def users(values):
    said, seen = [], set()
    for index, user in enumerate(values.get("hardening_admin_users") or []):
        where = "hardening_admin_users[%d]" % index
        name = user.get("name") or ""
        if not NAME.match(name):
            said.append("%s.name: %r is not a login name; use lower-case letters, digits, - and _, at most 32" % (where, name))
        elif name == "root":
            said.append("%s.name: root is no administrator's account; create one of its own and let it use sudo" % where)
        elif name in seen:
            said.append("%s.name: %s is declared twice; merge the two entries" % (where, name))
        seen.add(name)
        present = user.get("state", "present") == "present"
        for number, key in enumerate(user.get("keys") or []):
            if "PRIVATE KEY" in key:
                said.append("%s.keys[%d]: this is a private key; give the content of the .pub file and replace the key pair" % (where, number))
            elif not KEY.match(key.strip()):
                said.append("%s.keys[%d]: not a public key; write one line such as `ssh-ed25519 AAAA… name`" % (where, number))
        if present and user.get("keys") is not None and not user["keys"]:
            said.append("%s.keys: an empty list would lock %s out; remove the key `keys` or use `state: absent`" % (where, name))
        if present and user.get("sudo") == "password" and not user.get("password_hash"):
            said.append("%s.sudo: `password` needs password_hash (mkpasswd --method=yescrypt), or use `nopasswd`" % where)
        hashed = user.get("password_hash")
        if hashed is not None and not hashed.startswith("$"):
            said.append("%s.password_hash: not a hash; never put a password here, but what `mkpasswd --method=yescrypt` prints" % where)
    return said


def port_number(port):
    return isinstance(port, int) and not isinstance(port, bool) and 1 <= port <= 65535


def ssh(values):
    said = []
    ports = values.get("hardening_ssh_ports") or []
    if not ports:
        said.append("hardening_ssh_ports: empty, so sshd would not be reachable; write [22]")
    for index, port in enumerate(ports):
        if not port_number(port):
            said.append("hardening_ssh_ports[%d]: %s is not a port; use a number from 1 to 65535" % (index, port))
    family = values.get("hardening_ssh_address_family", "any")
    for index, address in enumerate(values.get("hardening_ssh_listen_addresses") or []):
        try:
            version = ipaddress.ip_address(address).version
        except ValueError:
            said.append("hardening_ssh_listen_addresses[%d]: %r is not an address of this host" % (index, address))
            continue
        if (family, version) in (("inet", 6), ("inet6", 4)):
            said.append("hardening_ssh_listen_addresses[%d]: %s does not fit hardening_ssh_address_family: %s" % (index, address, family))
    if not values.get("hardening_ssh_host_keys", ["ed25519"]):
        said.append("hardening_ssh_host_keys: empty, so sshd would not start; write [ed25519]")
    for key in values.get("hardening_ssh_settings") or {}:
        if key.lower() in OWNED:
            said.append("hardening_ssh_settings.%s: set it by %s" % (key, OWNED[key.lower()]))
        elif key.lower() in ("match", "include", "subsystem"):
            said.append("hardening_ssh_settings.%s: put it into a file of your own in /etc/ssh/sshd_config.d" % key)
    for name in ("hardening_ssh_allow_users", "hardening_ssh_allow_groups"):
        for index, pattern in enumerate(values.get(name) or []):
            if not pattern or re.search(r"\s", pattern):
                said.append("%s[%d]: %r holds white space; one pattern for each list entry" % (name, index, pattern))
    return said


def firewall(values):
    said = []
    for name in ("hardening_firewall_ssh_from", "hardening_firewall_ssh_unlimited_from"):
        for index, item in enumerate(values.get(name) or []):
            try:
                _ufw.network(item)
            except _ufw.RuleError as error:
                said.append("%s[%d]: %s" % (name, index, error))
    for name, rules in sorted((values.get("hardening_firewall_rule_sets") or {}).items()):
        if not isinstance(rules, (list, tuple)):
            said.append("%s: must be a list of rules, as every variable whose name begins with hardening_firewall_rules_" % name)
            continue
        for index, rule in enumerate(rules):
            said += ["%s[%d]%s" % (name, index, sentence) for sentence in one_rule(rule)]
    return said


def one_rule(rule):
    if not isinstance(rule, dict):
        return [": must be a rule with keys such as port and proto, not %r" % (rule,)]
    unknown = sorted(set(rule) - RULE_KEYS)
    if unknown:
        return [".%s: unknown key; known are %s" % (unknown[0], ", ".join(sorted(RULE_KEYS)))]
    for key, choices in sorted(CHOICES.items()):
        if rule.get(key, choices[0]) not in choices:
            return [".%s: %r is not one of %s" % (key, rule[key], ", ".join(choices))]
    for key in ("comment", "interface_in", "interface_out"):
        if not isinstance(rule.get(key) or "", str):
            return [".%s: must be text" % key]
    return ["." + sentence for sentence in _ufw.check_rule(rule)]


def kernel(values):
    said = []
    for key, value in sorted((values.get("hardening_sysctl_settings") or {}).items()):
        if not re.match(r"^[a-z0-9_]+([./][A-Za-z0-9_*-]+)+$", key):
            said.append("hardening_sysctl_settings.%s: not a kernel setting; write it as sysctl does, such as net.ipv4.tcp_syncookies" % key)
        elif "\n" in str(value) or isinstance(value, (dict, list)):
            said.append("hardening_sysctl_settings.%s: must be one number or one line of text" % key)
    for index, name in enumerate(values.get("hardening_disabled_modules") or []):
        if not re.match(r"^[A-Za-z0-9_-]+$", name):
            said.append("hardening_disabled_modules[%d]: %r is not the name of a kernel module" % (index, name))
        elif name in ("ext4", "overlay", "nf_tables", "virtio_net", "virtio_blk", "vfat"):
            said.append("hardening_disabled_modules[%d]: %s is needed to boot or to run; remove it" % (index, name))
    for index, mount in enumerate(values.get("hardening_mounts") or []):
        for option in mount.get("options") or []:
            if option not in ("nodev", "nosuid", "noexec"):
                said.append("hardening_mounts[%d].options: %s; only nodev, nosuid and noexec can be added to a live mount safely" % (index, option))
        if mount.get("path") in ("/", "/usr", "/var", "/etc", "/home"):
            said.append("hardening_mounts[%d].path: %s carries programs or data of the system; set its options in /etc/fstab" % (index, mount["path"]))
    return said


def rest(values):
    said = []
    umask = str(values.get("hardening_umask", "027"))
    if not re.match(r"^0?[0-7]{3}$", umask):
        said.append("hardening_umask: %r is not a umask; write three octal digits in quotes, such as \"027\"" % umask)
    elif int(umask, 8) & 0o700:
        said.append("hardening_umask: %s takes the owner's own rights away; the first digit must be 0" % umask)
    high, low = values.get("hardening_password_max_days", 365), values.get("hardening_password_min_days", 1)
    if high <= low:
        said.append("hardening_password_max_days: %s is not above hardening_password_min_days (%s), so no password could be changed in time" % (high, low))
    if not re.match(r"^([01]\d|2[0-3]):[0-5]\d$", str(values.get("hardening_unattended_reboot_time", "04:00"))):
        said.append("hardening_unattended_reboot_time: %r is not a time; write it as \"04:00\"" % values["hardening_unattended_reboot_time"])
    for index, server in enumerate(values.get("hardening_ntp_servers") or []):
        if not re.match(r"^[A-Za-z0-9.:-]+$", server):
            said.append("hardening_ntp_servers[%d]: %r is not a host name or address" % (index, server))
    wait, confirm = values.get("hardening_rollback_seconds", 120), values.get("hardening_confirm_seconds", 40)
    if wait < confirm + 20:
        said.append(
            "hardening_rollback_seconds: %s s leave no time to confirm in hardening_confirm_seconds (%s s); use at least %s"
            % (wait, confirm, confirm + 20)
        )
    return said


# --- would the connection in use come in again?


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


def lockout(values):
    connection = values.get("connection")
    if not connection:
        return []  # not reached by SSH: a console or a container's exec stays open whatever happens here
    said = []
    user, client, port = connection["user"], connection["client"], connection["port"]
    for index, account in enumerate(values.get("hardening_admin_users") or []):
        if account["name"] == user and account.get("state") == "absent":
            said.append("hardening_admin_users[%d]: removes %s, the account you are connected as; connect as another one" % (index, user))
    users_allowed = values.get("hardening_ssh_allow_users") or []
    # user@host patterns are matched by the user's part; the address is judged by sshd.
    if not allowed([pattern.split("@")[0] for pattern in users_allowed], [user]):
        said.append(
            "hardening_ssh_allow_users: %s does not let in %s, the account you are connected as; add it"
            % (", ".join(users_allowed), user)
        )
    groups = list(values.get("groups") or [])
    for account in values.get("hardening_admin_users") or []:
        if account["name"] == user:
            groups += account.get("groups") or []
    groups_allowed = values.get("hardening_ssh_allow_groups") or []
    if not allowed(groups_allowed, groups):
        said.append(
            "hardening_ssh_allow_groups: %s is in none of %s and would be locked out; add a group of it (%s)"
            % (user, ", ".join(groups_allowed), ", ".join(groups))
        )
    if user == "root" and values.get("hardening_ssh_permit_root_login") == "no":
        said.append(
            "hardening_ssh_permit_root_login: you are connected as root, whose login would be refused from now on; run "
            "playbooks/bootstrap.yml first and connect as an administrator, or use prohibit-password"
        )
    if values.get("password_in_use") and not values.get("hardening_ssh_password_authentication"):
        said.append(
            "hardening_ssh_password_authentication: this run connects with a password, which would be refused from now on; "
            "put your key into hardening_admin_users and connect with it"
        )
    ports = values.get("hardening_ssh_ports") or []
    if port not in ports:
        said.append(
            "hardening_ssh_ports: port %d, on which you are connected, is not in %s; keep it, connect on the new one, then remove it"
            % (port, ports)
        )
    if values.get("hardening_firewall_enabled"):
        rules = list(values.get("hardening_firewall_ssh_rules") or [])
        for _name, more in sorted((values.get("hardening_firewall_rule_sets") or {}).items()):
            rules += more
        if not _ufw.admits(rules, values.get("hardening_firewall_default_incoming"), client, port, connection.get("server")):
            said.append(
                "hardening_firewall_ssh_from: no rule lets in %s on port %d, the connection in use; add that address or its network"
                % (client, port)
            )
    return said
