"""Where a bot runs: asked of the cluster and of systemd at the time of the question, never remembered."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET

from .common import Refused, environment, last_words, run


def unit_state(name: str) -> str:
    return run(["systemctl", "is-active", f"bot-{name}.service"], timeout=20).stdout.strip()


def runs_here(name: str) -> bool:
    return unit_state(name) in ("active", "activating", "reloading", "deactivating")


def cluster_opinion(name: str, crm_mon: str) -> tuple[bool, list[str]]:
    """(does the cluster manage this bot, the hosts on which its unit is started), from crm_mon's XML."""
    managed, hosts = False, []
    for resource in ET.fromstring(crm_mon).iter("resource"):
        agent = resource.get("resource_agent", "")
        parameters = (resource.get("id"), agent.rpartition(":")[2])
        if f"bot-{name}" in parameters or resource.get("id") == name or f"bot-{name}.service" in parameters:
            managed = True
            if resource.get("role") in ("Started", "Promoted", "Starting", "Stopping"):
                hosts += [node.get("name") for node in resource.iter("node")]
    return managed, hosts


def cluster(name: str) -> tuple[bool, list[str]]:
    """As above; a host without Pacemaker has no cluster. A cluster that does not answer is not the same as none."""
    if not shutil.which("crm_mon", path=environment()["PATH"]):
        return False, []
    if run(["systemctl", "is-enabled", "pacemaker.service"], timeout=20).stdout.strip() != "enabled":
        if run(["systemctl", "is-active", "pacemaker.service"], timeout=20).stdout.strip() != "active":
            return False, []
    done = run(["crm_mon", "--one-shot", "--output-as=xml"], timeout=30)
    if done.returncode:
        raise Refused(f"the cluster does not answer ({last_words(done)}); look at `systemctl status pacemaker corosync`")
    return cluster_opinion(name, done.stdout)


def own_node() -> str:
    return run(["crm_node", "-n"], timeout=20).stdout.strip()


def on_standby(name: str) -> str:
    """Why this host leaves the bot's backup to another one, or nothing."""
    try:
        managed, hosts = cluster(name)
    except Refused:
        # Data that this host writes is saved whatever the cluster says; whoever does not write cannot know, and must say so.
        if runs_here(name):
            return ""
        raise
    if not managed or not hosts:
        # Nobody runs it: both save what they have rather than none.
        return ""
    return "" if own_node() in hosts else f"{name} runs on {' and '.join(hosts)}, which saves it"


def running_anywhere(name: str, probe: list[str], pause) -> str:
    """Where the bot runs or seems to, or nothing. The probe is an operator's: it prints the exchange's newest order."""
    if runs_here(name):
        return f"bot-{name}.service is {unit_state(name)} on this host: stop it first (systemctl stop bot-{name})"
    managed, hosts = cluster(name)
    if hosts:
        stop = f"crm_resource --resource {name} --meta --set-parameter target-role --parameter-value Stopped"
        return f"the cluster runs {name} on {' and '.join(hosts)}: stop it first ({stop})"
    if probe:
        first = run(probe, timeout=30)
        pause()
        second = run(probe, timeout=30)
        if first.returncode or second.returncode:
            return f"the probe of the exchange failed ({last_words(first if first.returncode else second)}), and nobody can say whether the bot trades"
        if first.stdout != second.stdout:
            return f"the exchange goes on receiving orders of {name} ({second.stdout.strip()[:80]}): it runs somewhere else"
    return ""
