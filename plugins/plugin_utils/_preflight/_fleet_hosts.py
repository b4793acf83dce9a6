# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said of the hosts of a fleet at any vendor. Sentences have no variable's name in front."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.plugin_utils._fleet import hosts

NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$")
ROLE = re.compile(r"^[A-Za-z0-9_-]+$")
MOST_HOSTS = 200


def name_and_count(where: str, host: dict) -> list[str]:
    found = []
    if not NAME.match(host["name"]):
        found.append(f"{where}.name: {host['name']!r} is no host name; write lower-case letters, digits and hyphens.")
    if not 1 <= host["count"] <= MOST_HOSTS:
        found.append(f"{where}.count: is {host['count']}; write 1 to {MOST_HOSTS}, or leave the host out.")
    return found


def roles(where: str, host: dict) -> list[str]:
    return [f"{where}.roles: {role!r} is no role; write letters, digits, hyphens and underscores." for role in host["roles"] if not ROLE.match(role)]


def of_one_name(declared: dict) -> list[str]:
    """Of the names that hosts get, counted ones included."""
    names = [name for name, _host in hosts(declared)]
    return [f"hosts: two are called {name}; give each a name of its own." for name in sorted({name for name in names if names.count(name) > 1})]


def hosts_of_record(where: str, record: dict, known: set[str]) -> list[str]:
    """Of a DNS record whose values are the addresses of hosts, or written down."""
    found = [f"{where}.hosts: {host} is not declared; known are {', '.join(sorted(known)) or 'none'}." for host in record["hosts"] if host not in known]
    if not record["hosts"] and not record["values"]:
        found.append(f"{where}: has neither hosts nor values; write one of them.")
    if record["hosts"] and record["type"] != "A":
        found.append(f"{where}.type: is {record['type']}, and the public address of a host is IPv4; write A.")
    return found
