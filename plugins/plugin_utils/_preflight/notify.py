# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the notify role's variables cannot mean. An address is a secret: sentences name its service and nothing else of it."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

NAME = re.compile(r"^[a-z][a-z0-9_-]{0,25}$")
UNIT = re.compile(r"^[A-Za-z0-9:_.@-]+\.service$")
HOST_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$")
# What Apprise 1.2 (Debian 12) and later know. The host's own version is asked as well.
SERVICES = (
    "apprise", "apprises", "bark", "barks", "bulksms", "clicksend", "d7sms", "dapnet", "dingtalk", "discord", "emby", "embys", "enigma2", "enigma2s",
    "fcm", "flock", "form", "forms", "gchat", "gotify", "gotifys", "guilded", "hassio", "hassios", "ifttt", "join", "json", "jsons", "kavenegar", "kodi",
    "kodis", "kumulos", "lametric", "lametrics", "line", "mailgun", "mailto", "mailtos", "mastodon", "mastodons", "matrix", "matrixs", "mmost", "mmosts",
    "msg91", "msgbird", "msteams", "ncloud", "nclouds", "nctalk", "nctalks", "nexmo", "notica", "noticas", "notifico", "ntfy", "ntfys", "o365",
    "onesignal", "opsgenie", "pagerduty", "parsep", "parseps", "pbul", "pjet", "pjets", "popcorn", "pover", "prowl", "psafer", "psafers", "push",
    "pushed", "reddit", "rocket", "rockets", "ryver", "schan", "sendgrid", "ses", "signal", "signals", "sinch", "slack", "smseagle", "smseagles",
    "smtp2go", "sns", "sparkpost", "spush", "strmlabs", "tgram", "toot", "toots", "twilio", "twist", "twitter", "vonage", "wxteams", "xbmc", "xbmcs",
    "xml", "xmls", "zulip",
)  # fmt: skip
COMMON = "discord, tgram, mailtos, slack, sns, ntfys, pover, jsons"
# What the usual services want; a token of which half was copied is the usual mistake.
FORMS = {
    "discord": (r"([^/@]+@)?\d{5,25}/[\w-]{20,}/?(\?.*)?", "discord://WEBHOOK_ID/TOKEN, the last two parts of the webhook's address"),
    "tgram": (r"\d{5,15}:[\w-]{20,}/(-?\d+|@\w+)(/(-?\d+|@\w+))*/?(\?.*)?", "tgram://BOT_TOKEN/CHAT_ID, the token from BotFather with its colon"),
    "slack": (r"([^/@]+@)?[^/?]+/[^/?]+/[^/?]+.*", "slack://A/B/C, the last three parts of the webhook's address"),
    "sns": (r"[^/?]+/.+/[a-z]{2}(-[a-z]+)+-?\d/[^/?]+.*", "sns://ACCESS_KEY/SECRET_KEY/REGION/TOPIC"),
    "mailto": (r"[^/?\s]+.*", "mailtos://USER:PASSWORD@HOST?to=ADDRESS"),
    "mailtos": (r"[^/?\s]+.*", "mailtos://USER:PASSWORD@HOST?to=ADDRESS"),
    "jsons": (r"[^/?\s]+.*", "jsons://HOST/PATH"),
}
# The address that a service's own page shows, and how it is written here.
PAGES = {
    "discord.com": "discord://WEBHOOK_ID/TOKEN", "discordapp.com": "discord://WEBHOOK_ID/TOKEN", "api.telegram.org": "tgram://BOT_TOKEN/CHAT_ID",
    "hooks.slack.com": "slack://A/B/C", "ntfy.sh": "ntfys://TOPIC",
}  # fmt: skip
# Each has a namesake over TLS, with an s at its end.
IN_THE_CLEAR = ("json", "xml", "form", "ntfy", "gotify", "apprise", "matrix", "mmost")
PERCENT = ("cpu", "memory", "swap", "disk", "inodes")
PRIVATE = re.compile(r"^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[::1\]|\[f[cd])")


def check(values):
    found = []
    entries = values["notify_destinations"]
    if not entries:
        found.append("notify_destinations is empty; name at least one, such as [{name: phone, url: \"discord://WEBHOOK_ID/TOKEN\"}]")
    found += twice("notify_destinations", [entry["name"] for entry in entries])
    for index, entry in enumerate(entries):
        found += check_destination("notify_destinations[%d]" % index, entry)
    if values["notify_host_name"] and not HOST_NAME.match(values["notify_host_name"]):
        found.append("notify_host_name: %r is no name that a message could begin with; write at most 63 letters, digits, spaces, . _ and -"
                     % values["notify_host_name"])  # fmt: skip
    for index, unit in enumerate(values["notify_units"]):
        if not UNIT.match(unit):
            found.append("notify_units[%d]: %s is no service; write one such as nginx.service" % (index, unit))
    url = values["notify_heartbeat_url"]
    if url and not (url.startswith("https://") or url.startswith("http://") and PRIVATE.match(url[7:])) or re.search(r"\s", url):
        found.append("notify_heartbeat_url is no https URL; write the address that the switch at the other end shows")
    return found + check_numbers(values) + check_thresholds(values)


def check_destination(where, entry):
    found = []
    if not NAME.match(entry["name"]):
        found.append("%s.name: %r is no short name; use lower-case letters, digits, - and _" % (where, entry["name"]))
    return found + ["%s.url %s" % (where, sentence) for sentence in check_url(entry["url"])]


def check_url(url):
    """At most one sentence."""
    service, colon, rest = url.partition("://")
    service = service.lower()
    if not colon:
        return ["has no service in front; write one such as discord://WEBHOOK_ID/TOKEN"]
    if re.search(r"\s", url):
        return ["has white space in it; write %20 for a space that belongs there"]
    if service in ("http", "https"):
        host = re.split(r"[/:?]", rest)[0].lower()
        return ["is the address of a page, not Apprise's form; write %s" % PAGES.get(host, "jsons://HOST/PATH for a webhook that takes JSON")]
    if service not in SERVICES:
        return ["names the service %s, which Apprise does not know; use one such as %s" % (service[:30], COMMON)]
    form, words = FORMS.get(service, (r".+", "%s://… as Apprise's page of that service says" % service))
    if not re.fullmatch(form, rest):
        return ["has not the form of a %s destination; write %s" % (service, words)]
    login, _at, host = rest.split("?")[0].rpartition("@")
    if service in IN_THE_CLEAR and not PRIVATE.match(host):
        return ["would send messages and token in the clear; write %ss:// for %s://" % (service, service)]
    if service == "mailto" and ":" in login and not PRIVATE.match(host):
        return ["would send the password in the clear; write mailtos:// for mailto://"]
    return []


def check_numbers(values):
    found = []
    steps = values["notify_repeat_seconds"]
    if not steps or min(steps) < 10 or steps != sorted(steps):
        found.append("notify_repeat_seconds: %s is no list of seconds that grow, each at least 10; write [60, 600, 3600]" % steps)
    for name, least, most, unit in (("notify_max_per_hour", 4, 1000, "messages"), ("notify_keep_hours", 1, 720, "hours")):
        if not least <= values[name] <= most:
            found.append("%s: %s is out of range; write %d to %d %s" % (name, values[name], least, most, unit))
    return found


def check_thresholds(values):
    found = []
    for name, pair in sorted(values["notify_thresholds"].items()):
        where, falling = "notify_thresholds.%s" % name, name == "certificate_days"
        if name == "order_minutes" and not pair:
            continue
        if len(pair) != 2:
            found.append("%s: %s is no pair; write two values, [warning, critical]" % (where, pair))
        elif pair[0] == pair[1] or (pair[0] < pair[1]) == falling:
            found.append("%s: the warning at %s would come after the critical message at %s; write the %s one first"
                         % (where, pair[0], pair[1], "larger" if falling else "smaller"))  # fmt: skip
        elif min(pair) <= 0 or name in PERCENT and max(pair) > 100:
            found.append("%s: %s is out of range; write %s" % (where, pair, "1 to 100 percent" if name in PERCENT else "values above 0"))
    if not 5 <= values["notify_cycle_seconds"] <= 60:
        found.append("notify_cycle_seconds: %d is out of range; write 5 to 60 seconds" % values["notify_cycle_seconds"])
    for name in ("notify_filesystems", "notify_certificates"):
        for index, path in enumerate(values[name]):
            if not re.match(r"^/[^\s\"']*$", path):
                found.append("%s[%d]: %s is not an absolute path without white space" % (name, index, path))
    for index, peer in enumerate(values.get("notify_peers") or []):
        for key in ("name", "address"):
            if not re.match(r"^[A-Za-z0-9_.:-]+$", peer[key]):
                found.append("notify_peers[%d].%s: %r cannot be one; write it without white space" % (index, key, peer[key]))
        if not 1 <= peer["port"] <= 65535:
            found.append("notify_peers[%d].port: port %s does not exist; ports go from 1 to 65535" % (index, peer["port"]))
    return found
