# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service of a compose file may do to the host: asked for by name, or dropped. Pure."""

from __future__ import annotations

# What Docker gives a container that asks for nothing.
USUAL = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
# What the entry points of Redis, PostgreSQL, nginx and their like need in order to give root up.
KEPT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
NAMESPACES = {"network_mode": "network", "pid": "pid", "ipc": "ipc", "uts": "uts", "userns_mode": "userns", "cgroup": "cgroup"}


def asked(service):
    """The powers that a service asks for, by the names that `allow` takes."""
    found = ["privileged"] if service.get("privileged") else []
    for key, name in NAMESPACES.items():
        value = str(service.get(key) or "")
        if value == "host" or value.startswith("container:"):
            found.append("%s:%s" % (name, value))
    found += [name for name in map(capability, service.get("cap_add") or []) if name not in USUAL]
    found += [device_path(device) for device in service.get("devices") or []]
    found += ["devices:%s" % rule for rule in service.get("device_cgroup_rules") or []]
    found += [option for option in service.get("security_opt") or [] if not harmless(option)]
    found += ["volumes_from:" + one for one in service.get("volumes_from") or [] if one.startswith("container:")]
    return found


def dropped(service, is_bot):
    """What to lay over the service: lists are joined with the file's and not replaced."""
    theirs = [capability(name) for name in service.get("cap_drop") or []]
    options = service.get("security_opt") or []
    changed = {}
    if "ALL" not in theirs:
        changed["cap_drop"] = ["ALL"]
        if not is_bot:
            added = [capability(name) for name in service.get("cap_add") or []]
            changed["cap_add"] = [name for name in KEPT if name not in theirs + added]
    if not any(option.replace("=", ":").startswith("no-new-privileges") for option in options):
        changed["security_opt"] = ["no-new-privileges:true"]
    # A privileged container has them all, whatever is dropped.
    return {} if service.get("privileged") else changed


def capability(name):
    name = name.upper()
    return name[4:] if name.startswith("CAP_") else name


def device_path(device):
    return device["source"] if isinstance(device, dict) else device.split(":")[0]


def harmless(option):
    option = option.replace("=", ":")
    return option in ("no-new-privileges", "no-new-privileges:true") or (option.startswith(("seccomp:", "apparmor:")) and not option.endswith(":unconfined"))
