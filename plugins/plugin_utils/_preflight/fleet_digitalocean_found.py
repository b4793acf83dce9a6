# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the vendor has what is declared, where it is declared: known before anything is made."""

from __future__ import annotations

import difflib

from ansible_collections.botops.fleet.plugins.plugin_utils._fleet import hosts, volumes


def _near(word: str, known) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.4)
    return f"; did you mean {' or '.join(near)}?" if near else "."


def _size(where: str, size: str, region: str, sold: dict) -> list[str]:
    if size not in sold:
        return [f"{where}: {size!r} is none of the vendor's{_near(size, sold)}"]
    regions = sold[size]["regions"] or []
    return [] if region in regions else [f"{where}: {size} is not sold in {region}; it is in {', '.join(regions) or 'no region'}."]


def _image(where: str, image: str, region: str, images: list) -> list[str]:
    """As do_droplet reads it: the slug or number of any image, or the name of one of the account's own."""
    exact = [one for one in images if image in (one["slug"], str(one["id"]))]
    named = exact or [one for one in images if not one["public"] and one["name"] == image]
    if not named:
        known = {one["slug"] or one["name"] for one in images if one["slug"] or not one["public"]}
        return [f"{where}: {image!r} is an image neither of the vendor's nor of this account{_near(image, known)}"]
    if len(named) > 1:
        return [f"{where}: {len(named)} images of this account are called {image} ({', '.join(str(one['id']) for one in named)}); write one of the numbers."]
    regions = named[0]["regions"] or []
    return [] if region in regions else [f"{where}: {image} is not in {region}; it is in {', '.join(regions) or 'no region'}. Copy it there, or write another."]


def _volumes(where: str, host: dict, there: dict) -> list[str]:
    """What no run can do to a volume that is there: told before anything is made, and not when its turn comes."""
    found = []
    for number, declared in enumerate(host.get("volumes") or []):
        at = f"{where}.volumes[{number}]"
        # One sentence for each declaration: the largest of those that a count makes is the one that forbids most.
        same = [there[name] for name, _host, _about in volumes({"hosts": [{**host, "volumes": [declared]}]}) if name in there]
        largest = max(same, key=lambda one: one["size_gigabytes"], default=None)
        if largest and declared["size_gigabytes"] < largest["size_gigabytes"]:
            found.append(f"{at}.size_gigabytes: {largest['name']} has {largest['size_gigabytes']} GiB, and a volume never shrinks; "
                         f"write {largest['size_gigabytes']} or more.")  # fmt: skip
        other = next((one for one in same if one["filesystem_type"] != declared["filesystem_type"]), None)
        if other:
            has = other["filesystem_type"] or "no file system"
            found.append(f"{at}.filesystem_type: {other['name']} has {has}, and a file system is made with a volume only; "
                         f"write {f'{has}, or ' if other['filesystem_type'] else ''}a volume of another name.")  # fmt: skip
    return found


def check(values: dict) -> list[str]:
    """`images` is empty where no host is `new`: those that are there keep what they were made from."""
    region, sold = values["region"], {size["slug"]: size for size in values["sizes"]}
    regions = sorted({name for size in sold.values() for name in size["regions"] or []})
    if region not in regions:
        return [f"fleet_digitalocean.region: {region!r} is none of the vendor's; it has {', '.join(regions)}."]
    found = []
    there = {volume["name"]: volume for volume in values["volumes"] if volume["region"] == region}
    for number, host in enumerate(values["hosts"]):
        where = f"fleet_digitalocean.hosts[{number}]"
        found += _size(f"{where}.size", host["size"], region, sold)
        if {name for name, _about in hosts({"hosts": [host]})} & set(values["new"]):
            found += _image(f"{where}.image", host["image"], region, values["images"])
        found += _volumes(where, host, there)
    domains = sorted(domain["name"] for domain in values["domains"])
    known = f"it has {', '.join(domains)}" if domains else "it has none"
    for number, record in enumerate(values["records"]):
        if record["domain"] not in domains:
            where = f"fleet_digitalocean.records[{number}].domain"
            found.append(f"{where}: this account has no domain {record['domain']} ({known}); add it there, or write another.")
    return found
