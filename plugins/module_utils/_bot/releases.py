# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release shall run: decisions only, no host."""

from __future__ import annotations

import hashlib
import json

# What the units expect in a release beside its source. Raise it when that changes, so that releases are built anew.
LAYOUT = 2


class Refused(Exception):
    """What cannot be done, in one sentence."""


class Unreachable(Refused):
    """Nobody answered where the release comes from, which says nothing about the release."""


def digest_of(*parts):
    whole = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        whole.update(b"%d:" % len(data) + data)
    return whole.hexdigest()


def release_id(bot, digest):
    """From the content and from what is made of it: the same source built with another Python is another release."""
    inputs = {key: bot[key] for key in ("mode", "python", "requirements", "build_command", "compose_file", "service")}
    inputs["layout"], inputs["shared"], inputs["profiles"] = LAYOUT, bot["shared"], bot["profiles"]
    inputs["build_packages"], inputs["web_root"] = bot["build_packages"], bot["web_root"]
    inputs["left_out"] = sorted(name for name, service in bot["services"].items() if not service.get("enabled", True))
    # Under HA a compose file is judged more strictly, so that what was built before is judged again.
    inputs["ha"] = bot["ha"] and bot["mode"] == "compose"
    inputs["strip"] = bot["source"]["strip_components"]
    digest = digest.split(":")[-1]
    return "%s-%s" % (digest[:12], digest_of(json.dumps(inputs, sort_keys=True))[:4])


def find(bot, wanted, known, state):
    """The release that `previous`, an id or the beginning of an id stands for."""
    here = ", ".join(known) or "none"
    if wanted == "previous":
        earlier = [entry for entry in state.get("history", []) if entry != state.get("current") and entry in known]
        if not earlier:
            raise Refused("%s has no previous release to go back to; on this host: %s." % (bot["label"], here))
        return earlier[-1]
    matches = [entry for entry in known if entry.startswith(wanted)]
    if len(matches) != 1:
        kind = "no release" if not matches else "more than one release"
        raise Refused("%s has %s %s to go back to; on this host: %s." % (bot["label"], kind, wanted, here))
    return matches[0]


def choose(bot, desired, known, state, config, rollback, explicit):
    """The release to run, the pin to keep, and warnings.

    A rollback holds against the next converging run: it is dropped when the inventory wants something else than what was
    rolled back, or when somebody deploys by name (`explicit`). A release that failed its health gate is not tried again
    behind the operator's back, since each attempt interrupts the bot that works.
    """
    warnings = []
    if rollback:
        target = find(bot, rollback, known, state)
        # Deployed before the inventory is followed again: what was rolled back is what runs now.
        instead_of = sorted({desired, state.get("current")} - {None, "", target})
        return target, {"release": target, "instead_of": instead_of}, warnings
    pin = state.get("pin")
    if pin and (explicit or desired not in pin["instead_of"] or pin["release"] not in known):
        pin = None
    if pin:
        warnings.append(
            "%s stays at %s: %s was rolled back. Declare another version, or deploy it by name with playbooks/deploy.yml."
            % (bot["label"], pin["release"], desired)
        )
        return pin["release"], pin, warnings
    failed = state.get("failed") or {}
    same = failed.get("release") == desired and failed.get("config") == config
    if same and state.get("current") and not explicit:
        raise Refused(
            "%s: this release (%s) with this configuration failed its health check on %s and was taken back, so it is not tried"
            " again by itself. Change it, or try once more with playbooks/deploy.yml -e bot=%s."
            % (bot["label"], desired, failed.get("at"), bot["name"])
        )
    return desired, None, warnings


def remember(history, release):
    """Order of activation, each once, newest last."""
    return [entry for entry in history if entry != release] + [release]


def expired(known, history, keep, protected):
    """Releases to delete: all but the `keep` last activated, and never a protected one."""
    order = [entry for entry in known if entry not in history] + [entry for entry in history if entry in known]
    return [entry for entry in order[: max(len(order) - keep, 0)] if entry not in protected]
