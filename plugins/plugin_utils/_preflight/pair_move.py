# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why the bots of a pair cannot be moved now, one sentence each. Pure."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _pair_move


def check(values):
    return _pair_move.plan(values["views"], values["bots"], values["wanted"])["refusals"]
