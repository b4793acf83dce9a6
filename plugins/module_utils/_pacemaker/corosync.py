# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What corosync.conf says, what a running corosync believes, and what it takes to make them agree. Pure functions."""

from __future__ import annotations

import re

# A running corosync refuses to change these: they decide how the members talk to each other at all.
RESTART = re.compile(r"^(totem\.(version|cluster_name|transport|ip_version|interface\..*\.knet_transport))$")
# Kept in the map as something else than what the file says.
IGNORED = re.compile(r"^(totem\.(keyfile|key)|service\..*|uidgid\..*|system\..*|resources\..*)$")
CMAP_LINE = re.compile(r"^(\S+) \((\w+)\) = (.*)$")


def parse(text):
    """corosync.conf as the map's keys: {'totem.token': '3000', 'nodelist.node.0.name': 'a', …}."""
    found, path, count = {}, [], {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        if line.endswith("{"):
            name = line[:-1].strip()
            prefix = ".".join(path + [name])
            if prefix in ("nodelist.node", "logging.logger_subsys", "totem.interface"):
                index = count.get(prefix, 0)
                count[prefix] = index + 1
                name = "%s.%d" % (name, index)
            path.append(name)
        elif line == "}":
            if not path:
                raise ValueError("line %d closes a section that was not opened" % number)
            path.pop()
        elif ":" in line:
            name, value = line.split(":", 1)
            found[".".join(path + [name.strip()])] = value.strip()
        else:
            raise ValueError("line %d is neither a section nor a setting: %s" % (number, line))
    if path:
        raise ValueError("the section %s is not closed" % ".".join(path))
    return found


def cmap(text):
    """The output of corosync-cmapctl as a dictionary."""
    matches = (CMAP_LINE.match(line) for line in text.splitlines())
    return {match.group(1): match.group(3).strip() for match in matches if match}


def differences(wanted, now):
    """Keys on which the running corosync does not believe what the file says, also members it should have forgotten."""
    keys = {k for k, v in wanted.items() if not IGNORED.match(k) and not k.startswith("logging.") and now.get(k) != v}
    keys |= {k for k in now if k.startswith("nodelist.node.") and k not in wanted and not k.endswith("ring0_addr_resolved")}
    keys |= {k for k in now if k.startswith("quorum.device.") and k not in wanted and known_device_key(k)}
    return sorted(keys)


def known_device_key(key):
    # votes is filled in by the daemon when the file leaves it out.
    return key in ("quorum.device.model", "quorum.device.net.host", "quorum.device.net.algorithm", "quorum.device.net.tls")


def needs_restart(keys):
    return [key for key in keys if RESTART.match(key)]


def device_settings(wanted):
    """Of corosync.conf, as parsed, what corosync-qdevice reads, and only when it starts."""
    return "".join("%s=%s\n" % (key, wanted[key]) for key in sorted(wanted) if key.startswith("quorum.device."))


def witness_votes(said):
    """Whether `corosync-quorumtool -s` counts the witness's vote for this member.

        0          1            Qdevice

    in the list of members; 0 votes while it is not heard of.
    """
    return bool(re.search(r"^\s*0\s+1\b.*\bQdevice\b", said, re.MULTILINE))
