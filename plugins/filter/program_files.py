# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules of a role's program as files of a host: a thin door to plugin_utils/_program.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _program


class FilterModule:
    def filters(self):
        return {"program_files": _program.files}
