"""What the unit of a compose bot runs: whose end is the bot's, who is started again, and what is said about it."""

import importlib.util
import pathlib
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("bot_compose", ROOT / "roles/bot_app/files/bot-compose.py")
program = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(program)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "releases/abc/.botops").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/abc")
    compose = {"file": "compose.yml", "service": "bot", "profiles": ["prod"], "stop_seconds": 20, "env_file": str(tmp_path / "env"), "override": "/etc/o.yml"}
    return {"name": "paper", "current": str(tmp_path / "current"), "compose": compose}


class Process:
    """A container whose process is a real one, so that its end is seen as that of a real one is."""

    def __init__(self, service, policy="on-failure", argv=("sleep", "60"), code=None):
        self.done = subprocess.Popen(argv)
        self.container = program.Container(service, {program.SERVICE_LABEL: service, program.RESTART_LABEL: policy})
        self.container.state = self.state
        self.started, self.code = 1, code

    def state(self):
        code = self.done.poll()
        return {"Running": code is None, "Pid": self.done.pid, "ExitCode": self.code if self.code is not None else code, "OOMKilled": False, "Error": ""}


@pytest.fixture
def bot(config, monkeypatch):
    class Silent:
        lock, latest = program.Logs.lock, None

        def __init__(self, *_):
            self.thread = self

        def join(self, *_):
            pass

        def is_alive(self):
            return False

    monkeypatch.setattr(program, "OVER", threading.Event())
    monkeypatch.setattr(program, "last_lines", lambda _container: "")

    monkeypatch.setattr(program, "Logs", Silent)
    made = program.Bot(config)
    reading, writing = program.os.pipe2(program.os.O_NONBLOCK)
    made.wakeup = reading
    made.logs = {name: Silent() for name in ("bot", "redis", "certbot")}
    yield made
    program.os.close(reading)
    program.os.close(writing)


def test_the_files_of_a_release_in_their_order(config, tmp_path):
    (tmp_path / "env").write_text("A=1\n")
    words = program.command(config, ["ps"])
    root = str(tmp_path / "releases/abc")
    assert words == [
        "docker", "compose", "--project-name", "bot-paper", "--project-directory", root, "--env-file", str(tmp_path / "env"), "--profile", "prod",
        "--file", root + "/compose.yml", "--file", root + "/.botops/overlay.yml", "--file", "/etc/o.yml", "ps",
    ]  # fmt: skip
    assert "/etc/o.yml" not in program.command(config, ["config"], release="/x", plain=True)


def test_nothing_that_surrounds_the_caller_fills_a_variable(monkeypatch):
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("DOCKER_CONFIG", "/run/x")
    assert set(program.environment()) == {"PATH", "HOME", "LANG", "DOCKER_CONFIG"}


def test_the_bots_own_end_is_the_units(bot, capsys):
    processes = [Process("bot", argv=["sh", "-c", "exit 3"]), Process("redis")]
    assert bot.watch([process.container for process in processes]) == 3
    assert "the service bot ended with exit code 3" in capsys.readouterr().out
    processes[1].done.kill()
    processes[1].done.wait()


@pytest.mark.parametrize("late", [False, True])
def test_the_bots_last_words_stand_last_whoever_writes_after_them(config, tmp_path, monkeypatch, capfdbinary, late):
    """A sidecar whose log is read later, or the bot's own that is."""
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        "*--tail*bot) echo 'no strategy was found' ;;\n"
        f"*--follow*bot) {'sleep 5' if late else 'echo no strategy was found'} ;;\n"
        "*redis) sleep 0.2; seq -f 'line %g' 20 ;;\nesac\n"
    )
    docker.chmod(0o755)
    monkeypatch.setitem(program.ENVIRONMENT, "PATH", f"{tmp_path}:{program.ENVIRONMENT['PATH']}")
    monkeypatch.setattr(program, "OVER", threading.Event())
    processes = [Process("bot", argv=["sh", "-c", "exit 3"]), Process("redis")]
    made = program.Bot(config)
    made.logs = {process.container.service: program.Logs(process.container, "" if process is processes[0] else "redis | ") for process in processes}
    processes[0].done.wait()
    made.logs["redis"].thread.join(0.5)  # has written by now
    assert made.ended(processes[0].container) == 3
    said = capfdbinary.readouterr().out.decode().splitlines()
    assert "redis | line 20" in said
    assert said[-2:] == ["no strategy was found", "<3>the service bot ended with exit code 3"]
    processes[1].done.kill()
    processes[1].done.wait()


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("on-failure", 1, True), ("on-failure", 0, False), ("always", 0, True), ("unless-stopped", 0, True), ("no", 1, False)],
)
def test_who_is_started_again(bot, capsys, policy, code, again):
    process = Process("redis", policy, ["sh", "-c", "exit %d" % code])
    process.done.wait()
    assert bot.ended(process.container) is None
    assert bool(process.container.start_at) is again
    said = capsys.readouterr().out
    assert ("; starting it again" in said) is again and "exit code %d" % code in said


def test_a_sidecar_is_started_again_while_the_bot_runs(bot, monkeypatch):
    main, sidecar = Process("bot"), Process("redis", argv=["false"])

    def engine(method, path):
        assert (method, path) == ("POST", "/containers/redis/start")
        sidecar.done = subprocess.Popen(["sleep", "60"])
        main.done.terminate()

    monkeypatch.setattr(program, "engine", engine)
    sidecar.container.pause = 0.1
    started = time.monotonic()
    assert bot.watch([main.container, sidecar.container]) == -15
    assert time.monotonic() - started < 5
    sidecar.done.kill()
    sidecar.done.wait()
    main.done.wait()


def test_a_container_that_runs_again_is_followed(bot):
    process = Process("bot")
    assert process.container.verdict() is None and process.container.descriptor is not None
    process.container.close()
    process.done.kill()
    process.done.wait()


def test_an_engine_that_is_away_is_waited_for(bot, monkeypatch):
    process, asked = Process("bot", argv=["sh", "-c", "exit 9"]), []
    process.done.wait()
    real = process.state

    def state():
        asked.append(1)
        if len(asked) < 3:
            raise ConnectionRefusedError
        return real()

    process.container.state = state
    assert process.container.verdict()["ExitCode"] == 9 and len(asked) == 3


def test_for_want_of_memory():
    assert program.ending({"ExitCode": 137, "OOMKilled": True}) == "exit code 137 for want of memory"


def test_wrong_use_shows_the_commands():
    done = subprocess.run(["python3", str(ROOT / "roles/bot_app/files/bot-compose.py"), "up"], capture_output=True, text=True)
    assert done.returncode == 64 and "bot-compose up NAME" in done.stderr
