"""host_checks against this very process: real sockets, a real HTTP server, a real certificate."""

import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]


def look(**check):
    arguments = {"checks": [{"id": "x", "title": "X", **check}]}
    done = subprocess.run(
        [sys.executable, str(ROOT / "plugins/modules/host_checks.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
    )
    return json.loads(done.stdout.splitlines()[-1])


def verdict(**check):
    answer = look(**check)
    result = answer["results"][0]
    assert answer["failed_checks"] == ([] if result["passed"] else ["x"]) and answer["changed"] is False
    return result


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/ok" else 503)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_url(server):
    assert verdict(url=server + "/ok")["passed"]
    broken = verdict(url=server + "/broken")
    assert not broken["passed"] and broken["actual"].startswith("503")
    assert "refused" in verdict(url="http://127.0.0.1:1/")["actual"]


def test_command_and_match():
    assert verdict(command=["echo", "Status: active"], match="^Status: active$")["passed"]
    assert not verdict(command=["echo", "Status: inactive"], match="^Status: active$")["passed"]
    assert "ended with" in verdict(command=["false"])["actual"]


def test_a_program_that_is_missing_is_a_failed_check():
    missing = verdict(command=["/no/such/program"])
    assert not missing["passed"] and "No such file" in missing["actual"]
    answer = look(unit={"x.service": "active"})
    assert answer["failed_checks"] == ["x"]


def test_what_waits_to_be_taken_over_is_named():
    assert verdict(pending=["no-such-note"])["passed"]


def test_listening_ignores_loopback_and_sees_the_rest():
    with socket.socket() as loopback, socket.socket() as public:
        loopback.bind(("127.0.0.1", 0))
        loopback.listen()
        public.bind(("0.0.0.0", 0))
        public.listen()
        seen = verdict(listening=[])["actual"]
        assert f"tcp/{public.getsockname()[1]}" in seen
        assert f"tcp/{loopback.getsockname()[1]}" not in seen


def test_mode(tmp_path):
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o600)
    assert verdict(mode={str(path): "0600"})["passed"]
    path.chmod(0o640)
    assert not verdict(mode={str(path): "0600"})["passed"]
    assert "missing" in verdict(mode={str(tmp_path / "none"): "0600"})["actual"]


@pytest.mark.parametrize(("days", "passed"), [(5, True), (30, False)])
def test_certificate(tmp_path, days, passed):
    pem = tmp_path / "c.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(tmp_path / "k")]
    subprocess.run(["openssl", "req", "-x509", *key, "-days", "10", "-subj", "/CN=x", "-out", str(pem)], check=True, capture_output=True)
    assert verdict(certificate=str(pem), days=days)["passed"] is passed


def test_exactly_one_kind_is_demanded():
    assert "one of the following is required" in look()["msg"]
    assert "mutually exclusive" in look(url="http://x", mode={})["msg"]


# --- the checks of hardening that once could not fail

HARDENING = yaml.safe_load((ROOT / "roles/hardening/vars/main.yml").read_text())


def say(text):
    return ["printf", "%s", text]


@pytest.mark.parametrize(
    ("match", "output", "passed"),
    [
        (HARDENING["_hardening_updates_on"], 'APT::Periodic::Unattended-Upgrade "1";\n', True),
        (HARDENING["_hardening_updates_on"], 'APT::Periodic::Unattended-Upgrade "0";\n', False),
        (HARDENING["_hardening_updates_on"], "", False),
        (HARDENING["_hardening_updates_off"], 'APT::Periodic::Unattended-Upgrade "1";\n', False),
        (HARDENING["_hardening_updates_off"], 'APT::Periodic::Unattended-Upgrade "0";\n', True),
        (HARDENING["_hardening_updates_off"], "", True),
        (HARDENING["_hardening_checks_no_firewall"][0]["match"], "Status: active\n", False),
        (HARDENING["_hardening_checks_no_firewall"][0]["match"], "Status: inactive\n", True),
        (HARDENING["_hardening_checks_firewall"][0]["match"], "Status: inactive\n", False),
    ],
)
def test_a_check_passes_only_for_what_was_declared(match, output, passed):
    assert verdict(command=say(output), match=match)["passed"] is passed
