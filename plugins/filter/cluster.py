# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ha_cluster role and the pair compute from the inventory and their variables."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import status
from ansible_collections.botops.fleet.plugins.plugin_utils import _ha_cluster, _pair, _pair_move


class FilterModule:
    def filters(self):
        return {
            "pair_addresses": _pair.addresses,
            "pair_bots": _pair.replicated,
            "pair_cluster": _pair.cluster,
            "pair_lines": _pair_move.lines,
            "pair_move": _pair_move.plan,
            "pair_moved": _pair_move.moved,
            "pair_members": _pair.members,
            "pair_network": _pair.network,
            "pair_resources": _pair.resources,
            "cluster_members": _ha_cluster.members,
            "cluster_agent_packages": _ha_cluster.agent_packages,
            "cluster_fencing_files": _ha_cluster.fencing_files,
            "cluster_cib": _ha_cluster.cib,
            "cluster_device_digests": _ha_cluster.device_digests,
            "cluster_fencing_levels": _ha_cluster.fencing_levels,
            "cluster_records": _ha_cluster.merge_records,
            "cluster_requests": _ha_cluster.requests,
            "cluster_table": status.choose,
            "cluster_test_report": _ha_cluster.test_report,
        }
