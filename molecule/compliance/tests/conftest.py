"""Both hosts, and the report that one look at them made."""

import json
import os
import pathlib
import subprocess
import time

import pytest

PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
NAMES = ("compliance-debian12", "compliance-debian13")


def play(playbook, *arguments):
    argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(playbook), *arguments]
    extra = {
        "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "COLUMNS": "500", "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    }  # fmt: skip
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PROJECT, env={**os.environ, **extra})


class Host:
    def __init__(self, name):
        self.name, self.container = name, f"botops-molecule-compliance-{name}"

    def run(self, command, check=True):
        argv = ["docker", "exec", "-i", self.container, "bash", "-c", command]
        done = subprocess.run(argv, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def out(self, command):
        return self.run(command).stdout.strip()

    def evidence(self):
        return json.loads(self.out("cat /var/lib/botops/evidence/compliance.json"))

    def configured(self, change):
        """A change to what is declared, as Python over `c`, until `restored`."""
        path = "/etc/botops/compliance.json"
        self.run(f"[ -e {path}.kept ] || cp -p {path} {path}.kept; python3 - <<'END'\nimport json\nc = json.load(open('{path}'))\n{change}\n"
                 f"json.dump(c, open('{path}', 'w'))\nEND")  # fmt: skip

    def restored(self):
        self.run("cd /etc/botops; [ ! -e compliance.json.kept ] || mv compliance.json.kept compliance.json")


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """playbooks/compliance.yml over both hosts: what it printed, what it wrote, and how long it took."""
    place, since = tmp_path_factory.mktemp("report"), time.monotonic()
    done = play(PROJECT / "playbooks/compliance.yml", "-e", f"report_dir={place}")
    print(f"\nplaybooks/compliance.yml: {time.monotonic() - since:.0f} s")
    print("\n".join(line for line in done.stdout.splitlines() if " %" in line))
    return type("Report", (), {
        "done": done, "place": place, "json": json.loads((place / "report.json").read_text()) if (place / "report.json").exists() else None,
    })  # fmt: skip


@pytest.fixture(params=NAMES)
def host(request, report):
    found = Host(request.param)
    yield found
    found.restored()
