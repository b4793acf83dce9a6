"""The commands that an operator types on the control node."""

import json
import os
import re
import subprocess
import time

import pytest

from conftest import PROJECT, REPOSITORIES, TRADES, alone


def playbook(name, *arguments, ok=True):
    done = subprocess.run(
        ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(PROJECT / "playbooks" / name), *arguments],
        text=True, capture_output=True, check=False, env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"},
    )
    if (done.returncode == 0) is not ok:
        pytest.fail(f"{name} {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    assert "canary-" not in done.stdout + done.stderr, "a secret was shown"
    # Where failures are shown is a setting of the control node.
    return done.stdout + done.stderr


def test_backup_list_and_restore_with_one_command_each(host):
    host.trade(0.5)
    host.rest()
    rows = host.select("SELECT count(*), max(id) FROM orders")
    said = playbook("backup.yml", "-e", "bot=paper", "-e", f"target={host.name}")
    assert "paper → vault: snapshot " in said
    made = dict(re.findall(r"paper → (\w+): snapshot (\w+)", said))
    assert sorted(made) == sorted(REPOSITORIES), said
    lines = playbook("restore.yml", "-e", "bot=paper", "-e", f"to={host.name}", "-e", "list=true").splitlines()
    for repository, snapshot in made.items():
        [line] = [line for line in lines if f" {snapshot} " in line]
        assert f" {repository} " in line and f" {rows[0][0] + 1000 + 11} " in line and "INCOMPLETE" not in line, line
    said = playbook("restore.yml", "-e", "bot=paper", "-e", f"to={host.name}", "-e", "plan=true")
    assert "/var/lib/bot-paper comes back; what is there becomes /var/lib/bot-paper.replaced-" in said
    host.run("rm -rf /var/lib/bot-paper")
    begun = time.monotonic()
    playbook("restore.yml", "-e", "bot=paper", "-e", f"to={host.name}")
    print(f"\n{host.name}: restore.yml took {time.monotonic() - begun:.1f} s")
    assert host.select("SELECT count(*), max(id) FROM orders") == rows


def test_refusals_in_a_sentence(host):
    assert "Name the bot, for example -e bot=paper." in playbook("restore.yml", ok=False)
    assert "bot is nobody, and no host of the inventory has such a bot and backups." in playbook("restore.yml", "-e", "bot=nobody", ok=False)
    assert "paper is at home on bk12 and bk13; say which one with -e to=bk12." in playbook("restore.yml", "-e", "bot=paper", ok=False)
    assert "to is nowhere, and the inventory has no such host." in playbook("restore.yml", "-e", "bot=paper", "-e", "to=nowhere", ok=False)
    host.trade(0.3)
    try:
        said = playbook("restore.yml", "-e", "bot=paper", "-e", f"to={host.name}", ok=False)
        assert "paper is not restored while it runs: bot-paper.service is active on this host" in said
    finally:
        host.rest()


def test_a_host_that_has_never_seen_the_bot(host, store):
    """The store itself, for want of a fresh one: no account, no program, no schedule; it reads what another host saved."""
    host.trade(0.3)
    host.rest()
    rows = host.select("SELECT count(*), max(id) FROM orders")
    host.run("botops-backup run paper --wait 60 --repository rest")
    with alone():
        store.run("userdel bot-paper; rm -rf /var/lib/bot-paper* /opt/bot-paper /usr/local/lib/botops", check=False)
        begun = time.monotonic()
        playbook("restore.yml", "-e", "bot=paper", "-e", f"from={host.name}", "-e", "to=store", "-e", "repository=rest", "-e", "source=data")
        print(f"\n{host.name}: onto a host that had never seen the bot in {time.monotonic() - begun:.1f} s")
        assert store.select("SELECT count(*), max(id) FROM orders") == rows
        assert store.out(f"stat -c %U /var/lib/bot-paper {TRADES}").split() == ["bot-paper", "bot-paper"]
        assert store.out("systemctl list-timers --all 'botops-*' --no-legend") == "", "nothing is scheduled there"


def test_the_drill_by_hand(host):
    said = playbook("verify_backup.yml", "-e", f"target={host.name}")
    assert said.count("ok     paper from ") == 5, said
    assert json.loads(host.out("cat /var/lib/botops/evidence/drill.json"))["verdict"] == "ok"
