# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter of units that run as root: a thin door to plugin_utils/_sandbox.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _sandbox

__all__ = ["FilterModule"]


class FilterModule:
    def filters(self):
        return {"unit_sandbox": _sandbox.for_root}
