# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where things are on a member. The role's templates use the same paths."""

from __future__ import annotations

COROSYNC_CONF = "/etc/corosync/corosync.conf"
AUTHKEY = "/etc/corosync/authkey"
NODE_DB = "/etc/corosync/qdevice/net/nssdb"
WITNESS_DB = "/etc/corosync/qnetd/nssdb"
STATE = "/var/lib/botops/ha_cluster"
FENCE_TESTS = STATE + "/fence-tests.json"
