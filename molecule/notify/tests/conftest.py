"""Hosts that have something to say, and the phone that says what arrived."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(PROJECT / "molecule/shared"))
PING = "import json, sys, urllib.request as u; print(u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode() or None)).read().decode())"


def play(name, *arguments):
    argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(PROJECT / "playbooks" / name), *arguments]
    extra = {"ANSIBLE_NOCOLOR": "1", "COLUMNS": "500", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml", "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PROJECT, env={**os.environ, **extra})
    assert "canary-" not in done.stdout + done.stderr, "a secret was shown"
    return done


class Host:
    def __init__(self, name):
        self.name = name
        self.container = f"botops-molecule-notify-{name}"

    def run(self, command, *arguments, check=True, stdin=None):
        done = subprocess.run(
            ["docker", "exec", "-i", self.container, "bash", "-c", command, "bash", *arguments],
            text=True, capture_output=True, check=False, **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}),
        )
        if check and done.returncode:
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def out(self, command, *arguments, **kwargs):
        return self.run(command, *arguments, **kwargs).stdout.strip()

    def waiting(self):
        return self.out("ls /var/lib/botops/notify/queue /run/botops/notify/queue 2>/dev/null | grep -c json || true")

    def evidence(self):
        return json.loads(self.out("cat /var/lib/botops/evidence/notify.json"))


class Phone(Host):
    def ask(self, path, data=""):
        return json.loads(self.out('python3 -c "$1" "http://127.0.0.1:8080$2" "$3"', PING, path, data))

    def mode(self, **services):
        self.ask("/_mode", json.dumps(services))

    def forget(self):
        self.ask("/_forget", "{}")

    def messages(self, host, service=None, having=""):
        return [
            each for each in self.ask("/_messages")
            if host.name in each["text"] and having in each["text"] and service in (None, each["service"])
        ]  # fmt: skip

    def rings(self, host, service, having, count=1, seconds=60.0):
        """Waits until so many messages with these words are there, and returns them."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.messages(host, service, having)
            if len(found) >= count:
                return found
            time.sleep(0.3)
        log = host.out("journalctl -q --no-pager -n 25 -o short-precise -u 'botops-notify*'; botops-notify status", check=False)
        pytest.fail(f"{service} did not ring with {having!r} {count} times within {seconds} s; it has {self.ask('/_messages')}\n{log}")
        return []


@pytest.fixture(scope="session")
def phone():
    return Phone("phone")


@pytest.fixture(params=["notify-debian13", "notify-debian12"])
def host(request, phone):
    """With nothing that waits, and a phone that takes everything."""
    found = Host(request.param)
    phone.mode()
    phone.forget()
    state = "/var/lib/botops/notify"
    found.run(f"systemctl stop botops-notify-deliver; rm -f {state}/queue/* {state}/state.json /run/botops/notify/queue/* /run/botops/notify/state.json")
    return found
