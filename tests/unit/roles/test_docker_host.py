"""What docker_host resolves to on each distribution, Ubuntu included, which no container here runs."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from preflight_harness import typed_values

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles/docker_host"


def trusted(text):
    try:
        from ansible.template import trust_as_template
    except ImportError:  # before 2.19 every string is
        return text
    return trust_as_template(text)


def trust(value):
    if isinstance(value, dict):
        return {key: trust(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trust(item) for item in value]
    return trusted(value) if isinstance(value, str) else value


def resolve(name, distribution, version, **given):
    variables = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
        "ansible_facts": {
            "distribution": distribution,
            "distribution_version": version,
        },
        **{key: value for key, value in given.items() if not key.startswith("docker_host_")},
        "_docker_host_vars": typed_values("docker_host", **{key: value for key, value in given.items() if key.startswith("docker_host_")}),
    }
    return Templar(loader=DataLoader(), variables=trust(variables)).template(trusted("{{ " + name + " }}"))


@pytest.mark.parametrize(
    ("distribution", "version", "packages", "held"),
    [
        ("Debian", "13.2", ["docker.io", "docker-cli", "containerd", "iptables", "docker-compose", "docker-buildx"], ["docker.io", "docker-cli", "containerd"]),
        (
            "Debian",
            "12.11",
            ["docker-ce", "docker-ce-cli", "containerd.io", "iptables", "docker-compose-plugin", "docker-buildx-plugin"],
            ["docker-ce", "docker-ce-cli", "containerd.io"],
        ),
        ("Ubuntu", "22.04", ["docker.io", "containerd", "iptables", "docker-compose-v2", "docker-buildx"], ["docker.io", "containerd"]),
        ("Ubuntu", "24.04", ["docker.io", "containerd", "iptables", "docker-compose-v2", "docker-buildx"], ["docker.io", "containerd"]),
    ],
)
def test_packages(distribution, version, packages, held):
    assert resolve("_docker_host_package_list", distribution, version) == packages
    assert resolve("_docker_host_held", distribution, version) == held


def test_a_version_is_for_the_engine_only():
    packages = resolve("_docker_host_package_list", "Ubuntu", "24.04", docker_host_packages="upstream", docker_host_version="5:28.2.*")
    assert packages[:3] == ["docker-ce=5:28.2.*", "docker-ce-cli=5:28.2.*", "containerd.io"]


def test_repository_follows_the_distribution():
    for distribution in ("Debian", "Ubuntu"):
        assert resolve("docker_host_repository_key", distribution, "24.04").endswith(f"/linux/{distribution.lower()}/gpg")


def test_daemon_json():
    config = resolve("_docker_host_daemon", "Ubuntu", "24.04")
    assert json.loads(json.dumps(config)) == {
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "100m", "max-file": "5"},
        "userland-proxy": False,
        "ip": "127.0.0.1",
        "default-network-opts": {"bridge": {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}},
        "default-address-pools": [{"base": "172.20.0.0/14", "size": 24}],
    }


def test_daemon_json_of_the_older_engine():
    config = resolve("_docker_host_daemon", "Debian", "12.11", docker_host_packages="distro", docker_host_compose=False)
    assert "default-network-opts" not in config


def test_more_options_are_merged_and_win():
    config = resolve(
        "_docker_host_daemon", "Debian", "13.2", docker_host_log_driver="journald", docker_host_daemon_options={"ip": "10.0.0.1", "debug": True}
    )
    assert "log-opts" not in config
    assert (config["ip"], config["debug"], config["log-driver"]) == ("10.0.0.1", True, "journald")
    merged = resolve("_docker_host_daemon", "Debian", "13.2", docker_host_daemon_options={"log-opts": {"compress": "true"}})
    assert merged["log-opts"] == {"max-size": "100m", "max-file": "5", "compress": "true"}


def test_specification_and_defaults_name_the_same_variables():
    options = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert set(options) == set(defaults)
    computed = {"docker_host_repository_url", "docker_host_repository_key"}
    assert {key: options[key]["default"] for key in options if key not in computed} == {
        key: value for key, value in defaults.items() if key not in computed
    }
