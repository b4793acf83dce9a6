# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the other roles' variables declare of a host, as botops-compliance compares it. Pure."""

from __future__ import annotations

import importlib
import json
import re

from ansible_collections.botops.fleet.plugins.module_utils import _ufw
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._across import DECLARED_BY

CHECKS = "ansible_collections.botops.fleet.plugins.plugin_utils._preflight."
# Of sshd's configuration: may be given more than once, each value counts.
SEVERAL = ("port", "hostkey", "allowusers", "allowgroups", "denyusers", "denygroups")
# Lists that a newer sshd has more of than an older one: nothing else than these may be in them.
LISTS = ("kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "pubkeyacceptedalgorithms")
# sshd prints these in a form of its own, or not at all; where it listens and what its banner says are controls of their own.
NOT_COMPARED = ("listenaddress", "addressfamily", "subsystem", "include", "ipqos", "rekeylimit", "persourcepenalties", "debianbanner")
# What sshd calls the same thing.
SYNONYMS = {"prohibit-password": "without-password"}
MODES = {
    "/etc/passwd": ("0644", True), "/etc/group": ("0644", True), "/etc/shadow": ("0640", True), "/etc/gshadow": ("0640", True),
    "/etc/sudoers": ("0440", True), "/etc/ssh/sshd_config": ("0600", True), "/etc/ssh/ssh_host_ed25519_key": ("0600", False),
    "/etc/ssh/ssh_host_rsa_key": ("0600", False), "/root": ("0700", True), "/etc/crontab": ("0600", False), "/etc/cron.d": ("0700", True),
    "/etc/botops/compliance.json": ("0600", True), "/etc/botops/notify/destinations.json": ("0600", False),
    "/etc/botops/backups/secrets.json": ("0600", False),
}  # fmt: skip
# The controls' names, for preflight: whole ones, and families with what they are about behind a colon.
NAMES = (
    "ssh-live:algorithms", "ssh-live:banner", "firewall:active", "firewall:policies", "firewall:rules", "firewall:kernel", "firewall:docker-user",
    "sockets:listening", "files:world-writable", "accounts:root", "accounts:passwords", "accounts:logins", "accounts:removed", "accounts:sudo",
    "updates:security", "updates:lists", "updates:reboot", "backup:age", "backup:drill", "backup:check", "audit:lost", "debsums:files", "lynis:index",
    "ssh-audit:cves",
)  # fmt: skip
FAMILIES = {
    "sshd": r"[a-z0-9]+", "unit": r"(bot|botops)-[\w@.:-]+\.service", "mode": r"/[\w./-]+", "keys": r"[a-z_][\w.-]*", "sysctl": r"[a-z0-9_]+(\.[\w-]+)+",
    "certificate": r"/\S+", "fencing": r"[\w.-]+", "replication": r"[a-z0-9-]+", "paper": r"[a-z0-9-]+", "openscap": r"[a-z0-9_]+",
    "lynis": r"[A-Z]+-\d{4}", "ssh-audit": r"(kex|key|enc|mac):[\w@.+-]+",
}  # fmt: skip


def is_control(name):
    family, colon, rest = name.partition(":")
    return name in NAMES or bool(colon and family in FAMILIES and re.fullmatch(FAMILIES[family], rest))


def sshd(text, ports, listen_addresses):
    """The role hardening's own configuration of sshd, as what `sshd -T` has to say: `exact` values and lists that they must be `within`."""
    exact, within, hides = {}, {}, False
    for line in text.splitlines():
        keyword, _space, value = line.strip().partition(" ")
        keyword, value = keyword.lower(), value.strip()
        hides = hides or (keyword, value) == ("debianbanner", "no")
        if not value or keyword.startswith("#") or keyword in NOT_COMPARED:
            continue
        if keyword in LISTS:
            within.setdefault(keyword, value.split(","))
        elif keyword in SEVERAL:
            exact.setdefault(keyword, []).extend([value] if keyword in ("port", "hostkey") else value.split())
        else:
            # sshd takes the first value that it reads.
            exact.setdefault(keyword, SYNONYMS.get(value.lower(), value))
    address = next((item for item in listen_addresses if item), "127.0.0.1")
    return {"exact": exact, "within": within, "address": address, "port": int(ports[0]), "hides_version": hides}


def firewall(enabled, rules, policies):
    """ufw's rules as it writes them down, without the comments."""
    expanded = [item for rule in rules for item in _ufw.expand(rule, "fleet")] if enabled else []
    lines = list(dict.fromkeys(_ufw.without_comment(_ufw.tuple_line(item)) for item in expanded))
    return {"enabled": bool(enabled), "policies": policies, "rules": lines}


def opened(rules):
    """[protocol, first port, last port] of all that the firewall lets in."""
    found = []
    for rule in rules:
        full = _ufw.normalise(rule)
        if full["action"] not in ("allow", "limit") or full["direction"] != "in" or full["route"]:
            continue
        for part in _ufw.port_parts(",".join(map(str, full["port"]))) if full["port"] else []:
            low, _colon, high = part.partition(":")
            found.append([full["proto"], int(low), int(high or low)])
    return found


def spans(entries):
    """C(tcp/22) and C(udp/60000-61000) as [protocol, first port, last port]."""
    found = []
    for entry in entries:
        protocol, _slash, ports = entry.partition("/")
        low, _dash, high = ports.partition("-")
        found.append([protocol, int(low), int(high or low)])
    return found


def listened(others):
    """Where other roles say that they listen."""
    found = []
    for role, values in others.items():
        if role in DECLARED_BY:
            checks = importlib.import_module(CHECKS + role)
            full = {"%s_%s" % (role, name): value for name, value in values.items()}
            found += [["tcp", port, port] for _where, address, port in checks.listens(full) if address not in ("127.0.0.1", "::1")]
    return found


def accounts(admins, others, permit_root_login):
    present = [user for user in admins if user.get("state", "present") == "present"]
    return {
        "admins": {user["name"]: user.get("keys") for user in present},
        "absent": [user["name"] for user in admins if user.get("state") == "absent"],
        "others": others,
        "root_keys": permit_root_login != "no",
    }


def backups(values, bots):
    if not values or not values["repositories"]:
        return None
    names = ([bot["name"] for bot in bots] if values["find_bots"] else []) + [bot["name"] for bot in values["bots"]]
    return {
        "saves": bool(values["schedule"]), "drills": bool(values["drill_schedule"]), "age_hours": values["max_backup_age_hours"],
        "drill_days": values["max_drill_age_days"], "bots": list(dict.fromkeys(names)),
    }  # fmt: skip


def declared(values, others, hardening, members):
    """values: this role's own; others: typed variables of the roles that this host has; members: of the pair this host belongs to.

    hardening: what that role itself works with - sshd's configuration as text, the firewall's rules and the kernel's settings.
    """
    harden, bots = others["hardening"], (others.get("bot_app") or {}).get("bots") or []
    policies = {where: harden["firewall_default_" + where] for where in ("incoming", "outgoing", "routed")}
    ports = [["tcp", port, port] for port in harden["ssh_ports"]]
    listening = ports + opened(hardening["rules"]) + listened(others) + spans(values["listening"])
    return {
        "sshd": sshd(hardening["sshd"], harden["ssh_ports"], harden["ssh_listen_addresses"]),
        "firewall": firewall(harden["firewall_enabled"], hardening["rules"], policies),
        "docker_policy": "docker_host" in others,
        "listening": [list(entry) for entry in dict.fromkeys(map(tuple, listening))],
        "modes": {path: list(mode) for path, mode in MODES.items()},
        "accounts": accounts(harden["admin_users"], values["accounts"], harden["ssh_permit_root_login"]),
        "sysctl": {key: str(value) for key, value in hardening["sysctl"].items()},
        "certificates": values["certificates"],
        "backups": backups(others.get("backups"), bots),
        "fencing": members,
        "replication": bool(members),
        "live": {bot["name"]: others["bot_app"]["paper_hours"] for bot in bots if bot.get("trading_mode") == "live"},
    }


def config(values, others, hardening, members, host, system):
    """/etc/botops/compliance.json. system: the distribution's name, lower case."""
    profile = values["openscap_profile"] or {"ubuntu": "cis_level1_server"}.get(system, "anssi_bp28_intermediary")
    found = {
        "host": host, "scanners": values["scanners"], "scanner_seconds": values["scanner_seconds"], "openscap_profile": profile,
        "waivers": values["waivers"],
        "limits": {
            "score": values["minimum_score"], "lynis_index": values["lynis_index"], "unit_exposure": values["unit_exposure"],
            "fencing_days": values["fencing_days"], "replication_seconds": values["replication_seconds"],
            "certificate_days": values["certificate_days"], "lists_days": values["lists_days"],
        },
        "declared": declared(values, others, hardening, members),
    }  # fmt: skip
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


def packages(scanners, system, version):
    """Debian 13 is described by no SCAP content yet, and Debian 12 by that of 13 alone, which is brought as a file."""
    found = [name for name in ("lynis", "ssh-audit", "debsums") if name in scanners]
    if "openscap" in scanners and has_content(system, version):
        found.append("openscap-scanner" if (system, version) != ("ubuntu", "22.04") else "libopenscap8")
        found += ["ssg-debderived"] if system == "ubuntu" else []
    return found


def has_content(system, version):
    return system == "ubuntu" or (system, version) == ("debian", "12")
