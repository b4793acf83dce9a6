# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the backups role's variables cannot mean."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._backups import kind
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

MULTILINE = ("backups_repositories.ca", "backups_repositories.ssh.private_key", "backups_repositories.ssh.known_hosts", "backups_repositories.prune")
NAME = re.compile(r"^[a-z][a-z0-9_-]{0,25}$")
DATABASE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_$-]{0,62}$")
UNIT = re.compile(r"^[A-Za-z0-9:_.@%-]+\.(service|target)$")
PATH = re.compile(r"^/[^\s%\"'\\]*$")
# Directories that hold more than one bot's data, or what a restore must never exchange.
TOO_MUCH = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr",
            "/var", "/var/lib", "/var/lib/botops", "/var/lib/docker", "/var/log")  # fmt: skip
KINDS = ("local", "sftp", "s3", "rest", "rclone", "b2", "azure", "gs", "swift")
PRIVATE = ("http://127.", "http://10.", "http://172.", "http://192.168.", "http://localhost")
LEAST = {
    "backups_jitter_seconds": (0, "seconds"),
    "backups_drill_memory_mb": (128, "megabytes"),
    "backups_drill_read_parts": (1, "part"),
    "backups_keep_hours": (1, "hours"),
    "backups_keep_daily": (0, "days"),
    "backups_keep_weekly": (0, "weeks"),
    "backups_keep_monthly": (0, "months"),
    "backups_upload_kib_per_second": (0, "KiB a second"),
    "backups_retry_minutes": (0, "minutes"),
    "backups_min_free_mb": (0, "megabytes"),
    "backups_sqlite_busy_seconds": (1, "seconds"),
    "backups_max_backup_age_hours": (1, "hours"),
    "backups_max_drill_age_days": (1, "days"),
}


def check(values):
    found = check_repositories(values) + check_numbers(values) + check_schedules(values)
    names = [bot["name"] for bot in values["backups_bots"]]
    found += twice("backups_bots", names)
    for index, bot in enumerate(values["backups_bots"]):
        found += check_bot("backups_bots[%d]" % index, bot)
    for index, path in enumerate(values["backups_host_paths"]):
        if not PATH.match(path):
            found.append("backups_host_paths[%d]: %s is not an absolute path without white space" % (index, path))
    return found


def check_repositories(values):
    entries = values["backups_repositories"]
    if not entries:
        return ["backups_repositories is empty; name at least one, such as [{name: local, repository: /srv/backups}]"]
    found = twice("backups_repositories", [entry["name"] for entry in entries])
    for index, entry in enumerate(entries):
        where = "backups_repositories[%d]" % index
        if not NAME.match(entry["name"]):
            found.append("%s.name: %r is no short name; use lower-case letters, digits, - and _" % (where, entry["name"]))
        if not entry.get("password") and not values["backups_password"]:
            found.append("%s has no password; write backups_password, from a vault, for instance what `openssl rand -base64 30` prints" % where)
        elif len(entry.get("password") or values["backups_password"]) < 20:
            variable = where + ".password" if entry.get("password") else "backups_password"
            found.append("%s is shorter than 20 characters; take what `openssl rand -base64 30` prints" % variable)
        found += check_place(where, entry)
    recovery = values["backups_recovery_password"]
    if recovery and len(recovery) < 20:
        found.append("backups_recovery_password is shorter than 20 characters; take what `openssl rand -base64 30` prints")
    if recovery and recovery in [values["backups_password"], *(entry.get("password") for entry in entries)]:
        found.append("backups_recovery_password is a repository's own password, and would be lost with it; take another one")
    local = [posixpath.normpath(entry["repository"]) for entry in entries if kind(entry["repository"]) == "local"]
    for bot in values["backups_bots"]:
        for top in [bot.get("directory") or "/var/lib/bot-" + bot["name"], *(bot.get("directories") or [])]:
            for path in local:
                if (path + "/").startswith(posixpath.normpath(top) + "/"):
                    found.append("backups_repositories: %s lies inside %s of %s and would save itself; put it elsewhere" % (path, top, bot["name"]))
    return found


def check_place(where, entry):
    place, which = entry["repository"], kind(entry["repository"])
    found = []
    if which not in KINDS:
        return ["%s.repository: %s is neither an absolute path nor one of %s" % (where, place, ", ".join(name + ":" for name in KINDS[1:]))]
    if which == "local" and (not PATH.match(place) or posixpath.normpath(place) in TOO_MUCH):
        found.append("%s.repository: %s is no directory for backups alone; write one such as /srv/backups" % (where, place))
    if which in ("s3", "rest"):
        url = place.partition(":")[2]
        if not url.startswith(("https://",) + PRIVATE):
            found.append("%s.repository: %s is no https URL; keys would travel in the clear" % (where, place))
        if "@" in "".join(url.split("/")[2:3]):
            found.append("%s.repository holds a name and a password; write http_user and http_password, from a vault" % where)
    if which == "s3" and not (entry.get("access_key_id") and entry.get("secret_access_key")) and not entry.get("environment"):
        found.append("%s: S3 needs access_key_id and secret_access_key, from a vault" % where)
    if which in ("sftp", "rclone"):
        if which == "sftp" and not entry.get("ssh"):
            found.append("%s.ssh is missing; write host, user, private_key and known_hosts" % where)
        if which == "sftp" and entry.get("append_only"):
            found.append(
                "%s.append_only: SFTP lets whoever may write overwrite; use `repository: rclone:NAME` with ssh and a forced command, as in docs/backups.md"
                % where
            )
    elif entry.get("ssh"):
        found.append("%s.ssh: %s: is not reached by SSH; leave it out, or write repository: sftp:… or rclone:…" % (where, which))
    ssh = entry.get("ssh") or {}
    if ssh and "PRIVATE KEY" not in ssh["private_key"]:
        found.append("%s.ssh.private_key is no private key in PEM; write the content of the file that ssh-keygen made" % where)
    if ssh and len(ssh["known_hosts"].split()) < 3:
        scan = "ssh-keyscan -t ed25519 %s" % ssh["host"]
        found.append("%s.ssh.known_hosts is no line of known_hosts; write what `%s` prints, once you have compared it" % (where, scan))
    for key in ("host", "user"):
        if ssh and not re.match(r"^[A-Za-z0-9_.:-]+$", ssh[key]):
            found.append("%s.ssh.%s: %r cannot be one; write it without white space" % (where, key, ssh[key]))
    if entry.get("ca") and "BEGIN CERTIFICATE" not in entry["ca"]:
        found.append("%s.ca is no certificate in PEM; write the content of the authority's file" % where)
    return found


def check_numbers(values):
    found = []
    for name, (least, unit) in sorted(LEAST.items()):
        if values[name] < least:
            found.append("%s: %s is too small; the least is %d %s" % (name, values[name], least, unit))
    if values["backups_schedule"] and not values["backups_keep_daily"] and values["backups_keep_hours"] < 24:
        found.append("backups_keep_hours: %d and no backups_keep_daily would leave nothing of yesterday; keep at least 24 hours or 1 day"
                     % values["backups_keep_hours"])  # fmt: skip
    return found


def check_schedules(values):
    found = []
    for name in ("backups_schedule", "backups_drill_schedule"):
        # systemd judges the rest; crontab's five fields are the usual mistake.
        if len(values[name].split()) == 5:
            found.append("%s: %s looks like a line of crontab; systemd writes *-*-* 02:00:00" % (name, values[name]))
    if not values["backups_schedule"] and not values["backups_drill_schedule"]:
        found.append("backups_schedule and backups_drill_schedule are both empty; this host would do nothing; leave the role out instead")
    if values["backups_on_failure"] and not UNIT.match(values["backups_on_failure"]):
        found.append("backups_on_failure: %s is no unit; write one such as alert@%%n.service" % values["backups_on_failure"])
    for name in ("backups_ping_url", "backups_drill_ping_url"):
        if values[name] and not values[name].startswith(("https://",) + PRIVATE):
            found.append("%s is no https URL" % name)
    return found


def check_bot(where, bot):
    found = []
    if not re.match(r"^[a-z][a-z0-9-]{0,25}$", bot["name"]):
        found.append("%s.name: %r is not a bot's name; use lower-case letters, digits and -" % (where, bot["name"]))
    for key, path in [("directory", bot.get("directory"))] + [("directories[%d]" % n, path) for n, path in enumerate(bot.get("directories") or [])]:
        if path is None:
            continue
        if not PATH.match(path) or "/.." in path:
            found.append("%s.%s: %s is not an absolute path without .. and white space" % (where, key, path))
        elif posixpath.normpath(path) in TOO_MUCH:
            found.append("%s.%s: %s holds more than one bot's data; give the bot's own directory" % (where, key, path))
    for kind_ in ("postgresql", "redis"):
        sources = bot.get(kind_) or []
        found += twice("%s.%s" % (where, kind_), [source["name"] for source in sources])
        for number, source in enumerate(sources):
            found += check_source("%s.%s[%d]" % (where, kind_, number), kind_, source)
    for number, query in enumerate((bot.get("sqlite_orders") or {}).values()):
        if not re.match(r"^\s*(select|with)\b", str(query), re.I):
            found.append("%s.sqlite_orders: query %d is no SELECT; write one that gives the last order" % (where, number + 1))
    return found


def check_source(where, kind_, source):
    found = []
    if not NAME.match(source["name"]):
        found.append("%s.name: %r is no short name; use lower-case letters, digits, - and _" % (where, source["name"]))
    if not 1 <= source.get("port", 1) <= 65535:
        found.append("%s.port: port %s does not exist; ports go from 1 to 65535" % (where, source["port"]))
    if kind_ == "redis":
        return found
    if source.get("database") is not None and not DATABASE.match(source["database"]):
        found.append("%s.database: %r is no database's name" % (where, source["database"]))
    if source.get("host") and source.get("run_as"):
        found.append("%s.run_as: a server at %s asks for user and password, not for an account of this host; leave it out" % (where, source["host"]))
    for number, query in enumerate(source.get("orders") or []):
        if not re.match(r"^\s*(select|with)\b", query, re.I):
            found.append("%s.orders[%d]: is no SELECT; write one that gives the last order" % (where, number))
    return found
