# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of `fleet_aws` watches its hosts and bots: alarms, log groups, and the metric filters that make figures of log lines. All pure."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._cloudwatch import log_group
from ansible_collections.botops.fleet.plugins.plugin_utils._fleet import hosts

ABOVE, REACHED, BELOW = "GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold"
#: Seed of every host's alarms: (suffix, metric, statistic, comparison, seconds, how often in a row, what it means that nothing is told).
ALARMS = (
    ("cpu", "CPUUtilization", "Average", ABOVE, 300, 2, "missing"),
    ("status", "StatusCheckFailed", "Maximum", REACHED, 60, 2, "missing"),
)
#: The same of what the agent tells of a host, by InstanceId alone.
AGENT_ALARMS = (
    ("memory", "mem_used_percent", "Average", ABOVE, 300, 2, "missing"),
    ("disk", "disk_used_percent", "Maximum", ABOVE, 300, 1, "missing"),
    ("agent", "mem_used_percent", "SampleCount", BELOW, 300, 2, "breaching"),
)
#: The metric filters of a bot's log group that are this role's; another one there is somebody else's.
FILTERS = ("errors", "orders")
#: Namespace of the figures that come out of log lines; the hosts' policy knows it, too.
SPACE = "botops/%s"


def bots(declared):
    """The bots that a fleet's hosts are tagged with, each once."""
    return sorted({host["bot"] for host in declared["hosts"] if host.get("bot")})


def log_group_names(declared):
    """Names of the log groups that are declared: one for each bot, and one for the hosts' own units."""
    logs = declared.get("logs")
    return [log_group(logs["prefix"], name) for name in [*bots(declared), "host"]] if logs else []


def log_groups(declared, name):
    """What shall exist of them, with their metric filters."""
    namespace = SPACE % name
    logs, found = declared.get("logs"), []
    for bot, group in zip([*bots(declared), None], log_group_names(declared)):
        patterns = {"errors": logs["errors"], "orders": logs["orders"]} if bot else {}
        filters = {key: {"pattern": text, "metric": f"{bot} {key}", "namespace": namespace} for key, text in patterns.items() if text}
        found.append({"name": group, "retention": logs["retention_days"], "filters": filters})
    return found


def alarms(declared, name):
    """Every alarm; `host` is the one whose instance it is about, and empty for one about a bot's log."""
    told, logs = declared.get("alarms"), declared.get("logs")
    if not told:
        return []
    tables = [("AWS/EC2", ALARMS, told)]
    if told.get("agent"):
        tables.append((told["agent"]["namespace"], AGENT_ALARMS, told["agent"]))
    found = []
    for host, _about in hosts(declared):
        for space, table, thresholds in tables:
            for suffix, *row in table:
                found.append(_alarm(name, host, host, suffix, space, thresholds.get(suffix) or 1, row))
    for bot in bots(declared) if logs else ():
        for key, row in (("errors", ("Sum", REACHED, 300, 1, "notBreaching")), ("orders", ("Sum", BELOW, 60 * logs["orders_minutes"], 1, "breaching"))):
            if logs[key]:
                found.append(_alarm(name, "", bot, key, SPACE % name, 1, (f"{bot} {key}", *row)))
    return found


def _alarm(name, host, of, suffix, namespace, threshold, row):
    """One alarm about `of`; `row` is (metric, statistic, comparison, seconds, times, missing) as in the tables above."""
    metric, statistic, comparison, seconds, times, missing = row
    return {
        "host": host, "name": f"{name} {of} {suffix}", "metric": metric, "namespace": namespace, "statistic": statistic, "comparison": comparison,
        "threshold": float(threshold), "period": seconds, "evaluation_periods": times, "treat_missing_data": missing,
    }  # fmt: skip


def log_changes(plan, found, differ, tags_differ):
    """Tells `differ` what of the log groups and their filters is not as the plan has it."""
    there = {one["name"]: one for one in found["log_groups"]}
    for group in plan["log_groups"]:
        have = there.get(group["name"])
        differ("log_group", group["name"], have, have and [have["retention"] != group["retention"] and "retention",
                                                           tags_differ(have["tags"], plan["tags"]) and "tags"])  # fmt: skip
        known = have["filters"] if have else {}
        for key, wanted in group["filters"].items():
            differ("metric_filter", f"{group['name']} {key}", known.get(key), known.get(key) and [part for part in wanted if known[key][part] != wanted[part]])
        for key in sorted(set(known) & set(FILTERS) - set(group["filters"])):
            differ("metric_filter", f"{group['name']} {key}", True, ["not declared"])


def metric_filters(plan, names):
    """The metric filters that differ, with what they shall be; an empty `pattern` is one that goes."""
    wanted = {f"{group['name']} {key}": {"group": group["name"], "key": key, **one} for group in plan["log_groups"] for key, one in group["filters"].items()}
    gone = {name: dict(zip(("group", "key"), name.rsplit(" ", 1)), pattern="", metric="", namespace="") for name in names}
    return [wanted.get(name, gone[name]) for name in names]


def alarms_now(plan, found):
    """The alarms with what is known once their instances and topic are there."""
    machines = {one["name"]: one["id"] for one in found["instances"]}
    topic = [found["topic"]["arn"]] if found["topic"] else []
    return [
        {**{key: value for key, value in alarm.items() if key != "host"},
         "dimensions": {"InstanceId": machines.get(alarm["host"], "")} if alarm["host"] else {}, "alarm_actions": topic, "ok_actions": topic}
        for alarm in plan["alarms"]
    ]  # fmt: skip


def surplus(plan, found):
    """Alarms that tell the fleet's topic and are declared no more."""
    wanted, topic = {alarm["name"] for alarm in plan["alarms"]}, found["topic"]
    return sorted(one["name"] for one in found["alarms"] if topic and topic["arn"] in one["alarm_actions"] and one["name"] not in wanted)
