"""Home directories of people are closed, and nothing else is touched."""

import os
import pwd
import stat
from types import SimpleNamespace

import pytest

from ansible_collections.botops.fleet.plugins.modules import admin_users

UID = os.getuid()


def entry(name, home, shell="/bin/bash", uid=UID):
    return SimpleNamespace(pw_name=name, pw_uid=uid, pw_gid=os.getgid(), pw_dir=str(home), pw_shell=shell)


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Two people, a service and the system's own; the test's user stands for all of them."""
    people = [
        entry("ops", tmp_path / "ops"),
        entry("gone", tmp_path / "gone"),
        entry("bot-x", tmp_path / "bot-x", "/usr/sbin/nologin"),
        entry("daemon", tmp_path / "daemon", uid=UID - 1),
    ]
    for name in ("ops", "bot-x", "daemon"):
        (tmp_path / name).mkdir(mode=0o755)
        (tmp_path / name).chmod(0o755)
        (tmp_path / name / ".profile").write_text("")
        (tmp_path / name / ".profile").chmod(0o664)
    (tmp_path / "ops/notes").write_text("")
    (tmp_path / "ops/notes").chmod(0o644)
    (tmp_path / "target").write_text("")
    (tmp_path / "target").chmod(0o644)
    (tmp_path / "ops/.linked").symlink_to(tmp_path / "target")
    monkeypatch.setattr(pwd, "getpwall", lambda: people)
    monkeypatch.setattr(admin_users, "FIRST_PERSON", UID)
    return tmp_path


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def close(check_mode=False):
    accounts = admin_users.Accounts(SimpleNamespace(check_mode=check_mode))
    accounts.close_homes()
    return accounts


def test_people_get_a_closed_home(homes):
    assert close().accounts == ["ops"]
    assert (mode(homes / "ops"), mode(homes / "ops/.profile"), mode(homes / "ops/notes")) == ("0o750", "0o640", "0o644")
    assert (mode(homes / "bot-x"), mode(homes / "daemon"), mode(homes / "target")) == ("0o755", "0o755", "0o644")
    assert close().accounts == [], "a second time nothing is left to do"


def test_check_mode_only_tells(homes):
    told = close(check_mode=True)
    assert told.accounts == ["ops"] and any("0755" in line for line in told.before) and any("0750" in line for line in told.after)
    assert mode(homes / "ops") == "0o755"
