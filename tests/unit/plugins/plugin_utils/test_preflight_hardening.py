"""What the role hardening refuses, and that sensible values pass."""

import pathlib
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import hardening, hardening_connection
from preflight_harness import refusals, typed_values

ROOT = pathlib.Path(__file__).resolve().parents[4]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC3oHzR6f0u4cHr0y5nqkRjT9jv1Zx5k2n3o4p5q6r7s ops@laptop"
HERE = {"user": "admin", "client": "203.0.113.7", "server": "198.51.100.2", "port": 22}


def test_the_defaults_pass():
    assert refusals("hardening") == []


def test_a_reachable_site_passes():
    assert refusals(
        "hardening",
        hardening_admin_users=[{"name": "ops", "keys": [KEY], "sudo": "nopasswd"}, {"name": "gone", "state": "absent"}],
        hardening_ssh_allow_users=["admin", "op?", "!root"], hardening_ssh_allow_groups=["sudo"], hardening_ssh_ports=[22, 2222],
        hardening_firewall_ssh_from=["203.0.113.0/24", "2001:db8::/32"], hardening_ssh_settings={"DenyUsers": "git", "LoginGraceTimeX": 5},
        hardening_firewall_rules=[{"port": ["80", "443"], "proto": "tcp"}, {"proto": "esp", "from": ["192.0.2.1"]}],
        hardening_firewall_rules_web=[{"port": ["8080"]}],
        hardening_sysctl_settings={"net.ipv4.tcp_fin_timeout": 20, "net/ipv4/conf/eth0.1/rp_filter": 2},
    ) == []


OUT = [
    {"direction": "out", "proto": "udp", "port": ["53", "123"]}, {"direction": "out", "proto": "tcp", "port": ["53"]},
    {"direction": "out", "proto": "tcp", "port": ["80", "443"]},
]


@pytest.mark.parametrize("changes, sentence", [
    ({"hardening_ssh_ports": []}, "hardening_ssh_ports: empty"),
    ({"hardening_ssh_ports": True}, "hardening_ssh_ports: must be a list, not true"),
    ({"hardening_ssh_ports": "22"}, "hardening_ssh_ports: must be a list, not the text '22'; write [22]"),
    ({"hardening_ssh_ports": [True]}, "hardening_ssh_ports[0]: must be one whole number, not true"),
    ({"hardening_ssh_ports": ["http"]}, "hardening_ssh_ports[0]: must be one whole number, not the text 'http'"),
    ({"hardening_ssh_ports": [22.5]}, "hardening_ssh_ports[0]: must be one whole number, not 22.5"),
    ({"hardening_ssh_ports": None}, "hardening_ssh_ports: has no value (null)"),
    ({"hardening_ssh_allow_users": "admin, ops"}, "must be a list, not the text 'admin, ops'; write [admin, ops]"),
    ({"hardening_rollback_seconds": "soon"}, "hardening_rollback_seconds: must be one whole number, not the text 'soon'"),
    ({"hardening_unattended_reboot": None}, "hardening_unattended_reboot: has no value (null)"),
    ({"hardening_ssh_permit_root_login": True}, "hardening_ssh_permit_root_login: must be one text, not true; put it in quotes"),
    ({"hardening_umask": None}, "hardening_umask: has no value (null)"),
    ({"hardening_umask": ["027"]}, "hardening_umask: must be one text, not a list"),
    ({"hardening_firewall_enabled": "perhaps"}, "hardening_firewall_enabled: must be true or false, not the text 'perhaps'"),
    ({"hardening_time_sync": "ntpd"}, "hardening_time_sync: the text 'ntpd' is none of chrony, timesyncd, none"),
    ({"hardening_admin_users": {"name": "ops"}}, "hardening_admin_users: must be a list, not what is there"),
    ({"hardening_admin_users": ["ops"]}, "hardening_admin_users[0]: must hold keys with values, not what is there"),
    ({"hardening_admin_users": [{"name": "ops", "keys": KEY}]}, "hardening_admin_users[0].keys: must be a list"),
    ({"hardening_admin_users": [{"name": "ops", "keys": None}]}, "hardening_admin_users[0].keys: has no value"),
    ({"hardening_admin_users": [{"name": "ops", "shell": "/bin/sh\nroot"}]}, "hardening_admin_users[0].shell: holds a line break"),
    ({"hardening_motd": True}, "hardening_motd: must be one text, not true; put it in quotes"),
    ({"hardening_ssh_listen_addresses": ["::1"], "hardening_ssh_address_family": "inet"}, "does not fit hardening_ssh_address_family"),
    ({"hardening_ssh_listen_addresses": ["here"]}, "'here' is not an address"),
    ({"hardening_ssh_host_keys": []}, "sshd would not start"),
    ({"hardening_ssh_settings": {"Match": "all"}}, "put it into a file of your own"),
    ({"hardening_ssh_settings": {"X11Forwarding": "yes"}}, "hardening_ssh_settings.X11Forwarding: would have no effect"),
    ({"hardening_ssh_settings": {"Ciphers": "aes128-cbc"}}, "hardening_ssh_settings.Ciphers: would have no effect"),
    ({"hardening_ssh_settings": {"ClientAliveInterval": 5}}, "set it by hardening_ssh_client_alive_interval"),
    ({"hardening_ssh_settings": {"DenyUsers": True}}, "hardening_ssh_settings.DenyUsers: must be one number or text"),
    ({"hardening_ssh_settings": {"DenyUsers": "a\nPermitRootLogin yes"}}, "hardening_ssh_settings.DenyUsers: holds a line break"),
    ({"hardening_ssh_settings": {"Deny Users": "a"}}, "not a keyword of sshd_config"),
    ({"hardening_ssh_kex_additional": ["a,b"]}, "hardening_ssh_kex_additional[0]"),
    ({"hardening_ssh_allow_users": ["a b"]}, "holds white space"),
    ({"hardening_ssh_max_auth_tries": 0}, "hardening_ssh_max_auth_tries: 0 is less than 1"),
    ({"hardening_admin_users": [{"name": "Root Me"}]}, "is not a login name"),
    ({"hardening_admin_users": [{"name": "root"}]}, "root is no administrator's account"),
    ({"hardening_admin_users": [{"name": "ops"}, {"name": "ops"}]}, "declared twice"),
    ({"hardening_admin_users": [{"name": "ops", "keys": ["ssh-ed25519"]}]}, "not a public key"),
    ({"hardening_firewall_rules_x": "80"}, "hardening_firewall_rules_x: must be a list, not the text '80'"),
    ({"hardening_firewall_rules_x": ["80"]}, "hardening_firewall_rules_x[0]: must hold keys with values"),
    ({"hardening_firewall_rules_x": [{"port": "80, 443"}]}, "hardening_firewall_rules_x[0].port: must be a list, not the text '80, 443'; write [80, 443]"),
    ({"hardening_firewall_rules_x": [{"action": "permit"}]}, "hardening_firewall_rules_x[0].action: the text 'permit' is none of allow, deny"),
    ({"hardening_firewall_rules_x": [{"comment": ["a"]}]}, "hardening_firewall_rules_x[0].comment: must be one text"),
    ({"hardening_firewall_rules_x": [{"ports": ["80"]}]}, "hardening_firewall_rules_x[0].ports: unknown key; known are action"),
    ({"hardening_firewall_rules_x": [{"port": ["0"]}]}, "hardening_firewall_rules_x[0].port: port 0"),
    ({"hardening_firewall_default_outgoing": "deny"}, "hardening_firewall_default_outgoing: deny would cut the host off from DNS (udp 53)"),
    ({"hardening_firewall_default_outgoing": "deny", "hardening_firewall_rules": OUT[1:]}, "DNS (udp 53), time servers (udp 123)"),
    ({"hardening_sysctl_settings": {"net.x": [1]}}, "must be one number or one line"),
    ({"hardening_sysctl_settings": {"net.ipv4.ip_forward": True}}, "net.ipv4.ip_forward: true is no number; write 1"),
    ({"hardening_sysctl_settings": {"net.x": None}}, "must be one number or one line"),
    ({"hardening_sysctl_settings": {"net.x": "1\nkernel.sysrq = 1"}}, "hardening_sysctl_settings.net.x: holds a line break"),
    ({"hardening_disabled_modules": ["a b"]}, "is not the name of a kernel module"),
    ({"hardening_disabled_modules": ["overlay"]}, "needed to boot or to run"),
    ({"hardening_mounts": [{"path": "/dev/shm", "options": ["ro"]}]}, "only nodev, nosuid and noexec"),
    ({"hardening_mounts": [{"path": "/", "options": ["nodev"]}]}, "set its options in /etc/fstab"),
    ({"hardening_mounts": [{"path": "/a b", "options": ["nodev"]}]}, "is not an absolute path"),
    ({"hardening_mounts": [{"options": ["nodev"]}]}, "hardening_mounts[0].path: is missing"),
    ({"hardening_umask": "27"}, "is not a umask"),
    ({"hardening_password_max_days": 1}, "no password could be changed in time"),
    ({"hardening_unattended_reboot_time": "4 am"}, "is not a time"),
    ({"hardening_unattended_blacklist": ['a"; };']}, "hardening_unattended_blacklist[0]"),
    ({"hardening_file_integrity_paths": ["etc"]}, "hardening_file_integrity_paths[0]"),
    ({"hardening_ntp_servers": ["a b"]}, "is not a host name or address"),
])
def test_refused_with_one_sentence(changes, sentence):
    said = refusals("hardening", **changes)
    assert len(said) == 1 and sentence in said[0], said


def test_outgoing_rules_that_suffice():
    assert refusals("hardening", hardening_firewall_default_outgoing="deny", hardening_firewall_rules_out=OUT) == []


def test_text_is_coerced_and_never_inverted():
    found = typed_values("hardening", hardening_ssh_password_authentication="no", hardening_unattended_reboot="false", hardening_ssh_ports=["22"],
                         hardening_rollback_seconds="600", hardening_firewall_rules_web=[{"port": [80], "route": "no"}])
    assert found["ssh_password_authentication"] is False and found["unattended_reboot"] is False
    assert typed_values("hardening", hardening_ssh_permit_root_login=False)["ssh_permit_root_login"] == "no"
    assert found["ssh_ports"] == [22] and found["rollback_seconds"] == 600
    rule = found["all_firewall_rules"]["hardening_firewall_rules_web"][0]
    assert rule["port"] == ["80"] and rule["route"] is False and "from" not in rule
    # One number is a list of one, as everywhere in Ansible.
    found = typed_values("hardening", hardening_ssh_ports=22, hardening_firewall_rules_web=[{"port": 80}])
    assert found["ssh_ports"] == [22] and found["all_firewall_rules"]["hardening_firewall_rules_web"][0]["port"] == ["80"]


def test_a_secret_is_in_no_sentence():
    for entry in ({"name": "ops", "password_hash": ["canary"]}, {"name": "ops", "password_hash": "canary"}, {"name": "ops", "password_hash": "canary\n$"},
                  {"name": "ops", "password_hash": "$canary", "unknown": 1}, {"name": "ops", "password_hash": "$canary", "state": "$canary"}):
        said = refusals("hardening", hardening_admin_users=[entry])
        assert said and "canary" not in str(said), said


def test_the_check_knows_every_keyword_of_the_template():
    text = (ROOT / "roles/hardening/templates/sshd.conf.j2").read_text()
    keywords = {word.lower() for word in re.findall(r"^([A-Z][A-Za-z0-9]+) ", text, re.M)}
    assert keywords == hardening.FIXED | (set(hardening.OWNED))


# --- the connection in use


def lets_in(**changes):
    found = {
        "admin_users": [], "ssh_ports": [22], "ssh_allow_users": [], "ssh_allow_groups": [], "ssh_permit_root_login": "no",
        "ssh_password_authentication": False, "firewall_enabled": True, "firewall_default_incoming": "deny",
        "rules": [{"action": "limit", "port": ["22"], "proto": "tcp"}], "connection": HERE, "groups": ["admin", "sudo"], "password_in_use": False,
    }
    return hardening_connection.check({**found, **changes})


def test_the_connection_comes_in_again():
    assert lets_in() == []
    assert lets_in(connection=None) == []
    assert lets_in(ssh_allow_users=["admin", "op?", "!root"], ssh_allow_groups=["sudo"]) == []


@pytest.mark.parametrize("changes, sentence", [
    ({"connection": dict(HERE, user="root")}, "run playbooks/bootstrap.yml first"),
    ({"password_in_use": True}, "this run connects with a password"),
    ({"ssh_allow_users": ["ops"]}, "hardening_ssh_allow_users: ops does not let in admin"),
    ({"ssh_allow_groups": ["wheel"]}, "would be locked out"),
    ({"ssh_ports": [2222]}, "port 22, on which you are connected, is not in"),
    ({"admin_users": [{"name": "admin", "state": "absent"}]}, "removes admin, the account you are connected as"),
    ({"rules": [{"port": ["22"], "from": ["203.0.113.0/24"]}], "connection": dict(HERE, client="2001:db8::9")}, "no rule lets in 2001:db8::9"),
])
def test_what_would_lock_out_is_refused(changes, sentence):
    said = lets_in(**changes)
    assert len(said) == 1 and sentence in said[0], said


@pytest.mark.parametrize("case", yaml.safe_load((ROOT / "tests/integration/bad_input/hardening.yml").read_text()), ids=lambda case: case["name"])
def test_the_table_of_bad_input_is_about_known_variables(case):
    known = yaml.safe_load((ROOT / "roles/hardening/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(case) == {"name", "role", "vars", "expect"}
    assert all(name in known or name.startswith("hardening_firewall_rules_") for name in case["vars"])


def test_bootstrap_needs_someone_who_gets_in_and_becomes_root():
    user = {"name": "ops", "keys": [KEY]}
    assert "nobody in it has keys and sudo" in refusals("hardening", context={"bootstrap": True}, hardening_admin_users=[user])[0]
    assert refusals("hardening", context={"bootstrap": True}, hardening_admin_users=[{**user, "sudo": "nopasswd"}]) == []
