"""Each refusal of docker_host's variables, and that good ones pass."""

from __future__ import annotations

import re

import pytest

from preflight_harness import refusals

HERE = {"distribution": "Debian", "distribution_version": "13.2", "auto_channel": "distro"}

GOOD = {
    "docker_host_packages": "auto",
    "docker_host_version": "",
    "docker_host_upgrade": False,
    "docker_host_compose": True,
    "docker_host_repository_url": "https://example.com/linux/debian",
    "docker_host_repository_key": "https://example.com/linux/debian/gpg",
    "docker_host_log_max_size": "100m",
    "docker_host_log_max_files": 5,
    "docker_host_publish_address": "127.0.0.1",
    "docker_host_address_pools": [{"base": "172.20.0.0/14", "size": 24}],
    "docker_host_daemon_options": {"debug": True},
    "docker_host_published_ports": [{"port": 443, "protocol": "tcp", "from": ["any"]}, {"port": 443, "protocol": "udp", "from": ["2001:db8::/32"]}],
    "docker_host_container_interfaces": ["docker0", "br-+"],
    "docker_host_users": ["deploy"],
    "docker_host_prune": True,
    "docker_host_prune_schedule": "Sun 04:30",
    "docker_host_prune_until": "168h",
    "docker_host_prune_keep_labels": ["keep", "tier=gold"],
}


def check(variables):
    return refusals("docker_host", context=HERE, **variables)


def port(**entry):
    return {"docker_host_published_ports": [{"port": 8080, "protocol": "tcp", "from": ["any"], **entry}]}


def test_good_variables_pass():
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("distribution", "version", "packages", "compose", "refused"),
    [
        ("Debian", "12.11", "distro", True, True),
        ("Debian", "12.11", "distro", False, False),
        ("Debian", "12.11", "upstream", True, False),
        ("Debian", "13.2", "distro", True, False),
        ("Ubuntu", "22.04", "distro", True, False),
        ("Ubuntu", "24.04", "distro", True, False),
        ("Ubuntu", "20.04", "distro", True, True),
        ("Debian", "11.9", "upstream", True, True),
        ("Fedora", "42", "auto", True, True),
    ],
)
def test_distributions(distribution, version, packages, compose, refused):
    context = {**HERE, "distribution": distribution, "distribution_version": version}
    assert len(refusals("docker_host", context=context, **{**GOOD, "docker_host_packages": packages, "docker_host_compose": compose})) == int(refused)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"docker_host_version": "latest"}, "docker_host_version is 'latest'"),
        ({"docker_host_version": "5:28.2.*", "docker_host_upgrade": True}, "contradict each other"),
        ({"docker_host_log_max_size": "100MB"}, "docker_host_log_max_size is '100MB'; write a size such as 100m"),
        ({"docker_host_log_max_files": 0}, "docker_host_log_max_files must be at least 1"),
        ({"docker_host_publish_address": "localhost"}, "docker_host_publish_address is 'localhost'"),
        ({"docker_host_daemon_options": {"log_level": "warn"}}, "docker_host_daemon_options.log_level: .*log-level"),
        ({"docker_host_daemon_options": {"hosts": ["tcp://0.0.0.0:2375"]}}, "a TCP socket gives root"),
        ({"docker_host_daemon_options": {"iptables": False}}, "docker_host_daemon_options.iptables: false leaves"),
        ({"docker_host_daemon_options": {"firewall-backend": "nftables"}}, "only iptables has the DOCKER-USER chain"),
        ({"docker_host_daemon_options": {"insecure-registries": ["10.0.0.1:5000"]}}, "give the registry TLS"),
        ({"docker_host_address_pools": [{"base": "172.20.0.1/14", "size": 24}]}, r"pools\[0\].base: 172.20.0.1/14 has host bits set; write 172.20"),
        ({"docker_host_address_pools": [{"base": "172.20.0.0/14", "size": 8}]}, r"pools\[0\].size is 8; for 172.20.0.0/14 write 14 to 30"),
        (
            {"docker_host_address_pools": [{"base": "10.0.0.0/8", "size": 24}, {"base": "10.1.0.0/16", "size": 24}]},
            r"pools\[1\].base 10.1.0.0/16 overlaps docker_host_address_pools\[0\]",
        ),
        (port(port=70000), r"docker_host_published_ports\[0\].port is 70000; write a port from 1 to 65535"),
        (port(**{"from": []}), r"docker_host_published_ports\[0\].from is empty"),
        (port(**{"from": ["10.0.0.1/8"]}), r"ports\[0\].from\[0\]: 10.0.0.1/8 has host bits set; write 10.0.0.0/8"),
        (port(**{"from": ["any", "vpn"]}), r"ports\[0\].from\[1\]: 'vpn' is not a network"),
        ({"docker_host_published_ports": 2 * port()["docker_host_published_ports"]}, r"ports\[1\] repeats 8080/tcp of entry 0"),
        ({"docker_host_container_interfaces": ["br-+x"]}, r"docker_host_container_interfaces\[0\] is 'br-\+x'"),
        ({"docker_host_container_interfaces": ["+"]}, r"docker_host_container_interfaces\[0\] is '\+'"),
        ({"docker_host_users": ["Deploy User"]}, r"docker_host_users\[0\] is 'Deploy User'"),
        ({"docker_host_users": ["root"]}, "needs no group"),
        ({"docker_host_prune_until": "7d"}, "days are not known to Docker"),
        ({"docker_host_prune_until": ""}, "docker_host_prune_until is ''"),
        ({"docker_host_prune_keep_labels": ["a b"]}, r"docker_host_prune_keep_labels\[0\] is 'a b'"),
        ({"docker_host_prune_schedule": "Sun\nExecStart=x"}, "docker_host_prune_schedule: holds a line break"),
    ],
)
def test_refusals(values, words):
    sentences = check({**GOOD, **values})
    assert len(sentences) == 1
    assert re.search(words, sentences[0]), sentences


def test_prune_is_not_judged_when_it_is_off():
    assert check({**GOOD, "docker_host_prune": False, "docker_host_prune_until": "7d"}) == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("http://example.com/gpg", "proves nothing"),
        ("ftp://example.com/gpg", "proves nothing"),
        ("/nonexistent/key.asc", "not a file on the control node"),
    ],
)
def test_keys(key, words):
    sentences = check({**GOOD, "docker_host_packages": "upstream", "docker_host_repository_key": key})
    assert len(sentences) == 1
    assert words in sentences[0]


def test_key_files(tmp_path):
    key = tmp_path / "key.asc"
    upstream = {**GOOD, "docker_host_packages": "upstream", "docker_host_repository_key": str(key)}
    key.write_bytes(b"\x99\x02\x0d\x04")
    assert "holds no armoured public key" in check(upstream)[0]
    key.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    assert check(upstream) == []
    assert check({**upstream, "docker_host_repository_key": key.read_text()}) == []


def test_repository_address():
    upstream = {**GOOD, "docker_host_packages": "upstream", "docker_host_repository_url": "example.com/linux"}
    assert "write an https:// address" in check(upstream)[0]
