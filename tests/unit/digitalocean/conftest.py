"""Modules run inside the test process against the emulator; what they sent and got is in its request log."""

import contextlib
import importlib
import io
import json
import os
import pathlib
import sys
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from emulators.digitalocean import Emulator  # noqa: E402
from emulators.digitalocean.judge import Judge  # noqa: E402

SPECIFICATION = os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI")
MODULES = "ansible_collections.botops.fleet.plugins.modules."
UTILS = "ansible_collections.botops.fleet.plugins.module_utils."
TOKEN = "dop_v1_canary-2718"


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
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    resource = importlib.import_module(UTILS + "_resource")
    client = importlib.import_module(UTILS + "_digitalocean.client")
    monkeypatch.setattr(resource, "FIRST_PAUSE", 0.004)
    monkeypatch.setattr(resource, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.001)


class Result(dict):
    """A module's result with what it sent."""

    requests = ()

    @property
    def writes(self):
        return [f"{entry['method']} {entry['path']}" for entry in self.requests if entry["method"] != "GET"]

    @property
    def reads(self):
        return [entry["path"] for entry in self.requests if entry["method"] == "GET"]


def run_module(name, arguments, check=False):
    """Run a module as ansible would, argument parsing and censoring included; its JSON is the result."""
    from ansible.module_utils import basic
    from ansible.module_utils.testing import patch_module_args

    module = importlib.import_module(MODULES + name)
    out = io.StringIO()
    internal = {
        "_ansible_check_mode": check,
        "_ansible_diff": True,
        "_ansible_remote_tmp": "/tmp",
        "_ansible_no_log": False,
    }
    with patch_module_args({**arguments, **internal}), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        logged = basic.AnsibleModule.log
        basic.AnsibleModule.log = basic.AnsibleModule.debug = lambda self, *args, **kwargs: None
        # Censoring and warnings are kept in module globals; a process of its own would start without them.
        from ansible.module_utils.common import warnings as kept

        for store in ("_global_warnings", "_global_deprecations"):
            if hasattr(kept, store):
                getattr(kept, store).clear()
        try:
            module.main()
        finally:
            basic.AnsibleModule.log = logged
    return Result(json.loads(out.getvalue().strip().splitlines()[-1]))


@pytest.fixture
def do(cloud):
    """`do("droplet", name=…)` runs do_droplet; `check=True` in check mode; `fails=True` expects a failure."""

    def call(kind, check=False, fails=False, **arguments):
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
