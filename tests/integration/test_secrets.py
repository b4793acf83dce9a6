"""Canaries: the lab's secrets carry a mark, and after a verbose run that changes them none is found where it should not be."""

from __future__ import annotations

import json
import pathlib
import subprocess

import lab
from conftest import ROOT, on, playbook


def test_no_secret_in_output_logs_facts_processes_or_readable_files():
    secrets_file = lab.STATE / "secrets.json"
    kept = secrets_file.read_text()
    # A change of every secret makes every task that carries one show its worst: diff, restart, verbose result.
    rotated = {name: f"{value[:-4]}{(int(value[-4:], 16) + 1) % 65536:04x}" for name, value in json.loads(kept).items()}
    secrets_file.write_text(json.dumps(rotated))
    done = playbook("lab/services.yml", "site.yml", "-vvv", "--diff", ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if "canary-" not in line)[-3000:]
    assert any(counts["changed"] for counts in lab.recap(done.stdout).values()), "rotating the secrets changed nothing"
    # The secrets before and after the change: both were in use during the run.
    vault = json.loads((lab.STATE / "vault.json").read_text())
    canaries = [*json.loads(kept).items(), *rotated.items(), *vault.items()]

    def assert_clean(where: str, text: str) -> None:
        leaked = sorted({name for name, value in canaries if value in text})
        assert not leaked, f"{where} holds {', '.join(leaked)}"

    assert_clean("the output of -vvv --diff", done.stdout)
    for path in (ROOT / ".cache/facts").glob("*"):
        assert_clean(f"the fact cache {path.name}", path.read_text())
    for path in pathlib.Path(ROOT / "build").rglob("*.log"):
        assert_clean(str(path), path.read_text(errors="replace"))
    pattern = "'canary-bot_\\|canary-backups_'"
    for host in ("primary", "standby", "services"):
        assert_clean(f"{host}: the process list", on(host, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))
        assert_clean(f"{host}: the journal", on(host, f"journalctl --no-pager | grep -a {pattern} || true"))
        # What somebody without any right can read, asked as that somebody.
        search = f"grep -rlsI {pattern} /etc /var /opt /srv /home /root /tmp /run"
        readable = on(host, f"setpriv --reuid=nobody --regid=nogroup --clear-groups {search} || true")
        assert readable.split() == [], f"{host}: world-readable files with a secret: {readable}"
    assert len({value for _name, value in canaries}) == 2 * len(lab.SECRETS) + len(lab.VAULT)


def test_secrets_on_the_control_node_are_private():
    files = [lab.STATE / "secrets.json", lab.STATE / "vault.json"]
    modes = subprocess.run(["stat", "-c", "%a", *files], text=True, capture_output=True, check=True).stdout.split()
    assert modes == ["600", "600"]
