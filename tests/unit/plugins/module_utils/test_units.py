"""What a unit needs, decided from what systemd says of it and from what is noted."""

import os
import time

import pytest

from ansible_collections.botops.fleet.plugins.module_utils import _units

RUNS = {"ActiveState": "active", "UnitFileState": "enabled"}
UNTRIED = {"ActiveState": "inactive", "UnitFileState": "enabled", "ConditionResult": "no", "ConditionTimestampMonotonic": "0"}
RESTS = {"ActiveState": "inactive", "UnitFileState": "disabled"}


def spec(**given):
    return {"name": "x.service", "state": "started", "enabled": None, "restart_on": ["/etc/systemd/"], "reload_on": ["/etc/x/"], **given}


@pytest.mark.parametrize(
    ("given", "now", "pending", "verbs"),
    [
        ({}, RUNS, [], []),
        ({}, RESTS, [], ["start"]),
        ({"enabled": True}, RESTS, [], ["enable", "start"]),
        ({}, RUNS, ["/etc/x/conf"], ["reload"]),
        ({}, RUNS, ["/etc/y/conf"], []),
        ({}, RUNS, ["/etc/x/conf", "/etc/systemd/system/x"], ["restart"]),
        ({}, RUNS, ["/"], ["restart"]),
        # Not running: it reads everything when it starts.
        ({}, RESTS, ["/etc/x/conf"], ["start"]),
        ({"state": "kept"}, RESTS, ["/etc/x/conf", "/etc/systemd/system/x"], []),
        ({"state": "kept"}, RUNS, ["/etc/x/conf"], ["reload"]),
        ({"state": "kept", "enabled": False}, RUNS, [], ["disable"]),
        ({"state": "stopped"}, RUNS, ["/etc/x/conf"], ["stop"]),
        # chrony where the clock may not be set: asked again only when there is something new.
        ({}, {**UNTRIED, "ConditionTimestampMonotonic": "5"}, [], []),
        ({}, UNTRIED, [], ["start"]),
        ({}, {"ActiveState": "failed", "UnitFileState": "enabled", "ConditionResult": "yes"}, [], ["start"]),
        ({"enabled": True}, {"ActiveState": "active", "UnitFileState": "static"}, [], []),
    ],
)
def test_steps(given, now, pending, verbs):
    assert _units.steps(spec(**given), now, pending) == verbs


def test_a_process_and_its_age():
    mine = _units.children(os.getppid())
    assert mine[os.getpid()] == _units.started(os.getpid()) > 0
    assert _units.started(0) == 0


def test_the_last_reload(tmp_path):
    home = str(tmp_path / "reloads")
    assert _units.noted_reload("x.service", home) == 0
    for _twice in range(2):
        _units.note_reload("x.service", home)
        assert abs(_units.noted_reload("x.service", home) - time.time()) < 5
    assert _units.journal_time("") == 0
    assert _units.journal_time('{"__REALTIME_TIMESTAMP": "1700000000500000"}') == 1700000000.5


def test_the_newest_file(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, age in (("a", 100), ("sub/b", 300), ("c", 200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    assert _units.newest([str(tmp_path)]) == (300, str(tmp_path / "sub/b"))
    assert _units.newest([str(tmp_path / "c"), str(tmp_path / "none")]) == (200, str(tmp_path / "c"))
    assert _units.newest([]) == (0, "")


def test_a_unit_whose_file_is_gone(tmp_path):
    (tmp_path / "stays.service").write_text("")
    home = str(tmp_path)
    noted = [home + "/old.timer", home + "/stays.service", home + "/template@.service", home + "/x.service.d/a.conf", "/etc/x/old.service"]
    assert _units.gone(noted, home) == ["old.timer"]


@pytest.mark.parametrize(("state", "asked"), [("active", True), ("failed", True), ("inactive", False), ("", False)])
def test_it_is_stopped_and_forgotten(tmp_path, state, asked):
    commands = []

    def run(argv):
        commands.append(argv[1])
        return 0, state + "\n", ""

    (tmp_path / "timers.target.wants").mkdir()
    link = tmp_path / "timers.target.wants" / "old.timer"
    assert _units.retire(run, "old.timer", str(tmp_path)) is asked
    assert ("stop" in commands) is asked
    link.symlink_to("../old.timer")
    assert _units.retire_all(run, [str(tmp_path / "old.timer")], str(tmp_path)) == ["retire old.timer"]
    assert not link.is_symlink() and commands[-1] == "daemon-reload"
