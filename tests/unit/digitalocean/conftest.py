"""Every test gets an account of its own in the emulator; what was sent and answered is judged by the vendor's document."""

import json
import os
import warnings

import pytest
from do_harness import ROOT, TOKEN, run_module, util
from emulators.digitalocean import Emulator
from emulators.digitalocean.judge import Judge
from hypothesis import settings

# Examples are the same in every run, and nothing is written into the working directory.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".cache/hypothesis"))
settings.register_profile("fleet", database=None, deadline=None, derandomize=True, max_examples=60)
settings.load_profile("fleet")

SPECIFICATION = os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI")


def pytest_terminal_summary(terminalreporter):
    if not SPECIFICATION:
        terminalreporter.section("DigitalOcean", "!", red=True, bold=True)
        terminalreporter.line(
            "REQUESTS WERE NOT JUDGED: BOTOPS_DIGITALOCEAN_OPENAPI does not name the vendor's OpenAPI document, so nothing "
            "compared what was sent and answered with it.",
            red=True,
            bold=True,
        )


@pytest.fixture(scope="session")
def judge():
    if not SPECIFICATION:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return Judge(SPECIFICATION)


@pytest.fixture
def cloud(judge):
    """An account of its own for each test. At the end, nothing may have broken the vendor's contract."""
    with Emulator(token=TOKEN, action_ms=1, judge=judge) as emulator:
        before = len(emulator.violations)
        yield emulator
        assert emulator.violations[before:] == []


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch):
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_API_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    resource, client = util("_resource"), util("_digitalocean.client")
    monkeypatch.setattr(resource, "FIRST_PAUSE", 0.004)
    monkeypatch.setattr(resource, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(resource, "LOOKUP_SECONDS", 0.2)
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.001)


@pytest.fixture
def do(cloud):
    """`do("droplet", name=…)` runs do_droplet; `check=True` in check mode; `fails=True` expects a failure."""

    def call(kind, /, check=False, fails=False, **arguments):
        start = len(cloud.log)
        connection = {"api_token": TOKEN, "api_endpoint": cloud.url, "wait_timeout": 5}
        if kind == "info":
            connection.pop("wait_timeout")
        result = run_module("do_" + kind, {**connection, **arguments}, check)
        result.requests = cloud.log[start:]
        assert bool(result.get("failed")) == fails, result.get("msg", result)
        assert TOKEN not in json.dumps(result), "the token is in the result"
        if check:
            assert result.writes == [], "check mode wrote"
        return result

    return call
