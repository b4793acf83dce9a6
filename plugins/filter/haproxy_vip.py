# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The haproxy_vip role's plan, and the cluster resources that go with it."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._haproxy import cluster_resources, plan


class FilterModule:
    def filters(self):
        return {"haproxy_vip_plan": plan, "haproxy_vip_resources": cluster_resources}
