# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what shall be removed is the name of a bot: paths are made of it."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight.bot_app import NAME


def check(values):
    if NAME.match(values["name"]):
        return []
    return ["bot_app_remove is %r: name the bot to take off the host, such as bot_app_remove: paper." % values["name"]]
