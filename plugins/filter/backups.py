# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from the variables of the role backups: a thin door to plugin_utils/_backups.py."""

from __future__ import annotations

import json

from ansible_collections.botops.fleet.plugins.plugin_utils import _backups


def text(value):
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def plan(values, host, etc="/etc/botops/backups"):
    return {
        "config": text(_backups.config(values, host)),
        "secrets": text(_backups.secrets(values)),
        "key_files": _backups.key_files(values, etc),
        "packages": _backups.packages(values),
        "local_paths": _backups.local_paths(values),
    }


class FilterModule:
    def filters(self):
        return {"backups_plan": plan, "backups_prune": _backups.prune, "drill_line": _backups.drill_line}
