"""The cluster's agents for droplets, run as Pacemaker runs them, against the emulated API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET

import pytest
from do_harness import ROOT, TOKEN

FILES = ROOT / "roles" / "ha_cluster" / "files"


def droplet(cloud, name="alpha"):
    """A droplet, made by the API itself."""

    def call(method, path, body=None):
        data = json.dumps(body).encode() if body else None
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(cloud.url + path, data, headers, method=method), timeout=5) as answer:
            return json.loads(answer.read() or b"{}")

    made = call("POST", "/v2/droplets", {"name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64"})["droplet"]
    deadline = time.monotonic() + 5
    while call("GET", f"/v2/droplets/{made['id']}")["droplet"]["status"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return made["id"], call


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


def fence(cloud, token, action, plug="", timeout=5, **more):
    lines = [f"action={action}", f"plug={plug}", f"api_url={cloud.url}", f"token_file={token}"]
    lines += [f"power_timeout={timeout}", "nodename=alpha"]
    lines += [f"{name}={value}" for name, value in more.items()]
    environment = {**os.environ, "PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1", "BOTOPS_DO_PAUSE": "0.05"}
    argv = [sys.executable, FILES / "fence_do"]
    return subprocess.run(argv, input="\n".join(lines), text=True, capture_output=True, env=environment, check=False, timeout=30)


def status(call, number):
    return call("GET", f"/v2/droplets/{number}")["droplet"]["status"]


def test_metadata_is_what_the_cluster_reads():
    environment = {**os.environ, "PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1", "BOTOPS_DO_PAUSE": "0.05"}
    argv = [sys.executable, FILES / "fence_do", "-o", "metadata"]
    root = ET.fromstring(subprocess.run(argv, text=True, capture_output=True, env=environment, check=True).stdout)
    assert root.get("name") == "fence_do"
    assert {a.get("name") for a in root.iter("action")} >= {"on", "off", "reboot", "status", "monitor", "list", "metadata", "validate-all"}
    assert {p.get("name") for p in root.iter("parameter")} >= {"action", "plug", "port", "api_url", "token_file"}


def test_off_status_on_reboot(cloud, token):
    number, call = droplet(cloud)
    assert fence(cloud, token, "status", number).returncode == 0
    done = fence(cloud, token, "off", number)
    assert done.returncode == 0, done.stderr
    assert status(call, number) == "off"
    assert fence(cloud, token, "status", number).returncode == 2
    writes = len(cloud.writes())
    assert fence(cloud, token, "off", number).returncode == 0
    assert len(cloud.writes()) == writes, "a droplet that is off is left alone"
    assert fence(cloud, token, "on", number).returncode == 0
    assert status(call, number) == "active"
    assert fence(cloud, token, "reboot", number).returncode == 0
    assert status(call, number) == "active"


def test_list_and_monitor(cloud, token):
    number, _call = droplet(cloud)
    assert f"{number},alpha" in fence(cloud, token, "list").stdout.splitlines()
    assert f"{number},alpha,on" in fence(cloud, token, "list-status").stdout.splitlines()
    assert fence(cloud, token, "monitor").returncode == 0
    assert fence(cloud, token, "monitor", number).returncode == 0
    assert fence(cloud, token, "validate-all").returncode == 0


def test_a_droplet_that_is_gone_is_not_taken_for_one_that_is_off(cloud, token):
    for action in ("off", "reboot", "status", "monitor"):
        done = fence(cloud, token, action, 999999)
        assert done.returncode == 1
        assert "404" in done.stderr


@pytest.mark.parametrize("fault", [
    {"status": 503, "html": True}, {"status": 500, "after": True}, {"drop": True}, {"status": 429, "headers": {"retry-after": "0"}},
])
def test_a_hiccup_of_the_api_is_outlived(cloud, token, fault):
    number, call = droplet(cloud)
    cloud.fault(method="POST", path=r"/actions$", times=1, **fault)
    done = fence(cloud, token, "off", number)
    assert done.returncode == 0, done.stderr
    assert status(call, number) == "off"


def test_an_api_that_is_down_is_a_failure_in_time(cloud, token):
    number, call = droplet(cloud)
    cloud.fault(method="POST", path=r"/actions$", times=50, status=503)
    done = fence(cloud, token, "off", number, timeout=1)
    assert done.returncode == 1
    assert "503" in done.stderr
    assert status(call, number) == "active"


def test_reboot_counts_as_done_when_the_droplet_is_off(cloud, token):
    number, call = droplet(cloud)
    cloud.fault(method="POST", path=r"/actions$", times=50, skip=1, status=503)
    done = fence(cloud, token, "reboot", number, timeout=1)
    assert done.returncode == 0
    assert "could not be switched on" in done.stderr
    assert status(call, number) == "off"


def test_tokens(cloud, token, tmp_path):
    number, _call = droplet(cloud)
    token.chmod(0o644)
    assert "can be read by others: chmod 600" in fence(cloud, token, "off", number).stderr
    assert "token file cannot be read" in fence(cloud, tmp_path / "none", "off", number).stderr
    token.chmod(0o600)
    token.write_text("wrong\n")
    done = fence(cloud, token, "off", number)
    assert done.returncode == 1 and "401" in done.stderr
    assert "wrong" not in done.stderr + done.stdout


@pytest.mark.parametrize(("options", "sentence"), [
    ({"action": "off", "plug": "alpha"}, "it must be a droplet's number"),
    ({"action": "explode", "plug": 1}, "action 'explode' is not known"),
    ({"action": "off", "plug": 1, "delay": "soon"}, "power_timeout and delay are seconds"),
])
def test_wrong_options(cloud, token, options, sentence):
    done = fence(cloud, token, **options)
    assert done.returncode == 1 and sentence in done.stderr


# --- the reserved address -------------------------------------------------------------------------------------


def agent(cloud, token, tmp_path, action, own, address, **more):
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1", "BOTOPS_DO_PAUSE": "0.05",
        "HA_RSCTMP": str(tmp_path / f"run-{own}"),
        "OCF_RESOURCE_INSTANCE": "address:0", "OCF_RESKEY_ip": address, "OCF_RESKEY_droplet_id": str(own), "OCF_RESKEY_wait_seconds": "4",
        "OCF_RESKEY_api_url": cloud.url, "OCF_RESKEY_token_file": str(token), **more,
    }
    argv = [sys.executable, FILES / "do-reserved-ip", action]
    return subprocess.run(argv, text=True, capture_output=True, env=environment, check=False, timeout=30)


def test_the_address_moves_and_is_held_once(cloud, token, tmp_path):
    alpha, call = droplet(cloud)
    beta, _call = droplet(cloud, "beta")
    address = call("POST", "/v2/reserved_ips", {"region": "fra1"})["reserved_ip"]["ip"]

    def run(action, own):
        return agent(cloud, token, tmp_path, action, own, address).returncode

    assert run("monitor", alpha) == run("monitor", beta) == 7
    assert run("start", alpha) == 0
    assert (run("monitor", alpha), run("monitor", beta)) == (0, 7)
    writes = len(cloud.writes())
    assert run("start", alpha) == 0
    assert len(cloud.writes()) == writes
    # The other takes it over, as after a failover; a late stop of the first must not take it away.
    assert run("start", beta) == 0
    assert run("stop", alpha) == 0
    assert (run("monitor", alpha), run("monitor", beta)) == (7, 0)
    assert run("stop", beta) == 0 == run("stop", beta)
    assert run("monitor", beta) == 7


def test_an_outage_of_the_api_stops_nothing(cloud, token, tmp_path):
    alpha, call = droplet(cloud)
    address = call("POST", "/v2/reserved_ips", {"region": "fra1"})["reserved_ip"]["ip"]
    assert agent(cloud, token, tmp_path, "start", alpha, address).returncode == 0
    gone = {"OCF_RESKEY_api_url": "http://127.0.0.1:9", "OCF_RESKEY_wait_seconds": "1"}
    done = agent(cloud, token, tmp_path, "monitor", alpha, address, **gone)
    assert done.returncode == 0 and "as of last time, the address is here" in done.stderr
    assert agent(cloud, token, tmp_path, "monitor", alpha + 1, address, **gone).returncode == 7
    assert agent(cloud, token, tmp_path, "stop", alpha, address, **gone).returncode == 1, "a stop that is not certain has to be fenced"


def test_what_it_refuses(cloud, token, tmp_path):
    assert agent(cloud, token, tmp_path, "validate-all", 1, "192.0.2.1").returncode == 0
    assert agent(cloud, token, tmp_path, "validate-all", 1, "bot.example.com").returncode == 6
    assert agent(cloud, token, tmp_path, "start", "alpha", "192.0.2.1").returncode == 6
    assert agent(cloud, token, tmp_path, "migrate", 1, "192.0.2.1").returncode == 3
    assert agent(cloud, token, tmp_path, "start", 1, "192.0.2.99").returncode == 1
    root = ET.fromstring(agent(cloud, token, tmp_path, "meta-data", 1, "").stdout)
    assert {a.get("name") for a in root.iter("action")} == {"start", "stop", "monitor", "validate-all", "meta-data"}
