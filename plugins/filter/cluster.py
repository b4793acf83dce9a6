# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ha_cluster role computes from the inventory and its variables."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils import _pair
from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import declare, status


class FilterModule:
    def filters(self):
        return {
            "pair_resources": _pair.resources,
            "cluster_members": declare.members,
            "cluster_agent_packages": declare.agent_packages,
            "cluster_fencing_files": declare.fencing_files,
            "cluster_cib": declare.cib,
            "cluster_device_digests": declare.device_digests,
            "cluster_fencing_levels": declare.fencing_levels,
            "cluster_records": declare.merge_records,
            "cluster_requests": declare.requests,
            "cluster_table": status.choose,
            "cluster_test_report": declare.test_report,
        }
