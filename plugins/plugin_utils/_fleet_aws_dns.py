# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The records of `fleet_aws` in Route 53: what they shall hold, and how that differs from what their zones hold. All pure.

A record bears no tag: one is the fleet's because it is declared.
"""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._cloud import dns_name

#: So much of a TXT record's value fits into one string of it: RFC 1035, 3.3.14.
LONGEST_STRING = 255


def within(name, zone):
    return name == zone or name.endswith("." + zone)


def quoted(text):
    """A TXT record's value as Route 53 takes it: strings in double quotes, none too long. One that has its quotes already stays."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return text
    parts = [text[start : start + LONGEST_STRING] for start in range(0, len(text), LONGEST_STRING)] or [""]
    return " ".join('"%s"' % part.replace("\\", "\\\\").replace('"', '\\"') for part in parts)


def _value(kind, text):
    return quoted(text) if kind == "TXT" else dns_name(text) if kind == "CNAME" else text


def records(declared):
    """What shall exist of them."""
    return [
        {"zone": dns_name(one["zone"]), "name": dns_name(one["name"]), "type": one["type"], "ttl": one["ttl"], "hosts": one["hosts"],
         "values": [_value(one["type"], text) for text in one["values"]]}
        for one in declared["records"]
    ]  # fmt: skip


def title(record):
    return f"{record['type']} {record['name']}"


def zone_of(record, found):
    """The public hosted zone of that name: the first, and a second one was refused."""
    return next((zone for zone in found["zones"] if zone["name"] == record["zone"]), None)


def there(record, found):
    """What the zone holds under that name and type."""
    zone = zone_of(record, found)
    return next((one for one in zone["records"] if (one["name"], one["type"]) == (record["name"], record["type"])), None) if zone else None


def _values(record, addresses):
    """Its values, or None while an address is not known."""
    if not all(addresses.get(host) for host in record["hosts"]):
        return None
    return sorted({*record["values"], *(addresses[host] for host in record["hosts"])})


def _holds(record, have):
    return sorted({_value(record["type"], text) for text in have["values"]})


def _silent(record, found, addresses):
    """Its hosts that are there and have no public address, as one that is stopped."""
    known = {one["name"] for one in found["instances"] if one["state"] != "pending"}
    return [host for host in record["hosts"] if host in known and not addresses.get(host)]


def changes(plan, found, addresses, coming, differ):
    """Tells `differ` what of the records is not as the plan has it. `coming` are hosts that this run gives another address."""
    for record in plan["records"]:
        have = there(record, found)
        if _silent(record, found, {**addresses, **dict.fromkeys(coming, "?")}):
            continue  # notes() tells it
        values = None if set(record["hosts"]) & set(coming) else _values(record, addresses)
        differ("record", title(record), have, have and [_holds(record, have) != values and "values", have["ttl"] != record["ttl"] and "ttl"])


def notes(plan, found, addresses, coming):
    known = {**addresses, **dict.fromkeys(coming, "?")}
    return [f"DNS record {title(record)} stays as it is: {', '.join(silent)} has no public address; start it, or declare elastic_ip"
            for record in plan["records"] if (silent := _silent(record, found, known))]  # fmt: skip


def to_write(plan, found, addresses):
    """The records that differ once every address is known, each with its zone's id and all of its values."""
    listed = []
    for record in plan["records"]:
        values, have = _values(record, addresses), there(record, found)
        if values and not (have and (_holds(record, have), have["ttl"]) == (values, record["ttl"])):
            listed.append({"zone": zone_of(record, found)["id"], **{key: record[key] for key in ("name", "type", "ttl")}, "values": values})
    return listed


def doomed(plan, found):
    """The declared records that are there, as they are there: Route 53 removes nothing that changed meanwhile."""
    listed = []
    for record in plan["records"]:
        have = there(record, found)
        if have and have["plain"]:
            listed.append({"zone": zone_of(record, found)["id"], **{key: have[key] for key in ("name", "type", "ttl", "values")}})
    return listed
