"""Modules run inside the test process against moto; every call that reaches botocore is written down."""

import contextlib
import functools
import importlib
import io
import json
import pathlib
import sys
from unittest import mock

import boto3
import botocore.client
import pytest
from moto import mock_aws

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from emulators.aws.moto_gaps import Gaps  # noqa: E402

MODULES = "ansible_collections.botops.fleet.plugins.modules."
SECRET = "canary-secret-key-2718"
READS = ("Describe", "List", "Get", "AssumeRole")


class Result(dict):
    """A module's result with the calls that it made."""

    calls = ()

    @property
    def writes(self):
        return [name for name, _ in self.calls if not name.startswith(READS)]

    def requests(self, operation):
        return [request for name, request in self.calls if name == operation]


def run_module(name, arguments, check):
    from ansible.module_utils import basic
    from ansible.module_utils.testing import patch_module_args

    module = importlib.import_module(MODULES + name)
    out, warnings = io.StringIO(), []
    internal = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": "/tmp", "_ansible_no_log": False}
    with (
        patch_module_args({**arguments, **internal}), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit),
        # Where they go depends on what else was imported into this process: collected here, they are always found.
        mock.patch.object(basic.AnsibleModule, "warn", lambda self, warning, **_: warnings.append(warning)),
        mock.patch.object(basic.AnsibleModule, "log", lambda self, *args, **kwargs: None),
        mock.patch.object(basic.AnsibleModule, "debug", lambda self, *args, **kwargs: None),
    ):
        module.main()
    result = Result(json.loads(out.getvalue().strip().splitlines()[-1]))
    if warnings:
        result["warnings"] = warnings
    return result


@pytest.fixture
def gaps():
    return Gaps()


@pytest.fixture
def calls(monkeypatch, gaps):
    """[(operation, request)] of everything that is asked of AWS; `calls.fail(operation, exception)` loses answers."""

    class Calls(list):
        failures = {}

        def fail(self, operation, *errors, after=False):
            self.failures[operation] = [(error, after) for error in errors]

    seen = Calls()
    seen.failures = {}
    seen.gaps = gaps
    original = gaps(botocore.client.BaseClient._make_api_call)

    def call(self, operation, request):
        seen.append((operation, request))
        planned = seen.failures.get(operation)
        if planned:
            error, after = planned.pop(0)
            if after:
                original(self, operation, request)
            raise error
        return original(self, operation, request)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
    return seen


@pytest.fixture
def aws(monkeypatch, calls):
    """`aws("ecs_service", name=…)` runs aws_ecs_service; `check=True` in check mode; `fails=True` expects a failure."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # A session reads a megabyte of service models; one is enough for all tests of a process.
    monkeypatch.setattr(boto3.session, "Session", lambda *args, **kwargs: Session())
    # Thousands of images that no test asks for.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    resource = importlib.import_module("ansible_collections.botops.fleet.plugins.module_utils._resource")
    monkeypatch.setattr(resource, "FIRST_PAUSE", 0.004)
    monkeypatch.setattr(resource, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(resource, "LOOKUP_SECONDS", 0.2)

    def call(kind, /, check=False, fails=False, **arguments):
        start = len(calls)
        given = {name: value for name, value in {"region": "us-east-1", "wait_timeout": 5, **arguments}.items() if value is not None}
        result = run_module("aws_" + kind, given, check)
        result.calls = calls[start:]
        assert bool(result.get("failed")) == fails, result.get("msg", result)
        assert SECRET not in json.dumps(result), "the secret key is in the result"
        if check:
            assert result.writes == [], "check mode wrote"
        return result

    with mock_aws():
        yield call


REAL = boto3.session.Session


@functools.cache
def shared_session():
    return REAL(aws_access_key_id="testing", aws_secret_access_key=SECRET)


@functools.cache
def shared_client(service, region):
    return shared_session().client(service, region_name=region)


class Session:
    """A session that makes each client once: none of them is asked over a network, so their retries make no difference."""

    def client(self, service, region_name=None, **_):
        return shared_client(service, region_name)


@pytest.fixture
def client(aws):
    """boto3 clients of the mocked account."""

    return lambda service, region="us-east-1": shared_client(service, region)


@pytest.fixture
def life(aws):
    """The grid: check, apply, check, apply; drift; absent in check mode, absent, absent again. The call log is the witness."""

    def grid(kind, arguments, identity, drift=None, restored_by=(), key=None):
        key = key or kind
        planned = aws(kind, check=True, **arguments)
        assert planned["changed"] and planned["diff"]["before"] == {} and planned["diff"]["after"]
        created = aws(kind, **arguments)
        assert created["changed"] and created[key] and created.writes
        assert planned[key].keys() == created[key].keys(), "a later task could not be planned"
        assert "not there yet" in str(planned[key].get("arn", planned[key].get("id"))), "not marked as a placeholder"
        assert created["diff"]["after"] == planned["diff"]["after"], "check mode foretold something else"
        assert created.get("warnings") is None, created["warnings"]
        for check in (True, False):
            again = aws(kind, check=check, **arguments)
            assert not again["changed"] and again.writes == [], again["diff"]
            assert again["diff"]["before"] == again["diff"]["after"]
        if drift:
            drift(created[key])
            foreseen = aws(kind, check=True, **arguments)
            assert foreseen["changed"] and foreseen["diff"]["before"] != foreseen["diff"]["after"]
            repaired = aws(kind, **arguments)
            assert repaired["changed"] and repaired["diff"] == foreseen["diff"]
            assert repaired.writes == list(restored_by)
            assert repaired.get("warnings") is None, repaired["warnings"]
            settled = aws(kind, **arguments)
            assert not settled["changed"] and settled.writes == []
        gone = {**identity, "state": "absent"}
        assert aws(kind, check=True, **gone)["changed"]
        removed = aws(kind, **gone)
        assert removed["changed"] and removed["diff"]["after"] == {} and removed["diff"]["before"]
        nothing = aws(kind, **gone)
        assert not nothing["changed"] and nothing.writes == [] and nothing[key] == {}
        assert not aws(kind, check=True, **gone)["changed"]
        return created

    return grid
