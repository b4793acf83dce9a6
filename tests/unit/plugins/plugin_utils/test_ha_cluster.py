"""From the role's variables to members, packages, files and the cluster's configuration."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _ha_cluster as declare

BMC = {"node": "a", "agent": "fence_ipmilan", "options": {"ip": "192.0.2.1"}, "secrets": {"password": "hunter2"}}
REDFISH = {"node": "a", "agent": "fence_redfish", "level": 2, "options": {"ip": "192.0.2.2"}, "secrets": {"password": "hunter3"}}
AWS = {"id": "aws", "agent": "fence_aws", "plugs": {"a": "i-1", "b": "i-2"}, "options": {"region": "eu-central-1"}}


def values(**changes):
    return {
        "members": ["a", "b"], "alert_agent": "/agent", "fencing": [BMC, REDFISH, AWS], "automatic": True,
        "resources": [], "groups": [], "constraints": [], "properties": {},
        "resource_defaults": {}, "monitor_seconds": 2, "stonith_timeout_seconds": 60,
        "alert_hook": "", **changes,
    }


def test_members_take_the_address_that_is_declared_then_connected_to_then_routed():
    hosts = {
        "a": {"ha_cluster_addresses": ["10.0.0.1", "10.1.0.1"], "ansible_host": "203.0.113.1"},
        "b": {"ansible_host": "10.0.0.2"},
        "c": {"ansible_host": "c.example.com", "ansible_facts": {"default_ipv4": {"address": "10.0.0.3"}}},
        "10.0.0.4": {},
        "d": {"ansible_host": "d.example.com"},
    }
    found = declare.members(list(hosts), hosts)
    assert [m["addresses"] for m in found] == [["10.0.0.1", "10.1.0.1"], ["10.0.0.2"], ["10.0.0.3"], ["10.0.0.4"], []]


def test_a_members_number_does_not_depend_on_the_others():
    hosts = {name: {"ansible_host": "10.0.0.1"} for name in "abc"}
    ids = {m["name"]: m["id"] for m in declare.members(["a", "b", "c"], hosts)}
    assert {m["name"]: m["id"] for m in declare.members(["c", "b"], hosts)} == {"c": ids["c"], "b": ids["b"]}
    assert all(1 <= number <= 65535 for number in ids.values())
    assert declare.members(["a"], {"a": {"ha_cluster_node_id": 7}})[0]["id"] == 7


@pytest.mark.parametrize(
    ("distribution", "version", "expected"),
    [
        ("Debian", "13.1", ["fence-agents-aws", "fence-agents-ipmilan", "fence-agents-redfish", "ipmitool"]),
        ("Debian", "12.9", ["fence-agents", "ipmitool"]),
        ("Ubuntu", "24.04", ["fence-agents-aws", "fence-agents-ipmilan", "fence-agents-redfish", "ipmitool"]),
        ("Ubuntu", "22.04", ["fence-agents-base", "fence-agents-extra", "ipmitool"]),
    ],
)
def test_packages_of_the_agents(distribution, version, expected):
    ours = {"agent": "fence_do", "plugs": {"a": "1"}}
    assert declare.agent_packages([BMC, REDFISH, AWS, ours], distribution, version) == expected


def test_no_secret_reaches_the_configuration():
    shown = json.dumps(declare.cib(values()))
    assert "hunter" not in shown
    devices = {r["id"]: r["options"] for r in declare.cib(values())["resources"]}
    assert devices["fence-a-ipmilan"]["ipmitool_path"].endswith("/fence-a-ipmilan/ipmitool")
    assert "password" not in devices["fence-a-ipmilan"]
    assert devices["fence-a-redfish"]["password"] == "lrm://"
    assert devices["aws"]["pcmk_host_map"] == "a:i-1;b:i-2"


def test_secrets_are_files_for_root():
    files = {f["path"]: f for f in declare.fencing_files([BMC, REDFISH])}
    password = files["/var/lib/botops/ha_cluster/fencing/fence-a-ipmilan/password"]
    assert password["secret_content"] == "hunter2\n" and password["mode"] == "0600"
    secret = "/var/lib/pacemaker/lrm/secrets/fence-a-redfish/password"
    assert files[secret]["secret_content"] == "hunter3"
    assert files[secret + ".sign"]["secret_content"] == hashlib.md5(b"hunter3", usedforsecurity=False).hexdigest()
    assert all(f["mode"] in ("0600", "0700") for f in files.values())
    assert "hunter2" not in files["/var/lib/botops/ha_cluster/fencing/fence-a-ipmilan/ipmitool"]["content"]


def test_the_wrapper_drops_the_empty_password_and_keeps_the_rest(tmp_path):
    fake = tmp_path / "ipmitool"
    fake.write_text('#!/bin/sh\nfor word in "$@"; do echo "[$word]"; done\n')
    fake.chmod(0o700)
    script = tmp_path / "wrapper"
    script.write_text(declare.wrapper(str(tmp_path)).replace("/usr/bin/ipmitool", str(fake)))
    argv = ["sh", str(script), "-I", "lanplus", "-U", "an admin", "-P", "", "-L", "ADMINISTRATOR", "chassis", "power", "status"]
    said = subprocess.run(argv, text=True, capture_output=True, check=True).stdout.splitlines()
    assert said == [f"[{w}]" for w in ["-f", f"{tmp_path}/password", "-I", "lanplus", "-U", "an admin", "-L", "ADMINISTRATOR",
                                       "chassis", "power", "status"]]


def test_levels_in_order_when_automatic():
    assert declare.cib(values())["fencing_topology"] == {"a": [["fence-a-ipmilan", "aws"], ["fence-a-redfish"]], "b": [["aws"]]}


def test_an_operator_confirms_otherwise():
    made = declare.cib(values(automatic=False))
    assert made["fencing_topology"] == {"a": [["fence-operator"]], "b": [["fence-operator"]]}
    ids = [r["id"] for r in made["resources"]]
    assert "fence-operator" in ids and "fence-a-ipmilan" in ids, "the devices are watched meanwhile"
    assert made["properties"]["stonith-enabled"] is True
    assert "fence-operator" not in [r["id"] for r in declare.cib(values())["resources"]]


def test_a_device_waits_on_another_member_than_its_target():
    made = declare.cib(values())["constraints"]
    assert {"type": "location", "resource": "fence-a-ipmilan", "node": "a", "score": "-INFINITY"} in made
    assert not any(c["resource"] == "aws" for c in made)


def test_resources_are_monitored_unless_they_say_otherwise():
    own = [{"name": "monitor", "interval": "30s"}]
    made = declare.cib(values(resources=[
        {"id": "x", "agent": "systemd:x"}, {"id": "y", "agent": "systemd:y", "operations": own}]))
    by_id = {r["id"]: r for r in made["resources"]}
    assert by_id["x"]["operations"][0] == {"name": "monitor", "interval": "2s", "timeout": "20s"}
    assert by_id["y"]["operations"] == own


def test_the_record_of_a_test_vouches_for_these_devices():
    digest = declare.device_digest(BMC)
    assert declare.device_digest({**BMC, "secrets": {"password": "new"}}) == digest
    assert declare.device_digest({**BMC, "options": {"ip": "192.0.2.9"}}) != digest
    assert set(declare.device_digests([BMC, REDFISH, AWS])["a"]) == {"fence-a-ipmilan", "fence-a-redfish", "aws"}


def test_the_newest_record_counts():
    old, new = {"epoch": 1, "result": "failed"}, {"epoch": 2, "result": "ok"}
    assert declare.merge_records([{"a": new}, {"a": old}, None, {"b": old}]) == {"a": new, "b": old}
    fresh = {"epoch": 3, "result": "ok"}
    results = [{"target": "a", "record": fresh}, {"target": "b", "skipped_because": "active"}]
    assert declare.merge_records([{"a": new}], results) == {"a": fresh}


def test_who_needs_a_certificate():
    def host(name, trusted, request="R"):
        return {"inventory_hostname": name, "__ha_cluster_certificate": {"request": request, "authority_digest": trusted}}

    witness = {"authority_digest": "ours"}
    hosts = [host("a", "ours"), host("b", ""), host("c", "another"), host("d", "", request=""), {"inventory_hostname": "e"}]
    assert set(declare.requests(hosts, witness)) == {"b", "c"}
    # Without the witness in this run its certificate is not known: what is valid stays.
    assert set(declare.requests(hosts, {})) == {"b"}


def test_the_report_of_a_fencing_test():
    lines = declare.test_report([
        {"target": "a", "record": {"result": "ok", "seconds": 4.0, "return_seconds": 12.5, "by": "b"}},
        {"target": "b", "skipped_because": "b is active"},
        {"target": "c", "record": {"result": "failed", "why": "wrong password"}},
    ])
    assert lines == ["a: ok, off after 4.0 s, back in the cluster after 12.5 s (by b)", "b: not tested: b is active", "c: FAILED: wrong password"]
