# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How verify.yml prints what host_checks saw."""

from __future__ import annotations


def check_line(result):
    """One line for an operator."""
    line = "%s  %s: %s" % ("ok  " if result["passed"] else "FAIL", result["title"], result["actual"])
    return line if result["passed"] else line + " (expected %s)" % result["expected"]


class FilterModule:
    def filters(self):
        return {"check_line": check_line}
