# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role hardening: thin doors to plugin_utils/_hardening.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _hardening


class FilterModule:
    def filters(self):
        return {f"hardening_{name}": getattr(_hardening, name) for name in ("listen", "unrestricted", "accounts", "files", "own")}
