# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Types a role's variables by its argument specification and asks its pure checks; runs on the control node, at no round trip.

    botops.fleet.preflight: {role: nginx}                            types and checks; `typed` holds the values, without the role's prefix
    botops.fleet.preflight: {role: nginx, checks: false}             types alone: a removal is not kept from taking away what makes no sense
    botops.fleet.preflight: {role: hardening_connection, values: …}  checks of what was found on hosts
    botops.fleet.preflight: {role: compliance, others: [hardening]}  and the other roles' typed variables, `others`, with their defaults
"""

from __future__ import annotations

import importlib
import pathlib

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._across import DECLARED_BY, conflicts
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._typed import options_of, short, typed, with_families

CHECKS = "ansible_collections.botops.fleet.plugins.plugin_utils._preflight."
ROLES = pathlib.Path(__file__).parents[2] / "roles"


def load_options(role):
    return options_of(yaml_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"])


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("role", "values", "context", "checks", "others"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["changed"] = False
        role = self._task.args["role"]
        checks = importlib.import_module(CHECKS + role)
        if "values" in self._task.args:
            return self._judged(result, checks.check(self._task.args["values"] or {}))
        values, said = self._typed(role, checks, task_vars or {})
        if not said and self._task.args.get("checks", True):
            said = checks.check({**values, **(self._task.args.get("context") or {})})
            # Only sensible variables can be compared with those of other parts.
            if not said and role in DECLARED_BY:
                said = conflicts(checks.listens(values), self._others(role, task_vars or {}))
        others = {}
        for name in self._task.args.get("others") or []:
            others[name], complaints = self._elsewhere(name, task_vars or {})
            said = said + complaints
        if not said:
            if others:
                result["others"] = others
            # Secrets are among them: registered, and shown at no verbosity.
            result.update(typed=short(role, values, getattr(checks, "FAMILIES", ())), _ansible_no_log=True, _ansible_verbose_override=True)
        return self._judged(result, said)

    def _others(self, role, task_vars):
        """Where the other parts that are declared for this host listen. One whose variables make no sense is refused by its own role."""
        found = []
        for other, declared_by in DECLARED_BY.items():
            if other == role or (declared_by and not task_vars.get(declared_by)):
                continue
            checks = importlib.import_module(CHECKS + other)
            values, said = self._typed(other, checks, task_vars, only=checks.LISTENS_BY)
            found += [] if said else checks.listens(values)
        return found

    def _elsewhere(self, role, task_vars):
        """Another role's typed variables by their short names. Its defaults are no variables of this play, and are read where it keeps them."""
        checks = importlib.import_module(CHECKS + role)
        defaults = self._loader.load_from_file(str(ROLES / role / "defaults/main.yml"))
        known = {**defaults, **task_vars}
        values, said = self._typed(role, checks, known, templar=self._templar.copy_with_new_env(available_variables=known))
        return (short(role, values, getattr(checks, "FAMILIES", ())) if not said else {}), said

    def _typed(self, role, checks, task_vars, only=None, templar=None):
        options = with_families(load_options(role), task_vars, getattr(checks, "FAMILIES", ()))
        if only:
            options = {name: options[name] for name in only}
        given, said = {}, []
        for name in options:
            if name not in task_vars:
                continue
            try:
                given[name] = (templar or self._templar).template(task_vars[name])
            except AnsibleError as error:
                said.append(f"{name}: {error}")
        return ({}, said) if said else typed(options, given, getattr(checks, "MULTILINE", ()))

    @staticmethod
    def _judged(result, sentences):
        if sentences:
            result.update(failed=True, msg="\n".join(sentences), sentences=sentences)
        return result
