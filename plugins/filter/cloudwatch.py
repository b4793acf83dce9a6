# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from the variables of the role cloudwatch_agent: a thin door to plugin_utils/_cloudwatch.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _cloudwatch

__all__ = ["FilterModule"]


class FilterModule:
    def filters(self):
        return {"cloudwatch_plan": _cloudwatch.plan, "cloudwatch_installed": _cloudwatch.installed, "cloudwatch_signed": _cloudwatch.signed_by}
