# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what an operator writes about a bot to everything that follows from it. Pure: used by the filters and the checks."""

from __future__ import annotations

import json
import os
import shlex

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.botops.fleet.plugins.module_utils._bot.venv import search_path
from ansible_collections.botops.fleet.plugins.plugin_utils._sandbox import SANDBOX, SANDBOX_MINUS

STATE_ROOT = "/var/lib/botops/bot_app"
HELPER = "/usr/local/lib/botops/bot-helper"
COMPOSE = "/usr/local/lib/botops/bot-compose"

DEFAULTS = {
    "mode": "systemd",
    "module": "",
    "command": "",
    "python": "python3",
    "requirements": "requirements.txt",
    "build_command": "",
    "migrate_command": "",
    "backup_command": "",
    "service": "bot",
    "compose_file": "compose.yml",
    "web_root": "",
    "secrets_via": "environment",
    "memory_mb": 512,
    "cpus": 1.0,
    "restart_seconds": 1,
    "stop_seconds": 20,
    "log_rotation": "copytruncate",
    "state": "started",
    "trading_mode": "paper",
}
SOURCE = {
    "type": "", "url": "", "path": "", "version": "", "checksum": "", "deploy_key": "", "known_hosts": "", "image": "",
    "strip_components": 0,
}  # fmt: skip
HEALTH_URL = "http://127.0.0.1:8080/health"
# A bot that does not answer is replaced within 20 s: 3 until the next probe, three of 3, 1 of pause, and its own start.
HEALTH = {
    "url": "", "tcp": "", "command": [], "file_age": {}, "timeout_seconds": 60, "interval_seconds": 3, "failures": 3, "probe_seconds": 3,
    "unwell_seconds": 60, "order_age_seconds": 0,
}  # fmt: skip
COMMANDS = ("build_command", "migrate_command", "backup_command")
HEALTH_KINDS = ("url", "tcp", "command", "file_age")
LOGS = {"keep_days": 30, "max_mb": 100, "burst": 2000}


def default_retention(paths):
    return [
        {"path": paths["data"] + "/trade_history", "pattern": "*.json", "days": 90},
        {"path": paths["logs"], "pattern": "*.log*", "days": 30},
    ]


def specify(bot, settings):
    """The whole description of one bot. Everything that belongs to it carries the name bot-NAME."""
    name = bot["name"]
    label = "bot-" + name
    spec = dict(DEFAULTS)
    spec.update({key: value for key, value in bot.items() if value is not None})
    spec["label"] = label
    spec["unit"] = label + ".service"
    spec["user"] = bot.get("user") or label
    spec["uid"] = bot.get("uid")
    spec["source"] = dict(SOURCE, **{k: v for k, v in (bot.get("source") or {}).items() if v is not None})
    if settings.get("version"):
        spec["source"]["version"] = settings["version"]
    source = spec["source"]
    if source["type"] != "git":
        source["templated"] = "{version}" in source["url"] + source["path"]
        for key in ("url", "path"):
            source[key] = source[key].replace("{version}", source["version"])
    spec["health"] = health = dict(HEALTH, **(bot.get("health") or {}))
    if not any(health[kind] for kind in HEALTH_KINDS):
        health["url"] = HEALTH_URL
    health["command"] = words(health["command"])
    spec["logs"] = dict(LOGS, **(bot.get("logs") or {}))
    spec["paths"] = paths = {
        "etc": "/etc/" + label,
        "data": "/var/lib/" + label,
        "logs": "/var/log/" + label,
        "backups": "/var/backups/" + label,
        "home": "/opt/" + label,
        "releases": "/opt/%s/releases" % label,
        "current": "/opt/%s/current" % label,
        "state": "%s/%s" % (STATE_ROOT, name),
        "web": "/srv/" + label,
    }
    if health["file_age"]:
        health["file_age"] = dict(health["file_age"], path=os.path.join(paths["data"], health["file_age"].get("path") or ""))
    spec["one_line"] = {key: spec[key] for key in COMMANDS if isinstance(spec[key], str) and spec[key]}
    if isinstance((bot.get("health") or {}).get("command"), str):
        spec["one_line"]["health.command"] = bot["health"]["command"]
    for key in COMMANDS:
        spec[key] = words(spec[key])
    spec["read_write_paths"] = [paths["data"], paths["logs"]] + list(bot.get("read_write_paths") or [])
    spec["ports"] = list(bot.get("ports") or [])
    for key in ("shared", "profiles", "allow", "packages", "build_packages"):
        spec[key] = list(bot.get(key) or [])
    spec["shared"] = [path.rstrip("/") for path in spec["shared"]]
    # What the operator says of a limit goes before what a compose file says, and that before the default.
    spec["limits_given"] = [key for key in ("memory_mb", "cpus") if bot.get(key) is not None]
    spec["services"] = {service: in_service(given or {}) for service, given in (bot.get("services") or {}).items()}
    spec["sandbox_exceptions"] = list(bot.get("sandbox_exceptions") or [])
    retention = bot.get("retention")
    spec["retention"] = default_retention(paths) if retention is None else list(retention)
    spec["enabled_given"] = bot.get("enabled") is not None
    spec["enabled"] = spec["state"] == "started" if bot.get("enabled") is None else bot["enabled"]
    spec["managed_by"] = bot.get("managed_by") or settings.get("managed_by") or "systemd"
    spec["ha"] = bool(settings.get("ha"))
    spec["check_mode"] = bool(settings.get("check_mode"))
    spec["keep_releases"] = bot.get("keep_releases") or settings.get("keep_releases") or 5
    spec["given_env"] = sorted(bot.get("env") or {})
    spec["given_secrets"] = sorted(bot.get("secrets") or {})
    spec["env"] = environment(spec, bot.get("env") or {}, settings.get("host") or "")
    spec["secrets"] = {key: text(value) for key, value in (bot.get("secrets") or {}).items()}
    spec["config_paths"] = [entry["path"] for entry in files(spec) if entry.get("state", "file") == "file"]
    # A change to these restarts the bot; the timers, the helper's settings and logrotate's do not concern it.
    spec["restart_paths"] = [
        path for path in spec["config_paths"] if path.startswith(paths["etc"]) and not path.endswith("/bot.json")
    ] + ["/etc/systemd/system/" + spec["unit"]]
    return spec


def words(command):
    """One line, taken apart at its quotes and blanks as a shell would, but by no shell; or a list as it is."""
    if not isinstance(command, str):
        return [text(word) for word in command or []]
    try:
        return shlex.split(command)
    except ValueError:  # a quote that is never closed; the checks say so
        return [command]


def in_service(given):
    """One of the other services of a compose file."""
    coerce = {"memory_mb": int, "cpus": float, "enabled": boolean}
    return {
        **{key: make(given[key]) for key, make in coerce.items() if given.get(key) is not None},
        "ports": list(given.get("ports") or []),
        "env": {key: text(value) for key, value in (given.get("env") or {}).items()},
        "secrets": {key: text(value) for key, value in (given.get("secrets") or {}).items()},
    }


def text(value):
    """YAML's true is the word true, and nothing is nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def environment(spec, env, host):
    """What every bot is told, what the operator says, and the mode, which has a variable of its own."""
    told = {
        "BOT_NAME": spec["name"],
        "BOT_HOST": host,
        "BOT_DATA_DIR": spec["paths"]["data"],
        "BOT_LOG_DIR": spec["paths"]["logs"],
        "PYTHONUNBUFFERED": "1",
        # The account's own is its releases', which it cannot write to.
        "HOME": spec["paths"]["data"],
    }
    told.update({key: text(value) for key, value in env.items()})
    told["TRADING_MODE"] = spec["trading_mode"]
    return told


def public(spec):
    """The description without any secret: what tasks, templates and the deploying module may see."""
    clean = {key: value for key, value in spec.items() if key != "secrets"}
    clean["source"] = dict(spec["source"], deploy_key="", has_deploy_key=bool(spec["source"]["deploy_key"]))
    clean["secret_names"] = sorted(spec["secrets"])
    clean["services"] = {
        name: {**{key: value for key, value in service.items() if key != "secrets"}, "secret_names": sorted(service["secrets"]),
               "empty_secrets": sorted(key for key, value in service["secrets"].items() if not value)}
        for name, service in spec["services"].items()
    }  # fmt: skip
    clean["empty_secrets"] = sorted(key for key, value in spec["secrets"].items() if not value)
    return clean


# --- the files of a bot -------------------------------------------------------------------------------


def quote_environment(values):
    """systemd's EnvironmentFile syntax: in double quotes, with backslashes before what is special there."""
    lines = []
    for key in sorted(values):
        value = values[key]
        for special in ("\\", '"', "$", "`"):
            value = value.replace(special, "\\" + special)
        lines.append('%s="%s"\n' % (key, value))
    return "".join(lines)


def quote_dotenv(values):
    """Compose's .env syntax: in double quotes, where a backslash and a dollar are special."""
    lines = []
    for key in sorted(values):
        value = values[key]
        for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\n"), ("\r", "\\r")):
            value = value.replace(special, escaped)
        lines.append('%s="%s"\n' % (key, value))
    return "".join(lines)


def filling(spec):
    """What `${X}` of a compose file may be: the bot's own variables, and those of one service that no other gives another value."""
    found, unclear = {}, set()
    for service in spec["services"].values():
        for key, value in {**service["env"], **service["secrets"]}.items():
            if found.setdefault(key, value) != value:
                unclear.add(key)
    return {**{key: value for key, value in found.items() if key not in unclear}, **spec["env"], **spec["secrets"]}


def helper_settings(spec):
    health = spec["health"]
    compose = {
        "file": spec["compose_file"], "service": spec["service"], "profiles": spec["profiles"], "stop_seconds": spec["stop_seconds"],
        "env_file": spec["paths"]["etc"] + "/compose.env", "override": spec["paths"]["etc"] + "/compose.override.yml",
    }  # fmt: skip
    return {
        **({"compose": compose} if spec["mode"] == "compose" else {"run_as": run_as(spec)}),
        "name": spec["name"],
        "unit": spec["unit"],
        "health": health,
        "trading_mode": spec["trading_mode"],
        "current": spec["paths"]["current"],
        "state": spec["paths"]["state"],
        "retention": spec["retention"],
    }


def compose_override(spec):
    """Laid over the release's own compose file: identity, environment, and no life of its own. Limits, ports, mounts and powers
    depend on that file and are in the release's overlay; a change to what they follow is a change to this file.

    Values are literal: compose would take a dollar for a variable, so it is doubled.
    """

    def literal(values):
        return {key: str(values[key]).replace("$", "$$") for key in sorted(values)}

    services = {
        name: {"environment": literal({**service["env"], **service["secrets"]})}
        for name, service in spec["services"].items()
        if (service["env"] or service["secrets"]) and service.get("enabled", True)
    }
    services[spec["service"]] = {
        "user": "${BOT_UID}:${BOT_GID}",
        "restart": "no",
        "environment": literal({**spec["env"], **spec["secrets"]}),
        "volumes": ["%s:%s" % (path, path) for path in spec["read_write_paths"]],
        "stop_grace_period": "%ds" % spec["stop_seconds"],
        "logging": {"driver": "json-file", "options": {"max-size": "%dm" % spec["logs"]["max_mb"], "max-file": "3"}},
    }
    if spec["command"]:
        services[spec["service"]]["command"] = spec["command"]
    follows = {key: spec[key] for key in ("ports", "allow", "shared", "profiles", "limits_given", "memory_mb", "cpus")}
    follows["services"] = {name: {key: value for key, value in service.items() if key not in ("env", "secrets")} for name, service in spec["services"].items()}
    return {"services": services, "x-botops": follows}


def files(spec):
    """Everything that is written for a bot apart from its releases, as file_set wants it."""
    etc, label, group = spec["paths"]["etc"], spec["label"], spec["user"]
    shown = {key: value for key, value in spec.items() if key not in ("secrets", "env", "services", "config_paths")}
    shown["secret_names"] = sorted(spec["secrets"])
    shown["source"] = dict(spec["source"], deploy_key="")
    shown["sandbox"] = sandbox(spec)
    if spec["mode"] == "systemd":
        shown["exec_start"], shown["search_path"] = exec_start(spec), search_path(spec["paths"]["current"])
    shown["helper"], shown["compose"] = HELPER, COMPOSE
    units = "/etc/systemd/system/"
    entries = [
        {
            "path": etc + "/bot.json", "mode": "0640", "owner": "root", "group": group,
            "content": json.dumps(helper_settings(spec), indent=2, sort_keys=True) + "\n",
        },
    ]  # fmt: skip
    secret = {"mode": "0600", "owner": "root", "group": "root"}
    if spec["mode"] == "compose":
        override = json.dumps(compose_override(spec), indent=2, sort_keys=True) + "\n"
        entries.append(dict(secret, path=etc + "/compose.override.yml", secret_content=override))
        entries.append(dict(secret, path=etc + "/compose.env", secret_content=quote_dotenv(filling(spec))))
    else:
        entries.append(dict(secret, path=etc + "/env", content=quote_environment(spec["env"])))
        if spec["secrets_via"] == "credentials":
            entries.append({"path": etc + "/credentials", "state": "directory", "mode": "0700"})
            for key in sorted(spec["secrets"]):
                entries.append(dict(secret, path="%s/credentials/%s" % (etc, key), secret_content=spec["secrets"][key]))
        else:
            entries.append(dict(secret, path=etc + "/secrets.env", secret_content=quote_environment(spec["secrets"])))
    for suffix in (".service", "-health.service", "-health.timer", "-retention.service", "-retention.timer"):
        kind = spec["mode"] if suffix == ".service" else suffix.strip("-").replace(".", "_")
        entries.append(
            {"path": units + label + suffix, "template": kind + ".j2", "vars": {"bot": shown}, "mode": "0644"}
        )
    rotation = {"path": "/etc/logrotate.d/" + label, "template": "logrotate.j2", "vars": {"bot": shown}, "mode": "0644"}
    if not spec["check_mode"]:  # logrotate asks for the account, which check mode did not make
        rotation["validate"] = "logrotate --debug --state /dev/null %s"
    entries.append(rotation)
    return entries


def exec_start(spec):
    """The command line of systemd mode. A bare name is looked for along the unit's PATH, a relative path is the release's."""
    current = spec["paths"]["current"]
    if spec["module"]:
        return "%s/.venv/bin/python -m %s" % (current, spec["module"])
    if isinstance(spec["command"], str):
        program, _unused, rest = spec["command"].partition(" ")
    else:
        program, rest = text(spec["command"][0]), " ".join(quote_word(text(word)) for word in spec["command"][1:])
    if not program.startswith("/"):
        program = "%s/%s" % (current, program) if "/" in program else "/usr/bin/env " + program
    return (program + " " + rest).strip()


def quote_word(word):
    """As one word of ExecStart, with nothing in it replaced."""
    for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(special, escaped)
    return '"%s"' % word


def run_as(spec):
    """What systemd-run needs to run a command as the bot, with its environment."""
    etc, user = spec["paths"]["etc"], spec["user"]
    settings = ["User=" + user, "Group=" + user, "WorkingDirectory=" + spec["paths"]["current"], "EnvironmentFile=%s/env" % etc,
                "Environment=PATH=" + search_path(spec["paths"]["current"]), "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"]  # fmt: skip
    if spec["secrets_via"] == "credentials":
        settings += ["LoadCredential=%s:%s/credentials/%s" % (name, etc, name) for name in sorted(spec["secrets"])]
    else:
        settings.append("EnvironmentFile=%s/secrets.env" % etc)
    return [argument for setting in settings for argument in ("--property", setting)]


def sandbox(spec):
    """The unit's directives as (name, value) pairs, without the exceptions."""
    pairs = []
    for name, value in SANDBOX.items():
        if name in spec["sandbox_exceptions"]:
            continue
        pairs.append([name, value])
        if name in SANDBOX_MINUS:
            pairs.append([name, SANDBOX_MINUS[name]])
    return pairs


# systemd-analyze's exposure level of a unit, from 0 (tight) to 10.
MOST_EXPOSURE = 2.5


def checks(spec):
    """What can be seen of a bot from outside, as host_checks wants it. Under a cluster only the cluster knows where it runs."""
    name, label = spec["name"], spec["label"]
    found = [
        {
            "id": label + "-secrets",
            "title": "The configuration of %s is closed to other users" % name,
            "mode": dict.fromkeys(spec["restart_paths"][:-1], "0600"),
        }
    ]
    if spec["managed_by"] == "cluster":
        return found
    if spec["state"] == "stopped":
        return found + [{"id": label, "title": "Bot %s stands by" % name, "unit": {spec["unit"]: "inactive"}}]
    if spec["mode"] == "systemd":
        found.append(
            {
                "id": label + "-sandbox",
                "title": "Bot %s runs in a tight sandbox" % name,
                "command": ["systemd-analyze", "security", "--no-pager", "--threshold=%d" % (MOST_EXPOSURE * 10), spec["unit"]],
                "match": "Overall exposure level.*",
            }
        )
    return found + [
        {
            "id": label,
            "title": "Bot %s runs, and so does its health timer" % name,
            "unit": {spec["unit"]: "active", label + "-health.timer": "active", label + "-retention.timer": "active"},
        },
        {"id": label + "-health", "title": "Bot %s says that it is well" % name, "command": [HELPER, "probe", name]},
    ]
