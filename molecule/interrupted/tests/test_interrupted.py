"""Each role goes from one configuration to the other, is killed between two tasks, and is run again. The host must then be what it
is after a run that nobody interrupted: its files, and what its daemons answer."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from configurations import ROLES  # noqa: E402 - beside this file, which is not in a package

ROOT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
FILES = ["/etc/ssh", "/etc/nginx", "/etc/haproxy", "/etc/docker", "/etc/fail2ban/jail.d", "/etc/security", "/etc/pam.d", "/etc/sudoers.d",
         "/etc/ufw", "/etc/default", "/etc/login.defs", "/etc/systemd/system", "/etc/sysctl.d", "/etc/chrony/conf.d"]
UNITS = ["ssh", "fail2ban", "ufw", "botops-mounts", "nginx", "haproxy", "docker", "botops-docker-policy"]
TIMERS = ["botops-docker-prune.timer", "botops-rollback.timer", "botops-integrity.timer"]
# What the daemons and the kernel say. Counters, process numbers and bans are no part of it.
QUESTIONS = {
    "files": "find " + " ".join(FILES) + r" -type f ! -name '*.pem' -exec sha256sum {} + | sort -k2",
    "modes": "find " + " ".join(FILES) + r" -printf '%M %u %g %p\n' | sort -k4",
    "units": "systemctl show -p Id,ActiveState,UnitFileState " + " ".join(f"{name}.service" for name in UNITS),
    "timers": "systemctl show -p Id,ActiveState,UnitFileState,TimersCalendar " + " ".join(TIMERS) + " | sed 's/next_elapse=[^}]*//'",
    "sshd": "sshd -T",
    "listening": "ss -Hltn | awk '{print $4}' | sort",
    "netfilter": "iptables-save | grep -v -e '^#' -e f2b | sed 's/\\[[0-9:]*\\]//' | sort",
    "netfilter6": "ip6tables-save | grep -v -e '^#' -e f2b | sed 's/\\[[0-9:]*\\]//' | sort",
    "accounts": "getent passwd ops0 ops1 | cut -d: -f1,6,7; id -nG ops0; id -nG ops1",
    "mounts": "findmnt -no OPTIONS /dev/shm",
    "kernel": "sysctl net.ipv4.tcp_keepalive_time net.ipv4.ip_forward",
    "nginx": "curl -sk --resolve site.example.com:443:127.0.0.1 https://site.example.com/; openssl s_client -connect 127.0.0.1:443 "
             "-servername site.example.com </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
    "haproxy": "for port in 8201 8202; do curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1:$port/; done",
    "docker": "docker info --format '{{.LiveRestoreEnabled}} {{.LoggingDriver}}'; journalctl -q -o cat -u docker "
              "| grep -o 'max-concurrent-downloads[^}]*' | tail -n 1; /usr/local/sbin/botops-docker-policy check && echo policy",
    "guard": "ls /var/lib/botops/rollback /var/lib/botops/pending 2>/dev/null",
}  # fmt: skip
# By the same path as playbooks/verify.yml.
VERIFY = {"hardening": "__hardening_verify", "nginx": "__nginx_verify", "docker_host": "__docker_host_verify", "haproxy_vip": "__haproxy_vip_verify"}


class Runner:
    def __init__(self, role, directory):
        self.role, self.directory = role, directory
        self.books = [self.book(which) for which in (0, 1)]

    def book(self, which):
        plays = [{
            "hosts": "interrupted", "become": True, "gather_facts": True, "gather_subset": ["!all", "min", "distribution", "network", "virtual"],
            "vars": ROLES[self.role](which), "roles": [f"botops.fleet.{self.role}"],
        }]
        looks = json.loads(json.dumps(plays))
        looks[0].pop("roles")
        looks[0]["tasks"] = [
            {"ansible.builtin.include_role": {"name": f"botops.fleet.{self.role}", "tasks_from": "verify.yml"}},
            {"ansible.builtin.assert": {
                "that": f"{VERIFY[self.role]}.failed_checks == []", "fail_msg": "{{ %s.results | to_nice_json }}" % VERIFY[self.role]}},
        ]
        for name, text in ((f"{which}", plays), (f"look{which}", looks)):
            (self.directory / f"{name}.yml").write_text(json.dumps(text))
        return self.directory / f"{which}.yml"

    def run(self, book, die_before=None, record=None):
        environment = dict(
            os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tests/callback"), ANSIBLE_CALLBACKS_ENABLED="boundary",
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"),
        )
        environment.pop("ANSIBLE_FORCE_COLOR", None)  # set by Molecule under CI, and stronger than the line above
        if die_before is not None:
            environment["BOTOPS_DIE_BEFORE"] = str(die_before)
        if record:
            environment["BOTOPS_TASKS"] = str(record)
        argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(book)]
        done = subprocess.run(argv, text=True, capture_output=True, env=environment, timeout=600)
        if die_before is None:
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        return done.stdout

    def look(self, which):
        self.run(self.directory / f"look{which}.yml")


def settled(host):
    """Answers of every daemon. A reload is over in a moment; what is not there by then never comes."""
    host.run("systemctl reset-failed docker.service")  # so many restarts in a minute happen in a test only
    deadline = time.monotonic() + 5
    last = None
    while True:
        now = {name: host.run(question).stdout for name, question in QUESTIONS.items()}
        if now == last or time.monotonic() > deadline:
            return now
        last = now


def boundaries(lines):
    """Tasks behind one that changed something or armed the guard. Between two that did neither, there is nothing to interrupt."""
    worked = [line["number"] for line in lines if line["changed"] or "Arm the rollback" in line["name"]]
    return sorted({number + 1 for number in worked if number < lines[-1]["number"]})


@pytest.mark.parametrize("role", ROLES)
def test_the_next_run_finishes_what_a_killed_one_began(host, role, tmp_path):
    runner = Runner(role, tmp_path)
    runner.run(runner.books[0])
    reference, points = {}, {}
    for which in (1, 0):
        record = tmp_path / f"tasks{which}"
        runner.run(runner.books[which], record=record)
        points[which] = boundaries([json.loads(line) for line in record.read_text().splitlines()])
        reference[which] = settled(host)
    changed = [name for name in QUESTIONS if reference[0][name] != reference[1][name]]
    assert "files" in changed, "the two configurations must differ"
    assert points[0] and len(points[0]) == len(points[1]), "both ways must change the same things"
    print(f"\n{role}: killed at {len(points[1])} boundaries; the configurations differ in {', '.join(changed)}")
    for index in range(len(points[1])):
        which = 1 - index % 2
        runner.run(runner.books[which], die_before=points[which][index])
        output = runner.run(runner.books[which])
        now = settled(host)
        for name in QUESTIONS:
            assert now[name] == reference[which][name], f"{role}, killed before task {points[which][index]}: {name}\n{output}"
        runner.look(which)
        again = runner.run(runner.books[which])
        assert re.search(r"changed=0 ", again), again


def test_a_service_that_refuses_its_configuration_fails_every_run_until_it_takes_it(host, tmp_path):
    taken = host.run("systemd-run --unit=squatter /usr/bin/python3 -m http.server --bind 127.0.0.1 8109")
    assert taken.rc == 0, taken.stderr
    runner = Runner("nginx", tmp_path)
    runner.run(runner.books[0])
    variables = json.loads((tmp_path / "0.yml").read_text())
    variables[0]["vars"]["nginx_status_port"] = 8109
    book = tmp_path / "busy.yml"
    book.write_text(json.dumps(variables))
    for _attempt in range(2):
        with pytest.raises(AssertionError, match="goes on with its old configuration"):
            runner.run(book)
    with pytest.raises(AssertionError, match="still works with what was there before"):
        runner.look(0)
    host.run("systemctl stop squatter")
    assert "changed=1" in runner.run(book)
    assert "Active connections" in host.run("curl -s http://127.0.0.1:8109/nginx_status; curl -s http://127.0.0.1:8109/").stdout
    runner.run(runner.books[0])
