"""What the engine on a host has read: the module's view, with systemctl's answers scripted."""

from __future__ import annotations

import json
import os
import time

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._docker import running


class Module:
    check_mode = False

    def __init__(self, state="active", started=0.0, running_config=None, path="/nonexistent"):
        self.answer = "ActiveState=%s\nMainPID=812\nExecMainStartTimestampMonotonic=%d\n" % (state, started * 1e6)
        self.params = {"config_file": str(path), "running_config": running_config}

    def run_command(self, argv):
        assert argv[:2] == ["systemctl", "show"]
        return 0, self.answer, ""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "RECORD", str(tmp_path / "record.json"))
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({"debug": True}))
    return path


def test_nothing_runs(config):
    assert running.known_config(Module("inactive"), str(config)) is None


def test_started_after_the_file_was_written(config):
    os.utime(config, (time.time() - 60, time.time() - 60))
    assert running.known_config(Module(started=time.monotonic() - 30), str(config)) == {"debug": True}


def test_the_file_was_written_since(config):
    module = Module(started=time.monotonic() - 30, path=config)
    assert running.known_config(module, str(config)) is None
    # Booted since the last run, and changed by this one: what was looked up before the change counts.
    module.params["running_config"] = {"debug": False}
    assert running.Engine(module).running_config() == {"debug": False}


def test_a_note_survives_changes_of_the_file(config):
    module = Module(started=time.monotonic() - 30, path=config)
    running.Engine(module).note({"debug": False})
    assert running.known_config(module, str(config)) == {"debug": False}
    assert running.known_config(Module(started=time.monotonic() - 10), str(config)) is None
