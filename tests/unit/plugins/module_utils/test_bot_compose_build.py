"""How a compose file is read and its directories are made, on a host that is played."""

import json
import os

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._bot.compose_build import Compose, freshen
from ansible_collections.botops.fleet.plugins.module_utils._bot.host import Host
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused
from ansible_collections.botops.fleet.plugins.module_utils._bot.shared import share
from ansible_collections.botops.fleet.plugins.module_utils._bot.web import Web
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec

WARNING = 'time="x" level=warning msg="The \\"JWT_SECRET\\" variable is not set. Defaulting to a blank string."\n'


class Played(Host):
    """Answers from a list of (words that a command has, answer), and keeps what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked, self.check_mode = list(answers), [], False

    def run(self, argv, cwd=None, env=None):
        self.asked.append(argv)
        for number, (words, answer) in enumerate(self.answers):
            if all(word in argv for word in words):
                if len(self.answers) > 1:
                    self.answers.pop(number)
                return answer
        return 0, "", ""


def bot(tmp_path, **changes):
    found = spec.public(spec.specify({"name": "paper", "mode": "compose", "source": {"type": "git", "url": "u"}, **changes}, {}))
    found["paths"] = {key: str(tmp_path / key) for key in found["paths"]}
    return found


@pytest.fixture
def release(tmp_path):
    root = tmp_path / "releases/abc"
    (root / ".botops").mkdir(parents=True)
    (root / "compose.yml").write_text("services: {}\n")
    return root


def test_a_missing_env_file_is_the_declared_one(tmp_path, release):
    missing = (1, "", f"env file {release}/conf/.env not found: stat {release}/conf/.env: no such file or directory")
    host = Played((["config"], missing), (["config"], (0, '{"services": {}}', "")), (["never"], None))
    assert Compose(host, bot(tmp_path)).read(str(release)) == {"services": {}}
    assert os.readlink(release / "conf/.env") == str(tmp_path / "etc/compose.env")


def test_an_env_file_outside_of_the_release_is_not_made(tmp_path, release):
    host = Played((["config"], (1, "", "env file /srv/other.env not found: no such file")))
    with pytest.raises(Refused, match="env file /srv/other.env not found"):
        Compose(host, bot(tmp_path)).read(str(release))


def test_a_variable_that_nothing_sets_is_refused(tmp_path, release):
    host = Played((["config"], (0, '{"services": {}}', WARNING)))
    with pytest.raises(Refused, match=r"compose.yml uses \$\{JWT_SECRET\}, and nothing sets it; give it under env or secrets"):
        Compose(host, bot(tmp_path)).read(str(release))


def test_a_file_of_another_name(tmp_path, release):
    (release / "docker-compose.yml").write_text("")
    with pytest.raises(Refused, match="has no such file; it has compose.yml, docker-compose.yml: name it in compose_file"):
        Compose(Played(), bot(tmp_path, compose_file="prod.yml")).read(str(release))


def test_a_service_that_a_migration_needs_and_that_fails_is_told(tmp_path, release):
    config = {"services": {"bot": {"depends_on": {"db": {"condition": "service_healthy"}}}, "db": {}}}
    state = json.dumps({"Status": "exited", "ExitCode": 3})
    host = Played(
        (["config"], (0, json.dumps(config), "")), (["ps", "--all"], (0, "c0ffee\n", "")), (["inspect"], (0, state, "")),
        (["logs"], (0, "no space left\n", "")), ([], (0, "", "")),
    )  # fmt: skip
    with pytest.raises(Refused, match="service db, which bot depends on, ended with exit code 3:\nno space left"):
        Compose(host, bot(tmp_path)).task(str(release), ["migrate"])
    assert host.asked[-1][-2:] == ["down", "paper"], "what was started for it does not stay"


def test_no_file_of_a_release_is_taken_for_another_releases(tmp_path):
    times = []
    for number in (1, 2):
        path = tmp_path / str(number) / "app/version.py"
        path.parent.mkdir(parents=True)
        path.write_text(str(number))
        os.utime(path, (0, 0))
        freshen(str(tmp_path / str(number)))
        times.append(path.stat().st_mtime_ns)
    assert 0 < times[0] < times[1]


def test_shared_paths_are_links_and_the_first_content_stays(tmp_path):
    made = bot(tmp_path, shared=["state", "logs", "deep/er"])
    for number in (1, 2):
        root = tmp_path / f"releases/{number}"
        (root / "state").mkdir(parents=True)
        (root / "state/count").write_text(str(number))
        share(Played(), made, str(root))
        assert (root / "state/count").read_text() == "1"
    assert os.readlink(root / "logs") == str(tmp_path / "logs") and os.readlink(root / "deep/er") == str(tmp_path / "data/deep/er")


def test_a_front_end_is_a_copy_for_everybody(tmp_path):
    made, root = bot(tmp_path, web_root="dist"), tmp_path / "releases/abc"
    with pytest.raises(Refused, match="web_root is dist, which the release does not have"):
        Web(Played(), made).build(str(root))
    (root / "dist").mkdir(parents=True)
    (root / "dist/index.html").write_text("one")
    web = Web(Played(), made)
    web.build(str(root))
    web.point("abc")
    assert (tmp_path / "web/current/index.html").read_text() == "one"
    (root / "dist/secret").symlink_to("/etc/shadow")
    with pytest.raises(Refused, match="holds the link secret; only files are published"):
        web.build(str(root))
    assert (tmp_path / "web/current/index.html").read_text() == "one"
    web.forget("abc")
    assert not (tmp_path / "web/releases/abc").exists()


class Shown:
    def own(self, path):
        return "/data/" in path


def test_what_a_service_sees_of_a_release_is_readable_whoever_it_runs_as(tmp_path, release):
    (release / "dist").mkdir(mode=0o750)
    Compose(host := Played(), bot(tmp_path)).show(Shown(), str(release), "dist", "nginx")
    assert host.asked == [["chmod", "-R", "o+rX", "--", str(release / "dist")]]


def test_a_link_out_of_the_release_is_refused_by_its_name_and_one_to_the_bots_own_is_left_alone(tmp_path, release):
    for name, aim in (("data", tmp_path / "data/x"), (".env", tmp_path / "etc/compose.env"), ("secrets", "/etc/shadow")):
        (release / name).symlink_to(aim)
    made = Compose(host := Played(), bot(tmp_path))
    for name in ("data", ".env"):
        made.show(Shown(), str(release), name, "nginx")
    assert host.asked == []
    with pytest.raises(Refused, match=r"service nginx mounts ./secrets, which is a link out of the release, to /etc/shadow; mount that path by its name"):
        made.show(Shown(), str(release), "secrets", "nginx")
