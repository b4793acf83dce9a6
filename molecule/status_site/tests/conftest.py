"""Both hosts, asked as a browser asks them: over HTTPS, with a name and a password."""

import base64
import json
import os
import pathlib
import runpy
import ssl
import subprocess
import sys
import time

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(PROJECT / "molecule/shared"))

from by_name import Named  # noqa: E402 - found by the line above

SCRATCH = PROJECT / ".cache/molecule-status_site"
NAMES = ("status_site-debian12", "status_site-debian13")
LEFT = runpy.run_path(str(PROJECT / "molecule/status_site/files/left_behind.py"))
USER, PASSWORD = "ops", "canary-status-password"
PAGES = ("/", "/system/", "/ha/", "/backups/", "/compliance/", "/releases/")


class Host:
    def __init__(self, name):
        self.name, self.container = name, f"botops-molecule-status_site-{name}"
        self.site = name.replace("_site", "") + ".lab.test"
        self.address = next(entry["address"] for entry in json.loads((SCRATCH / "hosts.json").read_text()) if entry["name"] == name)

    def run(self, command, check=True):
        done = subprocess.run(
            ["docker", "exec", "-i", self.container, "bash", "-c", command], text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
        if check and done.returncode:
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def out(self, command):
        return self.run(command).stdout.strip()

    def get(self, path, user=USER, password=PASSWORD):
        """(status, headers, body) over HTTPS, by the scenario's own certificate and no other."""
        connection = Named(self.address, self.site, ssl.create_default_context(cafile=str(SCRATCH / "status.crt")), timeout=10)
        headers = {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()} if user else {}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def look(self):
        """A look of the unit itself, in its sandbox; the state that it found."""
        self.run("systemctl start botops-status.service")
        return json.loads(self.get("/state.json")[2])


@pytest.fixture(scope="session")
def both():
    hosts = [Host(name) for name in NAMES]
    for host in hosts:
        host.look()
    return hosts


@pytest.fixture(params=range(len(NAMES)), ids=NAMES)
def host(request, both):
    return both[request.param]


def eventually(question, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.3)
    return None
