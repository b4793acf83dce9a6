# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The go-live checklist of playbooks/verify.yml: a thin door to plugin_utils/_checklist.py."""

from __future__ import annotations

import time

from ansible.errors import AnsibleFilterError

from ansible_collections.botops.fleet.plugins.plugin_utils import _checklist

FORMS = {"lines": _checklist.lines, "markdown": _checklist.markdown, "junit": _checklist.junit}


def checklist(names, hostvars, confirmations, waivers, today):
    refused = _checklist.refusals(waivers)
    if refused:
        raise AnsibleFilterError(" ".join(refused))
    results, missing = _checklist.gather(names, hostvars)
    return _checklist.checklist(results, confirmations, waivers, today, missing)


def confirm(text, names, by, words, today):
    try:
        return _checklist.confirm(text, names, by, words, today)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def points(view, member, bots):
    results = _checklist.pair_points(view, member, bots, time.time())
    return {"results": results, "failed_checks": [entry["id"] for entry in results if not entry["passed"]]}


class FilterModule:
    def filters(self):
        return {
            "checklist": checklist,
            "checklist_confirm": confirm,
            "checklist_as": lambda found, form: FORMS[form](found),
            "cluster_points": points,
        }
