"""A declaration in an inventory, and the playbooks run on it as a user runs them, at whatever cloud is emulated."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6SyCVcaAvR2yA3kvHLrY2Q8bDkMqZ8y0H1hQm2D1mF operator"


class Fleet:
    """`source` is the inventory's, `credentials` what the operator has in the environment; `secret` is of them, and must never be shown."""

    def __init__(self, cloud, directory: pathlib.Path, declared: dict, source: dict, credentials: dict[str, str], secret: str) -> None:
        self.cloud, self.directory, self.credentials, self.secret = cloud, directory, credentials, secret
        self.declared = json.loads(json.dumps(declared))
        self.declared["fleet_known_hosts"] = str(directory / "known_hosts")
        (directory / "inventory/group_vars").mkdir(parents=True)
        source = {**source, "tags": {"fleet": "prod"}, "user": "admin"}
        (directory / "inventory/fleet.yml").write_text(yaml.safe_dump({"plugin": "botops.fleet.fleet", "sources": [source]}))

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "PYTHONUTF8": "1",
            **self.credentials, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "500",
            "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }  # fmt: skip

    def argv(self, tool: str, *more: str) -> list[str]:
        (self.directory / "inventory/group_vars/all.yml").write_text(yaml.safe_dump(self.declared))
        return [str(pathlib.Path(sys.executable).parent / tool), "-i", str(self.directory / "inventory"), *more]

    def playbook(self, name: str, *more: str) -> list[str]:
        return self.argv("ansible-playbook", str(ROOT / "playbooks" / f"{name}.yml"), *more)

    def run(self, playbook: str, *more: str, fails: bool = False) -> str:
        self.cloud.log.clear()
        started = time.monotonic()
        argv = self.playbook(playbook, *more)
        done = subprocess.run(argv, text=True, capture_output=True, env=self.environment(), cwd=self.directory, check=False)
        print(f"  {playbook} {time.monotonic() - started:.1f} s, {len(self.cloud.log)} requests, {len(self.cloud.writes())} of them writing")
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, said[-6000:]
        assert self.secret not in said and "PRIVATE KEY" not in said
        return said

    def module(self, name: str, arguments: str) -> None:
        """One module, as a note of the plan says to type it."""
        argv = self.argv("ansible", "localhost", "-m", f"botops.fleet.{name}", "-a", arguments)
        done = subprocess.run(argv, text=True, capture_output=True, env=self.environment(), cwd=self.directory, check=False)
        assert done.returncode == 0 and "CHANGED" in done.stdout, done.stdout + done.stderr

    def plan(self) -> dict:
        """The plan as `-e plan_file=` writes it."""
        path = self.directory / "plan.json"
        self.run("plan", "-e", f"plan_file={path}")
        assert path.stat().st_mode & 0o777 == 0o600
        return json.loads(path.read_text())

    def hosts(self) -> dict:
        done = subprocess.run(self.argv("ansible-inventory", "--list"), text=True, capture_output=True, env=self.environment(), check=True)
        return json.loads(done.stdout)
