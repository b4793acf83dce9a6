# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the auditd role's variables cannot mean."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.plugin_utils._auditd import CONTROLS
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

BOT = re.compile(r"^[a-z][a-z0-9_-]{0,25}$")
# What stands in a line of the rules without quotes.
PATH = re.compile(r"^/[^\s\"'\\]*$")
KEY = re.compile(r"^own-[a-z0-9-]{1,26}$")
# Every system call of every process would be asked, or a directory that changes with each of them.
TOO_MUCH = ("/", "/proc", "/sys", "/dev", "/run", "/var/log/audit")
LIMITS = {
    "auditd_budget_mb_per_day": (1, 10000, "megabytes"),
    "auditd_log_file_mb": (1, 1000, "megabytes"),
    "auditd_log_files": (2, 999, "files"),
    "auditd_backlog_limit": (64, 65536, "records"),
    "auditd_rate_limit": (0, 100000, "records a second"),
}
DAYS = 3


def check(values):
    found = []
    for name, (least, most, unit) in LIMITS.items():
        if not least <= values[name] <= most:
            found.append("%s: %d is out of range; write %d to %d %s" % (name, values[name], least, most, unit))
    kept, budget = values["auditd_log_file_mb"] * values["auditd_log_files"], values["auditd_budget_mb_per_day"]
    if not found and kept < DAYS * budget:
        found.append("auditd_log_files: %d files of %d MB hold less than %d days of %d MB; write at least %d"
                     % (values["auditd_log_files"], values["auditd_log_file_mb"], DAYS, budget, -(-DAYS * budget // values["auditd_log_file_mb"])))  # fmt: skip
    bots = values.get("auditd_bots") or []
    found += twice("auditd_bots", bots)
    found += ["auditd_bots[%d]: %r is no name of a bot; write it as bot_app_bots has it" % (index, bot) for index, bot in enumerate(bots) if not BOT.match(bot)]
    for index, key in enumerate(values["auditd_left_out"]):
        if key not in CONTROLS:
            found.append("auditd_left_out[%d]: there is no key %s; use one of %s" % (index, key, ", ".join(CONTROLS)))
    for index, watch in enumerate(values["auditd_watches"]):
        found += check_watch("auditd_watches[%d]" % index, watch)
    return found


def check_watch(where, watch):
    found, path = [], watch["path"]
    if not PATH.match(path):
        found.append("%s.path: %s is not an absolute path without white space and quotes" % (where, path))
    elif (path.rstrip("/") or "/") in TOO_MUCH or "/../" in path + "/":
        found.append("%s.path: %s changes with everything that runs, or is no plain path; name what matters in it" % (where, path))
    if not watch["permissions"] or set(watch["permissions"]) - set("rwxa") or len(set(watch["permissions"])) != len(watch["permissions"]):
        found.append("%s.permissions: %r is none; write letters of rwxa, each once" % (where, watch["permissions"]))
    if not KEY.match(watch["key"]):
        found.append("%s.key: %r is none; write own- and lower-case letters, digits and -, at most 30 characters" % (where, watch["key"]))
    return found
