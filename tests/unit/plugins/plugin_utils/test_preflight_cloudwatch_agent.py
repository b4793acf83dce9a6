"""What the role cloudwatch_agent refuses, each in one sentence with the variable's name."""

import pytest

from preflight_harness import refusals

KEYS = {"access_key_id": "AKIAEXAMPLEEXAMPLE", "secret_access_key": "canary-secret"}
URL = {"cloudwatch_agent_url": "https://packages.example.com/a.deb"}


def said(**changes):
    return refusals("cloudwatch_agent", **{**URL, **{"cloudwatch_agent_" + name: value for name, value in changes.items()}})


def test_the_defaults_are_taken():
    assert said() == []
    assert said(mode="onpremise", region="eu-central-1", credentials=KEYS, units=["ssh.service"], version="1.300064.0b1337") == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"region": "Frankfurt"}, "cloudwatch_agent_region: 'Frankfurt' is no region"),
        ({"mode": "onpremise", "credentials": KEYS}, "cloudwatch_agent_region is empty, and outside EC2"),
        ({"mode": "onpremise", "region": "us-east-1"}, "cloudwatch_agent_credentials is empty, and outside EC2"),
        ({"credentials": {"access_key_id": "AKIAEXAMPLEEXAMPLE"}}, "cloudwatch_agent_credentials lacks secret_access_key"),
        ({"credentials": {**KEYS, "access_key_id": "me"}}, "access_key_id has not the form of one"),
        ({"namespace": "AWS/EC2"}, "cloudwatch_agent_namespace: 'AWS/EC2' is no namespace of one's own"),
        ({"interval_seconds": 0}, "cloudwatch_agent_interval_seconds: 0 is out of range"),
        ({"metrics": {"cpu": ["usage_idel"]}}, "cloudwatch_agent_metrics.cpu: the agent has no metric usage_idel; write one of time_active"),
        ({"metrics": {"mem": ["mem_used_percent"]}}, "the agent has no metric mem_used_percent; write used_percent"),
        ({"bot_metrics": ["orders"]}, "cloudwatch_agent_bot_metrics: the agent has no metric orders"),
        ({"filesystems": ["data"]}, "cloudwatch_agent_filesystems[0]: data is not an absolute path"),
        ({"log_group_prefix": "my bots"}, "cloudwatch_agent_log_group_prefix: 'my bots' cannot begin a log group's name"),
        ({"retention_days": 31}, "and 31 is none; write one of -1, 1, 3, 5, 7, 14, 30"),
        ({"log_files": ["/var/log/bot.log"]}, "cloudwatch_agent_log_files[0]: '/var/log/bot.log' is no file name"),
        ({"units": ["ssh"]}, "cloudwatch_agent_units[0]: ssh is no unit; write one such as ssh.service"),
        ({"bots": ["paper", "paper"]}, "cloudwatch_agent_bots: the name paper is used more than once"),
        ({"bots": ["Paper Bot"]}, "cloudwatch_agent_bots[0]: 'Paper Bot' is no bot's name"),
        ({"package": "agent.rpm"}, "cloudwatch_agent_package: agent.rpm is no Debian package"),
        ({"version": "newest"}, "cloudwatch_agent_version: 'newest' is no version"),
        ({"url": "http://packages.example.com/a.deb"}, "cloudwatch_agent_url is no https URL"),
        ({"key_url": "http://packages.example.com/a.gpg"}, "cloudwatch_agent_key_url is no https URL"),
        ({"checksum": "abc"}, "cloudwatch_agent_checksum is no SHA-256"),
        ({"key_fingerprint": "3B78 9C72"}, "cloudwatch_agent_key_fingerprint is no fingerprint"),
    ],
)
def test_one_sentence_each(changes, sentence):
    found = said(**changes)
    assert len(found) == 1 and sentence in found[0], found
    assert "canary-secret" not in found[0]
