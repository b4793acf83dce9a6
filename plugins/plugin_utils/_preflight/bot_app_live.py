# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""May these bots trade live? Judged on the control node, since the paper run may be on record on another host of the pair."""

from __future__ import annotations


def check(values):
    """`values`: modes (bot → trading_mode), records (one dict a host: bot → release, paper_seconds, live_allowed), mine, hours, reason."""
    if values["reason"].strip():
        return []
    said = []
    for name, mode in sorted(values["modes"].items()):
        mine = values["mine"].get(name) or {}
        if mode != "live" or mine.get("live_allowed"):
            continue
        release = mine.get("release") or ""
        same = [record[name] for record in values["records"] if name in record and record[name].get("release") == release]
        seconds = max([entry.get("paper_seconds", 0) for entry in [*same, mine]]) if release else 0
        if seconds < float(values["hours"]) * 3600:
            said.append(
                "bot-%s: trading_mode live needs %g hours of healthy paper trading by the same release (%s), and %.1f are on record."
                " Let it trade paper first, or give bot_app_live_override_reason."
                % (name, float(values["hours"]), release or "not here yet", seconds / 3600)
            )
    return said
