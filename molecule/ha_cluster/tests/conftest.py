"""What the tests of the pair share: power by the controllers' own means, playbooks, and a view from outside."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import time
import urllib.request
import xml.etree.ElementTree as ET

import pytest
import testinfra

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
GROUP = f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"
MEMBERS = ("ha-alpha", "ha-beta")
FLOATING = "10.77.64.100"


def docker(*argv: str) -> str:
    return subprocess.run(["docker", *argv], text=True, capture_output=True, check=True).stdout


class Pair:
    """Two members and their witness."""

    def __init__(self) -> None:
        inventory = os.environ["MOLECULE_INVENTORY_FILE"]
        self.hosts = {
            name: testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}", sudo=True)
            for name in (*MEMBERS, "ha-witness")
        }

    def run(self, name: str, command: str) -> str:
        """Inside the container: works whatever state its network or sshd is in."""
        return docker("exec", self.container(name), "sh", "-c", command)

    def freeze(self, name: str) -> float:
        """Hung, not dead: it would go on where it stopped if anybody let it."""
        docker("pause", self.container(name))
        return time.monotonic()

    @staticmethod
    def container(name: str) -> str:
        return f"botops-{GROUP}-{name}"

    def monitor(self, name: str) -> ET.Element:
        return ET.fromstring(self.run(name, "crm_mon --one-shot --output-as=xml"))

    def online(self, name: str) -> set[str]:
        try:
            nodes = self.monitor(name).findall("nodes/node")
        except subprocess.CalledProcessError:
            return set()
        return {n.get("name") for n in nodes if n.get("online") == "true" and n.get("pending") != "true"}

    def active(self) -> list[str]:
        """Who runs the worker, asked of the processes and not of the cluster."""
        found = []
        for name in MEMBERS:
            state = docker("inspect", "-f", "{{.State.Status}}", self.container(name)).strip()
            if state == "running" and self.run(name, "pgrep -fc '[h]ttp.server 8080' || true").strip() != "0":
                found.append(name)
        return found

    def other(self, name: str) -> str:
        return next(member for member in MEMBERS if member != name)

    def kill(self, name: str) -> float:
        docker("kill", self.container(name))
        return time.monotonic()

    def power(self) -> list[str]:
        return (PROJECT / ".cache" / GROUP / "bmc.log").read_text().splitlines()

    def evidence(self) -> str:
        """What says most comes last: of a long log only the end is shown."""
        journals, views = [], []
        for name in self.hosts:
            state = docker("inspect", "-f", "{{.State.Status}}", self.container(name)).strip()
            views.append(f"{name}, {state}")
            if state == "running":
                journals.append(self.run(name, "journalctl --no-pager -n 60 -o short-precise 2>&1; true"))
            if state == "running" and name in MEMBERS:
                views.append(self.run(name, "crm_mon --one-shot --output-as=text --include=none,nodes,resources,failures,fencing 2>&1; true"))
        return "\n".join([*journals, *views, *self.power()[-12:]])

    def play(self, playbook: str, *options: str, check: bool = True) -> subprocess.CompletedProcess:
        ephemeral = os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": f"{ephemeral}/ansible.cfg",
            "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        argv = ["ansible-playbook", "-i", f"{ephemeral}/inventory", str(PROJECT / playbook), *options]
        argv += ["-e", json.dumps({"molecule_ephemeral_directory": ephemeral})]
        done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False)
        if check:
            assert done.returncode == 0, done.stdout[-5000:]
        return done

    def settle(self, seconds: float = 60) -> str:
        """Both members online and one of them active; returns that one."""
        until(lambda: self.online(MEMBERS[0]) == set(MEMBERS) == self.online(MEMBERS[1]), seconds, "both members online")
        until(lambda: len(self.active()) == 1, seconds, "one active member")
        return self.active()[0]


def until(condition, seconds: float, what: str) -> float:
    """Seconds until the condition held."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s: {what}")


def answers() -> bool:
    """Does the floating address serve, seen from outside?"""
    try:
        with urllib.request.urlopen(f"http://{FLOATING}:8080/", timeout=0.5) as reply:
            return reply.status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def pair() -> Pair:
    return Pair()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Of a test that failed, what the power controllers did and how each member sees the cluster: its hosts are gone by the time somebody reads."""
    report = (yield).get_result()
    if report.failed and call.when == "call" and "pair" in item.funcargs:
        report.sections.append(("the pair as the test left it", item.funcargs["pair"].evidence()))
