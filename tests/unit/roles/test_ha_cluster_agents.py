"""The agents that the ha_cluster role puts on the members, run as Pacemaker runs them."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

FILES = pathlib.Path(__file__).resolve().parents[3] / "roles" / "ha_cluster" / "files"


def operator(given="", *argv):
    return subprocess.run([sys.executable, FILES / "fence_operator", *argv], input=given, text=True, capture_output=True, check=False)


def test_fence_operator_describes_itself():
    done = operator("action=metadata\n")
    root = ET.fromstring(done.stdout)
    actions = {action.get("name") for action in root.iter("action")}
    assert done.returncode == 0 and root.get("name") == "fence_operator"
    assert {"off", "reboot", "monitor", "status", "metadata", "validate-all"} <= actions
    assert operator("", "-o", "metadata").stdout == done.stdout


@pytest.mark.parametrize("action", ["monitor", "validate-all", "list"])
def test_fence_operator_is_always_there(action):
    assert operator(f"action={action}\n").returncode == 0


@pytest.mark.parametrize("action", ["off", "reboot", "on"])
def test_fence_operator_never_claims_that_a_node_is_off(action):
    done = operator(f"# comment\naction={action}\nplug=beta\nnodename=beta\n")
    assert done.returncode == 1
    assert "stonith_admin --confirm beta" in done.stderr


@pytest.fixture
def hook(tmp_path):
    path = tmp_path / "hook"
    path.write_text(f'#!/bin/sh\nprintf "%s|%s\\n" "$1" "$2" > {tmp_path}/told; cat >> {tmp_path}/told\n')
    path.chmod(0o755)
    return path


def told(hook, **event):
    environment = {"PATH": os.environ["PATH"], "CRM_alert_recipient": str(hook), "CRM_alert_node": "beta"}
    environment |= {f"CRM_alert_{name}": value for name, value in event.items()}
    subprocess.run(["sh", FILES / "cluster-alert"], env=environment, check=True)
    path = hook.parent / "told"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("event", "first_line"),
    [
        ({"kind": "node", "desc": "lost"}, "warning|cluster node beta is now lost"),
        ({"kind": "node", "desc": "member"}, "info|cluster node beta is now member"),
        ({"kind": "fencing", "rc": "1", "desc": "Operation reboot of beta: Error"}, "critical|fencing: Operation reboot of beta: Error"),
        ({"kind": "fencing", "rc": "0", "desc": "ok"}, "warning|fencing: ok"),
        ({"kind": "resource", "task": "monitor", "interval": "2000", "rc": "7", "target_rc": "0", "rsc": "bot", "desc": "not running"},
         "critical|bot: monitor on beta: not running"),
        ({"kind": "resource", "task": "start", "rc": "0", "target_rc": "0", "rsc": "bot", "desc": "OK"}, "info|bot: start on beta: OK"),
    ],
)
def test_the_hook_is_told(hook, event, first_line):
    assert told(hook, **event).splitlines()[0] == first_line


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "resource", "task": "monitor", "interval": "2000", "rc": "0", "target_rc": "0"},
        {"kind": "resource", "task": "monitor", "interval": "0", "rc": "0", "target_rc": "7"},
        {"kind": "attribute"},
    ],
)
def test_no_news_is_not_told(hook, event):
    assert told(hook, **event) == ""


def test_a_host_that_has_been_up_joins_at_once():
    done = subprocess.run(["sh", FILES / "cluster-boot-delay", "0"], text=True, capture_output=True, check=True, timeout=5)
    assert done.stdout == ""
