"""The refusals of the role notify, by the very cases that the lab runs, and what is accepted."""

import json
import pathlib
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils import _notify
from preflight_harness import refusals, typed_values

CASES = yaml.safe_load((pathlib.Path(__file__).resolve().parents[3] / "integration/bad_input/notify.yml").read_text())
GOOD = [
    "discord://1234567890123/aaaaaaaaaabbbbbbbbbbcccccccccc", "discord://bot@1234567890123/aaaaaaaaaabbbbbbbbbbcccccccccc/?tts=no",
    "tgram://123456789:abcdefghijklmnopqrstuvwxyz/-1001234", "tgram://123456789:abcdefghijklmnopqrstuvwxyz/@channel",
    "mailtos://user:pass@mail.example.com?to=ops@example.com", "mailto://relay@10.0.0.5?to=ops@example.com", "mailto://u:p@10.0.0.5:25?from=a@b.c",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "sns://AHIAJGNT76XIMXDBIJYA/bu1dHSdO22pfaaVy/wmNsdljF4C07D3bndi9PQJ9/us-east-2/ops",
    "jsons://hooks.example.com/path", "json://127.0.0.1:8080/x", "ntfys://topic", "pover://user@token",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_refused_with_one_sentence_that_shows_no_address(case):
    said = refusals("notify", **case["vars"])
    assert len(said) == 1 and re.search(case["expect"], said[0]), said
    assert "aaaaaaaaaabbbbbbbbbb" not in said[0] and "password@" not in said[0]


@pytest.mark.parametrize("url", GOOD)
def test_accepted(url):
    assert refusals("notify", notify_destinations=[{"name": "phone", "url": url}]) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"notify_destinations": [{"name": "My Phone", "url": GOOD[0]}]}, "'My Phone' is no short name"),
        ({"notify_destinations": [{"name": "p", "url": "discord://1 2/x"}]}, "has white space in it"),
        ({"notify_destinations": [{"name": "p", "url": "http://example.com"}]}, "write jsons://HOST/PATH"),
        ({"notify_host_name": "a\tb"}, "notify_host_name"),
        ({"notify_repeat_seconds": []}, "is no list of seconds that grow"),
        ({"notify_heartbeat_url": "http://switch.example.com/x"}, "notify_heartbeat_url is no https URL"),
        ({"notify_filesystems": ["srv"]}, "notify_filesystems[0]: srv is not an absolute path"),
        ({"notify_peers": [{"name": "b", "address": "10.0.0.2", "port": 0}]}, "port 0 does not exist"),
        ({"notify_cycle_seconds": 1}, "notify_cycle_seconds: 1 is out of range"),
        ({"notify_thresholds": {"certificate_days": [7, 21]}}, "certificate_days: the warning at 7 would come after the critical message at 21"),
        ({"notify_keep_hours": 0}, "notify_keep_hours: 0 is out of range"),
    ],
)
def test_refused(changes, expected):
    said = refusals("notify", **{"notify_destinations": [{"name": "phone", "url": GOOD[0]}], **changes})
    assert len(said) == 1 and expected in said[0], said


def test_the_configuration_has_no_address():
    values = typed_values("notify", notify_destinations=[{"name": "phone", "url": GOOD[0]}])
    plan = _notify.plan(values, "db1")
    assert json.loads(plan["config"])["destinations"] == [{"name": "phone", "severity": "warning"}] and json.loads(plan["config"])["host"] == "db1"
    assert "discord" not in plan["config"] and json.loads(plan["addresses"])["destinations"] == {"phone": GOOD[0]}
