# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role notify writes to a host: its configuration, and its destinations' addresses in a file of their own. Pure."""

from __future__ import annotations

import json

UNITS = "/etc/systemd/system"
ETC = "/etc/botops/notify"
THRESHOLDS_UNIT = UNITS + "/botops-thresholds.service"
UNIT_FILES = ("botops-notify@.service", "botops-notify-deliver.service", "botops-notify-deliver.path", "botops-notify-deliver.timer")
# systemd reads a drop-in of `bot-.service.d` for every unit whose name begins like that, also for one that comes later or is renamed. One of
# the same name further down takes its place: the messages' own units ring nobody, or a failure would call for itself.
DROP_IN = "50-botops-notify.conf"
RINGING = {"bot-.service": "bot", "botops-.service": "unit"}
SILENT = ("botops-notify@.service", "botops-notify-.service")
# PAM goes on whatever comes of it; the line that was there before is put back when this is no longer asked for.
PAM = {"session optional pam_exec.so quiet": "/usr/local/sbin/botops-notify login"}


def text(value):
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def drop_in(unit, content):
    """The drop-in of a unit and the directory that holds it."""
    home = "%s/%s.d" % (UNITS, unit)
    return [{"path": home, "state": "directory", "mode": "0755"}, {"path": "%s/%s" % (home, DROP_IN), "mode": "0644", **content}]


def ringing(values):
    """{unit: template of its drop-in}: units of bots, of ours, and those that were named."""
    return {**RINGING, **dict.fromkeys(values["units"], "unit")}


def files(values, config):
    """Everything beside the program and its directories, as file_set wants it; `config` is what `plan` says."""
    found = [
        {"path": ETC + "/config.json", "mode": "0600", "content": config["config"]},
        {"path": ETC + "/destinations.json", "mode": "0600", "secret_content": config["addresses"]},
    ]
    found += [{"path": "%s/%s" % (UNITS, unit), "template": unit + ".j2", "mode": "0644"} for unit in UNIT_FILES]
    if values["monitor"]:
        found += [
            {"path": ETC + "/thresholds.json", "mode": "0600", "content": config["thresholds"]},
            {"path": ETC + "/monitrc", "mode": "0600", "template": "monitrc.j2", "validate": "monit -t -c %s"},
            {"path": THRESHOLDS_UNIT, "mode": "0644", "template": "botops-thresholds.service.j2"},
        ]
    else:
        found += [{"path": THRESHOLDS_UNIT, "state": "absent"}, {"path": ETC + "/monitrc", "state": "absent"}]
    found.append({"path": "/etc/pam.d/sshd", "separator": " ", "settings": PAM if values["logins"] else {}})
    for unit, kind in ringing(values).items():
        found += drop_in(unit, {"template": kind + ".conf.j2"})
    for unit in SILENT:
        found += drop_in(unit, {"content": "# Its own failure calls nobody.\n"})
    return found


def units_left(values):
    """(files, directories) that removal takes away from systemd; a directory only when nobody else has put something there."""
    homes = ["%s/%s.d" % (UNITS, unit) for unit in (*ringing(values), *SILENT)]
    return [THRESHOLDS_UNIT, *("%s/%s" % (UNITS, unit) for unit in UNIT_FILES), *("%s/%s" % (home, DROP_IN) for home in homes)], homes


def plan(values, host):
    """values: the role's typed variables by their short names; host: what messages call it."""
    config = {
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
    removed, homes = units_left(values)
    return {**config, "files": files(values, config), "removed": removed, "directories": homes}
