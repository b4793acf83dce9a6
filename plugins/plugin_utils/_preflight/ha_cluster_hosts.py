# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the hosts say that must not be so, before anything is changed on them. Pure: it judges what cluster_info read."""

from __future__ import annotations

import datetime
import ipaddress
import time

from ansible_collections.botops.fleet.plugins.plugin_utils import _ha_cluster


def check(values):
    hosts = {name: seen for name, seen in values["hosts"].items() if seen and "info" in seen}
    return [
        *check_same_machine(hosts, values["witnesses"]),
        *check_clocks(hosts, values["ha_cluster_max_clock_difference_seconds"]),
        *check_floating(hosts, values["members"], values["floating"]),
        *check_tests(hosts, values),
    ]


# Interfaces that software makes, with hardware addresses that may repeat from host to host.
MADE = ("docker", "br-", "veth", "virbr", "tun", "tap", "wg", "cni", "lxc", "dummy")


def hardware(info):
    links = (link for link in info["interfaces"] if not link["name"].startswith(MADE) and link["networks"])
    return {link["mac"] for link in links if link["mac"].replace(":", "").strip("0")}


def check_same_machine(hosts, witnesses):
    seen = {}
    for name in sorted(hosts):
        for mac in sorted(hardware(hosts[name]["info"])):
            other = seen.setdefault(mac, name)
            if other == name:
                continue
            if (name in witnesses) != (other in witnesses):
                yield (
                    f"{other} and {name} are one machine (both have the interface {mac}): a witness on a member's host is lost "
                    "together with that member. Use a third host."
                )
            else:
                yield f"{other} and {name} are one machine (both have the interface {mac}): each member needs a host of its own."


def check_clocks(hosts, limit):
    clocks = [(name, hosts[name]["clock"]["offset"], hosts[name]["clock"]["uncertainty"]) for name in sorted(hosts)]
    for index, (name, offset, unsure) in enumerate(clocks):
        for other, its_offset, its_unsure in clocks[index + 1:]:
            # What is certain of the difference, after both measurements' errors.
            least = abs(offset - its_offset) - unsure - its_unsure
            if least > limit:
                yield (
                    f"The clocks of {name} and {other} differ by at least {least:.1f} s (allowed: {limit} s): logs, fencing tests and "
                    "backups would contradict each other. Look at `timedatectl` on both and get time synchronised first."
                )


def check_floating(hosts, members, floating):
    macs = {i["mac"] for seen in hosts.values() for i in seen["info"]["interfaces"]}
    for address in floating:
        outside, answers = [], set()
        for name in members:
            if name not in hosts:
                continue
            info = hosts[name]["info"]
            networks = [n for i in info["interfaces"] for n in i["networks"]]
            if not any(ipaddress.ip_address(address) in ipaddress.ip_interface(n).network for n in networks):
                outside.append(f"{name}: {', '.join(networks)}")
            answered = info["floating"].get(address, {}).get("answered_by", "")
            if answered and answered not in macs:
                answers.add(answered)
        if outside:
            yield (
                f"The floating address {address} is outside the subnets of {'; '.join(outside)}. Use a free address that every member "
                "has in the subnet of one of its interfaces."
            )
        for mac in sorted(answers):
            yield (
                f"The floating address {address} answers already: {mac} has it, and that is no member of this cluster. Choose a free "
                "address, or take it from that host."
            )


def check_tests(hosts, values):
    if not values["ha_cluster_automatic"]:
        return
    now, limit = time.time(), values["ha_cluster_fence_test_max_age_days"]
    # A test is recorded on every member; the newest record that any reached member has counts.
    records = _ha_cluster.merge_records(hosts[name]["info"]["fence_tests"] for name in values["members"] if name in hosts)
    for node in values["members"]:
        record = records.get(node)
        then = "Run with -e ha_cluster_automatic=false, then playbooks/fence_test.yml; after that automatic failover is allowed."
        if not record:
            yield f"ha_cluster_automatic is true, but fencing of {node} was never tested. A new pair: run playbooks/pair_bootstrap.yml. Else: {then}"
        elif record.get("result") != "ok":
            yield f"ha_cluster_automatic is true, but the last fencing test of {node} ({day(record)}) failed. {then}"
        elif record.get("devices") != values["devices"].get(node):
            yield f"ha_cluster_automatic is true, but fencing of {node} was changed since its test ({day(record)}). {then}"
        elif now - record.get("epoch", 0) > limit * 86400:
            yield (
                f"ha_cluster_automatic is true, but fencing of {node} was tested on {day(record)}, more than "
                f"{limit} days ago (ha_cluster_fence_test_max_age_days). {then}"
            )


def day(record):
    moment = datetime.datetime.fromtimestamp(record.get("epoch", 0), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d")
