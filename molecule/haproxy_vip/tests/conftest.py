"""Clients on the containers' network: this machine itself, which reaches the floating address as any neighbour would."""

import http.client
import json
import os
import pathlib
import ssl
import subprocess
import time

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SCRATCH = PROJECT / ".cache/molecule-haproxy_vip"


class Host:
    def __init__(self, name):
        self.name = name
        self.container = f"botops-molecule-haproxy_vip-{name}"

    def run(self, command):
        argv = ["docker", "exec", "-i", self.container, "bash", "-c", command]
        return subprocess.run(argv, text=True, capture_output=True, check=False)

    def out(self, command):
        done = self.run(command)
        if done.returncode:
            journal = self.run("journalctl -n 30 --no-pager -u haproxy").stdout
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}\n{journal}")
        return done.stdout.strip()


class Proxy(Host):
    def __init__(self, name):
        super().__init__(name)
        self.address = self.out("sed -n 's/^    bind \\(.*\\):80 .*/\\1/p' /etc/haproxy/haproxy.cfg")
        own = json.loads(self.out("ip -j -4 addr show eth0"))[0]["addr_info"][0]
        self.prefix, self.own = own["prefixlen"], own["local"]

    def take_address(self):
        """What the cluster's address resource does, gratuitous ARP by the kernel included."""
        self.run(f"ip addr add {self.address}/{self.prefix} dev eth0")
        wait_for(lambda: self.get("/").status == 200, 15, "an answer on the floating address")

    def get(self, path, timeout=5, port=80, address=None):
        connection = http.client.HTTPConnection(address or self.address, port, timeout=timeout)
        return finish(connection, path)

    def https(self, path, maximum=None):
        context = ssl.create_default_context(cafile=str(SCRATCH / "vip.crt"))
        context.check_hostname = False
        if maximum:
            context.maximum_version = maximum
        return finish(http.client.HTTPSConnection(self.address, 443, timeout=5, context=context), path)

    def stats(self):
        """Status of each server, by the runtime socket."""
        ask = "; ".join((
            "import socket",
            "s = socket.socket(socket.AF_UNIX)",
            "s.connect('/run/haproxy/admin.sock')",
            "s.send(b'show stat\\n')",
            "print(b''.join(iter(lambda: s.recv(65536), b'')).decode())",
        ))
        rows = [line.split(",") for line in self.out(f'python3 -c "{ask}"').splitlines() if line]
        head = rows[0]
        return {(row[0].lstrip("# "), row[1]): dict(zip(head, row, strict=False))["status"] for row in rows[1:] if len(row) > 17}


def finish(connection, path):
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        return answer
    finally:
        connection.close()


def wait_for(condition, seconds=15, what="the condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail(f"{what} did not come true within {seconds} s")


@pytest.fixture(scope="session", params=["p13", "p12"])
def proxy(request):
    return Proxy(request.param)


@pytest.fixture(scope="session")
def servers():
    return Host("servers")
