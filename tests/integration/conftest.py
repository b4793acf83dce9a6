"""What the lab's tests share. They need a lab that runs (`make lab`); `make test` starts one."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

import lab  # noqa: E402

BIN = pathlib.Path(sys.executable).parent


LAB = str(ROOT / "inventories/lab")


def playbook(*argv: str, cwd: pathlib.Path = ROOT, inventory: str = LAB, **env: str) -> subprocess.CompletedProcess:
    """Run ansible-playbook as an operator would; the output is in .stdout."""
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", **env}
    return subprocess.run(
        [BIN / "ansible-playbook", "-i", inventory, *argv],
        cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
    )


def on(host: str, command: str) -> str:
    """Run a command as root on a lab host, over SSH with the host key checked."""
    argv = ["ssh", "-i", lab.STATE / "id_ed25519", "-o", f'UserKnownHostsFile="{lab.STATE / "known_hosts"}"', "-o", "BatchMode=yes"]
    argv += [f"admin@{lab.HOSTS[host][0]}", "sudo sh -s"]
    done = subprocess.run(argv, input=command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{host}: {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tasks_by_role(output: str) -> dict[str, dict[str, int]]:
    """{host: {role: tasks that were run}} from the default callback's output."""
    counts: dict[str, dict[str, int]] = {}
    role = ""
    for line in output.splitlines():
        if started := re.match(r"TASK \[(?:botops\.fleet\.)?(?:(\w+) : )?", line):
            role = started.group(1) or "play"
        elif ran := re.match(r"(?:ok|changed): \[([^\]\s]+)\]", line):
            counts.setdefault(ran.group(1), {}).setdefault(role, 0)
            counts[ran.group(1)][role] += 1
    return counts


@pytest.fixture(scope="session", autouse=True)
def running_lab():
    if lab.PAIR.exists():
        pytest.exit("The lab that runs is a pair, and these tests are for one that is not: make lab-down lab", returncode=1)
    try:
        return lab.await_orders()
    except lab.Failed:
        pytest.exit("No lab is running: `make lab` first.", returncode=1)
