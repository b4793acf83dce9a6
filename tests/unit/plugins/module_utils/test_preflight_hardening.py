"""What the role hardening refuses, and that sensible values pass."""

import pathlib

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.module_utils._preflight import hardening

ROOT = pathlib.Path(__file__).resolve().parents[4]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC3oHzR6f0u4cHr0y5nqkRjT9jv1Zx5k2n3o4p5q6r7s ops@laptop"
HERE = {"user": "admin", "client": "203.0.113.7", "server": "198.51.100.2", "port": 22}


def values(**changes):
    found = yaml.safe_load((ROOT / "roles/hardening/defaults/main.yml").read_text())
    found.update(
        hardening_firewall_rule_sets={},
        hardening_firewall_ssh_rules=[{"action": "limit", "port": ["22"], "proto": "tcp", "from": changes.get("hardening_firewall_ssh_from", [])}],
        connection=HERE, groups=["admin", "sudo"], password_in_use=False,
    )
    found.update(changes)
    return found


def test_the_defaults_pass():
    assert hardening.check(values()) == []
    assert hardening.check(values(connection=None)) == []


def test_a_reachable_site_passes():
    assert hardening.check(values(
        hardening_admin_users=[{"name": "ops", "keys": [KEY], "sudo": "nopasswd"}, {"name": "gone", "state": "absent"}],
        hardening_ssh_allow_users=["admin", "op?", "!root"], hardening_ssh_allow_groups=["sudo"], hardening_ssh_ports=[22, 2222],
        hardening_firewall_ssh_from=["203.0.113.0/24", "2001:db8::/32"],
        hardening_firewall_rule_sets={"hardening_firewall_rules": [{"port": ["80", "443"], "proto": "tcp"}, {"proto": "esp", "from": ["192.0.2.1"]}]},
        hardening_sysctl_settings={"net.ipv4.tcp_fin_timeout": 20, "net/ipv4/conf/eth0.1/rp_filter": 2},
    )) == []


@pytest.mark.parametrize("changes, sentence", [
    ({"hardening_ssh_ports": []}, "hardening_ssh_ports: empty"),
    ({"hardening_ssh_listen_addresses": ["::1"], "hardening_ssh_address_family": "inet"}, "does not fit hardening_ssh_address_family"),
    ({"hardening_ssh_listen_addresses": ["here"]}, "'here' is not an address"),
    ({"hardening_ssh_host_keys": []}, "sshd would not start"),
    ({"hardening_ssh_settings": {"Match": "all"}}, "put it into a file of your own"),
    ({"hardening_ssh_allow_users": ["a b"]}, "holds white space"),
    ({"hardening_admin_users": [{"name": "Root Me"}]}, "is not a login name"),
    ({"hardening_admin_users": [{"name": "root"}]}, "root is no administrator's account"),
    ({"hardening_admin_users": [{"name": "ops"}, {"name": "ops"}]}, "declared twice"),
    ({"hardening_admin_users": [{"name": "ops", "keys": ["ssh-ed25519"]}]}, "not a public key"),
    ({"hardening_firewall_rule_sets": {"hardening_firewall_rules_x": "80"}}, "must be a list of rules"),
    ({"hardening_firewall_rule_sets": {"hardening_firewall_rules_x": ["80"]}}, "must be a rule with keys"),
    ({"hardening_firewall_rule_sets": {"hardening_firewall_rules_x": [{"action": "permit"}]}}, "'permit' is not one of allow"),
    ({"hardening_firewall_rule_sets": {"hardening_firewall_rules_x": [{"comment": 5}]}}, "comment: must be text"),
    ({"hardening_sysctl_settings": {"net.x": [1]}}, "must be one number or one line"),
    ({"hardening_disabled_modules": ["a b"]}, "is not the name of a kernel module"),
    ({"hardening_disabled_modules": ["overlay"]}, "needed to boot or to run"),
    ({"hardening_mounts": [{"path": "/dev/shm", "options": ["ro"]}]}, "only nodev, nosuid and noexec"),
    ({"hardening_mounts": [{"path": "/", "options": ["nodev"]}]}, "set its options in /etc/fstab"),
    ({"hardening_umask": "27"}, "is not a umask"),
    ({"hardening_password_max_days": 1}, "no password could be changed in time"),
    ({"hardening_unattended_reboot_time": "4 am"}, "is not a time"),
    ({"hardening_ntp_servers": ["a b"]}, "is not a host name or address"),
    ({"connection": dict(HERE, user="root")}, "run playbooks/bootstrap.yml first"),
    ({"password_in_use": True}, "this run connects with a password"),
    ({"hardening_ssh_allow_groups": ["wheel"]}, "would be locked out"),
    ({"hardening_firewall_rule_sets": {"hardening_firewall_rules": []}, "connection": dict(HERE, client="2001:db8::9"),
      "hardening_firewall_ssh_from": ["203.0.113.0/24"]}, "no rule lets in 2001:db8::9"),
])
def test_refused_with_one_sentence(changes, sentence):
    said = hardening.check(values(**changes))
    assert len(said) == 1 and sentence in said[0], said


@pytest.mark.parametrize("case", yaml.safe_load((ROOT / "tests/integration/bad_input/hardening.yml").read_text()), ids=lambda case: case["name"])
def test_the_table_of_bad_input_is_about_known_variables(case):
    known = yaml.safe_load((ROOT / "roles/hardening/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(case) == {"name", "role", "vars", "expect"}
    assert all(name in known or name.startswith("hardening_firewall_rules_") for name in case["vars"])


def test_bootstrap_needs_someone_who_gets_in_and_becomes_root():
    assert "nobody in it has keys and sudo" in hardening.check({"bootstrap": True, "hardening_admin_users": [{"name": "ops", "keys": [KEY]}]})[0]
    assert hardening.check({"bootstrap": True, "hardening_admin_users": [{"name": "ops", "keys": [KEY], "sudo": "nopasswd"}]}) == []
