"""What an operator types on a pair, and what it refuses. Runs before the faults, in the order in which it stands here."""

from __future__ import annotations

import json
import shutil
import time

import faults
import pair as lab_pair

from conftest import PROJECT, without_an_order


def said(done) -> str:
    return " ".join(done.stdout.split())


def watched(pair, operator, playbook, *options):
    """A playbook while orders flow: what it printed, and what the exchange's record says of it."""
    printed = {}

    def play(pair, who):
        printed["text"] = said(operator.play(playbook, *options))

    found = pair.measure(play, 1)
    print(f"\n{playbook} {' '.join(options)}: {found}")
    return printed["text"], found


def test_ha_status_tells_what_runs_where_and_what_to_type(pair, operator):
    active = pair.settle()
    printed = said(operator.play("playbooks/ha_status.yml"))
    assert f"paper: on {active}" in printed
    assert f"{active} has release" in printed and f"{pair.other(active)} has release" in printed
    assert "paper.db restores" in printed
    assert f"playbooks/failover.yml moves paper to {pair.other(active)}" in printed


def test_check_mode_judges_and_moves_nothing(pair, operator):
    active = pair.settle()
    done = operator.play("playbooks/failover.yml", "--check", "-e", "accept_lag_seconds=60")
    assert f"Planned: paper would run on {pair.other(active)}" in said(done)
    assert pair.active() == active


def test_a_planned_move_loses_nothing(pair, operator):
    active = pair.settle()
    time.sleep(10)  # a member that has just come back is refused
    printed, found = watched(pair, operator, "playbooks/failover.yml", "-e", "accept_lag_seconds=60")
    assert f"paper trades on {pair.other(active)}; " in printed
    assert found["hosts"] == [active, pair.other(active)] and found["double_active_ms"] == 0
    assert found["missing"] == 0 and found["integrity"] == "ok" and found["duplicate_orders_accepted"] == 0
    without_an_order(found, 6)
    assert pair.run(active, "cibadmin --query --scope constraints").count("cli-") == 0, "no constraint stays behind"


def test_where_it_is_already_nothing_changes(pair, operator):
    active = pair.settle()
    done = operator.play("playbooks/failover.yml", "-e", f"to={active}")
    assert "Nothing to do." in said(done) and not any(operator.changed(done.stdout).values())


def test_failback_goes_to_the_first_member(pair, operator):
    first = next(iter(pair.members))
    if pair.settle() == first:
        operator.play("playbooks/failover.yml", "-e", "accept_lag_seconds=60")
    printed, found = watched(pair, operator, "playbooks/failback.yml", "-e", "accept_lag_seconds=60")
    assert f"paper trades on {first}" in printed and found["hosts"][-1] == first and found["missing"] == 0


def test_back_to_a_moment_and_the_exchange_tells_what_was_traded_since(pair, operator):
    active = pair.settle()
    other = pair.other(active)
    moment = pair.run(active, "date -u +%Y-%m-%dT%H:%M:%SZ").strip()
    time.sleep(5)
    done = operator.play("playbooks/rewind.yml", "-e", "bot=paper", "-e", f"at={moment}", "-e", "plan=true")
    assert "s before the moment" in said(done) and not any(operator.changed(done.stdout).values()) and pair.active() == active
    printed, found = watched(pair, operator, "playbooks/rewind.yml", "-e", "bot=paper", "-e", f"at={moment}", "-e", "start=true")
    assert f"this host has the newest data now, {other_era(pair, other)}" in printed
    assert found["hosts"] == [active, other] and found["double_active_ms"] == 0
    # It sent again what it had forgotten, and the exchange had it already.
    assert found["duplicates_refused"] > 0 and found["duplicate_orders_accepted"] == 0 and found["missing"] == 0 and found["integrity"] == "ok"
    without_an_order(found, 20)
    assert pair.run(other, "cibadmin --query | grep -c target-role || true").strip() == "0"
    lab_pair.until(lambda: pair.run(active, f"ls {pair.database}.diverged-*.json", check=False), 90, "what was written since is kept aside and listed")
    pair.run(active, f"rm {pair.database}.diverged-*")


def other_era(pair, name: str) -> str:
    return json.loads(pair.run(name, "botops-rsync-ha status paper --json"))[0]["own_era"]


def test_a_moment_that_nobody_has_is_refused(pair, operator):
    active = pair.settle()
    done = operator.play("playbooks/rewind.yml", "-e", "bot=paper", "-e", "at=2020-01-01T00:00Z", check=False)
    assert done.returncode != 0 and "nothing of 2020-01-01T00:00:00.000Z arrived here" in said(done)
    assert pair.active() == active


def test_a_release_that_differs_is_refused(pair, operator):
    active = pair.settle()
    other = pair.other(active)
    link = pair.run(other, "readlink /opt/bot-paper/current").strip()
    pair.run(other, "ln -sfn releases/older /opt/bot-paper/current")
    try:
        done = operator.play("playbooks/failover.yml", check=False)
        assert done.returncode != 0 and f"paper would run another release on {other} (older)" in said(done)
    finally:
        pair.run(other, f"ln -sfn {link} /opt/bot-paper/current")
    assert pair.active() == active


def test_a_constraint_that_was_left_is_refused_and_cleaned_up(pair, operator):
    active = pair.settle()
    pair.run(active, f"crm_resource --ban --resource paper --node {pair.other(active)}")
    done = operator.play("playbooks/failover.yml", check=False)
    assert done.returncode != 0 and f"cli-ban-paper-on-{pair.other(active)} still stands" in said(done)
    printed, found = watched(pair, operator, "playbooks/failover.yml", "-e", "cleanup=true", "-e", "accept_lag_seconds=60")
    assert f"paper trades on {pair.other(active)}" in printed and found["missing"] == 0


def test_the_word_that_a_living_host_is_off_is_refused(pair, operator):
    active = pair.settle()
    done = operator.play("playbooks/failover.yml", "-e", f"failed_node_is_off={active}", check=False)
    assert done.returncode != 0 and "the cluster sees it online: it is not off" in said(done)
    assert pair.active() == active


def test_without_a_witness_a_move_is_refused_and_so_is_a_run_of_site(pair, operator):
    active = pair.settle()
    restore = faults.witness_loss(pair, active)
    try:
        lab_pair.until(lambda: "Connected" not in pair.run(active, "corosync-qdevice-tool -s | grep State"), 30, "the loss of the witness is noticed")
        done = operator.play("playbooks/failover.yml", check=False)
        assert done.returncode != 0 and "The witness does not vote" in said(done) and "-e accept_no_witness=true" in said(done)
        assert pair.active() == active
        done = operator.play("site.yml", "--limit", "cluster_nodes", check=False)
        assert done.returncode != 0 and "The witness pair-witness does not vote on this member" in said(done)
    finally:
        restore()
    assert pair.settle() == active


# --- releases -----------------------------------------------------------------------------------------------


def release(tmp_path, name: str, line: str):
    """The demonstration bot with one more line at its start."""
    path = tmp_path / name
    shutil.copytree(PROJECT / "examples/paper_bot", path)
    main = path / "paper_bot/__main__.py"
    main.write_text(main.read_text().replace("from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n", 1))
    return path


def links(pair) -> dict[str, str]:
    return {name: pair.run(name, "readlink /opt/bot-paper/current").strip() for name in pair.members}


def test_a_release_restarts_the_bot_once_where_it_runs_and_reaches_the_standby(pair, operator, tmp_path):
    active, before = pair.settle(), links(pair)
    options = ("-e", "bot=paper", "-e", f"paper_bot={release(tmp_path, 'next', f'NEXT = {time.time()}')}")
    printed, found = watched(pair, operator, "playbooks/deploy.yml", *options)
    after = links(pair)
    assert len(set(after.values())) == 1 and after[active] != before[active], printed
    assert found["hosts"] == [active] and found["missing"] == 0
    without_an_order(found, 8)
    assert 'maintenance="true"' not in pair.run(active, "crm_mon -1 --output-as=xml | grep '<node name'"), "the cluster looks again"
    done = operator.play("playbooks/deploy.yml", *options)
    assert not any(operator.changed(done.stdout).values()), done.stdout[-4000:]


def test_a_release_that_does_not_start_is_taken_back_and_the_standby_never_gets_it(pair, operator, tmp_path):
    active, before = pair.settle(), links(pair)
    broken = release(tmp_path, "broken", "raise SystemExit('this release is broken')")
    result = {}

    def deploy(pair, who):
        result["done"] = operator.play("playbooks/deploy.yml", "-e", "bot=paper", "-e", f"paper_bot={broken}", check=False)

    found = pair.measure(deploy, 1)
    print(f"\na broken release: {found}")
    printed = said(result["done"])
    assert result["done"].returncode != 0 and "did not become healthy" in printed and "this release is broken" in printed
    assert "was put back with its configuration and is healthy" in printed
    assert links(pair) == before, "neither member keeps it"
    assert found["hosts"] == [active] and found["missing"] == 0
    without_an_order(found, 15)
    assert 'maintenance="true"' not in pair.run(active, "crm_mon -1 --output-as=xml | grep '<node name'"), "the cluster looks again"
    assert pair.settle() == active


# Of the checklist these hosts have not all: no notify, no person. What they have must hold.
LIVE = ("-e", "bot=paper", "-e", "without_backup=true", "-e", "strict=false", "-e", "watch_minutes=0.2", "-e", "accept_lag_seconds=60")


def test_the_checklist_of_the_pair_holds_and_keeps_a_person_s_word(pair, operator, tmp_path):
    active = pair.settle()
    words = ("-e", f"confirmations={tmp_path}/confirmed.md", "-e", "confirm=contacts", "-e", "by='On Duty'", "-e", "words='first a then b'")
    done = operator.play("playbooks/verify.yml", *words, "-e", f"report_dir={tmp_path}/report")
    found = {item["id"]: item for item in json.loads((tmp_path / "report/checklist.json").read_text())["items"]}
    assert {found[name]["status"] for name in ("system", "ssh", "firewall", "host", "secrets", "cluster", "fencing", "replication")} == {"pass"}
    assert found["contacts"]["status"] == "confirmed" and "On Duty on " in found["contacts"]["evidence"] and found["alerts"]["status"] == "absent"
    cut = operator.play("playbooks/verify.yml", *words[:4], "-e", "by=On Duty", check=False)
    assert cut.returncode != 0 and "by, words: `Duty` was cut off" in said(cut)
    done = operator.play("playbooks/verify.yml", *words[:2], "-e", "strict=true", check=False)
    assert done.returncode != 0 and "The checklist is not done: " in said(done) and "mfa" in said(done).partition("The checklist is not done: ")[2]
    assert pair.active() == active


def test_a_release_goes_live_by_two_switches(pair, operator, tmp_path):
    active, before = pair.settle(), links(pair)
    paths = ("-e", f"paper_bot={release(tmp_path, 'live', f'LIVE = {time.time()}')}")
    printed, found = watched(pair, operator, "playbooks/go_live.yml", *LIVE, *paths)
    after = links(pair)
    assert len(set(after.values())) == 1 and after[active] != before[active], printed
    # Each took its turn, and none sent anything in between another one's: two that traded at once would alternate more often.
    assert found["hosts"] == [active, pair.other(active), active]
    assert found["missing"] == 0 and found["duplicate_orders_accepted"] == 0
    without_an_order(found, 8)
    assert "times in 12 s that it is well" in printed


def test_a_release_that_does_not_go_live_leaves_what_traded(pair, operator, tmp_path):
    active, before = pair.settle(), links(pair)
    broken = release(tmp_path, "dead", "raise SystemExit('this release is dead')")
    result = {}

    def go(pair, who):
        result["done"] = operator.play("playbooks/go_live.yml", *LIVE, "-e", f"paper_bot={broken}", check=False)

    found = pair.measure(go, 1)
    print(f"\na release that does not go live: {found}")
    printed = said(result["done"])
    assert result["done"].returncode != 0 and "Stopped at the switch" in printed, printed[-3000:]
    assert links(pair) == before and pair.settle() == active
    assert found["missing"] == 0 and found["double_active_ms"] == 0 and found["duplicate_orders_accepted"] == 0
    without_an_order(found, 30)
    pair.run(active, "crm_resource --cleanup")
