"""The figures of the README, each from the tool that prints it."""

import json
import re
import subprocess

import pytest
from sandbox import assert_sandboxed

BUDGET = 12
LYNIS_MINIMUM = 85


def test_round_trips_of_a_run_that_changes_nothing(play, capsys):
    done = play()
    found = re.search(r"ok=(\d+) +changed=(\d+)", done.output)
    assert done.returncode == 0 and found, done.output
    with capsys.disabled():
        print(f"\nhardening: {found[1]} tasks on a run that changes nothing (budget {BUDGET})")
    assert int(found[2]) == 0 and int(found[1]) <= BUDGET


def test_check_mode_agrees_that_nothing_is_to_be_done(play):
    done = play(check=True)
    assert done.returncode == 0 and "changed=0 " in done.output, done.output


def test_its_units_are_sandboxed(host):
    assert_sandboxed(host.check_output, ["botops-integrity.service", "botops-mounts.service"])


def test_ssh_audit_finds_no_failure_and_no_warning(outside, capsys):
    # Its rate test is left out: the firewall refuses the burst that it needs, which is the right answer.
    done = subprocess.run(["ssh-audit", "--skip-rate-test", "-j", outside.address], text=True, capture_output=True)
    report = json.loads(done.stdout)
    said = [
        f"{kind} {item['algorithm']}: {note}"
        for kind in ("kex", "key", "enc", "mac")
        for item in report[kind]
        for level in ("fail", "warn")
        for note in item["notes"].get(level, [])
    ]
    with capsys.disabled():
        print(f"\nssh-audit {outside.name}: {len(said)} failures and warnings over {sum(len(report[k]) for k in ('kex', 'key', 'enc', 'mac'))} algorithms")
    assert said == [] and report["cves"] == [] and done.returncode == 0


def test_lynis_hardening_index(host, capsys):
    if host.system_info.release != "13":
        pytest.skip("Lynis is measured on Debian 13 only")
    host.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends lynis")
    host.run("lynis audit system --quick --no-colors < /dev/null > /root/lynis.out 2>&1")
    report = host.file("/var/log/lynis-report.dat").content_string
    index = int(re.search(r"hardening_index=(\d+)", report)[1])
    left = re.findall(r"^suggestion\[\]=([A-Z]+-\d+)", report, re.M)
    with capsys.disabled():
        print(f"\nLynis hardening index: {index} (at least {LYNIS_MINIMUM}); left: {', '.join(sorted(set(left)))}")
    host.run("apt-get purge -y -qq lynis; rm -f /root/lynis.out /var/log/lynis*")
    assert index >= LYNIS_MINIMUM
