# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role bot_app: thin doors to plugin_utils/_bot/spec.py."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec

__all__ = ["FilterModule"]


def _chosen(bots, settings):
    only = settings.get("only")
    return [spec.specify(bot, settings) for bot in bots if not only or bot.get("name") == only]


def bot_specs(bots, settings):
    """Full descriptions without secrets."""
    return [spec.public(bot) for bot in _chosen(bots, settings)]


def bot_files(bots, settings):
    """The file_set entries of all bots."""
    return [entry for bot in _chosen(bots, settings) for entry in spec.files(bot)]


def bot_deploy_keys(bots, settings):
    """Deploy keys by bot name, for the one module that needs them."""
    keys = {bot["name"]: bot["source"]["deploy_key"] for bot in _chosen(bots, settings)}
    return {name: key for name, key in keys.items() if key}


def bot_checks(bots, settings):
    """What host_checks shall look at."""
    return [check for bot in _chosen(bots, settings) for check in spec.checks(bot)]


class FilterModule:
    def filters(self):
        return {"bot_specs": bot_specs, "bot_files": bot_files, "bot_deploy_keys": bot_deploy_keys, "bot_checks": bot_checks}
