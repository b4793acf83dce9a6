"""A pair of hosts. Faults come from the container engine, as a power cut would."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(PROJECT / "molecule/shared"))
SELECT = "import sqlite3, sys, json; c = sqlite3.connect('file:%s?mode=ro' % sys.argv[1], uri=True); print(json.dumps(c.execute(sys.argv[2]).fetchall()))"


class Host:
    def __init__(self, name):
        self.name = name
        self.container = f"botops-molecule-rsync_ha-{name}"
        self.address = next(
            host["address"]
            for host in json.loads((PROJECT / ".cache/molecule-rsync_ha/hosts.json").read_text())
            if host["name"] == name
        )

    def run(self, command, *arguments, check=True):
        done = subprocess.run(
            ["docker", "exec", "-i", self.container, "bash", "-c", command, "bash", *arguments], text=True, capture_output=True, check=False
        )
        if check and done.returncode:
            journal = self.run("journalctl -n 40 --no-pager -o short-precise -u 'botops-rsync-ha*' -u 'botops-promote*' -u bot-paper", check=False)
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}\n{journal.stdout}")
        return done

    def out(self, command, *arguments):
        return self.run(command, *arguments).stdout.strip()

    def start(self, *units):
        self.run("systemctl start " + " ".join(units))

    def stop(self, *units):
        self.run("systemctl stop " + " ".join(units))

    def select(self, query, path="/var/lib/bot-paper/trades.db"):
        return json.loads(self.out('runuser -u bot-paper -- python3 -c "$1" "$2" "$3"', SELECT, path, query))

    def status(self):
        return json.loads(self.out("botops-rsync-ha status paper --json"))[0]

    def promote(self):
        """What a cluster does, in its order. Returns the seconds of the promotion."""
        begun = time.monotonic()
        self.start("botops-promote@paper")
        seconds = time.monotonic() - begun
        self.start("botops-rsync-ha@paper")
        self.start("bot-paper")
        return seconds

    def demote(self):
        self.stop("bot-paper")
        self.stop("botops-rsync-ha@paper")
        self.stop("botops-promote@paper")

    def kill(self):
        subprocess.run(["docker", "kill", self.container], check=True, capture_output=True)

    def boot(self):
        subprocess.run(["docker", "start", self.container], check=True, capture_output=True)
        wait_for(lambda: self.out("systemctl is-system-running || true") in ("running", "degraded"), 60)


def wait_for(condition, seconds=20, what="the condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    pytest.fail(f"{what} did not come true within {seconds} s")


class Pair:
    def __init__(self, release):
        self.release = release
        self.a, self.b = Host("a" + release), Host("b" + release)


@pytest.fixture(scope="session", params=["13", "12"])
def pair(request):
    return Pair(request.param)
