# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the compliance role's variables cannot mean."""

from __future__ import annotations

import datetime
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._compliance import FAMILIES, is_control
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

LONGEST_DAYS = 366
LISTENING = re.compile(r"^(tcp|udp|any)/(\d{1,5})(?:-(\d{1,5}))?$")
RANGES = {
    "compliance_scanner_seconds": (60, 14400, "seconds"), "compliance_jitter_seconds": (0, 43200, "seconds"),
    "compliance_minimum_score": (0, 100, "percent"), "compliance_lynis_index": (0, 100, "points"), "compliance_unit_exposure": (0, 10, "of 10"),
    "compliance_fencing_days": (1, 730, "days"), "compliance_replication_seconds": (1, 86400, "seconds"), "compliance_certificate_days": (1, 365, "days"),
    "compliance_lists_days": (1, 90, "days"),
}  # fmt: skip


def check(values, today=None):
    today = today or datetime.datetime.now(datetime.timezone.utc).date()
    waivers = values["compliance_waivers"]
    found = twice("compliance_waivers", [entry["control"] for entry in waivers])
    for index, entry in enumerate(waivers):
        found += check_waiver("compliance_waivers[%d]" % index, entry, today)
    for name, (least, most, unit) in RANGES.items():
        if not least <= values[name] <= most:
            found.append("%s: %s is out of range; write %s to %s %s" % (name, values[name], least, most, unit))
    profile = values["compliance_openscap_profile"]
    if not re.match(r"^[a-z0-9_.-]*$", profile):
        found.append("compliance_openscap_profile: %r is no profile's short name; write one such as anssi_bp28_intermediary" % profile)
    for index, entry in enumerate(values["compliance_listening"]):
        match = LISTENING.match(entry)
        if not match or not 1 <= int(match[2]) <= int(match[3] or 65535) <= 65535:
            found.append("compliance_listening[%d]: %r is no port; write one such as tcp/8443 or udp/60000-61000" % (index, entry))
    for index, path in enumerate(values["compliance_certificates"]):
        if not re.match(r"^/\S*$", path):
            found.append("compliance_certificates[%d]: %s is not an absolute path without white space" % (index, path))
    for index, name in enumerate(values.get("compliance_accounts") or []):
        if not re.match(r"^[a-z_][a-z0-9_.-]*$", name):
            found.append("compliance_accounts[%d]: %r is no account's name" % (index, name))
    return found


def check_waiver(where, entry, today):
    found = []
    if not is_control(entry["control"]):
        family = entry["control"].partition(":")[0]
        example = "a family such as %s has its subject behind a colon" % family if family in FAMILIES else "`botops-compliance show` prints them all"
        found.append("%s.control: there is no control %r; %s" % (where, entry["control"], example))
    for key, least, what in (("reason", 10, "a sentence that an auditor understands"), ("owner", 2, "the name of who decided it")):
        if len(entry[key].strip()) < least:
            found.append("%s.%s: %r says too little; write %s" % (where, key, entry[key], what))
    try:
        until = datetime.date.fromisoformat(entry["until"]) if re.match(r"^\d{4}-\d\d-\d\d$", entry["until"]) else None
    except ValueError:
        until = None
    if until is None:
        found.append("%s.until: %r is no day; write one such as %s" % (where, entry["until"], today + datetime.timedelta(days=90)))
    elif until < today:
        found.append("%s.until: the waiver ended on %s; decide anew and give it another day, or take it out" % (where, until))
    elif (until - today).days > LONGEST_DAYS:
        found.append("%s.until: %s is more than %d days away; a waiver is looked at once a year" % (where, until, LONGEST_DAYS))
    return found
