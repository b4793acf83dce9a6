# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the rsync_ha role's variables cannot mean."""

from __future__ import annotations

import ipaddress
import posixpath
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

NAME = re.compile(r"^[a-z][a-z0-9-]{0,25}$")
PATH = re.compile(r"^/[^\s%\"'\\]*$")
PATTERN = re.compile(r"^[^\s\"'\\]+$")
USER = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
SHA256 = re.compile(r"^[0-9a-f]{64}$")
# Directories that hold more than one bot's data.
TOO_MUCH = ("/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var", "/var/lib", "/var/lib/botops")
LEAST = {
    "rsync_ha_interval_seconds": (1, "seconds"),
    "rsync_ha_sync_interval_ms": (100, "milliseconds"),
    "rsync_ha_snapshot_hours": (1, "hours"),
    "rsync_ha_retention_hours": (1, "hours"),
    "rsync_ha_keep_eras": (2, "eras"),
    "rsync_ha_keep_superseded": (0, "copies"),
    "rsync_ha_promote_timeout_seconds": (10, "seconds"),
    "rsync_ha_min_free_mb": (0, "megabytes"),
}

LISTENS_BY = ("rsync_ha_daemon",)


def listens(values):
    told = values["rsync_ha_daemon"]
    return [("rsync_ha_daemon.port", told.get("address", ""), told.get("port", 873))] if told.get("user") else []


def check(values):
    found = check_pair(values) + check_numbers(values) + check_litestream(values) + check_offsite(values) + check_daemon(values)
    bots = values["rsync_ha_bots"] or []
    if not bots:
        found.append("rsync_ha_bots is empty; name at least one bot, such as [{name: paper}]")
    found += twice("rsync_ha_bots", [bot["name"] for bot in bots])
    for index, bot in enumerate(bots):
        found += check_bot("rsync_ha_bots[%d]" % index, bot)
    found += check_overlap(bots)
    if values["rsync_ha_managed_by"] == "cluster" and values["rsync_ha_active"]:
        found.append("rsync_ha_active: with rsync_ha_managed_by: cluster the cluster decides who is active; leave it out")
    directory = values["rsync_ha_textfile_directory"]
    if directory and not PATH.match(directory):
        found.append("rsync_ha_textfile_directory: %s is not an absolute path without white space" % directory)
    return found


def check_pair(values):
    addresses, here = values["rsync_ha_addresses"] or {}, values["inventory_hostname"]
    if len(addresses) != 2:
        return [
            "rsync_ha_addresses names %d host%s; a pair has two, each with the address at which the other reaches it, such as "
            "{primary: 10.0.0.11, standby: 10.0.0.12}" % (len(addresses), "" if len(addresses) == 1 else "s")
        ]
    found = []
    if here not in addresses:
        found.append("rsync_ha_addresses does not name %s; it names %s" % (here, " and ".join(sorted(addresses))))
    for name, address in sorted(addresses.items()):
        if name not in values["inventory"]:
            found.append("rsync_ha_addresses.%s: the inventory has no host of that name" % name)
        try:
            ip = ipaddress.ip_address(str(address))
        except ValueError:
            found.append("rsync_ha_addresses.%s: %s is not an IP address" % (name, address))
            continue
        if ip.is_loopback or ip.is_unspecified:
            found.append("rsync_ha_addresses.%s: %s is no address that another host can reach" % (name, address))
    if len({str(address) for address in addresses.values()}) == 1:
        found.append("rsync_ha_addresses: both hosts have %s; each needs its own address" % list(addresses.values())[0])
    return found


def check_numbers(values):
    found = []
    for name, (least, unit) in sorted(LEAST.items()):
        if values[name] < least:
            found.append("%s: %s is too small; the least is %d %s" % (name, values[name], least, unit))
    if not 1 <= values["rsync_ha_ssh_port"] <= 65535:
        found.append("rsync_ha_ssh_port: port %s does not exist; ports go from 1 to 65535" % values["rsync_ha_ssh_port"])
    return found


def check_litestream(values):
    source, sha256 = values["rsync_ha_litestream_source"], values["rsync_ha_litestream_sha256"]
    known = values["litestream_known"].get(values["rsync_ha_litestream_version"]) or {}
    if source and not source.startswith(("/", "https://")):
        return ["rsync_ha_litestream_source: %s is neither an absolute path on the control node nor an https URL" % source]
    if sha256 and not SHA256.match(sha256):
        return ["rsync_ha_litestream_sha256: this is not a SHA-256 checksum, which has 64 hexadecimal digits"]
    if not sha256 and source:
        return ["rsync_ha_litestream_sha256 is required with rsync_ha_litestream_source; `sha256sum litestream` prints it"]
    if not sha256 and values["architecture"] not in known:
        return [
            "rsync_ha_litestream_version: the checksum of %s for %s is not known here; give rsync_ha_litestream_sha256"
            % (values["rsync_ha_litestream_version"], values["architecture"])
        ]
    return []


def check_offsite(values):
    told = values["rsync_ha_object_storage"] or {}
    found = []
    for key in ("endpoint", "bucket", "access_key_id", "secret_access_key") if told else ():
        if not told.get(key):
            found.append("rsync_ha_object_storage.%s is missing; leave the whole variable out for no second copy" % key)
    endpoint = told.get("endpoint")
    if endpoint and not endpoint.startswith(("https://", "http://127.", "http://10.", "http://172.", "http://192.168.")):
        found.append("rsync_ha_object_storage.endpoint: %s is no https URL; the data would travel in the clear" % endpoint)
    return found


def check_daemon(values):
    told = values["rsync_ha_daemon"] or {}
    if not told:
        return []
    found = []
    if len(told.get("password") or "") < 16:
        found.append("rsync_ha_daemon.password: one line of at least 16 characters, for instance from `openssl rand -hex 24`")
    if not NAME.match((told.get("user") or "").replace("_", "-")):
        found.append("rsync_ha_daemon.user: %r is not a name" % told.get("user"))
    address = told.get("address") or values["rsync_ha_addresses"].get(values["inventory_hostname"], "")
    try:
        ip = ipaddress.ip_address(str(address))
        if not ip.is_private or ip.is_unspecified:
            found.append("rsync_ha_daemon.address: %s is no private address, and the daemon speaks no encryption" % address)
    except ValueError:
        found.append("rsync_ha_daemon.address: %s is not an IP address" % address)
    if told.get("port") is not None and not 1 <= told["port"] <= 65535:
        found.append("rsync_ha_daemon.port: port %s does not exist; ports go from 1 to 65535" % told["port"])
    return found


def check_bot(where, bot):
    found = []
    if not NAME.match(bot["name"]):
        found.append("%s.name: %r is not a bot's name; use lower-case letters, digits and -" % (where, bot["name"]))
    if bot.get("user") is not None and not USER.match(bot["user"]):
        found.append("%s.user: %r is not a login name; leave it out for bot-%s" % (where, bot["user"], bot["name"]))
    directory = bot.get("directory")
    if directory is not None:
        if not PATH.match(directory) or "/.." in directory:
            found.append("%s.directory: %s is not an absolute path without .. and white space" % (where, directory))
        elif posixpath.normpath(directory) in TOO_MUCH:
            found.append("%s.directory: %s holds more than one bot's data; give the bot's own directory" % (where, directory))
    for key in ("databases", "find", "exclude"):
        for index, pattern in enumerate(bot.get(key) or []):
            if not PATTERN.match(pattern):
                found.append("%s.%s[%d]: %r holds white space or quotes; write one pattern without them" % (where, key, index, pattern))
    for index, path in enumerate(bot.get("databases") or []):
        if path.startswith("/") or ".." in path.split("/") or posixpath.normpath(path) != path:
            found.append(
                "%s.databases[%d]: %s lies outside the bot's directory; write the path below it, such as trades.db" % (where, index, path)
            )
    for key in ("find", "exclude"):
        for index, pattern in enumerate(bot.get(key) or []):
            if pattern.startswith("/") or ".." in pattern.split("/"):
                found.append("%s.%s[%d]: %s reaches outside the bot's directory; patterns start below it" % (where, key, index, pattern))
    return found


def check_overlap(bots):
    places = [(posixpath.normpath(bot.get("directory") or "/var/lib/bot-" + bot["name"]), bot["name"]) for bot in bots]
    return [
        "rsync_ha_bots: %s of %s lies inside %s of %s; each bot needs a directory of its own" % (inner, one, outer, other)
        for inner, one in places
        for outer, other in places
        if one != other and (inner + "/").startswith(outer + "/") and (inner, one) != (outer, other)
    ]
