# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the templates of a file_set on the control node; the module does the rest in one round trip."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader


class SharedVariables(dict):
    """The template lookup makes a deep copy of all variables for each file. Templates only read them, so one level is enough."""

    def __deepcopy__(self, memo):
        return dict(self)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments["files"] = [self._rendered(dict(entry), task_vars) for entry in arguments.get("files") or []]
        result.update(self._execute_module("botops.fleet.file_set", module_args=arguments, task_vars=task_vars))
        return result

    def _rendered(self, entry, task_vars):
        name = entry.pop("template", None)
        extra = entry.pop("vars", {})
        if name is None:
            return entry
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        try:
            text = lookup.run([name], variables=SharedVariables(task_vars), template_vars=dict(extra))[0]
        except AnsibleError as error:
            raise AnsibleActionFail(f"template {name} for {entry.get('path')}: {error}") from error
        entry["secret_content" if entry.get("secret") else "content"] = str(text)
        return entry
