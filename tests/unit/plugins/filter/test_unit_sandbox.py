"""A unit starts from everything shut and says what it needs."""

from ansible_collections.botops.fleet.plugins.filter.unit_sandbox import FilterModule

unit_sandbox = FilterModule().filters()["unit_sandbox"]


def directives(text):
    return [line.split("=", 1) for line in text.splitlines()]


def test_without_changes_it_may_do_nothing():
    found = directives(unit_sandbox({}))
    assert ["CapabilityBoundingSet", ""] in found and ["RestrictAddressFamilies", "AF_UNIX"] in found
    assert [value for name, value in found if name == "SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert not {"PrivateUsers", "AmbientCapabilities", "RemoveIPC"} & {name for name, _value in found}


def test_a_change_replaces_adds_and_drops():
    found = directives(unit_sandbox({"SystemCallFilter": "@system-service", "ReadWritePaths": "/run", "UMask": None}))
    assert [value for name, value in found if name == "SystemCallFilter"] == ["@system-service"]
    assert ["ReadWritePaths", "/run"] in found
    assert "UMask" not in dict(found)
