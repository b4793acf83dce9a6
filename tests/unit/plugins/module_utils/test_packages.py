"""Whether apt has to be asked, from what dpkg says."""

import pytest

from ansible_collections.botops.fleet.plugins.module_utils import _packages

DPKG = "installed|nginx|1.22.1-9|install\ninstalled|docker.io|20.10.24|hold\nconfig-files|ufw|0.36|deinstall\nhalf-installed|git|2.39|install\n"


def run(argv):
    assert argv[:2] == ["dpkg-query", "-W"]
    return 1, DPKG, "dpkg-query: no packages found matching nobody"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["nginx"], []),
        (["nginx", "docker.io=20.10.24"], []),
        # Another version, removed but not purged, interrupted half-way, and never heard of (or virtual).
        (["docker.io=20.10.25", "nginx"], ["docker.io=20.10.25"]),
        (["ufw", "git", "nobody"], ["ufw", "git", "nobody"]),
        (["docker.io=20.*"], ["docker.io=20.*"]),
    ],
)
def test_missing(names, expected):
    assert _packages.missing(run, names) == expected


def test_nothing_is_asked_for_nothing():
    assert _packages.missing(pytest.fail, []) == []


def test_what_is_installed_and_held():
    assert _packages.installed(run, ["docker.io", "ufw"]) == {"nginx": ("1.22.1-9", "install"), "docker.io": ("20.10.24", "hold")}
