"""What the tests of this scenario share: the hosts as the control node sees them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(ROOT / "molecule/shared"))
STATE = ROOT / ".cache" / "molecule-hardening"


class Outside:
    """One host as it looks from the control node, without Ansible in between."""

    def __init__(self, entry):
        self.name, self.address, self.key = entry["name"], entry["address"], entry["identity_file"]

    def ssh(self, command, user="admin", options=(), timeout=20):
        argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=8"]
        argv += ["-o", f'UserKnownHostsFile="{STATE}/known_hosts"', "-i", self.key]
        for option in options:
            argv += ["-o", option]
        return subprocess.run([*argv, f"{user}@{self.address}", command], text=True, capture_output=True, timeout=timeout)


@pytest.fixture
def outside(host):
    name = host.backend.get_hostname()
    return next(Outside(entry) for entry in json.loads((STATE / "hosts.json").read_text()) if entry["name"] == name)


@pytest.fixture
def play(tmp_path, host):
    """Run plays against this one host, by the same inventory as Molecule."""

    def run(tasks=None, role_vars=None, check=False):
        play = {"hosts": host.backend.get_hostname(), "become": True, "vars_files": [str(ROOT / "molecule/hardening/vars/main.yml")]}
        if tasks is None:
            play["roles"] = [{"role": "botops.fleet.hardening"}]
        else:
            play["tasks"], play["gather_facts"] = tasks, False
        book = tmp_path / "play.yml"
        book.write_text(json.dumps([play]))
        argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(book), "-e", json.dumps(role_vars or {})]
        environment = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"))
        environment.pop("ANSIBLE_FORCE_COLOR", None)  # set by Molecule under CI, and stronger than the line above
        done = subprocess.run(argv + (["--check"] if check else []), text=True, capture_output=True, env=environment, timeout=400)
        done.output = done.stdout + done.stderr
        return done

    return run
