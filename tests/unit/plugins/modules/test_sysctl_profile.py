"""Kernel settings against a tree that stands for /proc/sys."""

import os

import pytest

from ansible_collections.botops.fleet.plugins.modules import sysctl_profile


@pytest.fixture
def root(tmp_path):
    for key, value in {"net/ipv4/tcp_rmem": "4096\t87380\t6291456\n", "kernel/kptr_restrict": "0\n", "net/core/somaxconn": "4096\n"}.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    return str(tmp_path)


SETTINGS = {"net.ipv4.tcp_rmem": "4096 87380 16777216", "kernel.kptr_restrict": 2, "net.core.somaxconn": 4096, "net.ipv4.tcp_nodelay": 1}


def test_applies_what_differs_and_names_what_is_unknown(root):
    applied, before, skipped = sysctl_profile.converge(SETTINGS, False, False, root)
    assert applied == {"kernel.kptr_restrict": "2", "net.ipv4.tcp_rmem": "4096 87380 16777216"}
    assert before == {"kernel.kptr_restrict": "0", "net.ipv4.tcp_rmem": "4096 87380 6291456"}
    assert skipped == {"net.ipv4.tcp_nodelay": "this kernel does not know it"}
    assert sysctl_profile.converge(SETTINGS, False, False, root)[0] == {}


def test_forwarding_comes_first(tmp_path):
    """The kernel switches accept_redirects on when forwarding is switched off."""
    settings = {"net.ipv4.conf.all.accept_redirects": 0, "net.ipv4.ip_forward": 0, "net.ipv6.conf.all.forwarding": 0}
    for key in settings:
        path = tmp_path / key.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1\n")
    applied = sysctl_profile.converge(settings, False, False, str(tmp_path))[0]
    assert list(applied) == ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.accept_redirects"]


def test_a_container_leaves_the_machine_alone(root):
    applied, _before, skipped = sysctl_profile.converge(SETTINGS, True, False, root)
    assert list(applied) == ["net.ipv4.tcp_rmem"] and "belongs to the machine" in skipped["kernel.kptr_restrict"]
    with open(os.path.join(root, "kernel/kptr_restrict"), encoding="utf-8") as handle:
        assert handle.read() == "0\n"


def test_check_mode_writes_nothing(root):
    applied, _before, _skipped = sysctl_profile.converge(SETTINGS, False, True, root)
    assert len(applied) == 2
    assert sysctl_profile.converge(SETTINGS, False, True, root)[0] == applied


def test_a_refused_value_is_reported_not_raised(root, monkeypatch):
    path = os.path.join(root, "kernel/kptr_restrict")
    os.remove(path)
    os.mkdir(path)
    _applied, _before, skipped = sysctl_profile.converge({"kernel.kptr_restrict": 2}, False, False, root)
    assert "cannot be read" in skipped["kernel.kptr_restrict"]
