# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is told by alert policies and uptime checks."""

from __future__ import annotations

import hashlib

from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, unordered


def slack_view(receivers):
    """Receivers in Slack for comparing and showing: the address is a secret, so only its fingerprint is kept."""
    return unordered({"channel": one["channel"], "url_sha256": hashlib.sha256(one["url"].encode()).hexdigest()[:16]} for one in receivers or [])


def wire_receivers(emails, slack):
    return {"email": unordered(emails), "slack": [{"channel": one["channel"], "url": one["url"]} for one in slack or []]}


def check_receivers(where, emails, slack):
    for address in emails or []:
        if "@" not in address:
            raise Failure("%semails: %r is not an e-mail address." % (where, address))
    for one in slack or []:
        if not one["url"].startswith("https://"):
            raise Failure("%sslack: the webhook's url must begin with https://." % where)


def disabled_remark(adapter, raw):
    """Whoever switched it off may have meant it; that nobody is told any more must not go unnoticed."""
    if raw["enabled"] or adapter.params["enabled"] is not None:
        return []
    return ["%s is disabled, so it tells nobody. Write enabled: true to switch it on, or enabled: false if that is meant." % adapter.title]
