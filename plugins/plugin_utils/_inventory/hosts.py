# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host is, whoever runs it: the normalised schema, roles from tags, the address to use, unique names. All pure."""

from __future__ import annotations

import collections
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError

STATES = ("pending", "running", "stopping", "stopped", "archived")
NO_ADDRESS = "no-%s-address.invalid"
# Ansible gives these names a meaning of its own; a droplet that carries one would hijack every delegation to it.
RESERVED = frozenset(("all", "ungrouped", "localhost", "127.0.0.1", "::1"))
UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def make_host(
    provider, identity, name="", account="", region="", zone="", size="", image="", state="running",
    addresses=None, labels=(), vpc="", created="", tag_keys=None,
):
    """One host in the normalised schema. `labels` are its tags as 'key:value' or 'key' strings."""
    keys = tag_keys or {}
    found = collections.defaultdict(list)
    for label in labels:
        key, _unused, value = label.partition(":")
        if value not in found[key]:
            found[key].append(value)

    def values(meaning):
        """One tag may carry several: role:primary,web is what a provider without repeated keys needs."""
        parts = (part.strip() for value in found.get(keys.get(meaning, meaning), ()) for part in value.split(","))
        return list(dict.fromkeys(part for part in parts if part))

    roles, bots, environments = values("role"), values("bot"), values("env")
    addresses = addresses or {}
    return {
        "provider": provider, "account": account, "id": str(identity), "name": name or str(identity),
        "region": region, "zone": zone or region, "size": size, "image": image, "state": state,
        "addresses": {kind: addresses.get(kind) or None for kind in ("public", "private", "public_ipv6")},
        "labels": sorted(set(labels)), "tags": {key: ",".join(found[key]) for key in sorted(found)},
        "roles": roles, "role": roles[0] if roles else "", "bots": bots, "bot": bots[0] if bots else "",
        "envs": environments, "env": environments[0] if environments else "", "vpc": vpc, "created": created,
    }


# --- tag filters


def tag_filter(wanted):
    """[(key, [values])] from {bot: polymarket, env: [prod, staging], web: } or from ['bot:polymarket', 'web']."""
    if not wanted:
        return []
    if isinstance(wanted, str):
        wanted = [wanted]
    if isinstance(wanted, (list, tuple)):
        pairs = [str(entry).partition(":") for entry in wanted]
        return [(key, [value] if colon else []) for key, colon, value in pairs]
    if not isinstance(wanted, dict):
        raise InventoryError("tags must be a mapping such as {bot: polymarket} or a list such as ['bot:polymarket']")
    result = []
    for key, value in wanted.items():
        values = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
        result.append((str(key), [str(one) for one in values]))
    return result


def carries(labels, wanted, bare_is_whole=False):
    """Whether all of `wanted` is among the labels.

    No value means that the key alone decides, or, where tags are single words, that the word is the whole tag.
    """
    have = collections.defaultdict(set)
    for label in labels:
        key, _unused, value = label.partition(":")
        have[key].add(value)
    if bare_is_whole:
        wanted = [(key, values or [""]) for key, values in wanted]
    return all(key in have and (not values or have[key].intersection(values)) for key, values in wanted)


# --- addresses


def choose_address(addresses, mode, through_jump=False):
    """The address for `mode`, or None. `auto` prefers the private one when a jump host stands in between."""
    public = addresses.get("public") or addresses.get("public_ipv6")
    private = addresses.get("private")
    if mode == "private":
        return private
    if mode == "public":
        return public
    return (private or public) if through_jump else (public or private)


# --- names


def safe_name(text):
    """A name that host patterns, file names and SSH can carry."""
    return UNSAFE_IN_NAME.sub("-", text).strip("-.")


def unique_names(hosts, collision, group_names=()):
    """(inventory names in the order of the hosts, sentences about what was renamed).

    Every host of a shared name is renamed, not all but the first: who came first changes when a host is deleted, and
    then its variables would silently apply to another machine.
    """
    taken = RESERVED.union(group_names)
    names = [safe_name(host["name"]) or safe_name(host["id"]) for host in hosts]
    fixed = [bool(host.get("fixed")) for host in hosts]
    renamed = set()
    said = []
    while True:
        members = collections.defaultdict(list)
        for index, name in enumerate(names):
            members[name].append(index)
        clashes = {name: who for name, who in members.items() if len(who) > 1 or name in taken}
        if not clashes:
            return names, said
        progress = False
        for name, who in sorted(clashes.items()):
            listed = ", ".join("%(provider)s %(id)s%(where)s" % dict(
                hosts[index], where=" in " + hosts[index]["region"] if hosts[index]["region"] else "") for index in who[:5])
            listed += " and %d more" % (len(who) - 5) if len(who) > 5 else ""
            if len(who) > 1:
                problem = "%d hosts are called %s (%s)" % (len(who), name, listed)
            else:
                problem = "a host is called %s (%s), a name that Ansible or a group of this inventory uses" % (name, listed)
            static = [index for index in who if fixed[index]]
            if collision == "fail" or len(static) > 1 or (static and name in taken):
                advice = "rename one of them" if static else "rename one of them, or set collision: suffix"
                raise InventoryError("%s: %s" % (problem, advice))
            for index in who:
                if not fixed[index] and index not in renamed:
                    names[index] = "%s-%s" % (names[index], safe_name(hosts[index]["id"]))
                    renamed.add(index)
                    progress = True
            said.append("%s; they are in the inventory as NAME-ID" % problem)
        if not progress:
            raise InventoryError("%s: the same id twice cannot be told apart; do two sources list the same account?" % said[-1])
