"""The two hosts, and the role as an operator runs it."""

import json
import os
import pathlib
import subprocess

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
EPHEMERAL = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
CONVERGE = PROJECT / "molecule/cloudwatch_agent/converge.yml"
SECRET = "canary-cloudwatch-secret"


def play(playbook=CONVERGE, limit="all", **variables):
    argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(playbook), "--limit", limit, "--diff", "-vvv"]
    argv += ["-e", json.dumps(variables)] if variables else []
    extra = {"ANSIBLE_NOCOLOR": "1", "COLUMNS": "500", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml", "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PROJECT, env={**os.environ, **extra})
    assert SECRET not in done.stdout + done.stderr, "a secret was shown"
    return done


class Host:
    def __init__(self, name):
        self.name = name
        self.container = f"botops-molecule-cloudwatch_agent-{name}"

    def out(self, command, check=True):
        done = subprocess.run(["docker", "exec", self.container, "bash", "-c", command], text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def took(self):
        """What the agent read when it started."""
        return json.loads(self.out("cat /run/cloudwatch-agent-took.json"))

    def started(self):
        return self.out("systemctl show amazon-cloudwatch-agent --property MainPID --property ActiveState")

    def version(self):
        return self.out("dpkg-query -W -f '${Version}' amazon-cloudwatch-agent")


@pytest.fixture(scope="session")
def downloads():
    return Host("cw-debian13")


@pytest.fixture(scope="session")
def brought():
    return Host("cw-debian12")


@pytest.fixture(params=["cw-debian13", "cw-debian12"])
def host(request):
    return Host(request.param)
