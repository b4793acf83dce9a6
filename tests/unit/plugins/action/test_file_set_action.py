"""Rendering on the control node costs what the files cost, not what the variables of the play cost times the files."""

import os
import pathlib
import resource
import shutil
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
SITES = [
    {"name": f"s{number}.example.com", "certificate": {"type": "selfsigned"}, "locations": [{"path": "/", "upstream": "bot"}]}
    for number in range(300)
]


def test_three_hundred_sites_in_check_mode_take_less_than_twenty_seconds(tmp_path):
    shutil.copytree(ROOT / "roles/nginx/templates", tmp_path / "templates")
    play = {
        "name": "Many sites", "hosts": "localhost", "connection": "local", "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": sys.executable, "ansible_facts": {"distribution_release": "trixie"}, "nginx_sites": SITES,
            "nginx_upstreams": [{"name": "bot", "servers": [{"address": "127.0.0.1:8080"}]}],
        },
        "tasks": [
            # Makes the role's variables known to the play and does nothing.
            {"name": "Role", "ansible.builtin.import_role": {"name": "botops.fleet.nginx"}, "tags": ["never"]},
            {"name": "Preflight", "botops.fleet.preflight": {"role": "nginx"}, "register": "__nginx_preflight"},
            {"name": "Files", "botops.fleet.file_set": {"files": "{{ _nginx_plan.files }}", "pending": "nginx"}, "register": "made"},
            {"name": "All of them", "ansible.builtin.assert": {"that": "made.changed_paths | length > 300"}},
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "--check", str(tmp_path / "play.yml")],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}, capture_output=True, text=True, timeout=300, check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of a processor, so that what else the machine does is not counted.
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 0, done.stdout + done.stderr
    assert took < 20, f"{took:.1f} s"
