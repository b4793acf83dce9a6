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


# --- ocf:botops:unit


@pytest.fixture
def unit(tmp_path):
    """The agent beside a systemctl that answers from a file and remembers what it was asked."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "systemctl").write_text(
        '#!/bin/sh\ncase "$*" in\n'
        '*--property=*) name=$(echo "$*" | sed "s/.*--property=\\([A-Za-z]*\\).*/\\1/"); sed -n "s/^$name=//p" "$STATE" ;;\n'
        '*) echo "$*" >> "$STATE.asked"; exit $(sed -n "s/^exit=//p" "$STATE") ;;\nesac\n'
    )
    (tools / "journalctl").write_text("#!/bin/sh\necho 'no route to the exchange'\n")
    for path in tools.iterdir():
        path.chmod(0o755)
    state = tmp_path / "state"

    def call(action, load="loaded", active="active", status=0, name="bot-paper.service"):
        state.write_text(f"LoadState={load}\nActiveState={active}\nResult=exit-code\nexit={status}\n")
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "STATE": str(state), **({"OCF_RESKEY_unit": name} if name else {})}
        done = subprocess.run(["sh", FILES / "unit", action], env=environment, text=True, capture_output=True, check=False)
        asked = pathlib.Path(f"{state}.asked")
        return done.returncode, done.stderr, asked.read_text() if asked.exists() else ""

    return call


def test_the_agent_describes_itself(unit):
    done = subprocess.run(["sh", FILES / "unit", "meta-data"], text=True, capture_output=True, check=True)
    root = ET.fromstring(done.stdout)
    assert root.get("name") == "unit" and [entry.get("name") for entry in root.iter("parameter")] == ["unit"]


@pytest.mark.parametrize(("active", "status"), [("active", 0), ("activating", 0), ("deactivating", 0), ("inactive", 7), ("failed", 7)])
def test_the_agent_watches(unit, active, status):
    assert unit("monitor", active=active)[0] == status


def test_the_agent_says_why(unit):
    assert unit("start") == (0, "", "start -- bot-paper.service\n")
    status, said, _asked = unit("start", active="failed", status=1)
    assert status == 1 and "bot-paper.service did not start (exit-code): no route to the exchange" in said
    assert "bot-paper.service ended (exit-code)" in unit("monitor", active="failed")[1]
    status, said, _asked = unit("start", load="not-found")
    assert status == 5 and "does not exist on" in said
    assert unit("start", name="")[0] == 6 and "name a unit" in unit("start", name="")[1]


def test_the_agent_never_calls_a_unit_stopped_that_runs(unit):
    assert unit("stop", active="deactivating")[0] == 1
    status, _said, asked = unit("stop", active="inactive")
    assert status == 0 and "stop -- bot-paper.service" in asked
    assert unit("stop", load="not-found", active="inactive")[0] == 0
    assert unit("promote")[0] == 3
