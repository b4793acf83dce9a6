# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nginx role's plan, as a filter, so that a variable can hold it."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._nginx import plan, quoted


class FilterModule:
    def filters(self):
        return {"nginx_plan": plan, "nginx_quoted": quoted}
