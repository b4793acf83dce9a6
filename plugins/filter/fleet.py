# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role fleet: thin doors to plugin_utils/_fleet.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet


class FilterModule:
    def filters(self):
        return {
            "fleet_plan": _fleet.digitalocean,
            "fleet_host_keys": _fleet.host_keys,
            "fleet_alias": _fleet.alias,
            "fleet_known": _fleet.known,
            "fleet_user_data": _fleet.user_data,
            "fleet_values": _fleet.values_of,
            "fleet_costs": _fleet.costs,
            "fleet_over_budget": _fleet.over_budget,
            "fleet_changes": _fleet.changes,
            "fleet_table": _fleet.table,
        }
