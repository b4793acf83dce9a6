# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role backups writes to a host: its configuration, and its secrets in a file of their own. Pure."""

from __future__ import annotations

import urllib.parse

BOT = {
    "directory": "", "directories": [], "volumes": [], "exclude": [], "sqlite_orders": {}, "postgresql": [], "redis": [],
    "release": True, "orders_probe": [],
}  # fmt: skip
POSTGRESQL = {"host": "", "port": 5432, "user": "", "run_as": "", "sslmode": "", "ca": "", "orders": []}
REDIS = {"host": "127.0.0.1", "port": 6379, "user": "", "tls": False, "ca": "", "unit": ""}
SSH = {"port": 22}
# What restores and promotions leave aside would be saved for ever.
ASIDE = [".botops-restore-*", "*.replaced-20??????T??????Z*", ".replaced-*"]


def filled(entry, defaults):
    return {**defaults, **{key: value for key, value in (entry or {}).items() if value is not None}}


def kind(repository):
    """local, sftp, s3, rest, rclone, or the word before the colon."""
    return "local" if repository.startswith("/") else repository.partition(":")[0]


def bot(entry):
    whole = filled(entry, BOT)
    whole["directory"] = whole["directory"] or "/var/lib/bot-" + entry["name"]
    whole["exclude"] = list(whole["exclude"]) + ASIDE
    for kind_, defaults in (("postgresql", POSTGRESQL), ("redis", REDIS)):
        described = []
        for source in whole[kind_]:
            source = {key: value for key, value in filled(source, defaults).items() if key != "password"}
            if kind_ == "postgresql":
                source["database"] = source.get("database") or source["name"]
                # On a server of this host the account's name is enough; across a network nothing less than the certificate's name is.
                source["run_as"] = source["run_as"] or ("" if source["host"] else "postgres")
                source["sslmode"] = source["sslmode"] or ("verify-full" if source["host"] else "")
            described.append(source)
        whole[kind_] = described
    return whole


def config(values, host):
    """values: the role's typed variables by their short names. Nothing secret."""
    keep = retention(values)
    return {
        "host": host,
        "repositories": [
            {
                "name": entry["name"],
                "append_only": bool(entry.get("append_only")),
                # Who cannot delete forgets nothing; playbooks/prune.yml does.
                "retention": {} if entry.get("append_only") else keep,
                "options": [word for option in entry.get("options") or [] for word in ("-o", option)],
                "ssh": {key: value for key, value in filled(entry.get("ssh"), SSH).items() if key in ("host", "port", "user")},
                "ca": bool(entry.get("ca")),
            }
            for entry in values["repositories"]
        ],
        "find_bots": values["find_bots"],
        "bot_defaults": {**BOT, "exclude": ASIDE},
        "bots": [bot(entry) for entry in values["bots"]],
        "host_paths": values["host_paths"],
        "only_active": values["only_active"],
        "upload_kib_per_second": values["upload_kib_per_second"],
        "retry_minutes": values["retry_minutes"],
        "min_free_mb": values["min_free_mb"],
        "sqlite_busy_seconds": values["sqlite_busy_seconds"],
        "max_backup_age_hours": values["max_backup_age_hours"],
        "max_drill_age_days": values["max_drill_age_days"],
        "drill_read_parts": values["drill_read_parts"],
        "saves": bool(values["schedule"]),
        "drills": bool(values["drill_schedule"]),
    }


def location(entry):
    """restic's own way to write a repository, with the name and password of a REST server in it: older versions know no other."""
    text = entry["repository"]
    if kind(text) != "rest" or not entry.get("http_user"):
        return text
    scheme, _unused, rest = text[len("rest:"):].partition("://")
    who = ":".join(urllib.parse.quote(entry.get(key) or "", safe="") for key in ("http_user", "http_password"))
    return "rest:%s://%s@%s" % (scheme, who, rest)


def environment(entry):
    told = {
        "AWS_ACCESS_KEY_ID": entry.get("access_key_id"), "AWS_SECRET_ACCESS_KEY": entry.get("secret_access_key"),
        "AWS_DEFAULT_REGION": entry.get("region"),
    }  # fmt: skip
    told.update(entry.get("environment") or {})
    return {name: str(value) for name, value in told.items() if value}


def secrets(values):
    passwords = {"postgresql": {}, "redis": {}}
    for entry in values["bots"]:
        for kind_, known in passwords.items():
            for source in entry.get(kind_) or []:
                if source.get("password"):
                    known["%s/%s" % (entry["name"], source["name"])] = source["password"]
    return {
        "repositories": {
            entry["name"]: {
                "repository": location(entry),
                "password": entry.get("password") or values["password"],
                "recovery_password": values["recovery_password"],
                "environment": environment(entry),
            }
            for entry in values["repositories"]
        },
        "ping_url": values["ping_url"],
        "drill_ping_url": values["drill_ping_url"],
        **passwords,
    }


def key_files(values, etc="/etc/botops/backups"):
    """SSH keys and authorities, as file_set wants them."""
    files = []
    for entry in values["repositories"]:
        ssh = entry.get("ssh") or {}
        for name, key in (("key", "private_key"), ("known_hosts", "known_hosts")):
            path = "%s/ssh/%s.%s" % (etc, entry["name"], name)
            if ssh.get(key):
                files.append({"path": path, "mode": "0600", "secret_content": ssh[key].rstrip("\n") + "\n"})
        if entry.get("ca"):
            files.append({"path": "%s/%s.ca.pem" % (etc, entry["name"]), "mode": "0600", "content": entry["ca"].rstrip("\n") + "\n"})
    return files


def packages(values):
    wanted = ["restic", "ca-certificates", "openssh-client", "python3"]
    if any(kind(entry["repository"]) == "rclone" and not entry.get("ssh") for entry in values["repositories"]):
        wanted.append("rclone")
    if any(entry.get("postgresql") for entry in values["bots"]):
        wanted.append("postgresql-client")
    if any(entry.get("redis") for entry in values["bots"]):
        wanted.append("redis-tools")
    return wanted


def local_paths(values):
    return [entry["repository"] for entry in values["repositories"] if kind(entry["repository"]) == "local"]


def retention(values):
    """By restic's words. What is young stays whole: two runs of one day are two moments to go back to."""
    return {"within": "%dh" % values["keep_hours"], **{period: values["keep_" + period] for period in ("daily", "weekly", "monthly")}}


def retention_words(keep):
    return [word for period, count in keep.items() if count for word in ("--keep-" + period, str(count))]


def prune(values, host):
    """One restic command for each repository in which the host cannot delete, with the credentials that can."""
    keep = retention(values)
    runs = []
    for entry in values["repositories"]:
        if not entry.get("append_only") or not entry.get("prune"):
            continue
        other = {key: value for key, value in entry["prune"].items() if value is not None}
        whole = {**entry, **other}
        options = [word for option in other.get("options") or [] for word in ("-o", option)]
        secret = {"RESTIC_REPOSITORY": location(whole), "RESTIC_PASSWORD": whole.get("password") or values["password"]}
        runs.append({
            "name": "%s of %s" % (entry["name"], host),
            "environment": {**environment(whole), **secret},
            "argv": ["restic"] + options + [
                "forget", "--prune", "--tag", "botops", "--host", host, "--group-by", "host,tags",
            ] + retention_words(keep),
        })  # fmt: skip
    return runs


def drill_line(result):
    """One line of a drill's table."""
    rows = "%s of %s rows" % (result.get("rows_restored", 0), result.get("rows_expected", "?"))
    words = "; ".join(result["problems"])
    return "%-6s %s from %s: snapshot %s of %s, %s, %s s%s" % (
        result["verdict"], result["bot"], result["repository"], result["snapshot"], result["taken"], rows, result["rto_seconds"], words and ": " + words,
    )  # fmt: skip
