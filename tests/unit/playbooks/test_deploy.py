"""playbooks/deploy.yml judges what it was given before it speaks to any host."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
INVENTORY = """
bot_hosts:
  hosts:
    one: {bot_app_bots: [{name: paper}, {name: weather}]}
    two: {bot_app_bots: [{name: paper}]}
    three: {}
  vars: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_python_interpreter: /usr/bin/python3}
"""


@pytest.fixture
def deploy(tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY)

    def run(*arguments):
        command = [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", str(inventory), "playbooks/deploy.yml", *arguments]
        environ = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "500"}
        done = subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True, timeout=120)
        return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)

    return run


def test_a_name_that_no_host_has_fails_and_names_those_that_exist(deploy):
    code, said = deploy("-e", "bot=papre", "-e", "rollback=previous")
    assert code != 0, said
    assert "bot is papre, and none of these hosts has such a bot; write one of paper, weather." in said
    assert "Unreachable" not in said and "UNREACHABLE" not in said


def test_only_the_hosts_that_are_meant_are_looked_at(deploy):
    code, said = deploy("-e", "bot=weather", "--limit", "two,three")
    assert code != 0 and "write one of paper." in said, said
    code, said = deploy("-e", "bot=weather", "--limit", "three")
    assert code != 0 and "(no host has any)" in said, said


def test_without_a_name_it_says_how_to_give_one(deploy):
    code, said = deploy()
    assert code != 0 and "Name the bot, for example -e bot=paper." in said, said
