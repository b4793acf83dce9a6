"""Every sentence of the rsync_ha role's checks, and that sensible variables pass."""

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils._rsync_ha import bots, resources
from preflight_harness import refusals, typed_values

STORAGE = {"endpoint": "https://s3.example.com", "bucket": "b", "access_key_id": "a", "secret_access_key": "canary-of-storage"}


def values(**changes):
    good = {
        "rsync_ha_addresses": {"primary": "10.0.0.1", "standby": "10.0.0.2"},
        "rsync_ha_bots": [{"name": "paper"}],
        "rsync_ha_managed_by": "cluster",
        "rsync_ha_active": False,
        "rsync_ha_interval_seconds": 5,
        "rsync_ha_sync_interval_ms": 500,
        "rsync_ha_snapshot_hours": 24,
        "rsync_ha_retention_hours": 24, "rsync_ha_keep_eras": 3, "rsync_ha_keep_superseded": 2,
        "rsync_ha_promote_timeout_seconds": 300,
        "rsync_ha_min_free_mb": 1024,
        "rsync_ha_ssh_port": 22,
        "rsync_ha_textfile_directory": "",
        "rsync_ha_litestream_version": "0.5.17",
        "rsync_ha_litestream_source": "",
        "rsync_ha_litestream_sha256": "ab" * 32,
        "rsync_ha_object_storage": {},
        "rsync_ha_daemon": {},
    }
    return {**good, **changes}


def check(variables):
    return refusals("rsync_ha", context={
        "architecture": "x86_64", "inventory_hostname": "primary", "inventory": ["primary", "standby", "witness"],
        "litestream_known": {"0.5.17": {"aarch64": "ab" * 32}},
    }, **variables)


def bot(**keys):
    return [{"name": "paper", **keys}]


def test_good_values_pass():
    assert check(values()) == []
    assert check(values(rsync_ha_bots=[{"name": "a"}, {"name": "b", "directory": "/srv/b", "databases": ["x/trades.db"]}])) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rsync_ha_addresses": {}}, "names 0 hosts; a pair has two"),
        ({"rsync_ha_addresses": {"primary": "10.0.0.1"}}, "names 1 host; a pair has two"),
        ({"rsync_ha_addresses": {"primary": "10.0.0.1", "standby": "10.0.0.1"}}, "both hosts have 10.0.0.1"),
        ({"rsync_ha_addresses": {"primary": "10.0.0.1", "other": "10.0.0.2"}}, "rsync_ha_addresses.other: the inventory has no host"),
        ({"rsync_ha_addresses": {"witness": "10.0.0.1", "standby": "10.0.0.2"}}, "does not name primary; it names standby and witness"),
        ({"rsync_ha_addresses": {"primary": "10.0.0.1", "standby": "there"}}, "rsync_ha_addresses.standby: there is not an IP address"),
        ({"rsync_ha_addresses": {"primary": "127.0.0.1", "standby": "10.0.0.2"}}, "no address that another host can reach"),
        ({"rsync_ha_bots": []}, "rsync_ha_bots is empty"),
        ({"rsync_ha_bots": bot() + bot()}, "the name paper is used more than once"),
        ({"rsync_ha_bots": [{"name": "Paper Bot"}]}, "is not a bot's name"),
        ({"rsync_ha_bots": bot(directory="data")}, "rsync_ha_bots[0].directory: data is not an absolute path"),
        ({"rsync_ha_bots": bot(directory="/srv/../etc")}, "is not an absolute path without .. and white space"),
        ({"rsync_ha_bots": bot(directory="/var/lib/")}, "holds more than one bot's data"),
        ({"rsync_ha_bots": bot(databases=["/etc/x.db"])}, "rsync_ha_bots[0].databases[0]: /etc/x.db lies outside the bot's directory"),
        ({"rsync_ha_bots": bot(databases=["ok.db", "a/../../x.db"])}, "databases[1]: a/../../x.db lies outside"),
        ({"rsync_ha_bots": bot(find=["../*.db"])}, "find[0]: ../*.db reaches outside"),
        ({"rsync_ha_bots": bot(exclude=["/tmp/*"])}, "exclude[0]: /tmp/* reaches outside"),
        ({"rsync_ha_bots": bot(directory="/srv/a") + [{"name": "b", "directory": "/srv/a/b"}]}, "/srv/a/b of b lies inside /srv/a of paper"),
        ({"rsync_ha_bots": bot(directory="/srv/a b")}, "is not an absolute path without .. and white space"),
        ({"rsync_ha_bots": bot(exclude=["a b"])}, "rsync_ha_bots[0].exclude[0]: 'a b' holds white space"),
        ({"rsync_ha_bots": bot(user="a b")}, "rsync_ha_bots[0].user: 'a b' is not a login name"),
        ({"rsync_ha_bots": "paper"}, "rsync_ha_bots: must be a list, not the text 'paper'"),
        ({"rsync_ha_active": "perhaps"}, "rsync_ha_active: must be true or false"),
        ({"rsync_ha_interval_seconds": "0.5"}, "rsync_ha_interval_seconds: must be one whole number"),
        ({"rsync_ha_interval_seconds": 0}, "rsync_ha_interval_seconds: 0 is too small; the least is 1 seconds"),
        ({"rsync_ha_sync_interval_ms": 10}, "the least is 100 milliseconds"),
        ({"rsync_ha_ssh_port": 70000}, "port 70000 does not exist"),
        ({"rsync_ha_active": True}, "the cluster decides who is active"),
        ({"rsync_ha_textfile_directory": "metrics"}, "metrics is not an absolute path"),
        ({"rsync_ha_litestream_sha256": ""}, "the checksum of 0.5.17 for x86_64 is not known here"),
        ({"rsync_ha_litestream_sha256": "xyz"}, "64 hexadecimal digits"),
        ({"rsync_ha_litestream_source": "http://x/y"}, "neither an absolute path on the control node nor an https URL"),
        ({"rsync_ha_litestream_source": "/opt/litestream", "rsync_ha_litestream_sha256": ""}, "required with rsync_ha_litestream_source"),
        ({"rsync_ha_object_storage": {**STORAGE, "endpoint": "http://storage.example.com"}}, "is no https URL"),
        ({"rsync_ha_object_storage": {**STORAGE, "bucket": ""}}, "rsync_ha_object_storage.bucket is missing"),
        ({"rsync_ha_object_storage": {**STORAGE, "path": "a\nb"}}, "rsync_ha_object_storage.path: holds a line break"),
        ({"rsync_ha_daemon": {"user": "sync", "password": "short"}}, "rsync_ha_daemon.password: one line of at least 16 characters"),
        ({"rsync_ha_daemon": {"user": "sync", "password": "x" * 16, "address": "0.0.0.0"}}, "0.0.0.0 is no private address"),
        ({"rsync_ha_daemon": {"user": "sync", "password": "x" * 16, "address": "8.8.8.8"}}, "8.8.8.8 is no private address"),
        ({"rsync_ha_daemon": {"user": "sync", "password": "x" * 16, "port": 70000}}, "port 70000 does not exist"),
    ],
)
def test_one_sentence(changes, sentence):
    found = check(values(**changes))
    assert len(found) == 1, found
    assert sentence in found[0]


def test_text_is_coerced():
    found = typed_values("rsync_ha", **values(rsync_ha_active="no", rsync_ha_ssh_port="2222", rsync_ha_daemon={"user": "sync", "writable": "no"}))
    assert found["active"] is False and found["ssh_port"] == 2222 and found["daemon"]["writable"] is False
    assert typed_values("rsync_ha", **values())["daemon"] == {}


def test_defaults_of_a_bot():
    (paper,) = bots([{"name": "paper"}])
    assert paper["user"] == "bot-paper"
    assert paper["directory"] == "/var/lib/bot-paper"
    assert "*.db" in paper["find"]
    assert bots([{"name": "x", "find": []}])[0]["find"] == []


def test_resources_of_a_cluster():
    data, replication = resources("paper", 120)
    assert data["agent"] == "systemd:botops-promote@paper" and replication["agent"] == "systemd:botops-rsync-ha@paper"
    timeouts = {operation["name"]: operation["timeout"] for operation in data["operations"]}
    assert timeouts["start"] == "120s" and timeouts["stop"] == "60s"
