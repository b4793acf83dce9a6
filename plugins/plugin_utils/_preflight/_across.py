# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the parts of a host get in each other's way: ports on which two of them would listen."""

from __future__ import annotations

# What says that a host has the part; sshd is on every host.
DECLARED_BY = {
    "hardening": "", "nginx": "nginx_sites", "bot_app": "bot_app_bots", "haproxy_vip": "haproxy_vip_frontends", "rsync_ha": "rsync_ha_daemon",
}
EVERYWHERE = ("", "*", "0.0.0.0", "::")


def conflicts(mine, others):
    """`mine` and each of `others` are lists of (variable, address, port): one sentence for each port that is wanted twice."""
    said = []
    for where, address, port in mine:
        for other, its_address, its_port in others:
            if port == its_port and (address == its_address or address in EVERYWHERE or its_address in EVERYWHERE):
                said.append("%s: port %d is taken by %s, and one of the two would not start; give one of them another port" % (where, port, other))
                break
    return said
