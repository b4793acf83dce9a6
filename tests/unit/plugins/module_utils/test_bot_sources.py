"""Sources with real git repositories and archives, and what is laid over a compose file."""

import os
import pathlib
import subprocess
import types

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._bot.host import Host
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused, Unreachable
from ansible_collections.botops.fleet.plugins.module_utils._bot.sources import Archive, Git
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec

WHO = {f"GIT_{role}_{what}": "test@example.invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run_command(argv, cwd=None, environ_update=None, handle_exceptions=True, expand_user_and_vars=True):
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **(environ_update or {})}, text=True, capture_output=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def host():
    return Host(types.SimpleNamespace(check_mode=False, run_command=run_command))


def git(where, *argv):
    argv = ["git", "-c", "protocol.file.allow=always", *argv]
    return subprocess.run(argv, cwd=where, env={**os.environ, **WHO}, text=True, capture_output=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch", "main")
    (work / "bot.py").write_text("one\n")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "one")
    git(work, "tag", "-a", "v1", "-m", "one")
    (work / "bot.py").write_text("two\n")
    git(work, "commit", "--quiet", "-am", "two")
    return work


def source(host, tmp_path, version, url, key=""):
    bot = spec.public(spec.specify({"name": "paper", "module": "m", "source": {"type": "git", "url": str(url), "version": version}}, {}))
    bot["paths"]["home"] = str(tmp_path / "home")
    (tmp_path / "home").mkdir(exist_ok=True)
    return Git(host, bot, key)


def test_a_version_is_a_commit(host, tmp_path, repository):
    one, two = git(repository, "rev-parse", "v1^{commit}"), git(repository, "rev-parse", "main")
    for version, commit in (("v1", one), ("main", two), (one, one), ("", two)):
        found = source(host, tmp_path, version, repository)
        assert found.resolve() == commit
        found.fetch(commit, str(tmp_path / commit), None)
        assert (tmp_path / commit / "bot.py").read_text() == ("one\n" if commit == one else "two\n")
        assert not (tmp_path / commit / ".git").exists()


def test_what_does_not_exist_is_told_apart_from_who_does_not_answer(host, tmp_path, repository):
    with pytest.raises(Refused, match="has no branch or tag 'v9'"):
        source(host, tmp_path, "v9", repository).resolve()
    with pytest.raises(Refused, match="has no commit " + "0" * 40):
        source(host, tmp_path, "0" * 40, repository).resolve()
    with pytest.raises(Unreachable, match="cannot be read: fatal:"):
        source(host, tmp_path, "v1", tmp_path / "none").resolve()


def test_a_key_is_there_only_while_git_talks(host, tmp_path, repository):
    found = source(host, tmp_path, "v1", repository, key="-----KEY-----")
    with found.environment() as env:
        path = pathlib.Path(env["GIT_SSH_COMMAND"].rsplit(" -i ", 1)[1])
        assert path.read_text() == "-----KEY-----\n" and path.stat().st_mode & 0o777 == 0o600
        assert "KEY" not in env["GIT_SSH_COMMAND"].replace("UserKnownHostsFile", "").replace("StrictHostKeyChecking", "")
    assert not path.parent.exists()


def test_submodules_are_refused(host, tmp_path, repository):
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(repository), str(other))
    git(repository, "submodule", "--quiet", "add", str(other), "other")
    git(repository, "commit", "--quiet", "-m", "three")
    found = source(host, tmp_path, "main", repository)
    with pytest.raises(Refused, match="has submodules"):
        found.fetch(found.resolve(), str(tmp_path / "release"), None)


def test_a_download_with_another_checksum_is_not_unpacked(host, tmp_path, monkeypatch):
    from ansible_collections.botops.fleet.plugins.module_utils._bot import sources

    (tmp_path / "bot.py").write_text("x\n")
    packed = tmp_path / "bot.tar"
    subprocess.run(["tar", "-cf", packed, "-C", tmp_path, "bot.py"], check=True)
    monkeypatch.setattr(sources, "download", lambda url, handle: handle.write(packed.read_bytes()))
    given = {"type": "archive", "url": "https://example.com/bot.tar", "checksum": "sha256:" + sources.file_digest(str(packed))}
    bot = spec.public(spec.specify({"name": "paper", "module": "m", "source": given}, {}))
    archive = Archive(host, bot, "")
    archive.fetch(archive.resolve(), str(tmp_path / "good"), None)
    assert (tmp_path / "good/bot.py").read_text() == "x\n"
    bot["source"]["checksum"] = "sha256:" + "0" * 64
    with pytest.raises(Refused, match="not the declared sha256:000"):
        archive.fetch("", str(tmp_path / "bad"), None)
    assert not (tmp_path / "bad").exists()
