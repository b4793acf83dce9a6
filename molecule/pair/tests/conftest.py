"""The pair from outside, and the project's own playbooks."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(PROJECT / "lab"))

import chaos  # noqa: E402
import pair as lab_pair  # noqa: E402

# Where others want the processors, too, everything takes longer: the limits leave room for that, and above BUSY they say nothing about seconds.
# `make chaos` asserts the figures.
BUSY = 3 * os.cpu_count()


def without_an_order(found: dict, limit: float) -> None:
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"{found['gap_s']} s without an order are not judged at a load of {load:.0f} on {os.cpu_count()} processors")
    else:
        assert found["gap_s"] <= limit, f"{found['gap_s']} s without an order, and {limit} are the limit; the load is {load:.1f}"


class Operator:
    """Types what an operator types."""

    def play(self, playbook: str, *options: str, check: bool = True) -> subprocess.CompletedProcess:
        ephemeral = os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": f"{ephemeral}/ansible.cfg",
            "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        argv = ["ansible-playbook", "-i", f"{ephemeral}/inventory", str(PROJECT / playbook), *options]
        argv += ["-e", json.dumps({"molecule_ephemeral_directory": ephemeral})]
        done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False)
        if check:
            assert done.returncode == 0, done.stdout[-6000:]
        return done

    @staticmethod
    def changed(output: str) -> dict[str, int]:
        """{host: changed} of the recap."""
        return {host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", output, re.MULTILINE)}


@pytest.fixture(scope="session")
def operator() -> Operator:
    return Operator()


@pytest.fixture(scope="session")
def pair() -> lab_pair.Pair:
    return chaos.hosts()
