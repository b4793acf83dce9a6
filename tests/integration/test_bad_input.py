"""Variables that cannot work: each is refused with one clear sentence, before anything is changed.

The cases are data: bad_input/<role>.yml. One play runs them all on a lab host; every case includes its role with
the case's variables over the host's own.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

from conftest import ROOT, playbook

CASES = [
    {**case, "file": path.stem}
    for path in sorted(pathlib.Path(__file__).parent.glob("bad_input/*.yml"))
    for case in yaml.safe_load(path.read_text())
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Run every case; return {case name: {failed, message, changed}}."""
    out = tmp_path_factory.mktemp("bad_input")
    tasks = []
    for number, case in enumerate(CASES):
        record = {"failed": True, "message": "{{ ansible_failed_result.msg | default(ansible_failed_result | string) }}"}
        tasks.append({
            "name": f"Case {number}: {case['name']}",
            "block": [
                {
                    "name": "Include the role",
                    "ansible.builtin.include_role": {
                        "name": f"botops.fleet.{case['role']}", "tasks_from": case.get("tasks_from", "main"), "rolespec_validate": False,
                    },
                    "vars": case.get("vars", {}),
                },
                {"name": "Accepted", "ansible.builtin.set_fact": {f"case_{number}": {"failed": False, "message": ""}}},
            ],
            "rescue": [{"name": "Refused", "ansible.builtin.set_fact": {f"case_{number}": record}}],
        })
    tasks.append({
        "name": "Write the verdicts", "delegate_to": "localhost", "become": False,
        "ansible.builtin.copy": {
            "dest": str(out / "verdicts.json"), "mode": "0600",
            "content": "{{ {" + ", ".join(f"'{n}': case_{n}" for n in range(len(CASES))) + "} | to_json }}",
        },
    })
    play = {
        "name": "Bad input", "hosts": "primary", "become": True, "gather_facts": True,
        "gather_subset": ["!all", "min", "distribution", "network", "virtual"], "tasks": tasks,
    }
    (out / "play.yml").write_text(json.dumps([play]))
    done = playbook(str(out / "play.yml"), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    (ROOT / "build/test").mkdir(parents=True, exist_ok=True)
    (ROOT / "build/test/bad-input-play.log").write_text(done.stdout)
    assert (out / "verdicts.json").exists(), done.stdout[-3000:]
    changed_in: dict[int, list[str]] = {}
    number, task = -1, ""
    for line in done.stdout.splitlines():
        if started := re.match(r"TASK \[(.*)\]", line):
            task = started.group(1)
            if task == "Include the role":
                number += 1
        elif line.startswith("changed: [primary") and task != "Write the verdicts":
            changed_in.setdefault(number, []).append(task)
    verdict = json.loads((out / "verdicts.json").read_text())
    return {n: {**verdict[str(n)], "changed": changed_in.get(n, [])} for n in range(len(CASES))}


def test_the_table_is_large_enough():
    assert len(CASES) >= 25
    assert len({case["role"] for case in CASES}) >= 4


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case['file']}: {case['name']}" for case in CASES])
def test_bad_input(verdicts, number):
    case, verdict = CASES[number], verdicts[number]
    assert verdict["failed"], "the role accepted it"
    assert re.search(case["expect"], verdict["message"]), verdict["message"]
    assert verdict["changed"] == []
