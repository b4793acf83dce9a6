"""Logins are there while a deployment runs, for nobody else to read, and gone afterwards."""

import base64
import json
import os
import stat

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._bot import registries
from ansible_collections.botops.fleet.plugins.module_utils._bot.sources import platform_digest

GHCR = {"registry": "ghcr.io", "username": "me", "password": "canary"}


def test_logins_stand_beside_those_that_are_there():
    present = {"auths": {"other.example": {"auth": "x"}}, "credHelpers": {"ghcr.io": "desktop", "third.example": "pass"}}
    found = registries.settings([GHCR, {**GHCR, "registry": "docker.io"}], present)
    assert base64.b64decode(found["auths"]["ghcr.io"]["auth"]) == b"me:canary"
    assert sorted(found["auths"]) == ["ghcr.io", "https://index.docker.io/v1/", "other.example"]
    assert found["credHelpers"] == {"third.example": "pass"}, "a helper would be asked instead"


def test_nothing_of_a_login_stays(monkeypatch):
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    with pytest.raises(SystemExit), registries.login([GHCR]):
        directory = os.environ["DOCKER_CONFIG"]
        path = os.path.join(directory, "config.json")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        with open(path) as handle:
            assert "ghcr.io" in json.load(handle)["auths"]
        raise SystemExit
    assert "DOCKER_CONFIG" not in os.environ and not os.path.exists(directory)


def test_without_logins_nothing_changes(monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", "/somewhere")
    with registries.login([]):
        assert os.environ["DOCKER_CONFIG"] == "/somewhere"


def entry(digest, architecture=None, system="linux"):
    return {"Descriptor": {"digest": digest, **({"platform": {"os": system, "architecture": architecture}} if architecture else {})}}


def test_the_manifest_of_this_machine_is_pinned():
    several = [entry("w", "amd64", "windows"), entry("x", "arm64"), entry("y", "amd64")]
    assert (platform_digest(several, "x86_64"), platform_digest(several, "aarch64"), platform_digest(several, "riscv64")) == ("y", "x", None)
    assert platform_digest([entry("z")], "x86_64") == "z"
