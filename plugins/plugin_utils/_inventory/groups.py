# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which groups a host is in: the native ones and the collection's own. No Jinja, so ten thousand hosts take no time."""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError

NATIVE = {
    "provider": lambda host: [host["provider"]],
    "region": lambda host: [host["region"]],
    "zone": lambda host: [host["zone"]],
    "account": lambda host: [host["account"]],
    "state": lambda host: [host["state"]],
    "size": lambda host: [host["size"]],
    "image": lambda host: [host["image"]],
    "vpc": lambda host: [host["vpc"]],
    "role": lambda host: host["roles"],
    "env": lambda host: host["envs"],
    "bot": lambda host: host["bots"],
    # What a provider writes about itself makes long, useless groups; a name is the host's own.
    "tag": lambda host: [label for label in host["labels"] if not label.startswith(("aws:", "Name:"))],
}
# The groups that the collection's playbooks address, and which tags put a host there.
DEFAULT_MAP = {
    "bot_hosts": ["bot:*", "role:bot", "role:primary", "role:standby"],
    "docker_hosts": ["role:docker"],
    "web_hosts": ["role:web"],
    "cloudwatch_hosts": ["role:cloudwatch"],
    "cluster_nodes": ["role:primary", "role:standby"],
    "cluster_witness": ["role:witness"],
}
UNSAFE_IN_GROUP = re.compile(r"[^A-Za-z0-9_]")
GROUP = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def safe_group(text):
    return UNSAFE_IN_GROUP.sub("_", text)


def check_map(mapping):
    """Sentences about a groups map that cannot work."""
    said = []
    for group, selectors in mapping.items():
        if not GROUP.match(str(group)) or group in ("all", "ungrouped"):
            said.append("map_groups: %s is not a group name; use letters, digits and underscores" % group)
        if not isinstance(selectors, list):
            said.append("map_groups.%s must be a list of selectors such as 'role:primary'" % group)
            continue
        for selector in selectors:
            key, colon, value = str(selector).partition(":")
            if not colon or not value or key not in NATIVE:
                said.append(
                    "map_groups.%s: %s is not a selector; write KEY:PATTERN with KEY one of %s"
                    % (group, selector, ", ".join(sorted(NATIVE)))
                )
    return said


class Grouping:
    """Computes and remembers: hosts share most of their values, so most look-ups are one dictionary access."""

    def __init__(self, group_by, mapping):
        unknown = [name for name in group_by if name not in NATIVE]
        if unknown:
            raise InventoryError("group_by: %s is not one of %s" % (", ".join(unknown), ", ".join(sorted(NATIVE))))
        problems = check_map(mapping)
        if problems:
            raise InventoryError("\n".join(problems))
        self.group_by = list(group_by)
        self.mapped = list(mapping)
        self.selectors = {}
        for group, selectors in mapping.items():
            for selector in selectors:
                key, _unused, pattern = str(selector).partition(":")
                self.selectors.setdefault(key, []).append((pattern, group))
        self._known = {}

    def _of(self, key, value):
        known = self._known.get((key, value))
        if known is None:
            known = [group for pattern, group in self.selectors.get(key, ()) if value and fnmatch.fnmatchcase(value, pattern)]
            if key in self.group_by and value:
                known.append(safe_group("%s_%s" % (key, value)))
            self._known[key, value] = known
        return known

    def groups(self, host):
        """Names of the groups of a host, each once, in a stable order."""
        found = {}
        for key in {**dict.fromkeys(self.group_by), **self.selectors}:
            for value in NATIVE[key](host):
                for group in self._of(key, value):
                    found[group] = None
        return list(found)
