"""Clients that speak to a host by its address under any public name, as a browser with the right DNS would."""

import dataclasses
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(PROJECT / "molecule/shared"))

from by_name import Named  # noqa: E402 - found by the line above

SCENARIO = pathlib.Path(__file__).resolve().parents[1]
SCRATCH = PROJECT / ".cache/molecule-nginx"
ROOT = SCRATCH / "acme-root.pem"


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def json(self):
        return json.loads(self.body)


class Web:
    def __init__(self, name, address):
        self.inventory_name = name
        self.release = name.removeprefix("nginx-")
        self.address = address

    def name(self, site):
        return f"{site}-{self.release}.lab.test"

    def tls(self, name, authority=ROOT, alpn=None):
        """A raw TLS connection; verifies chain and name against one authority and no other."""
        context = ssl.create_default_context(cafile=str(authority))
        if alpn:
            context.set_alpn_protocols(alpn)
        return context.wrap_socket(socket.create_connection((self.address, 443), 15), server_hostname=name)

    def connection(self, name, authority=ROOT):
        return Named(self.address, name, ssl.create_default_context(cafile=str(authority)))

    def https(self, name, path="/", headers=None, authority=ROOT, method="GET", body=None):
        connection = self.connection(name, authority)
        try:
            return self.ask(connection, path, headers, method, body)
        finally:
            connection.close()

    def http(self, name, path="/", headers=None):
        connection = http.client.HTTPConnection(self.address, 80, timeout=15)
        try:
            return self.ask(connection, path, {"Host": name, **(headers or {})})
        finally:
            connection.close()

    @staticmethod
    def ask(connection, path, headers=None, method="GET", body=None):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())


@dataclasses.dataclass
class Run:
    code: int
    output: str

    def recap(self, host):
        line = re.search(rf"^{host}\s*: (.*)$", self.output, re.MULTILINE).group(1)
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}


@pytest.fixture
def web(host):
    name = host.backend.host
    known = {entry["name"]: entry["address"] for entry in json.loads((SCRATCH / "hosts.json").read_text())}
    return Web(name, known[name])


@pytest.fixture
def play(web):
    """Runs the scenario's play on one host with other variables."""

    def run(*arguments, **variables):
        argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-l", web.inventory_name, *arguments]
        argv += ["-e", json.dumps(variables), str(SCENARIO / "converge.yml")]
        environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "COLUMNS": "10000"}
        done = subprocess.run(argv, text=True, capture_output=True, env=environment)
        return Run(done.returncode, done.stdout + done.stderr)

    return run


@pytest.fixture
def restored(play):
    """For tests that change the host: afterwards it is as the scenario declares it."""
    yield
    assert play().code == 0
