# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from the variables of the role auditd: a thin door to plugin_utils/_auditd.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _auditd

__all__ = ["FilterModule"]


class FilterModule:
    def filters(self):
        return {"auditd_plan": _auditd.plan, "auditd_wanted": _auditd.wanted, "auditd_in_container": _auditd.in_container}
