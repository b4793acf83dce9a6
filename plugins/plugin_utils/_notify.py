# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role notify writes to a host: its configuration, and its destinations' addresses in a file of their own. Pure."""

from __future__ import annotations

import json

PROGRAM = "/usr/local/lib/botops/notify"


def text(value):
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def program(names, texts):
    """The program's modules, as file_set wants them; their braces are no templates."""
    return [{"path": "%s/%s.py" % (PROGRAM, name), "mode": "0644", "content": body.rstrip("\n") + "\n"} for name, body in zip(names, texts)]


def plan(values, host):
    """values: the role's typed variables by their short names; host: what messages call it."""
    return {
        "config": text(
            {
                "host": values["host_name"] or host,
                "destinations": [{"name": entry["name"], "severity": entry["severity"]} for entry in values["destinations"]],
                "repeat_seconds": values["repeat_seconds"],
                "max_per_hour": values["max_per_hour"],
                "keep_hours": values["keep_hours"],
            }
        ),
        "thresholds": text({**values["thresholds"], "certificates": values["certificates"]}),
        "addresses": text({"destinations": {entry["name"]: entry["url"] for entry in values["destinations"]}, "heartbeat": values["heartbeat_url"]}),
    }
