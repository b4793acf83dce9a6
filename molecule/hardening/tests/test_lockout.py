"""A change that cuts the host off comes back by itself. Nothing is simulated: sshd and netfilter really refuse."""

import re
import time

import pytest

FAST = {"hardening_rollback_seconds": 30, "hardening_confirm_seconds": 8}


def test_sshd_that_refuses_everyone_comes_back(host, outside, play):
    before = host.run("cat /etc/ssh/sshd_config.d/00-botops.conf").stdout
    # Valid for sshd -t, invisible to the preflight: the group exists and everyone who may log in is in it.
    host.run("groupadd -f everyone; usermod -aG everyone admin; usermod -aG everyone ops")
    done = play(role_vars={**FAST, "hardening_ssh_settings": {"DenyGroups": "everyone"}})
    assert done.returncode != 0
    assert "put the previous SSH and firewall configuration back by itself" in re.sub(r"\s+", " ", done.output)
    assert outside.ssh("id -un").stdout == "admin\n"
    assert host.run("cat /etc/ssh/sshd_config.d/00-botops.conf").stdout == before
    # The host answers before the script that put things back has cleared its own units away.
    deadline = time.monotonic() + 30
    while host.file("/etc/systemd/system/botops-rollback.timer").exists:
        assert time.monotonic() < deadline, "the rollback is still armed"
        time.sleep(0.5)
    again = play()
    assert again.returncode == 0 and re.search(r"changed=0 ", again.output), again.output


def test_a_firewall_that_drops_ssh_comes_back(host, outside, play):
    tasks = [
        {"name": "Arm", "botops.fleet.lockout_guard": {"state": "armed", "seconds": 12}},
        {"name": "Drop SSH", "ansible.builtin.command": "ufw insert 1 deny proto tcp to any port 1:65535"},
    ]
    done = play(tasks=tasks)
    assert done.returncode == 0, done.output
    assert outside.ssh("true", options=["ConnectTimeout=3"]).returncode == 255
    deadline = time.monotonic() + 60
    while outside.ssh("true", options=["ConnectTimeout=3"]).returncode:
        assert time.monotonic() < deadline, "the host did not come back"
        time.sleep(1)
    rules = host.run("iptables -S ufw-user-input; cat /etc/ufw/user.rules").stdout
    assert "-j DROP" not in rules and "deny tcp" not in rules


def test_a_reboot_before_the_confirmation_puts_things_back_too(host, play):
    done = play(tasks=[
        {"name": "Arm", "botops.fleet.lockout_guard": {"state": "armed", "seconds": 600, "paths": ["/etc/ssh/sshd_config.d/99-test.conf"]}},
        {"name": "Change", "ansible.builtin.copy": {"dest": "/etc/ssh/sshd_config.d/99-test.conf", "content": "DenyUsers *\n", "mode": "0600"}},
    ])
    assert done.returncode == 0, done.output
    assert host.run("systemctl is-enabled botops-rollback.service").stdout.strip() == "enabled"
    host.run("systemctl stop botops-rollback.timer; systemctl start botops-rollback.service")  # what the boot would do
    assert not host.file("/etc/ssh/sshd_config.d/99-test.conf").exists
    assert host.run("sshd -T").stdout.count("denyusers") == 0


@pytest.mark.parametrize(
    "bad, sentence",
    [
        ({"hardening_ssh_allow_users": ["ops"]}, "hardening_ssh_allow_users: ops does not let in admin"),
        ({"hardening_ssh_allow_groups": ["wheel"]}, "admin is in none of wheel"),
        ({"hardening_ssh_ports": [2222]}, "port 22, on which you are connected, is not in"),
        ({"hardening_firewall_ssh_unlimited_from": [], "hardening_firewall_ssh_from": ["198.51.100.0/24"]}, "no rule lets in"),
        ({"hardening_admin_users": [{"name": "admin", "state": "absent"}]}, "removes admin, the account you are connected as"),
        ({"hardening_ssh_allow_users": ["*", "!admin"]}, "does not let in admin"),
    ],
)
def test_what_would_exclude_the_connection_is_refused(host, play, bad, sentence):
    if host.system_info.release != "13":
        pytest.skip("the refusal is decided on the control node; one release is enough")
    done = play(role_vars=bad)
    assert done.returncode != 0 and sentence in re.sub(r"\s+", " ", done.output), done.output
    assert "changed=0 " in done.output


def test_a_second_port_is_opened_first_and_the_old_one_closed_later(host, outside, play):
    done = play(role_vars={"hardening_ssh_ports": [22, 2222]})
    assert done.returncode == 0, done.output
    new = outside.ssh("id -un", options=["Port=2222", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"])
    assert new.stdout == "admin\n", new.stderr
    back = play()
    assert back.returncode == 0, back.output
    assert outside.ssh("true", options=["Port=2222", "ConnectTimeout=3"]).returncode == 255
