"""`make lab-cloud` as a user runs it: two clouds, two bots, nothing to change, and nothing left."""

import json
import pathlib
import socket
import ssl
import subprocess
import sys

import cloud
import declared
import hosts
import pytest

LOG = declared.ROOT / "build/lab-cloud.log"


def run(command: str) -> str:
    done = subprocess.run([sys.executable, str(declared.ROOT / "lab/cloud.py"), command], text=True, capture_output=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def result() -> dict:
    """What the last run wrote down."""
    return json.loads((declared.ROOT / "build/lab-cloud.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def lab_cloud():
    """From nothing; what the tests leave goes, too, without asking the clouds."""
    run("down")
    run("up")
    yield
    cloud.stop_vendors()
    hosts.down(cloud.GROUP)


def test_two_bots_trade_and_answer_over_tls():
    found = result()
    assert found["changed"] > 0 and found["writes"]["digitalocean"] and found["writes"]["aws"]
    assert all(found["orders"][name] > 0 for name in cloud.CLOUDS)
    where = cloud.addresses()
    assert sorted(where) == sorted(cloud.CLOUDS)
    for name, address in where.items():
        assert found["health"][name]["http"] == 200 and cloud.health(name, address)["http"] == 200
    # Each answers to its own name only, and nobody vouches for them but the lab's authority.
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        cloud.health("feed", where["engine"])
    with socket.create_connection((where["engine"], 443), timeout=5) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="engine.cloud.test")


def test_the_vendors_document_judged_and_found_nothing():
    found = result()
    assert found["violations"] == []
    if not found["judged"]:
        pytest.skip("BOTOPS_DIGITALOCEAN_OPENAPI is not set: nothing was judged by the vendor's document")


def test_no_secret_is_in_the_log_or_a_command_line():
    text = LOG.read_text() + (cloud.STATE / "vendors.log").read_text() + (declared.ROOT / "build/lab-cloud.json").read_text()
    assert "PLAY RECAP" in text and "canary-" not in text and "PRIVATE KEY" not in text
    assert b"canary-" not in pathlib.Path(f"/proc/{cloud.vendors()['pid']}/cmdline").read_bytes()


def test_again_it_changes_nothing_and_writes_nothing():
    said = run("up")
    found = result()
    assert found["changed"] == 0, LOG.read_text()[-6000:]
    assert found["writes"] == {"digitalocean": [], "aws": []}
    assert found["plan"]["changes"] == [] and "0 changes" in said
    assert found["plan"]["without_price"] == 0 and 0 < found["plan"]["monthly"] <= 40


def test_nothing_stays():
    before = json.loads(cloud.BEFORE.read_text())
    assert {one.partition(" ")[0] for one in before} >= {"vpc", "droplet", "firewall", "instance", "security_group"}
    assert "The lab's clouds are removed" in run("down")
    selector = ["--filter", f"label={hosts.LABEL}={cloud.GROUP}"]
    assert hosts.run("docker", "ps", "-aq", *selector).stdout == "" and hosts.run("docker", "network", "ls", "-q", *selector).stdout == ""
    assert cloud.vendors() is None and not cloud.STATE.exists()
