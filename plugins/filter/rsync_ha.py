# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rsync_ha role's bots with everything that follows from a name, and the cluster resources that go with one."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._rsync_ha import bots, resources


class FilterModule:
    def filters(self):
        return {"rsync_ha_bots": bots, "rsync_ha_resources": resources}
