# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role hardening refuses, one sentence each. Values come typed: types, choices and unknown keys were judged before."""

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
    "clientaliveinterval": "hardening_ssh_client_alive_interval", "clientalivecountmax": "hardening_ssh_client_alive_count_max",
    "banner": "hardening_ssh_banner", "hostkey": "hardening_ssh_host_keys", "kexalgorithms": "hardening_ssh_kex_additional",
}
# What the role writes, too, always the same. sshd takes the first value that it reads, and the role's file is read first.
FIXED = {
    "allowagentforwarding", "authorizedkeysfile", "ciphers", "compression", "debianbanner", "gatewayports", "gssapiauthentication",
    "gssapicleanupcredentials", "hostbasedauthentication", "hostkeyalgorithms", "ignorerhosts", "ignoreuserknownhosts",
    "kbdinteractiveauthentication", "logingracetime", "macs", "maxstartups", "permitemptypasswords", "permittunnel", "permituserenvironment",
    "persourcepenaltyexemptlist", "printmotd", "pubkeyacceptedalgorithms", "pubkeyauthentication", "requiredrsasize", "strictmodes",
    "syslogfacility", "usedns", "usepam", "x11forwarding",
}
# Variables named <this>_<anything> are judged as this one, and joined with it.
FAMILIES = ("hardening_firewall_rules",)
MULTILINE = ("hardening_banner", "hardening_motd")
# The least that makes sense; below it the daemon would refuse, or the measure would turn against the operator.
LEAST = {
    "hardening_ssh_max_auth_tries": 1, "hardening_ssh_max_sessions": 1, "hardening_ssh_client_alive_interval": 0,
    "hardening_ssh_client_alive_count_max": 0, "hardening_rollback_seconds": 1, "hardening_confirm_seconds": 1, "hardening_session_timeout": 0,
    "hardening_password_max_days": 1, "hardening_password_min_days": 0, "hardening_password_warn_days": 0, "hardening_password_min_length": 6,
    "hardening_password_history": 0, "hardening_faillock_attempts": 1, "hardening_faillock_unlock_seconds": 0,
}
ONE_WORD = re.compile(r"^[^\s\"'\\]+$")


LISTENS_BY = ("hardening_ssh_ports", "hardening_ssh_listen_addresses")


def listens(values):
    addresses = values["hardening_ssh_listen_addresses"] or [""]
    return [
        ("hardening_ssh_ports[%d]" % index, address, port) for index, port in enumerate(values["hardening_ssh_ports"]) for address in addresses
    ]


def check(values):
    """All sentences about these variables."""
    said = []
    for part in (users, ssh, firewall, kernel, rest, numbers):
        said += part(values)
    if values.get("bootstrap"):
        said += someone_gets_in(values)
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


def ssh(values):
    said = []
    ports = values.get("hardening_ssh_ports") or []
    if not ports:
        said.append("hardening_ssh_ports: empty, so sshd would not be reachable; write [22]")
    for index, port in enumerate(ports):
        if not 1 <= port <= 65535:
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
    for key, value in (values.get("hardening_ssh_settings") or {}).items():
        key = str(key)
        if key.lower() in OWNED:
            said.append("hardening_ssh_settings.%s: set it by %s" % (key, OWNED[key.lower()]))
        elif key.lower() in ("match", "include", "subsystem"):
            said.append("hardening_ssh_settings.%s: put it into a file of your own in /etc/ssh/sshd_config.d" % key)
        elif key.lower() in FIXED:
            said.append(
                "hardening_ssh_settings.%s: would have no effect, since the role writes it and sshd takes the first value; remove it" % key
            )
        elif not re.match(r"^[A-Za-z0-9]+$", key):
            said.append("hardening_ssh_settings.%s: not a keyword of sshd_config; write one such as DenyUsers" % key)
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
            said.append("hardening_ssh_settings.%s: must be one number or text; write yes and no in quotes" % key)
    for name in ("hardening_ssh_allow_users", "hardening_ssh_allow_groups"):
        for index, pattern in enumerate(values.get(name) or []):
            if not pattern or re.search(r"\s", pattern):
                said.append("%s[%d]: %r holds white space; one pattern for each list entry" % (name, index, pattern))
    for index, name in enumerate(values.get("hardening_ssh_kex_additional") or []):
        if not re.match(r"^[a-z0-9@.-]+$", name):
            said.append("hardening_ssh_kex_additional[%d]: %r is not a key exchange; write one such as curve25519-sha256" % (index, name))
    return said


def firewall(values):
    said = []
    for name in ("hardening_firewall_ssh_from", "hardening_firewall_ssh_unlimited_from"):
        for index, item in enumerate(values.get(name) or []):
            try:
                _ufw.network(item)
            except _ufw.RuleError as error:
                said.append("%s[%d]: %s" % (name, index, error))
    for name in values.get("pair_unknown") or []:
        said.append(
            "ha_cluster_addresses of %s: no address of this member is known here, so the other one and the witness could not let it in; "
            "write its address, such as [10.0.0.11]" % name
        )
    for name, rules in rule_sets(values).items():
        for index, rule in enumerate(rules):
            said += ["%s[%d].%s" % (name, index, sentence) for sentence in _ufw.check_rule(rule)]
    if not said and values.get("hardening_firewall_enabled") and values.get("hardening_firewall_default_outgoing", "allow") != "allow":
        said += outgoing(values)
    return said


def rule_sets(values):
    return {name: values[name] for name in sorted(values) for family in FAMILIES if name == family or name.startswith(family + "_")}


# What every host asks for: without these neither packages nor certificates arrive, and the clock drifts.
NEEDED = [("udp", 53, "DNS"), ("tcp", 80, "package mirrors over http"), ("tcp", 443, "package mirrors and exchanges over https")]


def outgoing(values):
    needed = NEEDED + ([("udp", 123, "time servers")] if values.get("hardening_time_sync") != "none" else [])
    rules = [rule for rules in rule_sets(values).values() for rule in rules]
    missing = [item for item in needed if not _ufw.lets_out(rules, *item[:2])]
    if not missing:
        return []
    return [
        "hardening_firewall_default_outgoing: %s would cut the host off from %s; add rules to hardening_firewall_rules such as "
        "{direction: out, proto: %s, port: [%d]}"
        % (values["hardening_firewall_default_outgoing"], ", ".join("%s (%s %d)" % (what, proto, port) for proto, port, what in missing), *missing[0][:2])
    ]


def kernel(values):
    said = []
    for key, value in (values.get("hardening_sysctl_settings") or {}).items():
        if not re.match(r"^[a-z0-9_]+([./][A-Za-z0-9_*-]+)+$", str(key)):
            said.append("hardening_sysctl_settings.%s: not a kernel setting; write it as sysctl does, such as net.ipv4.tcp_syncookies" % key)
        elif isinstance(value, bool):
            said.append("hardening_sysctl_settings.%s: %s is no number; write %d" % (key, str(value).lower(), value))
        elif not isinstance(value, (str, int, float)) or not str(value).strip():
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
        if not re.match(r"^/[^\s%]*$", mount.get("path") or ""):
            said.append("hardening_mounts[%d].path: %r is not an absolute path without white space" % (index, mount.get("path")))
        elif mount.get("path") in ("/", "/usr", "/var", "/etc", "/home"):
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
    for index, path in enumerate(values.get("hardening_file_integrity_paths") or []):
        if not re.match(r"^/\S*$", path):
            said.append("hardening_file_integrity_paths[%d]: %r does not begin with /, or holds white space" % (index, path))
    for name in ("hardening_unattended_blacklist", "hardening_never_restart", "hardening_packages_extra"):
        for index, word in enumerate(values.get(name) or []):
            if not ONE_WORD.match(word):
                said.append("%s[%d]: %r is not one name; write it without white space and quotes" % (name, index, word))
    return said


def numbers(values):
    return [
        "%s: %s is less than %d, the least that makes sense" % (name, values[name], least)
        for name, least in LEAST.items() if name in values and values[name] < least
    ]
