# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a systemd unit is shut off from. Pure."""

from __future__ import annotations

# In the order it is written.
SANDBOX = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "DevicePolicy": "closed",
    "PrivateUsers": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProcSubset": "pid",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RemoveIPC": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "SystemCallErrorNumber": "EPERM",
    "KeyringMode": "private",
    "UMask": "0027",
}
# A second assignment takes away from the first one.
SANDBOX_MINUS = {"SystemCallFilter": "~@privileged @resources"}
# In a user namespace root is nobody outside it; and RemoveIPC is for other users.
NOT_FOR_ROOT = ("AmbientCapabilities", "PrivateUsers", "RemoveIPC")


def for_root(changes):
    """The directives of a unit that may run as root, as lines: the sandbox with this unit's `changes`; none (null) drops a directive."""
    settings = {name: value for name, value in SANDBOX.items() if name not in NOT_FOR_ROOT}
    settings["RestrictAddressFamilies"] = "AF_UNIX"
    settings.update(changes)
    lines = []
    for name, value in settings.items():
        if value is None:
            continue
        lines.append("%s=%s" % (name, value))
        if name in SANDBOX_MINUS and name not in changes:
            lines.append("%s=%s" % (name, SANDBOX_MINUS[name]))
    return "\n".join(lines)
