# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the hardening role's variables come to. Pure: each is a filter of the same name with `hardening_` before it."""

from __future__ import annotations

ANYWHERE = {"any": ["0.0.0.0", "::"], "inet": ["0.0.0.0"], "inet6": ["::"]}


def listen(ports, addresses, family):
    """What systemd's ListenStream takes: every port on every address; all addresses of the family (V(any), V(inet), V(inet6)) where none is named."""
    return [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for port in ports for address in addresses or ANYWHERE[family]]


def unrestricted(users, extra, connection=None, groups=()):
    """root, administrators who may use sudo, those of `extra`, and whoever is connected unless a group already covers them: they would lose Ansible by it."""
    admins = [user["name"] for user in users if user.get("state", "present") == "present" and user.get("sudo", "none") != "none"]
    found = ["root", *extra, *admins]
    connected = (connection or {}).get("user") or "root"
    covered = {connected, *(f"%{group}" for group in groups)} & set(found)
    return found if covered else [*found, connected]


def accounts(users):
    """As the module admin_users takes them. The role's own key `sudo` goes into the drop-in for sudoers."""
    return [{key: value for key, value in user.items() if key != "sudo"} for user in users]


def files(always, optional, wanted, private, present):
    """All files: those of every host, those of the parts that are `wanted`, and those of others that are tightened where they are present."""
    chosen = [entry for name, entries in optional.items() if wanted[name] for entry in entries]
    return [*always, *chosen, *({"path": path, **entry} for path, entry in private.items() if path in present)]


def own(always, optional, kept):
    """Paths of the files that only this role makes, whatever the variables say now; those of `kept` get their old state back instead."""
    entries = [*always, *(entry for part in optional.values() for entry in part)]
    return [entry["path"] for entry in entries if "template" in entry and entry["path"] not in {other["path"] for other in kept}]
