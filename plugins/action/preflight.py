# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a role's pure checks whether its variables make sense; runs on the control node, so it costs no round trip."""

from __future__ import annotations

import importlib

from ansible.plugins.action import ActionBase

CHECKS = "ansible_collections.botops.fleet.plugins.module_utils._preflight."


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("role", "values"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        role, values = self._task.args["role"], self._task.args.get("values") or {}
        sentences = importlib.import_module(CHECKS + role).check(values)
        result["changed"] = False
        if sentences:
            result.update(failed=True, msg="\n".join(sentences), sentences=sentences)
        return result
