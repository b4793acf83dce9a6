"""The helper that a bot's units call, with a real endpoint and real files."""

import http.server
import importlib.util
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("bot_helper", ROOT / "roles/bot_app/files/bot-helper.py")
helper = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(helper)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"stale")

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def config(tmp_path, endpoint, monkeypatch):
    monkeypatch.setattr(helper, "RUNTIME", str(tmp_path / "run"))
    monkeypatch.delenv("MAINPID", raising=False)
    (tmp_path / "releases/abc").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/abc")
    url = f"http://127.0.0.1:{endpoint.server_address[1]}/health"
    health = {"url": url, "timeout_seconds": 1, "interval_seconds": 10, "failures": 2, "probe_seconds": 1}
    return {
        "name": "paper", "unit": "bot-paper.service", "health": health, "trading_mode": "paper",
        "current": str(tmp_path / "current"), "state": str(tmp_path), "retention": [],
    }  # fmt: skip


@pytest.fixture
def systemd(monkeypatch):
    """What systemctl would say, and the kills it was asked for."""
    state, kills = {"ActiveState": "active", "InvocationID": "one"}, []
    monkeypatch.setattr(helper, "properties", lambda unit: dict(state))
    monkeypatch.setattr(helper.subprocess, "run", lambda argv, check: kills.append(argv))
    return state, kills


def test_wait_until_healthy_or_time_is_up(config, endpoint, capsys):
    assert helper.wait(config) == 0
    endpoint.status = 503
    started = time.monotonic()
    assert helper.wait(config) == 1
    assert 1 <= time.monotonic() - started < 3
    assert "not healthy after 1 s" in capsys.readouterr().out


def test_wait_gives_up_when_the_bot_died(config, endpoint, monkeypatch, capsys):
    endpoint.status = 503
    config["health"]["timeout_seconds"] = 60
    done = subprocess.Popen(["true"])
    done.wait()
    monkeypatch.setenv("MAINPID", str(done.pid))
    started = time.monotonic()
    assert helper.wait(config) == 1 and time.monotonic() - started < 2
    assert "ended before it was healthy" in capsys.readouterr().out


def test_so_many_failures_in_a_row_kill(config, endpoint, systemd):
    _state, kills = systemd
    endpoint.status = 503
    assert helper.check(config) == 0 and kills == []
    endpoint.status = 200
    helper.check(config)
    endpoint.status = 503
    helper.check(config)
    assert kills == [], "the row was broken"
    helper.check(config)
    assert kills == [["systemctl", "kill", "--signal=SIGKILL", "bot-paper.service"]]


def test_a_new_start_is_a_new_count_and_a_stopped_bot_is_left_alone(config, endpoint, systemd):
    state, kills = systemd
    endpoint.status = 503
    helper.check(config)
    state["InvocationID"] = "two"
    helper.check(config)
    assert kills == []
    state["ActiveState"] = "inactive"
    helper.check(config)
    helper.check(config)
    assert kills == []


def recorded(config):
    path = pathlib.Path(config["state"], "paper.json")
    return json.loads(path.read_text())["abc"]["seconds"] if path.exists() else 0


def test_only_healthy_paper_time_of_one_run_counts(config, endpoint, systemd):
    state, _kills = systemd
    now = [1000.0]

    def tick(seconds):
        now[0] += seconds
        helper.check(config, clock=lambda: now[0])

    tick(0)
    tick(10)
    assert recorded(config) == 10
    tick(9999)
    assert recorded(config) == 40, "a late probe vouches for three intervals"
    endpoint.status = 503
    tick(10)
    endpoint.status = 200
    tick(10)
    assert recorded(config) == 40, "it was unhealthy in between"
    tick(10)
    assert recorded(config) == 50
    state["InvocationID"] = "two"
    tick(10)
    assert recorded(config) == 50
    config["trading_mode"] = "live"
    tick(10)
    assert recorded(config) == 50


def test_retention_follows_no_link_and_spares_the_young(config, tmp_path):
    data, outside = tmp_path / "data", tmp_path / "outside"
    (data / "deep").mkdir(parents=True)
    outside.mkdir()
    for path in (data / "old.json", data / "deep/old.json", data / "old.txt", outside / "old.json"):
        path.write_text("x")
        os.utime(path, (0, 0))
    (data / "young.json").write_text("x")
    (data / "linked.json").symlink_to(outside / "old.json")
    os.utime(data / "linked.json", (0, 0), follow_symlinks=False)
    (data / "way").symlink_to(outside)
    config["retention"] = [{"path": str(data), "pattern": "*.json", "days": 90}, {"path": str(tmp_path / "none"), "pattern": "*", "days": 1}]
    assert helper.retain(config) == 0
    assert sorted(path.name for path in data.rglob("*.*")) == ["linked.json", "old.txt", "young.json"]
    assert (outside / "old.json").exists()


def test_wrong_use_shows_the_commands():
    done = subprocess.run(["python3", str(ROOT / "roles/bot_app/files/bot-helper.py"), "no"], capture_output=True, text=True)
    assert done.returncode == 64 and "bot-helper wait NAME" in done.stderr
