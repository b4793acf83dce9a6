"""One machine for all tests, set up by site.yml as any host is; each step prints its seconds."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import machine as vm  # noqa: E402

RELEASE = os.environ.get("BOTOPS_VM_RELEASE", "debian13")
# A machine that runs is used as it is, and left running, for whoever works on these tests.
KEEP = os.environ.get("BOTOPS_VM_KEEP") == "1"
BIN = pathlib.Path(sys.executable).parent
LOGS = ROOT / "build" / "vm"


class Machine:
    """The host as an operator has it: Ansible, and a shell over SSH."""

    def __init__(self, host: dict) -> None:
        self.host = host

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess:
        """A playbook of ours; its output is kept in build/vm."""
        argv = [str(BIN / "ansible-playbook"), "-i", str(HERE / "inventory.yml"), playbook, *arguments]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        began = time.monotonic()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        done = subprocess.run(argv, cwd=ROOT, env=environment, text=True, check=False, **pipes)
        LOGS.mkdir(parents=True, exist_ok=True)
        with (LOGS / f"{pathlib.Path(playbook).stem}.log").open("a") as log:
            log.write(f"\n$ {' '.join(argv)}\n{done.stdout}")
        print(f"\n{time.monotonic() - began:6.1f} s  {' '.join([pathlib.Path(playbook).name, *arguments])}", flush=True)
        return done

    def site(self, *arguments: str) -> dict[str, int]:
        """site.yml; what its recap counts."""
        done = self.play("site.yml", *arguments)
        assert done.returncode == 0, done.stdout[-6000:]
        (line,) = re.findall(r"^vm +: (.*)$", done.stdout, re.M)
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}

    def run(self, script: str, seconds: float = 300) -> subprocess.CompletedProcess:
        """As root, out of a file: the script is in no command line, and nothing that it starts can read it away."""
        return vm.ssh(self.host, 'file=$(mktemp) && cat > "$file" && sudo bash "$file" < /dev/null; status=$?; rm -f "$file"; exit $status', script, seconds)

    def out(self, script: str, seconds: float = 300) -> str:
        done = self.run(script, seconds)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def until(self, script: str, seconds: float, every: float = 0.5) -> float:
        """Seconds until the script succeeds."""
        began = time.monotonic()
        while True:
            done = self.run(script)
            taken = time.monotonic() - began
            if done.returncode == 0:
                return taken
            assert taken < seconds, f"not within {seconds} s: {script}\n{done.stdout}{done.stderr}"
            time.sleep(every)

    def reboot(self, meanwhile=lambda: None, delay: int = 1) -> float:
        """Seconds until a login works again; it is another boot, by the kernel's own word. `meanwhile` has `delay` seconds before it begins."""
        before = self.out("cat /proc/sys/kernel/random/boot_id")
        self.out(f"systemd-run -q --on-active={delay} systemctl reboot")
        began = time.monotonic()
        meanwhile()
        deadline = began + vm.BOOT_SECONDS
        while time.monotonic() < deadline:
            try:
                done = vm.ssh(self.host, "cat /proc/sys/kernel/random/boot_id", seconds=30)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0 and done.stdout.strip() != before:
                return time.monotonic() - began
            time.sleep(1)
        console = (vm.STATE / "console.log").read_text(errors="replace")[-3000:]
        return pytest.fail(f"it did not come back within {vm.BOOT_SECONDS} s\n{console}")

    def orders(self) -> int:
        return json.loads(self.out("python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:9000/stats\").read().decode())'"))["orders"]


def echo_image(release: str) -> None:
    """The compose bot's image as a file: built here, so that the machine fetches nothing."""
    tag, path = "vm-echo-bot:1", vm.STATE / "echo-bot-1.tar"
    if not path.exists():
        vm.hosts.run("docker", "build", "-q", "--build-arg", f"BASE={vm.hosts.image(release)}", "-t", tag, str(HERE / "echo_bot"))
        vm.hosts.run("docker", "save", "-o", str(path), tag)


@pytest.fixture(scope="session")
def machine():
    if KEEP and vm.alive():
        host = json.loads((vm.STATE / "hosts.json").read_text())[0]
    else:
        print()
        host = vm.up(RELEASE)
    vm.timed("image of the compose bot", lambda: echo_image(RELEASE))
    yield Machine(host)
    if not KEEP:
        vm.down()
