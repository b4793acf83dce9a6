"""What the role decides from the distribution, resolved as Ansible resolves it, for releases that cannot all be run here."""

import pathlib

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.botops.fleet.plugins.filter.hardening import FilterModule
from preflight_harness import typed_values

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles/hardening"
# What `ssh -Q kex` prints on each release, as far as the role may choose from it.
KNOWN = {
    ("debian", "12"): {"sntrup761x25519-sha512@openssh.com"},
    ("debian", "13"): {"mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"},
    ("ubuntu", "22.04"): {"sntrup761x25519-sha512@openssh.com"},
    ("ubuntu", "24.04"): {"sntrup761x25519-sha512@openssh.com"},
}


def trusted(value):
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return value


def resolve(expression, system=("debian", "13"), **changes):
    return render("{{ %s }}" % expression, system, **changes)


def render(text, system, **changes):
    variables = {"group_names": []}
    if system:
        variables["__hardening_host"] = {"os": {"id": system[0], "version": system[1]}, "docker": False, "present": []}
    variables.update(yaml.safe_load((ROLE / "vars/main.yml").read_text()))
    variables["_hardening_pair"] = {"peers": [], "rules": [], "unknown": []}
    variables.update({name: value for name, value in changes.items() if not name.startswith("hardening_")})
    variables["_hardening_vars"] = typed_values("hardening", **{name: value for name, value in changes.items() if name.startswith("hardening_")})
    templar = Templar(loader=DataLoader(), variables=trusted(variables))
    # By hand: Ansible's own finder of collections would take the imports of all other tests over.
    for name, function in FilterModule().filters().items():
        templar._engine.environment.filters["botops.fleet." + name] = function
    return templar.template(trust_as_template(text))


@pytest.mark.parametrize("system", KNOWN, ids="-".join)
def test_key_exchanges_are_known_to_the_release(system):
    kex = resolve("_hardening_ssh_kex", system)
    assert kex and set(kex) == KNOWN[system]
    assert resolve("_hardening_ssh_kex", system, hardening_ssh_kex_additional=["curve25519-sha256"])[-1] == "curve25519-sha256"


@pytest.mark.parametrize("used", [{"rsync_ha_addresses": {"a": "192.0.2.1", "b": "192.0.2.2"}}, {"group_names": ["cluster_nodes"]}], ids=["addresses", "group"])
def test_replication_gets_a_key_exchange_that_its_client_knows(used):
    """Go's SSH client knows mlkem768x25519-sha256 and curve25519-sha256, and no sntrup761."""
    for system in KNOWN:
        plain, beside = resolve("_hardening_ssh_kex", system), resolve("_hardening_ssh_kex", system, **used)
        assert {"mlkem768x25519-sha256", "curve25519-sha256"} & set(beside), system
        assert "curve25519-sha256" not in plain
        assert beside[: len(plain)] == plain, "hybrid ones stay first"
        assert ("curve25519-sha256" in beside) is ("mlkem768x25519-sha256" not in plain)
    twice = resolve("_hardening_ssh_kex", ("debian", "12"), hardening_ssh_kex_additional=["curve25519-sha256"], **used)
    assert twice.count("curve25519-sha256") == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"connection": None, "groups": []}, ["root", "%sudo", "ops"]),
        ({"connection": {"user": "admin"}, "groups": ["admin", "sudo"]}, ["root", "%sudo", "ops"]),
        ({"connection": {"user": "ops"}, "groups": ["ops"]}, ["root", "%sudo", "ops"]),
        ({"connection": {"user": "robot"}, "groups": ["robot"]}, ["root", "%sudo", "ops", "robot"]),
    ],
    ids=["local", "by-group", "declared", "neither"],
)
def test_sudo_restricts_nobody_who_administers_the_host(host, expected):
    """The account in use would lose Ansible; it is named only where nothing else covers it, so that operators do not undo each other."""
    users = [{"name": "ops", "sudo": "nopasswd"}, {"name": "auditor", "sudo": "none"}, {"name": "formerly", "state": "absent", "sudo": "password"}]
    changes = {"hardening_admin_users": users, "__hardening_host": {"os": {"id": "debian", "version": "12"}, "docker": False, "present": [], **host}}
    assert resolve("_hardening_sudo_unrestricted", **changes) == expected


def test_sudo_is_limited_by_the_whole_role_only():
    """The entry point bootstrap runs before anybody knows who is connected, and must not shut that account out."""
    text = (ROLE / "templates/sudoers.j2").read_text()
    variables = {"hardening_admin_users": [{"name": "ops", "sudo": "nopasswd"}]}
    assert "Defaults:root,%sudo,ops !requiretty, !noexec" in render(text, ("debian", "12"), **variables)
    first = render(text, None, **variables)
    assert "requiretty" not in first and "ops ALL=(ALL:ALL) NOPASSWD: ALL" in first


def test_penalties_are_named_only_where_sshd_knows_them():
    known = {system: resolve("_hardening_ssh_exempt", system, hardening_firewall_ssh_unlimited_from=["192.0.2.1"]) for system in KNOWN}
    assert [system for system, exempt in known.items() if exempt] == [("debian", "13")]


def test_the_other_member_of_a_pair_is_never_slowed_down_or_banned():
    rule = {"port": ["5404:5412"], "proto": "udp", "from": ["192.0.2.2"], "comment": "corosync"}
    pair = {"_hardening_pair": {"peers": ["192.0.2.2"], "rules": [rule], "unknown": []}}
    rules = resolve("_hardening_firewall_all_rules", **pair)
    assert rules[0]["from"] == ["192.0.2.2"] and rules[0].get("action", "allow") == "allow" and rules[1]["action"] == "limit" and rules[-1] == rule
    assert resolve("_hardening_ssh_exempt", **pair) == ["192.0.2.2"]
    assert "192.0.2.2" in render((ROLE / "templates/fail2ban.j2").read_text(), ("debian", "12"), **pair)


def test_an_unknown_release_gets_what_all_know():
    assert resolve("_hardening_ssh_kex", ("debian", "99")) == ["sntrup761x25519-sha512@openssh.com"]


@pytest.mark.parametrize("system", KNOWN, ids="-".join)
def test_systemd_listens_for_sshd_on_ubuntu_24_04_only(system):
    paths = [entry["path"] for entry in resolve("_hardening_all_files", system)]
    assert ("/etc/systemd/system/ssh.socket.d/60-botops.conf" in paths) is (system == ("ubuntu", "24.04"))


@pytest.mark.parametrize("changes, expected", [
    ({}, ["0.0.0.0:22", "[::]:22"]),
    ({"hardening_ssh_address_family": "inet"}, ["0.0.0.0:22"]),
    ({"hardening_ssh_ports": [22, 2222], "hardening_ssh_listen_addresses": ["10.0.0.5", "2001:db8::5"]},
     ["10.0.0.5:22", "[2001:db8::5]:22", "10.0.0.5:2222", "[2001:db8::5]:2222"]),
])
def test_what_the_socket_listens_on(changes, expected):
    assert resolve("_hardening_ssh_listen", ("ubuntu", "24.04"), **changes) == expected


@pytest.mark.parametrize("changes, forward", [
    ({}, 0),
    ({"group_names": ["docker_hosts"]}, 1),
    ({"docker_host_present": True}, 1),
    ({"docker_host_present": False, "group_names": ["docker_hosts"]}, 0),
    ({"__hardening_host": {"os": {"id": "debian", "version": "13"}, "docker": True, "present": []}}, 1),
])
def test_forwarding_follows_docker(changes, forward):
    assert resolve("_hardening_sysctl", **changes)["net.ipv4.ip_forward"] == forward


def test_profiles_and_overrides_of_kernel_settings():
    assert "net.ipv4.tcp_congestion_control" not in resolve("_hardening_sysctl")
    both = resolve("_hardening_sysctl", hardening_sysctl_profiles=["security", "low_latency"], hardening_sysctl_settings={"kernel.panic": 10})
    assert both["net.ipv4.tcp_congestion_control"] == "bbr" and both["kernel.panic"] == 10
    assert not any("tcp_nodelay" in key or "tcp_low_latency" in key for key in both)
    assert "net.ipv6.conf.all.disable_ipv6" not in both
    assert resolve("_hardening_sysctl", hardening_ipv6=False)["net.ipv6.conf.all.disable_ipv6"] == 1


def test_rule_lists_of_all_parts_are_joined_by_name():
    rules = resolve("_hardening_firewall_all_rules", hardening_firewall_rules=[{"port": ["1"]}],
                    hardening_firewall_rules_b=[{"port": ["3"]}], hardening_firewall_rules_a=[{"port": ["2"]}])
    assert [rule["port"] for rule in rules] == [["22"], ["1"], ["2"], ["3"]]


def test_every_default_is_specified_and_equal():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    options = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {name: options[name].get("default") for name in options} == defaults


def test_packages_and_accounts():
    assert "chrony" in resolve("_hardening_packages") and "ufw" not in resolve("_hardening_packages", hardening_firewall_enabled=False)
    assert resolve("_hardening_accounts", hardening_admin_users=[{"name": "ops", "sudo": "nopasswd"}]) == [{"name": "ops", "state": "present"}]
    assert "/etc/ssh/sshd_config.d/00-botops.conf" in resolve("_hardening_removable")
    assert "/etc/crontab" not in [entry["path"] for entry in resolve("_hardening_all_files")]
