# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rsync_ha role's bots with everything that follows from a name: files, directories, cluster resources."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _rsync_ha


class FilterModule:
    def filters(self):
        return {f"rsync_ha_{name}": getattr(_rsync_ha, name) for name in ("bots", "directories", "resources")}
