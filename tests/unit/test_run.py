"""What the runner shows of a failed check."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("run", pathlib.Path(__file__).resolve().parents[1] / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["run"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["run"]


WRAPPED = """\
  │ >       assert p95(gaps) <= 2.0
  │ E       assert 2.389153644 <= 2.0
  │ E        +  where 2.389153644 = p95([1.619081157, 2.389153644])
  │ tests/test_seeds.py:129: AssertionError
  │ FAILED
  │   tests/test_seeds.py::test_data_outlives_a_deployment
fatal: [host1]: FAILED! => {}
  │ tests/test_seeds.py ......
""".splitlines()


def test_the_lines_that_say_why_are_found_in_a_verifiers_frame(run):
    assert run.reasons(WRAPPED) == [*WRAPPED[1:4], *WRAPPED[5:7]]


def test_there_are_never_more_than_can_be_read(run):
    assert len(run.reasons(WRAPPED * 50)) == run.REASONS


def test_colours_do_not_hide_them(run):
    assert run.ESCAPES.sub("", "\x1b[31mERROR   \x1b[0m no tests") == "ERROR    no tests"


def test_what_is_timed_is_set_up_beside_others_and_tested_alone(run):
    assert run.half("pair", "hosts").argv[-5:] == ["pair", "destroy", "check", "converge", "idempotence"]
    assert run.half("pair", "tests").log().name == "molecule-pair-its-tests.log"


def test_a_step_that_fails_takes_the_hosts_away_and_ends_it(run, tmp_path, monkeypatch):
    molecule = tmp_path / "molecule"
    molecule.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/said\n[ "$1" != converge ]\n')
    molecule.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert subprocess.run(run.half("pair", "hosts").argv, check=False).returncode == 1
    assert (tmp_path / "said").read_text().splitlines() == [f"{step} -s pair" for step in ("destroy", "check", "converge", "destroy")]


def test_what_failed_is_said_again_at_the_end(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOGS", tmp_path)
    good, bad = run.Check("lint ruff", ["true"]), run.Check("molecule pair", ["false"])
    bad.failed = 1
    bad.log().write_text("\n".join(WRAPPED))
    assert run.failures([good, bad]) == ["failed: molecule pair", *(f"     | {line}" for line in [*WRAPPED[1:4], *WRAPPED[5:7]])]
    assert run.failures([good]) == []


def quiet(run, tmp_path, monkeypatch, refuses="nothing"):
    """What is typed to Docker for two scenarios, the second of which has two hosts."""
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/said\ncase "$*" in ps*-bot_deploy-*) echo "one two";; "{refuses}") echo no >&2; exit 1;; esac\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(run.time, "sleep", lambda seconds: None)
    checks = [run.half("pair", "tests"), run.half("bot_deploy", "tests")]
    for check in checks:
        monkeypatch.setattr(check, "run", lambda check=check: subprocess.run(["sh", "-c", f"echo {check.name} >> {tmp_path}/said"], check=True))
    run.in_quiet(checks)
    return [line for line in (tmp_path / "said").read_text().splitlines() if not line.startswith("ps ")]


def test_what_waits_for_its_turn_stands_still_and_goes_on(run, tmp_path, monkeypatch):
    said = quiet(run, tmp_path, monkeypatch)
    assert said == ["pause one", "pause two", "molecule pair, its tests", "unpause one", "unpause two", "molecule bot_deploy, its tests"]


def test_what_cannot_be_stopped_is_tried_again_and_said(run, tmp_path, monkeypatch, capsys):
    said = quiet(run, tmp_path, monkeypatch, refuses="pause one")
    assert said.count("pause one") == 5 and said[-1] == "molecule bot_deploy, its tests"
    assert "docker pause one: no; what is timed now shares the processors with it" in capsys.readouterr().out
