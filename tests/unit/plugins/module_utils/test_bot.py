"""What follows from a bot's description, which release runs, and what is on the control node: pure parts."""

import io
import json
import os
import subprocess
import tarfile

import pytest

from ansible_collections.botops.fleet.plugins.filter.bot_app import FilterModule
from ansible_collections.botops.fleet.plugins.module_utils._bot import redaction, releases
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import local, spec

BOT = {"name": "paper", "module": "paper_bot", "source": {"type": "git", "url": "u", "version": "v1"}}


def full(settings=None, **changes):
    return spec.specify({**BOT, **changes}, settings or {"host": "primary"})


# --- the description


def test_everything_carries_the_bots_name():
    bot = full()
    assert bot["unit"] == "bot-paper.service" and bot["user"] == "bot-paper"
    assert {path for key, path in bot["paths"].items() if "bot-paper" not in path} == {"/var/lib/botops/bot_app/paper"}
    assert all("bot-paper" in path for path in bot["config_paths"])


def test_the_environment_is_text_and_the_mode_has_one_source():
    env = full(env={"A": True, "B": 1.5, "C": None, "D": 0, "TRADING_MODE": "live"}, trading_mode="paper")["env"]
    assert (env["A"], env["B"], env["C"], env["D"], env["TRADING_MODE"]) == ("true", "1.5", "", "0", "paper")
    assert (env["BOT_NAME"], env["BOT_HOST"], env["BOT_DATA_DIR"]) == ("paper", "primary", "/var/lib/bot-paper")


@pytest.mark.parametrize(
    "value", ["plain", "two words", 'a"b', "a\\b", "$HOME", "`x`", "#no comment", "a=b", "it's", "", "two\nlines", "a\r\nb", 'x\nB="c"\n', "end\\"]
)
def test_quoting_for_systemd_can_be_undone(value):
    given = {"A": value, "B": "other", "C": value}
    text = spec.quote_environment(given)
    assert text.startswith('A="') and text.endswith('"\n')
    assert redaction.read_environment(text) == given


def test_compose_takes_no_dollar_for_a_variable():
    bot = full(mode="compose", module="", secrets={"KEY": "a$b${C}"}, ports=["127.0.0.1:1:2"], memory_mb=64)
    service = spec.compose_override(bot)["services"]["bot"]
    assert service["environment"]["KEY"] == "a$$b$${C}"
    assert service["restart"] == "no" and "ports" not in service


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"module": "a.b"}, "/opt/bot-paper/current/.venv/bin/python -m a.b"),
        ({"module": "", "command": "trade --fast x"}, "/usr/bin/env trade --fast x"),
        ({"module": "", "command": ["node", "bot.js"]}, '/usr/bin/env node "bot.js"'),
        ({"module": "", "command": ["bin/run", "a b", "50%", "$X"]}, '/opt/bot-paper/current/bin/run "a b" "50%%" "$$X"'),
        ({"module": "", "command": "bin/run"}, "/opt/bot-paper/current/bin/run"),
        ({"module": "", "command": "/usr/bin/env x"}, "/usr/bin/env x"),
    ],
)
def test_command_lines(given, line):
    assert spec.exec_start(full(**given)) == line


def test_secrets_are_in_secret_files_only():
    for changes in ({}, {"secrets_via": "credentials"}, {"mode": "compose", "module": ""}):
        entries = spec.files(full(secrets={"KEY": "canary"}, **changes))
        holders = [entry for entry in entries if "canary" in json.dumps(entry)]
        assert holders and all(entry["mode"] == "0600" and "canary" in entry["secret_content"] for entry in holders)


def test_an_exception_takes_a_directive_and_its_second_line_out():
    names = [name for name, _value in spec.sandbox(full(sandbox_exceptions=["SystemCallFilter", "ProcSubset"]))]
    assert "SystemCallFilter" not in names and "ProcSubset" not in names and "ProtectSystem" in names
    assert [name for name, _value in spec.sandbox(full())].count("SystemCallFilter") == 2


def test_what_restarts_a_bot():
    assert full()["restart_paths"] == ["/etc/bot-paper/env", "/etc/bot-paper/secrets.env", "/etc/systemd/system/bot-paper.service"]


def test_the_version_of_a_run_replaces_the_declared_one():
    assert full({"version": "v2"})["source"]["version"] == "v2"
    archive = full({"version": "2"}, source={"type": "archive", "path": "bot-{version}.tar", "version": "1"})["source"]
    assert archive["path"] == "bot-2.tar"


def test_checks_follow_the_state():
    filters = FilterModule().filters()
    ids = lambda **changes: [check["id"] for check in filters["bot_checks"]([{**BOT, **changes}], {})]  # noqa: E731
    assert ids() == ["bot-paper-secrets", "bot-paper-sandbox", "bot-paper", "bot-paper-health"]
    assert "bot-paper-sandbox" not in ids(mode="compose"), "Docker is what runs there, and no sandbox of ours"
    assert ids(state="stopped") == ["bot-paper-secrets", "bot-paper"]
    assert ids(managed_by="cluster") == ["bot-paper-secrets"]


def test_only_chosen_bots_and_their_keys():
    bots = [{**BOT, "source": {**BOT["source"], "deploy_key": "k"}}, {**BOT, "name": "other"}]
    filters = FilterModule().filters()
    assert [bot["name"] for bot in filters["bot_specs"](bots, {"only": "other"})] == ["other"]
    assert filters["bot_deploy_keys"](bots, {}) == {"paper": "k"}


# --- which release


def test_an_id_is_the_content_and_how_it_is_built():
    commit = "a" * 40
    first = releases.release_id(full(), commit)
    assert first.startswith("a" * 12 + "-") and first == releases.release_id(full(env={"A": "x"}, memory_mb=64), commit)
    assert first != releases.release_id(full(python="python3.12"), commit)
    assert first != releases.release_id(full(), "b" * 40)


def choose(desired="b", known=("a", "b"), state=None, config="c", rollback="", explicit=False):
    return releases.choose(full(), desired, list(known), state or {}, config, rollback, explicit)


def test_what_is_declared_runs():
    assert choose() == ("b", None, [])


def test_a_rollback_holds_until_something_else_is_wanted():
    state = {"current": "b", "history": ["a", "b"]}
    target, pin, _ = choose(state=state, rollback="previous")
    assert (target, pin) == ("a", {"release": "a", "instead_of": ["b"]})
    state = {"current": "a", "history": ["b", "a"], "pin": pin}
    target, kept, warnings = choose(state=state)
    assert (target, kept) == ("a", pin) and "b was rolled back" in warnings[0]
    assert choose(desired="c", state=state)[:2] == ("c", None)
    assert choose(state=state, explicit=True)[:2] == ("b", None)
    assert choose(state=state, known=("b",))[:2] == ("b", None), "what it held to is gone"


def test_rollback_by_the_beginning_of_an_id():
    assert choose(known=("aa-1", "ab-1"), rollback="aa")[0] == "aa-1"
    for wanted, sentence in (("a", "more than one release a to go back to"), ("x", "no release x"), ("previous", "no previous release")):
        with pytest.raises(Refused, match=sentence):
            choose(known=("aa-1", "ab-1"), rollback=wanted)


def test_a_failed_release_is_not_tried_again_by_itself():
    state = {"current": "a", "failed": {"release": "b", "config": "c", "at": "noon"}}
    with pytest.raises(Refused, match="failed its health check on noon"):
        choose(state=state)
    assert choose(state=state, explicit=True)[0] == "b"
    assert choose(state=state, config="changed")[0] == "b"
    assert choose(state={**state, "current": None})[0] == "b", "with nothing that runs there is nothing to protect"


def test_old_releases_go_and_protected_ones_stay():
    assert releases.expired(["a", "b", "c", "d"], ["b", "a", "c", "d"], 2, {"d"}) == ["b", "a"]
    assert releases.expired(["a", "b", "c"], ["a", "b", "c"], 2, {"a"}) == []
    assert releases.expired(["x", "a"], ["a"], 1, set()) == ["x"], "one that never ran goes first"
    assert releases.remember(["a", "b"], "a") == ["b", "a"]


# --- the control node


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "bot"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/a.py").write_text("a = 1\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("pkg/a.py")
    return root


def test_a_directory_is_named_by_its_content(tree):
    digest, size = local.describe(str(tree), "")
    assert digest.startswith("sha256:") and size == 16
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__/a.pyc").write_text("x")
    (tree / ".git").mkdir()
    (tree / ".git/HEAD").write_text("x")
    os.utime(tree / "pkg/a.py", (1, 1))
    assert local.describe(str(tree), "")[0] == digest, "neither caches nor times are content"
    (tree / "run.sh").chmod(0o644)
    without_bit = local.describe(str(tree), "")[0]
    (tree / "pkg/a.py").write_text("a = 2\n")
    assert len({digest, without_bit, local.describe(str(tree), "")[0]}) == 3


def test_a_directory_is_packed_without_a_trace_of_the_machine(tree):
    packed = io.BytesIO()
    local.pack(str(tree), packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        members = {member.name: member for member in archive}
    assert sorted(members) == ["link", "pkg/a.py", "run.sh"]
    assert {(member.uid, member.mtime, member.uname) for member in members.values()} == {(0, 0, "")}
    assert (members["run.sh"].mode, members["pkg/a.py"].mode, members["link"].linkname) == (0o755, 0o644, "pkg/a.py")


def test_files_and_their_checksums(tree, tmp_path):
    path = str(tree / "run.sh")
    digest = "sha256:" + subprocess.run(["sha256sum", path], text=True, capture_output=True, check=True).stdout.split()[0]
    assert local.describe(path, digest) == (digest, 10)
    (tmp_path / "empty").mkdir()
    for given, checksum, sentence in (
        (path, "sha256:" + "0" * 64, "not the declared"),
        (str(tree), digest, "is a directory; leave it out"),
        (str(tmp_path / "none"), "", "does not exist on the control node"),
        (str(tmp_path / "empty"), "", "is an empty directory"),
    ):
        with pytest.raises(Refused, match=sentence):
            local.describe(given, checksum)
