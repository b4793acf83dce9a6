# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role compliance compares a host with: a thin door to plugin_utils/_compliance.py and _compliance_report.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _compliance, _compliance_report

__all__ = ["FilterModule"]


class FilterModule:
    def filters(self):
        return {
            "compliance_config": _compliance.config,
            "compliance_packages": _compliance.packages,
            "compliance_evidence": _compliance_report.evidence,
            "compliance_report": _compliance_report.report,
            "compliance_lines": _compliance_report.lines,
            "compliance_html": _compliance_report.page,
            "compliance_junit": _compliance_report.junit,
        }
