# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the status_site role's variables cannot mean."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.plugin_utils import _pem
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

MULTILINE = ("status_site_peers.authority",)
RANGES = {
    "status_site_interval_seconds": (10, 3600, "seconds"), "status_site_stale_minutes": (2, 45, "minutes"), "status_site_certificate_days": (1, 365, "days"),
    "status_site_disk_percent": (1, 94, "percent"), "status_site_order_minutes": (0, 10080, "minutes"), "status_site_backup_hours": (1, 8760, "hours"),
    "status_site_drill_days": (1, 365, "days"), "status_site_compliance_hours": (1, 8760, "hours"), "status_site_fencing_days": (1, 730, "days"),
    "status_site_replication_seconds": (1, 86400, "seconds"),
}  # fmt: skip
BOT = re.compile(r"^[a-z][a-z0-9_-]{0,25}$")
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
LOOPBACK = re.compile(r"^http://(127(?:\.\d{1,3}){3}|localhost|\[::1\])(:\d{1,5})?/[^\s\"'<>]*$")
SITE = re.compile(r"^https://[A-Za-z0-9.-]+(:\d{1,5})?(/[^\s\"'<>?#]*)?$")
METRIC = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^{}\n]*\})?$")
# The role owns and empties its directory: it is none that others own.
DIRECTORY = re.compile(r"^/(srv|var/lib|var/www|opt)(/[A-Za-z0-9._-]+)+$")


def check(values):
    found = []
    for name, (least, most, unit) in RANGES.items():
        if not least <= values[name] <= most:
            found.append("%s: %d is out of range; write %d to %d %s" % (name, values[name], least, most, unit))
    if not found and values["status_site_stale_minutes"] * 60 < 2 * values["status_site_interval_seconds"]:
        least = -(-2 * values["status_site_interval_seconds"] // 60)
        found.append("status_site_stale_minutes: %d is less than two looks of %d s, so that pages were old all the time; write at least %d, or look more often"
                     % (values["status_site_stale_minutes"], values["status_site_interval_seconds"], least))  # fmt: skip
    found += check_directories(values)
    for index, path in enumerate(values["status_site_certificates"]):
        if not re.match(r"^/\S*$", path):
            found.append("status_site_certificates[%d]: %s is not an absolute path without white space" % (index, path))
    for index, entry in enumerate(values["status_site_order_metrics"]):
        found += check_metric("status_site_order_metrics[%d]" % index, entry)
    found += twice("status_site_order_metrics", [entry["bot"] for entry in values["status_site_order_metrics"]])
    for index, entry in enumerate(values["status_site_peers"]):
        found += check_peer("status_site_peers[%d]" % index, entry)
    return found + twice("status_site_peers", [entry["name"] for entry in values["status_site_peers"]])


def check_directories(values):
    found = []
    directory, textfiles = values["status_site_directory"], values["status_site_textfile_directory"]
    if not DIRECTORY.match(directory) or ".." in directory or directory.count("/") < 2 or directory.rstrip("/") in ("/var/lib", "/var/www", "/var/lib/botops"):
        found.append("status_site_directory: %s cannot be the site's own; write one below /srv, /var/www, /var/lib or /opt, such as /srv/status" % directory)
    if textfiles and (not re.match(r"^/[A-Za-z0-9._/-]+$", textfiles) or ".." in textfiles):
        found.append("status_site_textfile_directory: %s is not an absolute path; write node_exporter's, such as /var/lib/prometheus/node-exporter" % textfiles)
    return found


def check_metric(where, entry):
    found = []
    if not BOT.match(entry["bot"]):
        found.append("%s.bot: %r is no name of a bot; write it as bot_app_bots has it" % (where, entry["bot"]))
    if not LOOPBACK.match(entry["url"]):
        found.append("%s.url: %s is not the bot's own end on this host; write one such as http://127.0.0.1:8080/metrics" % (where, entry["url"]))
    if not METRIC.match(entry["metric"]):
        found.append("%s.metric: %r is no metric; write one such as orders_total" % (where, entry["metric"]))
    return found


def check_peer(where, entry):
    found = []
    if not NAME.match(entry["name"]):
        found.append("%s.name: %r is no host's name" % (where, entry["name"]))
    if not SITE.match(entry["url"]):
        found.append("%s.url: it is no address of a site by HTTPS without a user; write one such as https://status-b.example.com/" % where)
    if bool(entry.get("user")) != bool(entry.get("password")):
        missing = "password" if entry.get("user") else "user"
        found.append("%s.%s: missing; a site behind a password needs user and password" % (where, missing))
    if ":" in (entry.get("user") or ""):
        found.append("%s.user: a user's name has no colon" % where)
    if entry.get("authority") and not _pem.is_certificate(entry["authority"]):
        found.append("%s.authority: is not a PEM certificate; it begins with -----BEGIN CERTIFICATE-----" % where)
    return found
