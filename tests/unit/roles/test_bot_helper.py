"""The helper that a bot's units call, with a real endpoint and real files."""

import http.server
import importlib.util
import json
import os
import pathlib
import socket
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
    health = {"url": url, "timeout_seconds": 1, "interval_seconds": 10, "failures": 2, "probe_seconds": 1, "unwell_seconds": 20}
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


def silent(config):
    """A port that takes connections and answers nothing, as a bot that is stopped in its tracks."""
    listening = socket.create_server(("127.0.0.1", 0))
    config["health"]["url"] = "http://127.0.0.1:%d/health" % listening.getsockname()[1]
    return listening


KILL = ["systemctl", "kill", "--signal=SIGKILL", "bot-paper.service"]


def test_a_bot_that_does_not_answer_is_killed_in_one_check(config, systemd):
    with silent(config):
        started = time.monotonic()
        assert helper.check(config) == 0
    assert systemd[1] == [KILL] and 2 <= time.monotonic() - started < 4


def test_one_that_refuses_is_given_as_long_as_one_that_is_silent(config, systemd):
    silent(config).close()
    pauses = []
    helper.check(config, clock=lambda: 5.0, pause=pauses.append)
    assert pauses == [1] and systemd[1] == [KILL]


def test_one_answer_in_between_is_enough(config, endpoint, systemd):
    url = config["health"]["url"]
    silent(config).close()
    helper.check(config, pause=lambda _seconds: config["health"].update(url=url))
    assert systemd[1] == []


def test_a_bot_that_says_that_it_is_unwell_has_time(config, endpoint, systemd):
    now = [1000.0]
    endpoint.status = 503
    for seconds, killed in ((0, False), (10, False), (9, False), (2, True)):
        now[0] += seconds
        helper.check(config, clock=lambda: now[0])
        assert (systemd[1] == [KILL]) is killed
    systemd[1].clear()
    endpoint.status = 200
    helper.check(config, clock=lambda: now[0])
    endpoint.status = 503
    helper.check(config, clock=lambda: now[0])
    assert systemd[1] == [], "it was well in between"


def test_a_new_start_is_a_new_count_and_a_stopped_bot_is_left_alone(config, endpoint, systemd):
    state, kills = systemd
    endpoint.status = 503
    helper.check(config, clock=lambda: 0.0)
    state["InvocationID"] = "two"
    helper.check(config, clock=lambda: 30.0)
    assert kills == []
    state["ActiveState"] = "inactive"
    helper.check(config, clock=lambda: 90.0)
    assert kills == []


def test_a_compose_bot_is_killed_in_its_container(config, systemd, monkeypatch):
    class Done:
        returncode = 0

    calls = []
    monkeypatch.setattr(helper.subprocess, "run", lambda argv, check: calls.append(argv) or Done)
    config["compose"] = {"service": "bot"}
    with silent(config):
        helper.check(config)
    assert calls == [[helper.COMPOSE, "kill", "paper"]]


def asked(config, **health):
    config["health"].update({"url": "", **health})
    return helper.probe(config)


def test_a_port_decides(config):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "127.0.0.1:%d" % listening.getsockname()[1]
        assert asked(config, tcp=address) is None
    assert "refused" in asked(config, tcp=address)


@pytest.mark.parametrize(("age", "said"), [(5, None), (500, "no order for 50")])
def test_a_bot_that_answers_and_does_not_trade_is_unwell(age, said):
    why = helper.order_age('{"last_order": %r}' % (time.time() - age), 60, 0)
    assert why is None if said is None else isinstance(why, helper.Unwell) and said in why


@pytest.mark.parametrize("text", ['{"status": "ok"}', "fine", "[]"])
def test_an_answer_that_does_not_say_when_it_traded_is_no_answer(text):
    assert "no last_order" in helper.order_age(text, 60, 0)
    assert helper.order_age('{"last_order": null}', 60, 0) is None, "it has not traded yet"


def test_a_quiet_market_is_counted_from_the_start():
    old = '{"last_order": %d}' % (time.time() - 5000)
    assert helper.order_age(old, 60, time.time() - 10) is None
    assert "no order for 9" in helper.order_age(old, 60, time.time() - 90.5)


def test_the_age_of_orders_is_asked_of_a_running_bot_and_not_of_a_start(config, endpoint):
    config["health"]["order_age_seconds"] = 60
    assert "no last_order" in helper.probe(config) and helper.probe(config, since=time.time()) is None


def test_the_age_of_a_file_decides(config, tmp_path):
    path = tmp_path / "beat"
    file_age = {"path": str(path), "seconds": 5}
    assert "No such file" in asked(config, file_age=file_age)
    path.write_text("x")
    assert asked(config, file_age=file_age) is None
    assert "was not written since the start" in helper.probe(config, since=time.time() + 1)
    os.utime(path, (time.time() - 60,) * 2)
    assert "last written 60 s ago, more than 5" in asked(config, file_age=file_age)


def test_a_command_decides(config, monkeypatch):
    monkeypatch.setattr(helper.os, "geteuid", lambda: 1000)
    assert asked(config, command=["true"]) is None
    assert asked(config, command=["sh", "-c", "echo no orders; exit 3"]) == "exit code 3: no orders"
    assert asked(config, command=["sleep", "5"]) == "no answer within 1 s"
    assert "No such file" in asked(config, command=["/nonexistent"])


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
