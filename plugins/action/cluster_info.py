# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the control node's clock on both sides of the module, as NTP does: the host's offset, and how far that may be off."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        before = time.time()
        result.update(self._execute_module(task_vars=task_vars))
        after = time.time()
        if "info" in result:
            result["clock"] = {
                "offset": round(result["info"]["epoch"] - (before + after) / 2, 3),
                "uncertainty": round((after - before) / 2, 3),
            }
        return result
