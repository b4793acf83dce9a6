# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be done to a systemd unit so that it runs as declared and with the files that are there."""

from __future__ import annotations

import glob
import json
import os
import re
import time

PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,MainPID,NeedDaemonReload,ConditionResult,ConditionTimestampMonotonic"
EVERYTHING = "/"  # a note that was torn
RELOADS = "/run/botops/reloads"
# SD_MESSAGE_UNIT_RELOADED of sd-messages.h: what the journal knows of reloads that somebody else asked for.
RELOADED = "MESSAGE_ID=7b05ebc668384222baa8881179cfda54"


def blocks(text):
    """{unit: properties} of `systemctl show` for several units."""
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.strip().split("\n\n")]
    return {unit["Id"]: unit for unit in found if "Id" in unit}


def touched(patterns, pending):
    """Whether any of the `pending` paths is one of those that `patterns` match from their beginning."""
    return bool(patterns) and any(path == EVERYTHING or re.match(pattern, path) for path in pending for pattern in patterns)


def at_rest(now):
    """Enabled, and its condition keeps it from starting (chrony where the clock cannot be set): as good as it gets."""
    # "no" is also what systemd says of a unit that nobody ever tried to start.
    tried = now.get("ConditionTimestampMonotonic", "0") != "0"
    return tried and now.get("ConditionResult") == "no" and now.get("UnitFileState") == "enabled"


def steps(spec, now, pending):
    """The verbs of systemctl that bring the unit from `now` to what `spec` declares, in order."""
    active = now.get("ActiveState") in ("active", "reloading", "activating")
    verbs = []
    if spec["enabled"] is not None:
        enabled = now.get("UnitFileState") in ("enabled", "static", "alias", "generated", "indirect")
        if spec["enabled"] != enabled and now.get("UnitFileState") != "static":
            verbs.append("enable" if spec["enabled"] else "disable")
    if spec["state"] == "stopped":
        return verbs + (["stop"] if active else [])
    if touched(spec["restart_on"], pending) and (active or spec["state"] == "started"):
        return verbs + ["restart"]
    if touched(spec["reload_on"], pending) and active:
        return verbs + ["reload"]
    if spec["state"] == "started" and not active and not at_rest(now):
        return verbs + ["start"]
    return verbs


def gone(pending, home="/etc/systemd/system"):
    """Units whose file was noted and is no longer there: removed, or given another name. Instances of templates are not ours to end."""
    names = [os.path.basename(path) for path in pending if os.path.dirname(path) == home and not os.path.lexists(path)]
    return sorted(name for name in names if re.search(r"[^@]\.(service|timer|path|socket)$", name))


def retire(run_command, name, home="/etc/systemd/system"):
    """Stop a unit that has lost its file, and take its links away. Returns whether there was anything to do."""
    state = run_command(["systemctl", "show", "--property=ActiveState", "--value", name])[1].strip()
    wanted = glob.glob("%s/*.wants/%s" % (home, name)) + glob.glob("%s/*.requires/%s" % (home, name))
    for path in wanted + glob.glob("/var/lib/systemd/timers/stamp-" + name):
        os.unlink(path)
    if state not in ("inactive", ""):
        run_command(["systemctl", "stop", name])
        run_command(["systemctl", "reset-failed", name])
    return bool(wanted) or state not in ("inactive", "")


def retire_all(run_command, pending, home="/etc/systemd/system"):
    """Every unit that has lost its file. Returns a line for each of which something was left."""
    retired = [name for name in gone(pending, home) if retire(run_command, name, home)]
    if retired:
        run_command(["systemctl", "daemon-reload"])  # or systemd goes on listing what nothing wants any more
    return ["retire %s" % name for name in retired]


def stat(pid):
    """The words of /proc/PID/stat behind the name, which stands in brackets and may hold spaces; none for a process that is gone."""
    try:
        with open("/proc/%s/stat" % pid, encoding="utf-8", errors="replace") as handle:
            return handle.read().rpartition(")")[2].split()
    except OSError:
        return []


def seconds(words):
    """When the process began, in seconds since boot."""
    return int(words[19]) / os.sysconf("SC_CLK_TCK") if len(words) > 19 else 0


def started(pid):
    """When a process began, in seconds since boot and 0 where it is gone."""
    return seconds(stat(pid))


def children(pid):
    """{pid: start} of the processes that `pid` itself started."""
    known = {int(name): stat(name) for name in os.listdir("/proc") if name.isdigit()}
    return {number: seconds(words) for number, words in known.items() if words[1:2] == [str(pid)]}


def boot_time():
    """Unix time at which the machine's monotonic clock was zero."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def note_reload(name, home=RELOADS):
    """systemd forgets when it last reloaded a unit whenever it reads its own files again. In /run: a reboot starts everything anew."""
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, name), "w", encoding="utf-8"):
        os.utime(os.path.join(home, name))


def noted_reload(name, home=RELOADS):
    """Unix time of the last reload of ours that was confirmed, 0 where there was none since the boot."""
    path = os.path.join(home, name)
    return os.path.getmtime(path) if os.path.exists(path) else 0


def journal_time(line):
    """Unix time of one entry of `journalctl -o json`, 0 for none."""
    return int(json.loads(line)["__REALTIME_TIMESTAMP"]) / 1e6 if line.strip() else 0


def newest(paths):
    """(mtime, path) of the newest file at or below `paths`; (0, "") where there is none."""
    found = [(0, "")]
    for top in paths:
        for directory, _directories, names in os.walk(top):
            found += [(os.path.getmtime(path), path) for path in (os.path.join(directory, name) for name in names) if os.path.exists(path)]
        if os.path.isfile(top):
            found.append((os.path.getmtime(top), top))
    return max(found)
