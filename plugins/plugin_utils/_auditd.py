# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit rules of a host, out of what is on it. Pure.

Two things decide how they are written. A path that is not there would be an error when the rules are loaded, so only those are named that
`audit_facts` has found. And of the rules that an event matches the one that was loaded first gives the key, so the narrow ones come first.
"""

from __future__ import annotations

import json

RULES = "/etc/audit/rules.d/botops.rules"
CONFIG = "/etc/botops/audit.json"
UNITS = "/etc/systemd/system"
UNIT_FILES = ("botops-audit-rules.service", "botops-audit-evidence.service", "botops-audit-evidence.timer")
SETTINGS = "/etc/audit/auditd.conf"
# Somebody who logged in, and whatever was started from there: services and what they start have no login of their own.
PERSON = "-F auid>=1000 -F auid!=unset"
LOGIN = "-F auid!=unset"
B32 = {"x86_64": "b32"}
# What a record says that another one of the same event, or the journal, says as well. BPF: systemd loads a program for each unit it starts.
REPEATED = ("PROCTITLE", "SERVICE_START", "SERVICE_STOP", "BPF", "CRYPTO_KEY_USER", "CRED_REFR")

# key: what it records, in words. In the order in which the rules are loaded.
CONTROLS = {
    "audit-trail": "the audit configuration was changed, or somebody looked at the trail",
    "bot-secrets": "a bot's secrets or configuration were read by somebody else, or changed",
    "bot-releases": "the code of a bot was changed",
    "botops-state": "this collection's own configuration, keys or state were read by somebody, or changed",
    "docker": "Docker's configuration was changed, or somebody used its command",
    "identity": "users or groups were changed",
    "sudoers": "who may become root was changed",
    "ssh-server": "the SSH server's configuration or a key that opens an account was changed",
    "login-rules": "PAM or the limits of sessions were changed",
    "scheduled-jobs": "cron or at jobs were changed",
    "systemd-units": "systemd units were changed",
    "kernel-modules": "kernel modules were loaded or removed, or their configuration was changed",
    "kernel-settings": "kernel settings were changed",
    "loader": "what every program loads or every shell runs was changed",
    "network": "host name, name resolution or firewall were changed",
    "packages": "the sources of packages were changed",
    "clock": "the clock or the time zone was set",
    "mounts": "somebody mounted or unmounted a file system",
    "privilege": "a program that gives other rights was run",
    "escalation": "somebody asked for rights and was refused by the kernel",
    "denied": "somebody was refused a file",
    "root-commands": "a person ran a command as root",
    "session-commands": "a person ran a command",
    "session-network": "a person opened a network connection",
    "bot-commands": "a bot's account started a program",
}

# What is watched for changes: key -> paths. One that ends in a slash is a directory with all that is in it.
WATCHED = {
    "audit-trail": ["/etc/audit/", "/etc/libaudit.conf"],
    "docker": ["/etc/docker/", "/etc/default/docker", "/etc/containerd/"],
    "identity": ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/security/opasswd", "/etc/subuid", "/etc/subgid", "/etc/nsswitch.conf"],
    "sudoers": ["/etc/sudoers", "/etc/sudoers.d/", "/etc/sudo.conf", "/etc/doas.conf", "/etc/polkit-1/"],
    "ssh-server": ["/etc/ssh/", "/root/.ssh/"],
    "login-rules": ["/etc/pam.d/", "/etc/pam.conf", "/etc/security/", "/etc/login.defs", "/etc/securetty"],
    "scheduled-jobs": [
        "/etc/crontab", "/etc/cron.d/", "/etc/cron.hourly/", "/etc/cron.daily/", "/etc/cron.weekly/", "/etc/cron.monthly/", "/etc/cron.allow",
        "/etc/cron.deny", "/etc/at.allow", "/etc/at.deny", "/var/spool/cron/",
    ],
    "systemd-units": ["/etc/systemd/", "/usr/lib/systemd/", "/usr/local/lib/systemd/"],
    "kernel-modules": ["/etc/modules", "/etc/modules-load.d/", "/etc/modprobe.d/"],
    "kernel-settings": ["/etc/sysctl.conf", "/etc/sysctl.d/"],
    "loader": [
        "/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d/", "/etc/profile", "/etc/profile.d/", "/etc/bash.bashrc", "/etc/environment",
        "/etc/environment.d/",
    ],
    "network": [
        "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/network/", "/etc/netplan/", "/etc/ufw/", "/etc/nftables.conf", "/etc/iptables/",
        "/etc/hosts.allow", "/etc/hosts.deny",
    ],
    "packages": ["/etc/apt/"],
    "clock": ["/etc/localtime", "/etc/timezone", "/etc/chrony/", "/etc/systemd/timesyncd.conf"],
}  # fmt: skip
# Read by a person as well: the trail itself.
TRAIL = "/var/log/audit/"
STATE = ("/etc/botops/", "/var/lib/botops/")
# Not one whose directory is made after the rules are loaded at boot: the kernel would not take it.
SOCKETS = ("/run/docker.sock",)
# Programs that act with other rights than whoever starts them, or on the kernel; recorded whoever starts them.
PRIVILEGED = (
    "/usr/bin/su", "/usr/bin/sudo", "/usr/bin/sudoedit", "/usr/bin/pkexec", "/usr/bin/doas", "/usr/sbin/runuser", "/usr/bin/newgrp", "/usr/bin/sg",
    "/usr/bin/chsh", "/usr/bin/chfn", "/usr/bin/passwd", "/usr/bin/gpasswd", "/usr/bin/chage", "/usr/bin/crontab", "/usr/bin/at",
    "/usr/bin/nsenter", "/usr/bin/unshare", "/usr/sbin/usermod", "/usr/sbin/useradd", "/usr/sbin/userdel",
)  # fmt: skip
MODULE_TOOLS = ("/usr/bin/kmod",)
DOCKER_TOOLS = ("/usr/bin/docker", "/usr/bin/ctr", "/usr/bin/containerd-shim-runc-v2")

# What Ansible calls a guest whose audit system is its host's.
CONTAINERS = ("container", "containerd", "docker", "kubernetes", "lxc", "openvz", "podman", "systemd-nspawn")


def in_container(facts):
    """Whether `ansible_facts` are those of a container, which has no audit system of its own."""
    return facts.get("virtualization_type") in CONTAINERS and facts.get("virtualization_role") != "host"


def bot_paths(bot):
    """(configuration and secrets, releases) of one bot."""
    return "/etc/bot-%s/" % bot, "/opt/bot-%s/" % bot


def wanted(values):
    """{paths, bots}: what `audit_facts` shall look for on the host."""
    paths = [path for group in WATCHED.values() for path in group]
    paths += [TRAIL, *STATE, *SOCKETS, *PRIVILEGED, *MODULE_TOOLS, *DOCKER_TOOLS]
    for bot in values["bots"]:
        paths += bot_paths(bot)
    paths += [watch["path"] for watch in values["watches"]]
    return {"paths": paths, "bots": values["bots"]}


class Writer:
    """Collects rules; `found` is what `audit_facts` returned."""

    def __init__(self, values, found):
        self.values, self.found = values, found
        self.arches = ["b64", *([B32[found["machine"]]] if found["compat32"] and found["machine"] in B32 else [])]
        if found["machine"] in ("i386", "i586", "i686", "armv6l", "armv7l"):
            self.arches = ["b32"]
        # What an operator asks for by name comes before what would cover it in passing.
        self.rules, self.skipped = {key: [] for key in (*(watch["key"] for watch in values["watches"]), *CONTROLS)}, []

    def add(self, key, words):
        for arch in self.arches:
            rule = "-a always,exit -F arch=%s %s -F key=%s" % (arch, words, key)
            # Two names of one file; the kernel takes a rule once.
            if rule not in self.rules[key]:
                self.rules[key].append(rule)

    def file(self, key, path, permissions="wa", who=""):
        """One file or directory, where it is there. `who`: fields that narrow the rule down."""
        where = self.found["present"].get(path)
        if where is None:
            self.skipped.append(path)
            return
        # The cheap comparison first: this is asked at every system call.
        kind = "dir" if where["directory"] else "path"
        self.add(key, " ".join(filter(None, ("-F perm=%s" % permissions, who, "-F %s=%s" % (kind, where["path"])))))

    def calls(self, key, names, who=""):
        self.add(key, " ".join(filter(None, ("-S %s" % ",".join(names), who))))

    # --- one method for what is more than a list of paths

    def watched(self):
        for key, paths in WATCHED.items():
            for path in paths:
                self.file(key, path)

    def bots(self):
        for bot in self.values["bots"]:
            configuration, releases = bot_paths(bot)
            self.file("bot-secrets", configuration)
            # Whoever logged in, however they became root; and every account that is neither root nor the bot's own.
            self.file("bot-secrets", configuration, "r", LOGIN)
            uid = self.found["accounts"].get(bot)
            if uid is not None:
                self.file("bot-secrets", configuration, "r", "-F uid!=0 -F uid!=%d" % uid)
                self.calls("bot-commands", ["execve", "execveat"], "-F success=1 -F uid=%d" % uid)
                self.escalation("-F uid=%d" % uid)
            self.file("bot-releases", releases)

    def escalation(self, who):
        names = ["setuid", "setreuid", "setresuid", "setgid", "setresgid", "ptrace", "unshare", "mount"]
        self.calls("escalation", names, "-F exit=-EPERM %s" % who)

    def state(self):
        # Timers write there all day; what counts is who else does.
        for path in STATE:
            self.file("botops-state", path, "wa", LOGIN)
            self.file("botops-state", path, "wa", "-F uid!=0")
        self.file("botops-state", STATE[0], "r", LOGIN)
        self.file("audit-trail", TRAIL, "rwa", PERSON)

    def programs(self):
        for path in PRIVILEGED:
            self.file("privilege", path, "x")
        for path in MODULE_TOOLS:
            self.file("kernel-modules", path, "x", PERSON)
        for path in DOCKER_TOOLS:
            self.file("docker", path, "x", LOGIN)
        for path in SOCKETS:
            self.file("docker", path, "wa", LOGIN)

    def system_calls(self):
        self.calls("kernel-modules", ["init_module", "finit_module", "delete_module"])
        self.calls("clock", ["clock_settime", "settimeofday"])
        # The clock's own daemon adjusts it all day.
        self.calls("clock", ["adjtimex", "clock_adjtime"], LOGIN)
        self.calls("network", ["sethostname", "setdomainname"])
        self.calls("mounts", ["mount", "umount2", "move_mount"], PERSON)
        self.escalation(PERSON)
        # A look at a file that the permissions forbid, by whomever. No rule could name its path: the kernel has not got that far.
        opening = ["open", "creat"] if self.found["machine"] in B32 else []
        self.calls("denied", [*opening, "openat", "openat2", "truncate"], "-F exit=-EACCES -F uid!=0")
        # The shell tries each directory of its path; only what was started counts.
        self.calls("root-commands", ["execve", "execveat"], "-F success=1 -F euid=0 %s" % PERSON)
        self.calls("session-commands", ["execve", "execveat"], "-F success=1 %s" % PERSON)
        # 32-bit programs may open one through another call, socketcall.
        self.calls("session-network", ["socket"], "-F a0=2 %s" % PERSON)
        self.calls("session-network", ["socket"], "-F a0=10 %s" % PERSON)

    def own(self):
        for watch in self.values["watches"]:
            self.file(watch["key"], watch["path"], watch["permissions"])


def lines(values, found):
    """(lines of the rules' file, paths that are not there)."""
    writer = Writer(values, found)
    for part in (writer.own, writer.watched, writer.bots, writer.state, writer.programs, writer.system_calls):
        part()
    text = [
        "# Written by the role botops.fleet.auditd; changes made here are lost.",
        "# One rule that cannot be loaded, such as for a path that is gone, keeps neither the others out nor the daemon, which Debian 13 does not",
        "# start when this fails (so not -c). botops-audit load names it.",
        "-i",
        "-b %d" % values["backlog_limit"],
        "# 1: a fault of the audit system is told to the kernel's log. It never stops the host.",
        "-f 1",
        "# With a full queue a bot would wait for the audit daemon. It goes on, and what was lost is counted.",
        "--backlog_wait_time 0",
        "-r %d" % values["rate_limit"],
    ]
    text += ["-a never,exclude -F msgtype=%s" % kind for kind in REPEATED]
    for key, rules in writer.rules.items():
        if rules and key not in values["left_out"]:
            text += ["", "# %s" % CONTROLS.get(key, "watched because auditd_watches says so"), *rules]
    if values["immutable"]:
        text += ["", "# Until the next boot nobody changes them, root included.", "-e 2"]
    return text, writer.skipped


def settings(values):
    """auditd.conf: files that go round, and no action that stops a bot or the record of what it does."""
    return {
        "max_log_file": values["log_file_mb"], "num_logs": values["log_files"], "max_log_file_action": "ROTATE",
        "space_left": "10%", "space_left_action": "SYSLOG", "admin_space_left": "5%", "admin_space_left_action": "ROTATE",
        "disk_full_action": "ROTATE", "disk_error_action": "SYSLOG", "flush": "INCREMENTAL_ASYNC", "freq": 50, "q_depth": 2000,
        "overflow_action": "SYSLOG",
    }  # fmt: skip


def plan(values, found, host):
    """values: the role's typed variables by their short names; found: what `audit_facts` returned; host: what the evidence calls it."""
    # Directories that come with the files of this very run.
    ours = {path: {"path": path.rstrip("/"), "directory": True} for path in STATE}
    text, skipped = lines(values, {**found, "present": {**ours, **found["present"]}})
    config = {
        "host": host, "bots": values["bots"], "budget_mb_per_day": values["budget_mb_per_day"], "immutable": values["immutable"],
        "backlog_limit": values["backlog_limit"], "words": {**CONTROLS, **{watch["key"]: "your own watch" for watch in values["watches"]}},
        "accounts": found["accounts"],
    }  # fmt: skip
    files = [
        {"path": "/etc/audit", "state": "directory"},
        {"path": "/etc/audit/rules.d", "state": "directory"},
        {"path": RULES, "mode": "0640", "content": "\n".join(text) + "\n"},
        {"path": SETTINGS, "separator": " = ", "settings": settings(values)},
        {"path": CONFIG, "mode": "0644", "content": json.dumps(config, indent=2, sort_keys=True) + "\n"},
        *({"path": "%s/%s" % (UNITS, unit), "mode": "0644", "template": unit + ".j2"} for unit in UNIT_FILES),
    ]
    declared = {watch["path"] for watch in values["watches"]} | {path for bot in values["bots"] for path in bot_paths(bot)}
    return {"files": files, "rules": text, "missing": sorted(path for path in set(skipped) if path in declared)}
