# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The CloudWatch agent's configuration, and what else the role cloudwatch_agent writes to a host. Pure.

Sections and names are the vendor's: configuration schema of the agent (github.com/aws/amazon-cloudwatch-agent, translator/config/schema.json) and
"Metrics collected by the CloudWatch agent" of the CloudWatch user guide.
"""

from __future__ import annotations

import json
import re

HOME = "/opt/aws/amazon-cloudwatch-agent"
PROGRAM = HOME + "/bin/amazon-cloudwatch-agent-ctl"
UNIT = "amazon-cloudwatch-agent.service"
CONFIG = "/etc/botops/cloudwatch_agent.json"
CREDENTIALS = "/etc/botops/cloudwatch_agent.credentials"
COMMON_CONFIG = HOME + "/etc/common-config.toml"
DROP_IN_HOME = "/etc/systemd/system/%s.d" % UNIT
DROP_IN = DROP_IN_HOME + "/50-botops.conf"
DOWNLOADS = "/var/cache/botops/cloudwatch_agent"
# What the vendor's control program calls it.
MODES = {"ec2": "ec2", "onpremise": "onPremise"}
# All mounts, all network interfaces: those sections ask for a list.
RESOURCES = {"disk": ["/"], "diskio": ["*"], "net": ["*"], "cpu": ["*"]}
# What is in memory or belongs to a container's layers is no disk that could fill.
NO_DISKS = ["devtmpfs", "overlay", "squashfs", "sysfs", "tmpfs"]
# The host's own dimension, by which alarms find its metrics.
DIMENSION = {"ec2": "InstanceId", "onpremise": "host"}
NAME_OF_HOST = {"ec2": "{instance_id}", "onpremise": "{hostname}"}


def text(value):
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def command(values):
    """How the vendor's program takes the configuration over, without a start."""
    return "%s -a fetch-config -m %s -c file:%s" % (PROGRAM, MODES[values["mode"]], CONFIG)


def pattern(bot):
    """The command lines of a bot's processes, as a regular expression. Of a compose bot that is the unit's own process: a container's are the image's words."""
    name = re.escape(bot)
    return "(/opt/bot-%s/|bot-compose(\\.py)? up %s$)" % (name, name)


def metrics(values):
    collected = {}
    for section, names in sorted(values["metrics"].items()):
        if not names:
            continue
        entry = {"measurement": ["%s_%s" % (section, name) for name in names], "metrics_collection_interval": values["interval_seconds"]}
        if section in RESOURCES:
            entry["resources"] = values["filesystems"] if section == "disk" else RESOURCES[section]
        if section == "cpu":
            entry["totalcpu"] = True
            del entry["resources"]
        if section == "disk":
            entry["ignore_file_system_types"] = NO_DISKS
            # The device's name differs between machines, and an alarm would have to know it.
            entry["drop_device"] = True
        collected[section] = entry
    if values["bots"] and values["bot_metrics"]:
        collected["procstat"] = [
            {"pattern": pattern(bot), "measurement": list(values["bot_metrics"]), "metrics_collection_interval": values["interval_seconds"],
             "append_dimensions": {"bot": bot}}
            for bot in values["bots"]
        ]  # fmt: skip
    if not collected:
        return None
    found = {
        "namespace": values["namespace"],
        "metrics_collected": collected,
        # Once more for the host as a whole, so that an alarm needs no other dimension.
        "aggregation_dimensions": [[DIMENSION[values["mode"]]]],
    }
    if values["mode"] == "ec2":
        found["append_dimensions"] = {"InstanceId": "${aws:InstanceId}"}
    return found


def log_group(prefix, name):
    """The log group of a bot, or C(host) for the hosts' own units. The fleet makes it, and the agent fills it."""
    return "%s/%s" % (prefix.rstrip("/"), name)


def logs(values):
    host = NAME_OF_HOST[values["mode"]]
    files, journal = [], []
    for bot in values["bots"]:
        common = {"log_group_name": log_group(values["log_group_prefix"], bot), "retention_in_days": values["retention_days"]}
        for name in values["log_files"]:
            stream = re.sub(r"\.log$", "", name)
            path = "/var/log/bot-%s/%s" % (bot, name)
            files.append({**common, "file_path": path, "log_stream_name": "%s/%s" % (host, stream), "timezone": "UTC"})
        if values["journal"]:
            journal.append({**common, "log_stream_name": host + "/journal", "units": ["bot-%s.service" % bot]})
    if values["units"]:
        journal.append({"log_group_name": log_group(values["log_group_prefix"], "host"), "log_stream_name": host + "/journal", "units": list(values["units"]),
                        "retention_in_days": values["retention_days"]})  # fmt: skip
    found = {key: {"collect_list": entries} for key, entries in (("files", files), ("journald", journal)) if entries}
    return {"logs_collected": found} if found else None


def configuration(values):
    """The agent's configuration as a dictionary, by the vendor's schema."""
    agent = {"metrics_collection_interval": values["interval_seconds"], "run_as_user": "root"}
    if values["region"]:
        agent["region"] = values["region"]
    sections = {"agent": agent, "metrics": metrics(values), "logs": logs(values)}
    return {name: section for name, section in sections.items() if section}


def credentials(values):
    return "[AmazonCloudWatchAgent]\naws_access_key_id = %(access_key_id)s\naws_secret_access_key = %(secret_access_key)s\n" % values["credentials"]


def common_config(values):
    """Where the agent's rights come from."""
    if not values["credentials"]["access_key_id"]:
        return "# Written by the role cloudwatch_agent: the instance's own role is used.\n"
    return '[credentials]\n  shared_credential_profile = "AmazonCloudWatchAgent"\n  shared_credential_file = "%s"\n' % CREDENTIALS


def drop_in(values):
    return (
        "# Written by the role cloudwatch_agent: each start takes what is declared, also after the package was installed anew.\n"
        "[Service]\nExecStartPre=%s\n" % command(values)
    )


def plan(values):
    """values: the role's typed variables by their short names. What the role writes, for file_set; the units, for service_set; and the configuration."""
    keys = {"path": CREDENTIALS, "mode": "0600", "secret_content": credentials(values)}
    files = [
        {"path": "/etc/botops", "state": "directory", "mode": "0755"},
        keys if values["credentials"]["access_key_id"] else {"path": CREDENTIALS, "state": "absent"},
        {"path": COMMON_CONFIG, "mode": "0644", "content": common_config(values)},
        {"path": CONFIG, "mode": "0644", "content": text(configuration(values))},
        {"path": DROP_IN_HOME, "state": "directory", "mode": "0755"},
        {"path": DROP_IN, "mode": "0644", "content": drop_in(values)},
    ]
    return {
        "files": files,
        "check_command": command(values),
        "units": [{"name": UNIT, "enabled": True, "restart_on": [CONFIG, CREDENTIALS, COMMON_CONFIG, DROP_IN]}],
        "configuration": configuration(values),
        "removed": [DROP_IN, CONFIG, CREDENTIALS, DOWNLOADS, "/var/lib/botops/pending/cloudwatch_agent.json"],
        "drop_in_home": DROP_IN_HOME,
        "downloads": DOWNLOADS,
    }


def installed(answer, version):
    """Whether what dpkg-query said (C(ii  VERSION)) is the version that is wanted; V(latest) is any."""
    state, _space, found = answer.strip().partition(" ")
    return state.strip() == "ii" and (version == "latest" or found.strip() == version or found.strip().startswith(version + "-"))


def signed_by(status, fingerprint):
    """Whether gpg's status lines tell a good signature under the primary key `fingerprint`."""
    wanted = re.sub(r"\s", "", fingerprint).upper()
    for line in status.splitlines():
        words = line.split()
        if words[:2] == ["[GNUPG:]", "VALIDSIG"] and wanted in (words[2].upper(), words[-1].upper()):
            return True
    return False
