"""The refusals of the role backups, by the very cases that the lab runs, and what is accepted."""

import pathlib
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils import _backups
from preflight_harness import refusals, typed_values

CASES = yaml.safe_load((pathlib.Path(__file__).resolve().parents[3] / "integration/bad_input/backups.yml").read_text())
PASSWORD = "twenty-characters-at-least"
LOCAL = [{"name": "local", "repository": "/srv/backups"}]
SSH = {"host": "store", "user": "keeper", "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END\n", "known_hosts": "store ssh-ed25519 AAAA\n"}
ALL = [
    *LOCAL,
    {"name": "sftp", "repository": "sftp:keeper:bots", "ssh": SSH},
    {"name": "rest", "repository": "rest:https://store:8000/a", "http_user": "bots", "http_password": "p@ss/word", "append_only": True},
    {"name": "s3", "repository": "s3:https://store/bucket", "access_key_id": "a", "secret_access_key": "b"},
    {"name": "vault", "repository": "rclone:vault:a", "ssh": SSH, "append_only": True},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_refused_with_one_sentence(case):
    said = refusals("backups", **case["vars"])
    assert len(said) == 1 and re.search(case["expect"], said[0]), said


def test_every_kind_of_repository_is_accepted():
    assert refusals("backups", backups_repositories=ALL, backups_password=PASSWORD) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"backups_repositories": LOCAL * 2}, "the name local is used more than once"),
        ({"backups_repositories": [{"name": "Local", "repository": "/srv/b"}]}, "'Local' is no short name"),
        ({"backups_repositories": [{"name": "r", "repository": "rest:https://u:p@store/a"}]}, "holds a name and a password; write http_user"),
        ({"backups_repositories": [{"name": "s", "repository": "sftp:a:b"}]}, "ssh is missing; write host, user"),
        ({"backups_repositories": [{**LOCAL[0], "ssh": SSH}]}, "local: is not reached by SSH"),
        ({"backups_repositories": [{**ALL[2], "ca": "no"}]}, "ca is no certificate in PEM"),
        ({"backups_repositories": [{**ALL[1], "ssh": {**SSH, "private_key": "no"}}]}, "private_key is no private key in PEM"),
        ({"backups_repositories": [{**ALL[1], "ssh": {**SSH, "host": "a b"}}]}, "ssh.host: 'a b' cannot be one"),
        ({"backups_recovery_password": "short"}, "backups_recovery_password is shorter than 20"),
        ({"backups_schedule": "", "backups_drill_schedule": ""}, "are both empty; this host would do nothing"),
        ({"backups_on_failure": "rm -rf"}, "backups_on_failure: rm -rf is no unit"),
        ({"backups_ping_url": "http://example.com"}, "backups_ping_url is no https URL"),
        ({"backups_host_paths": ["etc"]}, "etc is not an absolute path"),
        ({"backups_bots": [{"name": "a"}, {"name": "a"}]}, "the name a is used more than once"),
        ({"backups_bots": [{"name": "A"}]}, "'A' is not a bot's name"),
        ({"backups_bots": [{"name": "a", "directory": "/var/lib/../x"}]}, "is not an absolute path without .."),
        ({"backups_bots": [{"name": "a", "redis": [{"name": "c", "port": 0}]}]}, "port 0 does not exist"),
        ({"backups_bots": [{"name": "a", "redis": [{"name": "C"}]}]}, "'C' is no short name"),
        ({"backups_bots": [{"name": "a", "postgresql": [{"name": "p", "database": "a;b"}]}]}, "'a;b' is no database's name"),
        ({"backups_bots": [{"name": "a", "postgresql": [{"name": "p", "host": "db", "run_as": "x"}]}]}, "run_as: a server at db asks for user"),
        ({"backups_bots": [{"name": "a", "postgresql": [{"name": "p", "orders": ["DROP TABLE x"]}]}]}, "orders[0]: is no SELECT"),
    ],
)
def test_what_else_makes_no_sense(changes, expected):
    said = refusals("backups", **{"backups_repositories": LOCAL, "backups_password": PASSWORD, **changes})
    assert len(said) == 1 and expected in said[0], said


def plan(**changes):
    values = typed_values("backups", **{"backups_repositories": ALL, "backups_password": PASSWORD, **changes})
    return values, _backups.config(values, "alpha"), _backups.secrets(values)


def test_the_configuration_holds_no_secret_and_the_secrets_hold_them_all():
    bots = [{"name": "a", "postgresql": [{"name": "p", "host": "db", "user": "u", "password": "pg-pass"}], "redis": [{"name": "c", "password": "redis-pass"}]}]
    _values, config, secrets = plan(backups_bots=bots, backups_recovery_password="r" * 20, backups_ping_url="https://ping/token")
    for secret in (PASSWORD, "p@ss", "pg-pass", "redis-pass", "token", "r" * 20, "PRIVATE KEY"):
        assert secret not in str(config)
    assert secrets["postgresql"] == {"a/p": "pg-pass"} and secrets["redis"] == {"a/c": "redis-pass"}
    assert secrets["repositories"]["rest"]["repository"] == "rest:https://bots:p%40ss%2Fword@store:8000/a"
    assert secrets["repositories"]["s3"]["environment"] == {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert {entry["password"] for entry in secrets["repositories"].values()} == {PASSWORD}


def test_who_cannot_delete_forgets_nothing():
    _values, config, _secrets = plan()
    assert {entry["name"]: bool(entry["retention"]) for entry in config["repositories"]} == {
        "local": True, "sftp": True, "rest": False, "s3": True, "vault": False,
    }  # fmt: skip


def test_a_bots_sources_follow_from_its_name():
    _values, config, _secrets = plan(backups_bots=[{"name": "a", "postgresql": [{"name": "ledger"}, {"name": "far", "host": "db", "user": "u"}]}])
    bot = config["bots"][0]
    assert bot["directory"] == "/var/lib/bot-a" and "*.replaced-20??????T??????Z*" in bot["exclude"]
    near, far = bot["postgresql"]
    assert (near["database"], near["run_as"], near["sslmode"]) == ("ledger", "postgres", "")
    assert (far["run_as"], far["sslmode"]) == ("", "verify-full"), "across a network nothing less"


def test_packages_follow_from_what_is_declared():
    values, *_ = plan()
    assert _backups.packages(values) == ["restic", "ca-certificates", "openssh-client", "python3"]
    values, *_ = plan(backups_bots=[{"name": "a", "postgresql": [{"name": "p"}], "redis": [{"name": "r"}]}])
    assert {"postgresql-client", "redis-tools"} <= set(_backups.packages(values))
    assert _backups.local_paths(values) == ["/srv/backups"]
    assert [file["path"] for file in _backups.key_files(values)] == [
        f"/etc/botops/backups/ssh/{name}.{kind}" for name in ("sftp", "vault") for kind in ("key", "known_hosts")
    ]
