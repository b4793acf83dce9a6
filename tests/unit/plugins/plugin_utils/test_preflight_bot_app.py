"""Every sentence names the variable and what to write instead; sound variables give none."""

import pathlib
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils._bot.spec import public, specify
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight.bot_app_live import check as live
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight.bot_app_removal import check as removal
from preflight_harness import refusals, typed_values

ROOT = pathlib.Path(__file__).resolve().parents[4]
CASES = yaml.safe_load((ROOT / "tests/integration/bad_input/bot_app.yml").read_text())
LEFT_OUT = object()
GIT = {"type": "git", "url": "https://example.com/bot.git", "version": "v1"}
# Judged by argument_specs, or only where the host or the control node's files are seen.
ELSEWHERE = ("does not exist on", "cannot be read", "not installed",
             "MB are free", "hours of healthy", "to go back to")  # fmt: skip


def said(*bots, **values):
    return refusals("bot_app", bot_app_bots=list(bots), **{"bot_app_" + key: value for key, value in values.items()})


def bot(**changes):
    found = {"name": "paper", "module": "paper_bot", "source": GIT, **changes}
    return {key: value for key, value in found.items() if value is not LEFT_OUT}


@pytest.mark.parametrize(
    "good",
    [
        bot(),
        bot(module=LEFT_OUT, command="trade --fast", env={"A": 1, "B": True}, secrets={"KEY": "x"}, secrets_via="credentials"),
        bot(source={"type": "archive", "path": "dist/bot-{version}.tar.gz", "version": "1.2"}),
        bot(source={"type": "archive", "url": "https://example.com/x.tgz", "checksum": "sha256:" + "0" * 64}),
        bot(mode="compose", module=LEFT_OUT, source={"type": "image", "image": "r/bot", "version": "1"}, ports=["127.0.0.1:80:80", "[::1]:81:81/tcp"]),
        bot(retention=[{"path": "/var/lib/bot-paper/history", "pattern": "*.json", "days": 1}], state="stopped"),
        bot(read_write_paths=["/srv/market"], python="python3.12", uid=2000),
    ],
)
def test_sound_variables_are_accepted(good):
    assert said(good) == []


@pytest.mark.parametrize("case", [case for case in CASES if not any(word in case["expect"] for word in ELSEWHERE)], ids=lambda case: case["name"])
def test_the_cases_of_the_table(case):
    variables = case["vars"]
    sentences = removal({"name": variables["bot_app_remove"]}) if case.get("tasks_from") == "remove" else refusals("bot_app", **variables)
    assert any(re.search(case["expect"], sentence) for sentence in sentences), sentences
    assert all("\n" not in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": {"type": "git", "url": ""}}, "source.url is missing"),
        ({"source": {**GIT, "version": "--upload-pack=x"}}, "is not a branch, tag or commit"),
        ({"source": {**GIT, "version": "abc1234"}}, "looks like a shortened commit"),
        ({"source": {"type": "archive"}}, "source needs either path"),
        ({"source": {"type": "archive", "path": "x", "deploy_key": "k"}}, "source.deploy_key is for type git"),
        ({"module": "bad; rm"}, "give a Python module's dotted name"),
        ({"ports": ["127.0.0.1:1:1"]}, "ports is for mode compose"),
        ({"mode": "compose"}, "module is for mode systemd"),
        ({"mode": "compose", "module": LEFT_OUT, "secrets_via": "credentials"}, "secrets_via credentials needs mode systemd"),
        ({"mode": "compose", "module": LEFT_OUT, "ports": ["x"]}, "write ADDRESS:PORT:PORT"),
        ({"compose_file": "../x.yml"}, "give a path inside the release"),
        ({"health": {"failures": 0}}, "health.failures is 0"),
        ({"memory_mb": 1}, "memory_mb is 1: give 32 or more"),
        ({"cpus": 0}, "cpus is 0"),
        ({"cpus": 0.005}, "cpus is 0.005: give a number of processors from 0.01 to 256"),
        ({"cpus": "half"}, "bot_app_bots[0].cpus: must be one number, not the text 'half'"),
        ({"memory_mb": "512M"}, "bot_app_bots[0].memory_mb: must be one whole number"),
        ({"memory_mb": None}, "bot_app_bots[0].memory_mb: has no value (null)"),
        ({"command": "run\nUser=root", "module": LEFT_OUT}, "bot_app_bots[0].command: holds a line break"),
        ({"read_write_paths": "/srv/a"}, "bot_app_bots[0].read_write_paths: must be a list"),
        ({"read_write_paths": ["/srv/a /etc"]}, "give a path without white space and quotes"),
        ({"uid": 0}, "uid is 0, which is root"),
        ({"uid": 7}, "uid is 7: give a number from 100 to 59999"),
        ({"secrets": {"TRADING_MODE": "live"}}, "secrets sets TRADING_MODE; the role sets it itself: set trading_mode instead"),
        ({"env": {"BOT_NAME": "x"}}, "env sets BOT_NAME; the role sets it itself: it is the bot's name"),
        ({"compose_file": "a b.yml"}, "give a path without white space and quotes"),
        ({"service": "a b"}, "give the name of a service in the compose file"),
        ({"retention": [{"path": "/var/lib/bot-paper", "days": 1}]}, "bot_app_bots[0].retention[0].pattern: is missing"),
        ({"keep_releases": 1}, "keep_releases is 1: give 2 or more"),
        ({"env": {"A-B": "x"}}, "a variable's name is letters, digits and _"),
        ({"env": {"KEY": "x"}, "secrets": {"KEY": "y"}}, "KEY is in env and in secrets"),
        ({"state": "stopped", "enabled": True}, "it would start at the next boot"),
        ({"managed_by": "cluster", "enabled": True}, "the cluster starts this bot"),
        ({"retention": [{"path": "/var/log", "pattern": "*.log", "days": 1}]}, "is not below a path of the bot"),
        ({"logs": {"max_mb": 0}}, "logs.max_mb is 0"),
        ({"python": "python2"}, "give python3 or a version"),
    ],
)
def test_other_sentences(changes, sentence):
    sentences = said(bot(**changes))
    assert any(sentence in line for line in sentences), sentences


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"only": "other"}, "bot_app_only is other, which is not in bot_app_bots"),
        ({"rollback": "previous"}, "bot_app_rollback is for one bot"),
        ({"only": "paper", "rollback": "../x"}, "bot_app_rollback is '../x'"),
        ({"only": "paper", "rollback": "previous", "version": "v1"}, "exclude each other"),
        ({"paper_hours": -1}, "bot_app_paper_hours is -1"),
    ],
)
def test_what_concerns_the_run(values, sentence):
    two = bot(name="two", health={"url": "http://127.0.0.1:8081/health"})
    assert any(sentence in line for line in said(bot(), two, **values))


@pytest.mark.parametrize("suffix", ["health", "retention", "task"])
def test_a_bot_whose_unit_belongs_to_another(suffix):
    other = bot(name="paper-" + suffix, health={"url": "http://127.0.0.1:8081/health"})
    assert said(bot(), other) == [
        f"bot_app_bots: bot-paper-{suffix} belongs to the bot paper; give the bot paper-{suffix} another name."
    ]


def test_what_bots_share_is_seen_when_one_of_them_is_deployed():
    assert "paper and two share the health port 8080" in said(bot(), bot(name="two"), only="two")[0]


def test_numbers_written_as_text():
    found = typed_values("bot_app", bot_app_bots=[bot(cpus="0.5", memory_mb="256", enabled="no", health={"failures": "2"})], bot_app_ha="no")
    assert found["ha"] is False
    (typed,) = found["bots"]
    assert (typed["cpus"], typed["memory_mb"], typed["enabled"], typed["health"]["failures"]) == (0.5, 256, False, 2)
    assert "user" not in typed and "retention" not in typed


def test_a_secret_never_reaches_the_checks():
    spec = public(specify(bot(secrets={"KEY": "canary"}, source={**GIT, "deploy_key": "canary"}), {}))
    assert "canary" not in repr(spec)
    assert spec["secret_names"] == ["KEY"] and spec["source"]["has_deploy_key"] is True


@pytest.mark.parametrize("name, refused", [("paper", False), ("", True), ("../x", True), ("Paper Bot", True)])
def test_only_a_bot_is_removed(name, refused):
    said = removal({"name": name})
    assert bool(said) is refused and all("name the bot to take off the host" in sentence for sentence in said)


# --- live trading


def judge(mine, *others, hours=24, reason=""):
    return live({"modes": {"paper": "live"}, "mine": {"paper": mine}, "records": [{"paper": entry} for entry in others], "hours": hours, "reason": reason})


def test_live_needs_the_hours_of_the_same_release():
    short, enough = {"release": "a", "paper_seconds": 86399}, {"release": "a", "paper_seconds": 86400}
    assert "(a), and 24.0 are on record" in judge(short)[0]
    assert judge(enough) == []
    assert judge(short, enough) == [], "the other node of a pair may have run it"
    assert judge(short, {"release": "b", "paper_seconds": 999999}) != []
    assert judge({"release": "", "paper_seconds": 0}, {"release": "", "paper_seconds": 999999}) != []
    assert judge(short, hours=0.5) == []


def test_live_by_reason_or_because_it_was_allowed():
    assert judge({"release": "a"}, reason="  ") != []
    assert judge({"release": "a"}, reason="moved") == []
    assert judge({"release": "a", "live_allowed": True}) == []
    assert live({"modes": {"paper": "paper"}, "mine": {}, "records": [], "hours": 24, "reason": ""}) == []
