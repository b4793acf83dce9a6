# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bot that the cluster started is restarted where it is, once, while the cluster looks away; and the cluster looks again whatever happens."""

from __future__ import annotations

import contextlib
import signal

from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused


def resource(bot):
    """The name that the filter pair_cluster gives it."""
    return bot["name"] + "-bot"


def interrupted(number, _frame):
    raise Refused("The deployment was interrupted (signal %d)." % number)


@contextlib.contextmanager
def unwatched(host, bot):
    """Pacemaker neither restarts nor moves the bot. A connection that is lost meanwhile ends this as any error does."""
    name = resource(bot)
    managed = ["crm_resource", "--resource", name, "--meta", "--set-parameter", "is-managed", "--parameter-value"]
    earlier = {number: signal.signal(number, interrupted) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        host.must("%s: telling the cluster to look away from %s" % (bot["label"], name), managed + ["false"])
        yield
    finally:
        for number in earlier:
            signal.signal(number, signal.SIG_IGN)
        status, out, err = host.run(["crm_resource", "--resource", name, "--meta", "--delete-parameter", "is-managed"])
        # The moment without a process was seen as a failure; three of them would move the bot.
        host.run(["crm_resource", "--cleanup", "--resource", name])
        for number, handler in earlier.items():
            signal.signal(number, handler)
        if status:
            raise Refused(
                "%s: THE CLUSTER STILL LOOKS AWAY (%s). Type: crm_resource --resource %s --meta --delete-parameter is-managed"
                % (bot["label"], (err or out).strip(), name)
            )


def restart(host, bot, unit, seconds):
    """True if it became healthy, which the unit's start waits for."""
    with unwatched(host, bot):
        return host.restart(unit, seconds)
