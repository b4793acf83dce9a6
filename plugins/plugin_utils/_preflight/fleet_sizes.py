# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the vendor sells what is declared, where it is declared."""

from __future__ import annotations

import difflib


def check(values: dict) -> list[str]:
    region, sold = values["region"], {size["slug"]: size for size in values["sizes"]}
    regions = sorted({name for size in sold.values() for name in size["regions"] or []})
    if region not in regions:
        return [f"fleet_digitalocean.region: {region!r} is none of the vendor's; it has {', '.join(regions)}."]
    found = []
    for number, host in enumerate(values["hosts"]):
        where, size = f"fleet_digitalocean.hosts[{number}].size", host["size"]
        if size not in sold:
            near = difflib.get_close_matches(size, sold, n=3, cutoff=0.4)
            found.append(f"{where}: {size!r} is none of the vendor's{'; did you mean ' + ' or '.join(near) if near else ''}?")
        elif region not in (sold[size]["regions"] or []):
            found.append(f"{where}: {size} is not sold in {region}; it is in {', '.join(sold[size]['regions'] or []) or 'no region'}.")
    return found
