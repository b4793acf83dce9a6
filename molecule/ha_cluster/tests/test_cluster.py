"""The pair, broken on purpose. The tests build on each other: they run in the order in which they stand here."""

from __future__ import annotations

import json
import re
import time

import pytest

from conftest import FLOATING, MEMBERS, answers, docker, until

SECRET_WORDS = re.compile(r"passw[a-z]*=\S", re.IGNORECASE)


def test_members_speak_encrypted_and_the_witness_votes_over_tls(pair):
    for name in MEMBERS:
        cmap = pair.run(name, "corosync-cmapctl totem.")
        assert "totem.crypto_cipher (str) = aes256" in cmap
        device = pair.run(name, "corosync-qdevice-tool -sv")
        assert re.search(r"State:\s+Connected", device)
        assert re.search(r"TLS active:\s+Yes \(client certificate sent\)", device)
        assert re.search(r"Total votes:\s+3", pair.run(name, "corosync-quorumtool -s"))
        key = pair.hosts[name].file("/etc/corosync/authkey")
        assert key.mode == 0o400 and key.size >= 128


def test_one_member_is_active_and_the_other_runs_nothing(pair):
    active = pair.settle()
    assert answers()
    assert pair.active() == [active]
    assert FLOATING not in pair.run(pair.other(active), "ip -4 address")
    # The unit belongs to the cluster: a member that boots starts nothing by itself.
    assert pair.run(active, "systemctl is-enabled demo-worker || true").strip() == "static"


def test_no_secret_in_the_configuration_or_in_a_command_line(pair):
    secret = (pair.run("ha-alpha", "cat /var/lib/botops/ha_cluster/fencing/fence-ha-alpha-ipmilan/password")).strip()
    assert len(secret) >= 10
    assert secret not in pair.run("ha-alpha", "cibadmin --query")
    assert secret not in pair.run("ha-alpha", "journalctl --no-pager -b")
    # The agent, called as Pacemaker calls it, runs ipmitool: nobody may read the password in the process list.
    wrapper = "/var/lib/botops/ha_cluster/fencing/fence-ha-beta-ipmilan/ipmitool"
    said = pair.run(
        "ha-alpha",
        f"printf 'ip=10.77.64.1\\nipport=6232\\nusername=admin\\nlanplus=1\\nipmitool_path={wrapper}\\naction=status\\nverbose=1\\n'"
        " | fence_ipmilan 2>&1",
    )
    assert "Chassis Power is on" in said
    assert secret not in said
    for path in ("/var/lib/botops/ha_cluster/fencing", "/var/lib/botops/ha_cluster/fencing/fence-ha-beta-ipmilan/password"):
        mode = pair.hosts["ha-alpha"].file(path).mode
        assert mode & 0o077 == 0, f"{path} {mode:o}"


def test_automatic_failover_is_refused_before_fencing_was_tested(pair):
    done = pair.play("molecule/ha_cluster/converge.yml", "-e", "ha_cluster_automatic=true", check=False)
    assert done.returncode != 0
    assert "fencing of ha-alpha was never tested" in done.stdout
    assert "changed=0" in done.stdout and not re.search(r"changed=[1-9]", done.stdout)


def test_without_automatic_fencing_nothing_starts_before_the_operators_word(pair):
    active = pair.settle()
    survivor = pair.other(active)
    pair.kill(active)
    until(lambda: "unclean=\"true\"" in pair.run(survivor, "crm_mon --one-shot --output-as=xml"), 30, "the loss is noticed")
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        assert pair.active() == [], "something was started in place of a member that may still run"
        assert not answers()
        time.sleep(0.5)
    table = pair.play("playbooks/ha_status.yml").stdout
    assert f"failed_node_is_off={active}" in table
    refused = pair.play("playbooks/failover.yml", check=False)
    assert refused.returncode != 0 and f"-e failed_node_is_off={active}" in " ".join(refused.stdout.split())
    assert pair.active() == []
    # What it said is what is typed.
    pair.play("playbooks/failover.yml", "-e", f"failed_node_is_off={active}")
    until(answers, 20, "the survivor serves once the operator has confirmed")
    assert pair.active() == [survivor]
    docker("start", pair.container(active))
    assert pair.settle() == survivor, "a returning member must not take anything back"
    hook = pair.run(survivor, "cat /tmp/hook.log")
    assert re.search(r"^critical\|fencing: ", hook, re.MULTILINE)
    assert f"cluster node {active} is now lost" in hook


def test_fencing_is_tested_for_real_and_recorded(pair):
    active = pair.settle()
    first = pair.play("playbooks/fence_test.yml").stdout
    assert re.search(rf"{pair.other(active)}: ok, off after", first)
    assert f"{active}: not tested: {active} is active" in first
    pair.run(active, "crm_resource --move --resource trading && crm_resource --wait --timeout=60s && crm_resource --clear --resource trading")
    assert pair.settle() == pair.other(active)
    assert re.search(rf"{active}: ok, off after", pair.play("playbooks/fence_test.yml").stdout)
    for name in MEMBERS:
        records = json.loads(pair.run(name, "cat /var/lib/botops/ha_cluster/fence-tests.json"))
        assert {record["result"] for record in records.values()} == {"ok"} and set(records) == set(MEMBERS)
    orders = [line for line in pair.power() if "ordered" in line]
    for name in MEMBERS:
        assert any(f"{name} ordered: kill" in line for line in orders)


def test_fencing_that_was_tested_may_be_automatic(pair):
    pair.settle()
    pair.play("molecule/ha_cluster/converge.yml", "-e", "ha_cluster_automatic=true")
    pair.settle()


# A hung host has to be switched off first, which takes its controller some seconds more.
@pytest.mark.parametrize(("fault", "limit"), [("kill", 15), ("freeze", 20)])
def test_automatic_failover_in_seconds(pair, fault, limit):
    active = pair.settle()
    survivor = pair.other(active)
    before = len(pair.power())
    lost = getattr(pair, fault)(active)
    until(lambda: not answers(), 5, "the address is gone")
    twice = []

    def serves():
        running = pair.active()
        twice.extend(running if len(running) > 1 else [])
        # A paused container thaws for an instant while it is killed, and answers what had waited: that is not the survivor yet.
        return survivor in running and answers()

    until(serves, 30, "the survivor serves")
    seconds = time.monotonic() - lost
    print(f"{fault}: the address answered elsewhere after {seconds:.1f} s")
    assert seconds < limit
    assert pair.active() == [survivor]
    orders = [line.split()[1:4] for line in pair.power()[before:] if "ordered" in line]
    # A host without power is found off and only switched on; a hung one is switched off first.
    off = [[active, "ordered:", "kill"]] if fault == "freeze" else []
    assert orders == [*off, [active, "ordered:", "start"]]
    assert pair.settle() == survivor, "a returning member must not take anything back"
    assert not twice
    # The lost member booted by its controller, and serves nothing.
    assert pair.run(active, "systemctl is-active corosync pacemaker").split() == ["active", "active"]


def test_a_changed_timing_is_reloaded_and_restarts_nothing(pair):
    pair.settle()

    def processes():
        return {name: pair.run(name, "pidof corosync pacemakerd corosync-qdevice; pgrep -f '[h]ttp.server'|| true") for name in MEMBERS}

    before = processes()
    options = ("-e", "ha_cluster_automatic=true", "-e", "ha_cluster_token_ms=1500")
    pair.play("molecule/ha_cluster/converge.yml", *options)
    assert "totem.token (u32) = 1500" in pair.run("ha-beta", "corosync-cmapctl totem.token")
    assert "runtime.config.totem.token (u32) = 1500" in pair.run("ha-beta", "corosync-cmapctl runtime.config.totem.token")
    assert processes() == before
    again = pair.play("molecule/ha_cluster/converge.yml", *options).stdout
    counts = re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)", again, re.MULTILINE)
    print("tasks of a run that changes nothing:", {name: int(ok) for name, ok, _ in counts})
    assert all(int(changed) == 0 and int(ok) <= 11 for _, ok, changed in counts), counts  # with fact gathering
    assert processes() == before


def test_what_is_no_longer_declared_goes_and_what_others_made_stays(pair):
    extra = {"ha_cluster_automatic": True, "ha_cluster_alert_hook": "", "ha_cluster_constraints": [
        {"type": "location", "resource": "trading", "node": "ha-alpha", "score": "10"}]}
    active = pair.settle()
    pair.run(active, "crm_attribute --type crm_config --name cluster-delay --update 70s")
    pair.play("molecule/ha_cluster/converge.yml", "-e", json.dumps(extra))
    cib = pair.run(active, "cibadmin --query --scope configuration")
    assert "location-trading-ha-alpha" in cib and "botops-alert" not in cib
    done = pair.play("molecule/ha_cluster/converge.yml", "-e", "ha_cluster_automatic=true", "--diff")
    cib = pair.run(active, "cibadmin --query --scope configuration")
    assert "location-trading-ha-alpha" not in cib and "botops-alert" in cib
    assert 'name="cluster-delay" value="70s"' in cib
    assert re.search(r"^-\s+rsc_location id=location-trading-ha-alpha", done.stdout, re.MULTILINE)
    assert not SECRET_WORDS.search(done.stdout)
    assert pair.active() == [active]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ha_cluster_resources": [{"id": "vip", "agent": "ocf:heartbeat:IPaddr2", "options": {"ip": "10.77.64.1"}}],
          "ha_cluster_groups": []}, "10.77.64.1 answers already"),
        ({"ha_cluster_resources": [{"id": "vip", "agent": "ocf:heartbeat:IPaddr2", "options": {"ip": "192.0.2.7"}}],
          "ha_cluster_groups": []}, "192.0.2.7 is outside the subnets of"),
    ],
    ids=["an address in use", "an address outside the subnet"],
)
def test_a_floating_address_that_cannot_work_is_refused(pair, variables, sentence):
    done = pair.play("molecule/ha_cluster/converge.yml", "-e", json.dumps(variables), check=False)
    assert done.returncode != 0
    assert sentence in " ".join(done.stdout.split())
    assert not re.search(r"changed=[1-9]", done.stdout)
