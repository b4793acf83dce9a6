# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the variables of bot_app beyond their types. Pure."""

from __future__ import annotations

import fnmatch
import re
import shlex
import urllib.parse

from ansible_collections.botops.fleet.plugins.plugin_utils._bot.spec import COMMANDS, HEALTH_KINDS, HEALTH_URL, SANDBOX, public, specify, text
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._typed import typed

NAME = re.compile(r"[a-z][a-z0-9-]{0,26}\Z")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}\Z")
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*\Z")
SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}\Z")
SECRET_NAME = re.compile(r"(PRIVATE_KEY|PASSWORD|PASSPHRASE|SECRET|SECRET_KEY|API_KEY|ACCESS_TOKEN)\Z", re.IGNORECASE)
REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d{1,5})?\Z")
TCP = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]|[a-z][a-z0-9.-]*):\d{1,5}\Z")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+\Z")
PORT = re.compile(r"(?:(?P<address>\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):)?(?P<host>\d+):(?P<inside>\d+)(?:/(?:tcp|udp))?\Z")
SYSTEM = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var",
          "/var/lib", "/var/log", "/var/lib/docker", "/var/lib/botops")  # fmt: skip
DATABASES = ("x.db", "x.sqlite", "x.sqlite3", "x.db-wal", "x.db-shm")

# Texts that may hold line breaks: they are quoted where they are written, or are keys of SSH.
MULTILINE = ("bot_app_bots.env", "bot_app_bots.secrets", "bot_app_bots.services", "bot_app_bots.source.deploy_key", "bot_app_bots.source.known_hosts")
# An entry of `services`, which no argument specification can describe: its keys are the names of the compose file.
SERVICE = {
    "env": {"type": "dict"}, "secrets": {"type": "dict", "no_log": True}, "memory_mb": {"type": "int"}, "cpus": {"type": "float"},
    "ports": {"type": "list", "elements": "str"}, "enabled": {"type": "bool"},
}  # fmt: skip
IN_COMPOSE = ("services", "profiles", "allow")
# A word of `allow`: a path, a capability, or KIND:VALUE as a refusal prints it.
POWER = re.compile(r"(privileged|/\S*|[A-Z][A-Z_]+|[a-z][a-z_-]*:\S+)\Z")
# What else belongs to bot-NAME, as a unit or a project of compose: bot-NAME-health.service is not the unit of a bot NAME-health.
OF_EACH = ("health", "retention", "task")
# Set by the role itself, with what to use instead.
TOLD = {
    "TRADING_MODE": "set trading_mode instead, which checks the paper run before it allows live",
    "BOT_NAME": "it is the bot's name", "BOT_HOST": "it is the host's name in the inventory",
    "BOT_DATA_DIR": "it is /var/lib/bot-NAME", "BOT_LOG_DIR": "it is /var/log/bot-NAME",
}
ONE_WORD = re.compile(r"[^\s\"'\\]+\Z")

LISTENS_BY = ("bot_app_bots",)


def listens(values):
    """The health port of each bot, where it is this host's, and what its containers publish."""
    found = []
    for index, bot in enumerate(values["bot_app_bots"]):
        health = bot.get("health") or {}
        url = "" if any(health.get(kind) for kind in HEALTH_KINDS[1:]) else health.get("url") or HEALTH_URL
        if urllib.parse.urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
            found.append(("bot_app_bots[%d].health.url" % index, "127.0.0.1", _port(url)))
        published = {"": bot.get("ports"), **{".services." + name: (given or {}).get("ports") for name, given in (bot.get("services") or {}).items()}}
        for where, ports in published.items():
            for number, port in enumerate(ports or []):
                match = PORT.match(port)
                if match:
                    address = (match.group("address") or "").strip("[]")
                    found.append(("bot_app_bots[%d]%s.ports[%d]" % (index, where, number), address, int(match.group("host"))))
    return found


def check(values):
    given = {key[len("bot_app_"):]: value for key, value in values.items()}
    said = [
        "bot_app_bots[%d] (%s): services.%s.%s" % (index, bot["name"], name, sentence)
        for index, bot in enumerate(given["bots"]) for name, service in (bot.get("services") or {}).items() for sentence in _service(service)
    ]  # fmt: skip
    if said:
        return said
    bots = [public(specify(bot, given)) for bot in given["bots"]]
    values = {**given, "all": bots, "names": [bot["name"] for bot in bots]}
    values["specs"] = [bot for bot in bots if given["only"] in ("", bot["name"])]
    said = _run_wide(values)
    for bot in values["specs"]:
        where = "bot_app_bots[%d] (%s)" % (values["names"].index(bot["name"]), bot["name"])
        for part in (_identity, _program, _commands, _source, _health, _environment, _limits, _paths):
            said += ["%s: %s" % (where, sentence) for sentence in part(bot, values)]
    return said


def _service(given):
    if not isinstance(given, dict):
        return ["must hold keys with values; write them as {key: value}"]
    unknown = ["%s: unknown key; known are %s" % (key, ", ".join(sorted(SERVICE))) for key in given if key not in SERVICE]
    return unknown or typed(SERVICE, given, ("env", "secrets"))[1]


def _run_wide(values):
    said, names = [], values["names"]
    for name in sorted({name for name in names if names.count(name) > 1}):
        said.append("bot_app_bots names %s twice; every bot of a host needs a name of its own." % name)
    for name in names:
        for suffix in OF_EACH:
            if "%s-%s" % (name, suffix) in names:
                said.append("bot_app_bots: bot-%s-%s belongs to the bot %s; give the bot %s-%s another name." % (name, suffix, name, name, suffix))
    for key, what in (("user", "the user"), ("uid", "the uid"), ("_port", "the health port")):
        seen = {}
        for bot in values["all"]:
            value = (_port(bot["health"]["url"]) if bot["health"]["url"] else None) if key == "_port" else bot[key]
            if value is not None and value in seen and bot["name"] != seen[value]:
                said.append("bot_app_bots: %s and %s share %s %s; give each its own." % (seen[value], bot["name"], what, value))
            seen.setdefault(value, bot["name"])
    only = values.get("only")
    if only and only not in names:
        said.append("bot_app_only is %s, which is not in bot_app_bots; this host has %s." % (only, ", ".join(names) or "none"))
    for key in ("rollback", "version"):
        if values.get(key) and not only and len(names) > 1:
            said.append("bot_app_%s is for one bot, and this host has %d: name it in bot_app_only." % (key, len(names)))
    if values.get("rollback") and values.get("version"):
        said.append("bot_app_rollback and bot_app_version exclude each other: go back, or deploy a version.")
    rollback = values.get("rollback") or ""
    if rollback and not re.match(r"(previous|[0-9a-f]{4,12}(-[0-9a-f]{0,4})?)\Z", rollback):
        said.append("bot_app_rollback is %r: give `previous` or (the beginning of) a release id." % rollback)
    for index, entry in enumerate(values["registries"]):
        if not REGISTRY.match(entry["registry"]):
            said.append("bot_app_registries[%d].registry is %r: write the host name alone, such as ghcr.io." % (index, entry["registry"]))
        if not entry["password"] or not entry["username"]:
            said.append("bot_app_registries[%d] (%s): username or password is empty; look at the vault it should come from." % (index, entry["registry"]))
    for key, least in (("paper_hours", 0), ("min_free_mb", 0), ("keep_releases", 2)):
        if values[key] < least:
            said.append("bot_app_%s is %s: give %d or more." % (key, values[key], least))
    if values["on_failure"] and not re.match(r"[\w@%.:-]+\.[a-z]+\Z", values["on_failure"]):
        said.append("bot_app_on_failure is %r: give a unit, such as notify@%%n.service." % values["on_failure"])
    return said


def _identity(bot, _values):
    if not NAME.match(bot["name"]):
        yield "name must be 1 to 27 of a-z, 0-9 and -, beginning with a letter."
    if bot["user"] == "root" or not USER.match(bot["user"]):
        yield "user is %r: give the bot an account of its own, such as %s." % (bot["user"], bot["label"])
    if bot["uid"] == 0:
        yield "uid is 0, which is root; give a number from 100 to 59999, or leave it out."
    elif bot["uid"] is not None and not 100 <= bot["uid"] <= 59999:
        yield "uid is %s: give a number from 100 to 59999; the others belong to the system." % bot["uid"]
    if bot["managed_by"] == "cluster" and bot["enabled"] and bot["enabled_given"]:
        yield "enabled is true, but the cluster starts this bot; leave it out."
    if bot["state"] == "stopped" and bot["enabled"]:
        yield "state is stopped and enabled is true: it would start at the next boot; drop one of them."


def _program(bot, _values):
    if bot["mode"] == "systemd":
        if bool(bot["module"]) == bool(bot["command"]):
            yield "give either module (python -m …) or command."
        if bot["module"] and not re.match(r"[A-Za-z_][\w.]*\Z", bot["module"]):
            yield "module is %r: give a Python module's dotted name." % bot["module"]
        for key in IN_COMPOSE:
            if bot[key]:
                yield "%s is for mode compose; a bot of mode systemd is one program." % key
        if bot["ports"]:
            yield "ports is for mode compose; in mode systemd the bot listens where its env says."
        if bot["source"]["type"] == "image":
            yield "source.type image needs mode compose."
        if not re.match(r"(/[\w./-]*)?python3(\.\d+)?\Z", bot["python"]):
            yield "python is %r: give python3 or a version such as python3.12." % bot["python"]
        for name in bot["sandbox_exceptions"]:
            if name not in SANDBOX:
                yield "sandbox_exceptions names %s, which the unit does not set; it sets %s." % (name, ", ".join(SANDBOX))
    else:
        if bot["module"]:
            yield "module is for mode systemd; a container runs what its image or `command` says."
        if bot["secrets_via"] == "credentials":
            yield "secrets_via credentials needs mode systemd; compose hands secrets over as environment."
        for port in bot["ports"] + [port for service in bot["services"].values() for port in service["ports"]]:
            yield from _published(port)
        yield from _services(bot)
    for key in ("packages", "build_packages"):
        for name in bot[key]:
            if not PACKAGE.match(name):
                yield "%s has %r: give the name of a Debian package." % (key, name)
        if bot[key] and bot["mode"] == "compose":
            yield "%s is for mode systemd; what a container needs belongs to its image." % key
    for key in ("compose_file", "requirements"):
        if bot[key].startswith("/") or ".." in bot[key].split("/"):
            yield "%s is %r: give a path inside the release." % (key, bot[key])
        elif bot[key] and not ONE_WORD.match(bot[key]):
            yield "%s is %r: give a path without white space and quotes." % (key, bot[key])
    if not re.match(r"[A-Za-z0-9][\w.-]*\Z", bot["service"]):
        yield "service is %r: give the name of a service in the compose file." % bot["service"]


def _commands(bot, _values):
    """One line is taken apart at its quotes and blanks, and no shell sees it."""
    given = {key: bot[key] for key in (*COMMANDS, "command")} | {"health.command": bot["health"]["command"]}
    for key, value in given.items():
        if not isinstance(value, (str, list)) or any(isinstance(word, (dict, list)) for word in value):
            yield "%s must be one line or a list of words." % key
    if isinstance(bot["command"], list) and bot["command"] and not text(bot["command"][0]):
        yield "command begins with an empty word; name the program."
    for key, line in bot["one_line"].items():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            yield "%s is %r: a quote in it is never closed." % (key, line)
            continue
        found = [word for word in words if word and set(word) <= set("();<>|&")]
        if not re.search(r"(^|/)(ba|da)?sh\Z", words[0]):
            found += [word for word in words if "$" in word or "`" in word]
        found += [words[0]] if re.match(r"\w+=", words[0]) else []
        if found:
            yield "%s holds %s, which only a shell understands; write [sh, -c, \"…\"], or one plain command." % (key, found[0])


def _services(bot):
    own = bot["services"].get(bot["service"])
    if own is not None:
        yield "services has %s, which is the bot's own service; write its env, secrets and limits beside `service`." % bot["service"]
    for name, service in bot["services"].items():
        if not re.match(r"[A-Za-z0-9][\w.-]*\Z", name):
            yield "services has %r: give the name of a service in the compose file." % name
        yield from _variables(service["env"], service["secret_names"], service["empty_secrets"], "services.%s." % name)
        if service.get("memory_mb", 8) < 8:
            yield "services.%s.memory_mb is %s: give 8 or more." % (name, service["memory_mb"])
        if not 0.01 <= service.get("cpus", 1) <= 256:
            yield "services.%s.cpus is %s: give a number of processors from 0.01 to 256, such as 0.5." % (name, service["cpus"])
    for name in bot["profiles"]:
        if not re.match(r"[A-Za-z0-9][\w.-]*\Z", name):
            yield "profiles has %r: give the name of a profile in the compose file." % name
    for power in bot["allow"]:
        if not POWER.match(power) or power == "/":
            yield "allow has %r: write the word that a refusal printed, such as NET_ADMIN, /dev/net/tun or network:host." % power


def _published(port):
    match = PORT.match(str(port))
    if not match:
        yield "ports has %r: write ADDRESS:PORT:PORT, such as 127.0.0.1:8080:8080." % port
        return
    for name in ("host", "inside"):
        if not 1 <= int(match.group(name)) <= 65535:
            yield "ports has %r: %s is not a port (1 to 65535)." % (port, match.group(name))
    if not match.group("address"):
        yield "ports has %r: Docker would publish it to the world, past the firewall; write 127.0.0.1:%s." % (port, port)


def _source(bot, values):
    source = bot["source"]
    kind, url, path, version = source["type"], source["url"], source["path"], source["version"]
    if kind == "git":
        if not url:
            yield "source.url is missing: where is the repository?"
        parts = urllib.parse.urlsplit(url)
        if parts.password:
            yield "source.url holds a password, which every user of the host could read; use deploy_key."
        if url.startswith("-") or (version and not REF.match(version)):
            yield "source.version %r is not a branch, tag or commit." % version
        elif SHORT_COMMIT.match(version) and not version.isdigit():
            yield "source.version %s looks like a shortened commit; give all 40 digits." % version
        if path or source["image"] or source["checksum"]:
            yield "source.path, image and checksum are not for type git; give url and version."
    elif kind == "archive":
        if bool(url) == bool(path):
            yield "source needs either path (on the control node) or url."
        if url and not CHECKSUM.match(source["checksum"]):
            yield "source.url needs checksum: sha256: and 64 hex digits, so that nobody else's code is run."
        if path and source["checksum"] and not CHECKSUM.match(source["checksum"]):
            yield "source.checksum is %r: give sha256: and 64 hex digits." % source["checksum"]
        if values.get("version") and not source.get("templated"):
            yield "bot_app_version was given, but neither source.path nor source.url contains {version}."
    elif kind == "image":
        if bool(source["image"]) == bool(path):
            yield "source needs either image (in a registry) or path (written by docker save)."
        if source["image"] and not version:
            yield "source.version is missing: give a tag or sha256:…, since `latest` says nothing about what runs."
        if version == "latest":
            yield "source.version is latest, which says nothing about what runs; give a tag or sha256:…."
    if source["has_deploy_key"] and kind != "git":
        yield "source.deploy_key is for type git."


def _port(url):
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def _health(bot, _values):
    health = bot["health"]
    kinds = [kind for kind in HEALTH_KINDS if health[kind]]
    if len(kinds) > 1:
        yield "health has %s; one of them decides." % " and ".join(kinds)
    parts = urllib.parse.urlsplit(health["url"])
    if health["url"] and (parts.scheme not in ("http", "https") or not parts.hostname or _port(health["url"]) is None):
        yield "health.url is %r: give http://127.0.0.1:PORT/PATH with a port from 1 to 65535." % health["url"]
    if health["tcp"] and not TCP.match(health["tcp"]):
        yield "health.tcp is %r: give ADDRESS:PORT, such as 127.0.0.1:9000." % health["tcp"]
    if health["file_age"]:
        path = health["file_age"]["path"]
        if not any(path.startswith(root.rstrip("/") + "/") for root in bot["read_write_paths"]) or ".." in path.split("/"):
            yield "health.file_age.path is %r: give a file of the bot, below %s." % (path, bot["paths"]["data"])
        if health["file_age"].get("seconds", 0) < 1:
            yield "health.file_age.seconds is %s: give how old the file may become, 1 or more." % health["file_age"].get("seconds")
    for key in ("timeout_seconds", "interval_seconds", "failures", "probe_seconds", "unwell_seconds"):
        if health[key] < 1:
            yield "health.%s is %s: give 1 or more." % (key, health[key])
    if health["order_age_seconds"] < 0:
        yield "health.order_age_seconds is %s: give how old the last order may become, or 0." % health["order_age_seconds"]
    elif health["order_age_seconds"] and kinds[:1] != ["url"]:
        yield "health.order_age_seconds is read from the answer of health.url, and health has %s: take one of them out." % kinds[0]


def _environment(bot, _values):
    for name, instead in TOLD.items():
        for where in ("env", "secrets"):
            if name in bot["given_" + where]:
                yield "%s sets %s; the role sets it itself: %s." % (where, name, instead)
    yield from _variables({key: value for key, value in bot["env"].items() if key not in TOLD}, bot["secret_names"], bot["empty_secrets"], "")
    for name, value in sorted(bot["env"].items()):
        if "\0" in value or (bot["mode"] == "compose" and "\r" in value):
            yield "env.%s holds a control character." % name


def _variables(env, secret_names, empty_secrets, where):
    for name in sorted({*env, *secret_names}):
        if not VARIABLE.match(name):
            yield "%senv or secrets has %r: a variable's name is letters, digits and _." % (where, name)
    for name in sorted(env):
        if name in secret_names:
            yield "%s%s is in env and in secrets; keep it in secrets." % (where, name)
        elif SECRET_NAME.search(name) and env[name]:
            yield "%senv.%s looks like a secret; put it under secrets." % (where, name)
    for name in empty_secrets:
        yield "%ssecrets.%s is empty; look at the vault it should come from." % (where, name)


def _limits(bot, _values):
    for key, low in (("memory_mb", 32), ("restart_seconds", 1), ("stop_seconds", 1), ("keep_releases", 2)):
        if bot[key] < low:
            yield "%s is %s: give %d or more." % (key, bot[key], low)
    if not 0.01 <= bot["cpus"] <= 256:
        yield "cpus is %s: give a number of processors from 0.01 to 256, such as 0.5." % bot["cpus"]
    for key in ("keep_days", "max_mb", "burst"):
        if bot["logs"][key] < 1:
            yield "logs.%s is %s: give 1 or more." % (key, bot["logs"][key])


def _paths(bot, _values):
    if bot["web_root"]:
        service, _colon, path = bot["web_root"].rpartition(":")
        if ".." in path.split("/") or not ONE_WORD.match(bot["web_root"]) or path.startswith("/") is not bool(service):
            yield "web_root is %r: give a directory of the release, such as frontend/dist, or SERVICE:/PATH of an image." % bot["web_root"]
        elif service and bot["mode"] == "systemd":
            yield "web_root is %r, and a bot of mode systemd has no services; give a directory of the release." % bot["web_root"]
    for path in bot["shared"]:
        if path.startswith("/") or not path or {".", "..", ".botops", ".venv"} & set(path.split("/")) or not ONE_WORD.match(path):
            yield "shared has %r: give a path inside the release, such as data." % path
    for path in bot["read_write_paths"]:
        if not ONE_WORD.match(path):
            yield "read_write_paths has %r: give a path without white space and quotes." % path
        elif not path.startswith("/") or path.rstrip("/") in SYSTEM or path == "/" or ".." in path.split("/"):
            yield "read_write_paths has %r: give an absolute path that is the bot's own." % path
    for number, rule in enumerate(bot["retention"]):
        path, pattern = rule["path"], rule["pattern"]
        if not any(path == own or path.startswith(own.rstrip("/") + "/") for own in bot["read_write_paths"]):
            yield "retention[%d].path %s is not below a path of the bot (%s)." % (number, path, ", ".join(bot["read_write_paths"]))
        if any(fnmatch.fnmatch(name, pattern) for name in DATABASES):
            yield "retention[%d].pattern %s would delete a database; name the files more closely." % (number, pattern)
        if rule["days"] < 1:
            yield "retention[%d].days is %s: give 1 or more." % (number, rule["days"])
