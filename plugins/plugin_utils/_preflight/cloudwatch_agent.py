# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the cloudwatch_agent role's variables cannot mean."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

REGION = re.compile(r"^[a-z]{2,4}(-[a-z]+)+-\d$")
# PutMetricData and CreateLogGroup of the vendor's API references.
NAMESPACE = re.compile(r"^(?!AWS/)[A-Za-z0-9._/#:-]{1,255}$")
LOG_GROUP = re.compile(r"^[A-Za-z0-9_/.#-]{1,400}$")
BOT = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
FILE = re.compile(r"^[A-Za-z0-9_*][A-Za-z0-9._*-]*$")
UNIT = re.compile(r"^[A-Za-z0-9:_.@-]+\.(service|socket|timer)$")
VERSION = re.compile(r"^\d+(\.\d+)+b?\d*$")
SHA256 = re.compile(r"^[0-9a-fA-F]{64}$")
RETENTION = (-1, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_CPU = ("active", "guest", "guest_nice", "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
# "Metrics collected by the CloudWatch agent" of the CloudWatch user guide, Linux.
METRICS = {
    "cpu": tuple("time_" + name for name in _CPU) + tuple("usage_" + name for name in _CPU),
    "disk": ("free", "inodes_free", "inodes_total", "inodes_used", "total", "used", "used_percent"),
    "diskio": ("io_time", "iops_in_progress", "read_bytes", "read_time", "reads", "write_bytes", "write_time", "writes"),
    "mem": ("active", "available", "available_percent", "buffered", "cached", "free", "inactive", "shared", "total", "used", "used_percent"),
    "net": ("bytes_recv", "bytes_sent", "drop_in", "drop_out", "err_in", "err_out", "packets_recv", "packets_sent"),
    "netstat": (
        "tcp_close", "tcp_close_wait", "tcp_closing", "tcp_established", "tcp_fin_wait1", "tcp_fin_wait2", "tcp_last_ack", "tcp_listen", "tcp_none",
        "tcp_syn_recv", "tcp_syn_sent", "tcp_time_wait", "udp_socket",
    ),
    "processes": ("blocked", "dead", "idle", "paging", "running", "sleeping", "stopped", "total", "total_threads", "wait", "zombies"),
    "swap": ("free", "used", "used_percent"),
}  # fmt: skip
BOT_METRICS = (
    "cpu_time", "cpu_time_system", "cpu_time_user", "cpu_usage", "involuntary_context_switches", "memory_data", "memory_locked", "memory_rss",
    "memory_stack", "memory_swap", "memory_vms", "nice_priority", "num_fds", "num_threads", "pid_count", "read_bytes", "read_count", "realtime_priority",
    "signals_pending", "voluntary_context_switches", "write_bytes", "write_count",
)  # fmt: skip


def check(values):
    found = check_where(values) + check_metrics(values) + check_logs(values) + check_package(values)
    for index, bot in enumerate(values["cloudwatch_agent_bots"]):
        if not BOT.match(bot):
            found.append("cloudwatch_agent_bots[%d]: %r is no bot's name; write it as bot_app_bots has it, such as paper" % (index, bot))
    return found + twice("cloudwatch_agent_bots", values["cloudwatch_agent_bots"])


def check_where(values):
    found, region, keys = [], values["cloudwatch_agent_region"], values["cloudwatch_agent_credentials"]
    if region and not REGION.match(region):
        found.append("cloudwatch_agent_region: %r is no region; write one such as eu-central-1" % region)
    if values["cloudwatch_agent_mode"] == "onpremise":
        if not region:
            found.append("cloudwatch_agent_region is empty, and outside EC2 nothing tells the agent; write one such as eu-central-1")
        if not keys["access_key_id"]:
            found.append("cloudwatch_agent_credentials is empty, and outside EC2 there is no instance profile; give access_key_id and secret_access_key")
    if bool(keys["access_key_id"]) != bool(keys["secret_access_key"]):
        missing = "secret_access_key" if keys["access_key_id"] else "access_key_id"
        found.append("cloudwatch_agent_credentials lacks %s; give both, or neither for the instance profile" % missing)
    if keys["access_key_id"] and not re.match(r"^[A-Z0-9]{16,128}$", keys["access_key_id"]):
        found.append("cloudwatch_agent_credentials.access_key_id has not the form of one; it is 16 or more capital letters and digits, such as AKIA…")
    return found


def check_metrics(values):
    found = []
    if not NAMESPACE.match(values["cloudwatch_agent_namespace"]):
        found.append("cloudwatch_agent_namespace: %r is no namespace of one's own; use letters, digits and . _ / # : -, and no AWS/ in front"
                     % values["cloudwatch_agent_namespace"])  # fmt: skip
    if not 1 <= values["cloudwatch_agent_interval_seconds"] <= 3600:
        found.append("cloudwatch_agent_interval_seconds: %d is out of range; write 1 to 3600 seconds" % values["cloudwatch_agent_interval_seconds"])
    for section, names in sorted(values["cloudwatch_agent_metrics"].items()):
        known = METRICS[section]
        for name in names or []:
            if name not in known:
                bare = name[len(section) + 1 :] if name.startswith(section + "_") else ""
                instead = bare if bare in known else "one of " + ", ".join(known)
                found.append("cloudwatch_agent_metrics.%s: the agent has no metric %s; write %s" % (section, name, instead))
    for name in values["cloudwatch_agent_bot_metrics"]:
        if name not in BOT_METRICS:
            found.append("cloudwatch_agent_bot_metrics: the agent has no metric %s of a process; write one of %s" % (name, ", ".join(BOT_METRICS)))
    for index, path in enumerate(values["cloudwatch_agent_filesystems"]):
        if path != "*" and not re.match(r"^/[^\s\"']*$", path):
            found.append("cloudwatch_agent_filesystems[%d]: %s is not an absolute path without white space; write one such as /, or *" % (index, path))
    return found


def check_logs(values):
    found = []
    prefix = values["cloudwatch_agent_log_group_prefix"]
    if not LOG_GROUP.match(prefix) or prefix.startswith("aws/"):
        found.append("cloudwatch_agent_log_group_prefix: %r cannot begin a log group's name; use letters, digits and _ - / . #, without spaces" % prefix)
    if values["cloudwatch_agent_retention_days"] not in RETENTION:
        found.append("cloudwatch_agent_retention_days: CloudWatch keeps logs for certain numbers of days, and %d is none; write one of %s (-1 is for ever)"
                     % (values["cloudwatch_agent_retention_days"], ", ".join(map(str, RETENTION))))  # fmt: skip
    for index, name in enumerate(values["cloudwatch_agent_log_files"]):
        if not FILE.match(name):
            found.append("cloudwatch_agent_log_files[%d]: %r is no file name below /var/log/bot-NAME; write one such as trades.log" % (index, name))
    for index, unit in enumerate(values["cloudwatch_agent_units"]):
        if not UNIT.match(unit):
            found.append("cloudwatch_agent_units[%d]: %s is no unit; write one such as ssh.service" % (index, unit))
    return found


def check_package(values):
    found = []
    path, url = values["cloudwatch_agent_package"], values["cloudwatch_agent_url"]
    if path and not path.endswith(".deb"):
        found.append("cloudwatch_agent_package: %s is no Debian package; give the path of amazon-cloudwatch-agent.deb on the control node" % path)
    if values["cloudwatch_agent_version"] != "latest" and not VERSION.match(values["cloudwatch_agent_version"]):
        found.append("cloudwatch_agent_version: %r is no version; write one such as 1.300064.0b1337, or latest" % values["cloudwatch_agent_version"])
    if not path and not url.startswith("https://"):
        found.append("cloudwatch_agent_url is no https URL; write the vendor's, or give a local file as cloudwatch_agent_package")
    if not path and not values["cloudwatch_agent_key_url"].startswith("https://"):
        found.append("cloudwatch_agent_key_url is no https URL; write the vendor's")
    if values["cloudwatch_agent_checksum"] and not SHA256.match(values["cloudwatch_agent_checksum"]):
        found.append("cloudwatch_agent_checksum is no SHA-256; write its 64 hexadecimal digits")
    if not re.match(r"^[0-9A-Fa-f]{40}$", re.sub(r"\s", "", values["cloudwatch_agent_key_fingerprint"])):
        found.append("cloudwatch_agent_key_fingerprint is no fingerprint; write its 40 hexadecimal digits")
    return found
