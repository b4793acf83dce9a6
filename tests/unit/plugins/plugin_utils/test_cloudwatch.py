"""The agent's configuration, judged by the vendor's schema where it is at hand."""

import json
import os
import pathlib
import re

import jsonschema
import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _cloudwatch as cloudwatch
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import cloudwatch_agent as checks
from preflight_harness import typed_values

SCHEMA = os.environ.get("BOTOPS_CLOUDWATCH_SCHEMA")
KEYS = {"access_key_id": "AKIAEXAMPLEEXAMPLE", "secret_access_key": "canary-secret"}
EVERYWHERE = {"region": "eu-central-1", "credentials": KEYS, "mode": "onpremise"}


def values(**changes):
    given = {"bots": ["paper", "live-2"], **changes}
    return typed_values("cloudwatch_agent", cloudwatch_agent_url="https://packages.example.com/a.deb",
                        **{"cloudwatch_agent_" + name: value for name, value in given.items()})  # fmt: skip


def judge(configuration):
    if not SCHEMA:
        pytest.skip("BOTOPS_CLOUDWATCH_SCHEMA does not name the vendor's schema, so nobody judges the agent's configuration in this run")
    jsonschema.Draft4Validator(json.loads(pathlib.Path(SCHEMA).read_text())).validate(configuration)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        EVERYWHERE,
        {"bots": []},
        {"journal": False, "log_files": []},
        {"metrics": {name: list(known) for name, known in checks.METRICS.items()}, "filesystems": ["*"], "bot_metrics": list(checks.BOT_METRICS)},
        {"metrics": {}, "bots": [], "units": ["ssh.service"], "retention_days": -1},
    ],
)
def test_the_vendors_schema_takes_it(changes):
    judge(cloudwatch.configuration(values(**changes)))


def test_the_schema_refuses_what_is_wrong():
    """It is a judge: a section and a number of days that it does not know are refused."""
    wrong = cloudwatch.configuration(values())
    judge(wrong)
    wrong["logs"]["logs_collected"]["files"]["collect_list"][0]["retention_in_days"] = 31
    with pytest.raises(jsonschema.ValidationError):
        judge(wrong)


@pytest.mark.skipif(not SCHEMA, reason="BOTOPS_CLOUDWATCH_SCHEMA does not name the vendor's schema")
def test_the_numbers_of_days_are_the_vendors():
    known = json.loads(pathlib.Path(SCHEMA).read_text())["definitions"]["logsDefinition"]["definitions"]["retentionInDaysDefinition"]["enum"]
    assert tuple(known) == checks.RETENTION


def test_what_the_seed_of_an_instance_asks_for_is_there_unasked():
    made = cloudwatch.configuration(values())
    assert made["agent"]["metrics_collection_interval"] == 60
    collected = made["metrics"]["metrics_collected"]
    assert {"cpu_usage_idle", "cpu_usage_user", "cpu_usage_system"} <= set(collected["cpu"]["measurement"])
    assert collected["mem"]["measurement"] == ["mem_used_percent"] and collected["net"]["measurement"] == ["net_bytes_sent", "net_bytes_recv"]
    files = made["logs"]["logs_collected"]["files"]["collect_list"]
    assert [(entry["file_path"], entry["log_group_name"], entry["log_stream_name"]) for entry in files[:2]] == [
        ("/var/log/bot-paper/bot.log", "/botops/paper", "{instance_id}/bot"),
        ("/var/log/bot-paper/trades.log", "/botops/paper", "{instance_id}/trades"),
    ]
    journal = made["logs"]["logs_collected"]["journald"]["collect_list"]
    assert [entry["units"] for entry in journal] == [["bot-paper.service"], ["bot-live-2.service"]]


def test_alarms_find_a_host_by_one_dimension():
    here, there = cloudwatch.configuration(values())["metrics"], cloudwatch.configuration(values(**EVERYWHERE))["metrics"]
    assert here["aggregation_dimensions"] == [["InstanceId"]] and here["append_dimensions"] == {"InstanceId": "${aws:InstanceId}"}
    assert there["aggregation_dimensions"] == [["host"]] and "append_dimensions" not in there


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("/opt/bot-paper/current/.venv/bin/python -m paper_bot", True),
        ("/usr/bin/python3 /usr/local/lib/botops/bot-compose.py up paper", True),
        ("/usr/local/bin/bot-compose up paper", True),
        ("/usr/local/bin/bot-compose up paper-2", False),
        ("/opt/bot-paper-2/current/bin/run", False),
    ],
)
def test_a_bots_processes_are_told_apart(line, ours):
    assert bool(re.search(cloudwatch.pattern("paper"), line)) is ours


def test_keys_are_in_no_file_but_their_own():
    made = cloudwatch.plan(values(**EVERYWHERE))
    entries = {entry["path"]: entry for entry in made["files"]}
    secret = entries.pop(cloudwatch.CREDENTIALS)
    assert secret["mode"] == "0600" and "canary-secret" in secret["secret_content"]
    assert "canary-secret" not in json.dumps([*entries.values(), made["configuration"], made["check_command"]])
    assert cloudwatch.CREDENTIALS in entries[cloudwatch.COMMON_CONFIG]["content"]
    without = {entry["path"]: entry for entry in cloudwatch.plan(values())["files"]}
    assert without[cloudwatch.CREDENTIALS]["state"] == "absent" and "shared_credential" not in without[cloudwatch.COMMON_CONFIG]["content"]


def test_a_start_and_a_change_take_the_same_way():
    made = cloudwatch.plan(values(**EVERYWHERE))
    assert made["check_command"].endswith(" -a fetch-config -m onPremise -c file:/etc/botops/cloudwatch_agent.json")
    assert "ExecStartPre=%s\n" % made["check_command"] in cloudwatch.drop_in(values(**EVERYWHERE))


@pytest.mark.parametrize(
    ("answer", "version", "there"),
    [
        ("ii  1.300064.0b1337-1", "latest", True),
        ("ii  1.300064.0b1337-1", "1.300064.0b1337", True),
        ("ii  1.300064.0b1337", "1.300064.0b1337", True),
        ("ii  1.300064.0b1337-1", "1.300064.0b133", False),
        ("rc  1.300064.0b1337-1", "latest", False),
        ("iF  1.300064.0b1337-1", "latest", False),
        ("", "latest", False),
    ],
)
def test_what_is_installed(answer, version, there):
    assert cloudwatch.installed(answer, version) is there


VALID = "[GNUPG:] VALIDSIG D58167303B789C72AAAABBBBCCCCDDDDEEEEFFFF 2026-01-01 1 0 4 0 1 8 00 937616F3450B7D806CBD9725D58167303B789C72"


@pytest.mark.parametrize(
    ("status", "good"),
    [
        ("[GNUPG:] NEWSIG\n" + VALID, True),
        (VALID.replace("937616F3", "00000000"), False),
        ("[GNUPG:] BADSIG D58167303B789C72 somebody", False),
        # What a file's name or a comment says is no word of gpg's.
        ("gpg: VALIDSIG 937616F3450B7D806CBD9725D58167303B789C72", False),
        ("", False),
    ],
)
def test_whose_signature_it_is(status, good):
    assert cloudwatch.signed_by(status, "9376 16F3 450B 7D80 6CBD  9725 D581 6730 3B78 9C72") is good
