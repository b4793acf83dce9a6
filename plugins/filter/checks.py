# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What verify.yml asks of a bot, and how it prints an answer."""

from __future__ import annotations

# systemd-analyze's exposure level, 0 (tight) to 10; compose units only drive Docker and are not measured by it.
MOST_EXPOSURE = 2.5


def bot_checks(bot):
    """The host_checks entries of one bot, from its public description."""
    name, unit = bot["name"], bot["unit"]
    runs = bot["state"] == "started" and bot["managed_by"] == "systemd"
    checks = [
        {
            "id": "secrets-" + name,
            "title": "The secrets of %s are readable by nobody else" % name,
            "command": ["find", bot["paths"]["etc"], "(", "-name", "secrets.env", "-o", "-path", "*/credentials/*", ")", "-perm", "/077"],
            "match": r"\A\Z",
        }
    ]
    if not runs:
        if bot["managed_by"] == "systemd":
            checks.append({"id": "bot-" + name, "title": "%s stands by and does not run" % name, "unit": {unit: "inactive"}})
        return checks
    checks.append({"id": "bot-" + name, "title": "%s runs" % name, "unit": {unit: "active"}})
    if bot["health"].get("url"):
        checks.append({"id": "health-" + name, "title": "%s says that it is well" % name, "url": bot["health"]["url"]})
    if bot["mode"] == "systemd":
        checks.append(
            {
                "id": "sandbox-" + name,
                "title": "%s runs in a tight sandbox" % name,
                "command": ["systemd-analyze", "security", "--no-pager", "--threshold=%d" % (MOST_EXPOSURE * 10), unit],
                "match": "Overall exposure level.*",
            }
        )
    return checks


def check_line(result):
    """One line for an operator."""
    line = "%s  %s: %s" % ("ok  " if result["passed"] else "FAIL", result["title"], result["actual"])
    return line if result["passed"] else line + " (expected %s)" % result["expected"]


class FilterModule:
    def filters(self):
        return {"bot_checks": bot_checks, "check_line": check_line}
