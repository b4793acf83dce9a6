# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bot that the cluster started is restarted where it is while the cluster looks away; and the cluster looks again whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused

# On this host alone, and forgotten with it: should the host be lost meanwhile, the other one takes over as ever.
MAINTENANCE = ["crm_attribute", "--node", os.uname().nodename, "--name", "maintenance", "--lifetime", "reboot"]
WAIT_SECONDS = 20


def interrupted(number, _frame):
    raise Refused("The deployment was interrupted (signal %d)." % number)


def looks_away(host):
    """Whether Pacemaker has taken it in, and waits for no operation on any host any more."""
    status, out, _err = host.run(["crm_mon", "--one-shot", "--output-as=xml"])
    lines = [line for line in out.splitlines() if '<node name="%s"' % os.uname().nodename in line and "maintenance=" in line]
    return status == 0 and any('maintenance="true"' in line for line in lines)


@contextlib.contextmanager
def unwatched(host, label):
    """Pacemaker neither restarts, moves nor judges what this host runs. A connection that is lost meanwhile ends this as any error does."""
    earlier = {number: signal.signal(number, interrupted) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        host.must("%s: telling the cluster to look away" % label, MAINTENANCE + ["--update", "true"])
        deadline = time.monotonic() + WAIT_SECONDS
        while not looks_away(host):
            if time.monotonic() > deadline:
                raise Refused("%s: the cluster does not look away within %d s; nothing was restarted. Look at `crm_mon -1`." % (label, WAIT_SECONDS))
            time.sleep(0.2)
        # A look at the bot that is on its way would see it stopped.
        host.run(["crm_resource", "--wait", "--timeout", "%ds" % WAIT_SECONDS])
        yield
    finally:
        for number in earlier:
            signal.signal(number, signal.SIG_IGN)
        status, out, err = host.run(MAINTENANCE + ["--delete"])
        for number, handler in earlier.items():
            signal.signal(number, handler)
        if status:
            said = (err or out).strip()
            raise Refused("%s: THE CLUSTER STILL LOOKS AWAY FROM THIS HOST (%s). Type there: %s --delete" % (label, said, " ".join(MAINTENANCE)))
