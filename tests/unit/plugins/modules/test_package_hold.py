"""package_hold: only what is installed and differs is told to dpkg."""

from __future__ import annotations

import pytest

from ansible_collections.botops.fleet.plugins.modules import package_hold


class Module:
    def __init__(self, output):
        self.output = output
        self.asked = None

    def run_command(self, argv, **_options):
        self.asked = argv
        return 1, self.output, "dpkg-query: no packages found matching containerd.io"


def test_selections_leave_out_what_is_not_installed():
    module = Module("docker.io hold installed\ncontainerd install installed\nrunc deinstall config-files\n")
    assert package_hold.selections(module, ["docker.io", "containerd", "runc", "containerd.io"]) == {
        "docker.io": "hold",
        "containerd": "install",
    }
    assert module.asked[-4:] == ["docker.io", "containerd", "runc", "containerd.io"]


@pytest.mark.parametrize(("wanted", "changes"), [("hold", ["containerd"]), ("install", ["docker.io"])])
def test_only_differences_are_written(wanted, changes):
    assert package_hold.to_change({"docker.io": "hold", "containerd": "install"}, wanted) == changes
