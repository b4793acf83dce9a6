"""Deployments, good and bad, and the way back. In order: each test starts where the one before ended."""

import json
import re

from botlib import health, show, wait_for

CURRENT = "basename $(readlink /opt/bot-gitbot/current)"


def on(everywhere, command):
    return [host.check_output(command) for host in everywhere]


def versions(everywhere):
    return {health(host, 8081)["version"] for host in everywhere}


def invocations(everywhere, bot="gitbot"):
    return [show(host, f"bot-{bot}", "InvocationID")["InvocationID"] for host in everywhere]


def test_a_deployment_by_tag(deploy, everywhere):
    before = on(everywhere, CURRENT)
    run = deploy("gitbot", version="v2")
    assert run.code == 0, run.text
    assert versions(everywhere) == {"2.0.0"}
    after = on(everywhere, CURRENT)
    assert len(set(after)) == 1 and after != before
    assert run.says("(until the inventory is applied again: it declares v1)")
    assert all(host.file("/var/backups/bot-gitbot/asked").exists for host in everywhere)
    assert deploy("gitbot", version="v2").changed() == 0


def test_a_release_that_dies_is_taken_back_and_told(deploy, everywhere):
    before = on(everywhere, CURRENT)
    run = deploy("gitbot", version="v3-broken")
    assert run.code != 0
    assert run.says("did not become healthy") and run.says("was put back with its configuration and is healthy")
    assert run.says("this release is broken")
    assert run.says("my key is [secret]") and "canary-git-private" not in run.text
    assert on(everywhere, CURRENT) == before and versions(everywhere) == {"2.0.0"}


def test_a_release_that_never_answers_is_taken_back(deploy, everywhere):
    run = deploy("gitbot", version="v4-mute")
    assert run.code != 0 and run.says("here but mute") and run.says("did not become healthy within 10 s")
    assert versions(everywhere) == {"2.0.0"}


def test_a_failed_migration_switches_nothing(deploy, everywhere):
    before = invocations(everywhere)
    run = deploy("gitbot", version="v5-unmigratable")
    assert run.code != 0 and run.says(
        "the migration failed (1) before anything was switched: the schema cannot be changed"
    )
    assert invocations(everywhere) == before and versions(everywhere) == {"2.0.0"}


def test_hashes_are_enforced(deploy, everywhere):
    before = invocations(everywhere)
    run = deploy("gitbot", version="v7-badhash")
    assert run.code != 0 and run.says("installing the requirements failed") and run.says("DO NOT MATCH THE HASHES")
    assert invocations(everywhere) == before
    run = deploy("gitbot", version="v6-hashed")
    assert run.code == 0, run.text
    assert versions(everywhere) == {"6.0.0"}


def test_an_unknown_ref_is_one_sentence_before_any_change(deploy, everywhere):
    before = invocations(everywhere)
    for version in ("v99", "0" * 40):
        run = deploy("gitbot", version=version)
        assert run.code != 0 and run.changed() == 0
        assert run.says("has no branch or tag 'v99'" if version == "v99" else f"has no commit {version}")
    assert invocations(everywhere) == before


def test_a_whole_commit_and_a_branch(deploy, everywhere):
    commit = everywhere[0].check_output("git -c safe.directory=* -C /srv/git/bot.git rev-parse v2")
    # Each host made its own repository, at its own time: the commit is known on the first one only.
    run = deploy("gitbot", "--limit", everywhere[0].backend.get_hostname(), version=commit)
    assert run.code == 0 and health(everywhere[0], 8081)["version"] == "2.0.0", run.text
    run = deploy("gitbot", version="hashed")
    assert run.code != 0 and run.says("DO NOT MATCH THE HASHES")
    assert deploy("gitbot", version="v6-hashed").code == 0


def test_only_so_many_releases_are_kept(everywhere):
    for host in everywhere:
        kept = host.check_output("ls /opt/bot-gitbot/releases").split()
        assert len(kept) == 3, kept


def test_going_back_holds_until_something_else_is_declared(deploy, site, everywhere):
    assert deploy("gitbot", version="v2").code == 0
    assert deploy("gitbot").code == 0 and versions(everywhere) == {"1.0.0"}
    run = deploy("gitbot", rollback="previous")
    assert run.code == 0 and versions(everywhere) == {"2.0.0"}, run.text
    run = site()
    assert run.code == 0 and run.changed() == 0, run.text
    assert run.says("was rolled back. Declare another version") and versions(everywhere) == {"2.0.0"}
    run = deploy("gitbot", rollback="ffff")
    assert run.code != 0 and run.changed() == 0 and run.says("has no release ffff to go back to; on this host:")
    assert deploy("gitbot").code == 0 and versions(everywhere) == {"1.0.0"}
    assert site().changed() == 0


def test_a_bad_configuration_is_taken_back_and_not_tried_again(site, bots, everywhere):
    wrong = bots("gitbot", env={"HEALTH_PORT": 8089})
    run = site(bot_app_bots=wrong)
    assert run.code != 0 and run.says("was put back with its configuration and is healthy"), run.text
    assert versions(everywhere) == {"1.0.0"}
    before = invocations(everywhere)
    run = site(bot_app_bots=wrong)
    assert run.code != 0 and run.says("is not tried again by itself")
    assert invocations(everywhere) == before
    # What is on disk is what runs, should it crash now.
    assert all("8081" in host.file("/etc/bot-gitbot/env").content_string for host in everywhere)
    assert site().code == 0 and invocations(everywhere) == before


def test_a_changed_secret_restarts_only_its_bot(site, bots, everywhere):
    before, others = invocations(everywhere), invocations(everywhere, "paper")
    run = site("-vvv", bot_app_bots=bots("gitbot", secrets={"PM_PRIVATE_KEY": "canary-new"}))
    assert run.code == 0 and "canary" not in run.text, run.text
    after = invocations(everywhere)
    assert not set(before) & set(after) and invocations(everywhere, "paper") == others
    assert all(
        host.file("/run/credentials/bot-gitbot.service/PM_PRIVATE_KEY").content_string == "canary-new"
        for host in everywhere
    )
    assert site().code == 0


def test_a_dropped_secret_leaves_the_host(site, bots, everywhere):
    assert site(bot_app_bots=bots("standby", secrets_via="credentials")).code == 0
    assert not any(host.file("/etc/bot-standby/secrets.env").exists for host in everywhere)
    assert site().code == 0
    assert not any(host.file("/etc/bot-standby/credentials/PM_PRIVATE_KEY").exists for host in everywhere)
    assert site().changed() == 0


def test_live_is_refused_until_the_release_has_traded_paper(site, bots, everywhere):
    live = bots("paper", trading_mode="live")
    before = invocations(everywhere, "paper")
    run = site(bot_app_bots=live)
    assert run.code != 0 and run.changed() == 0 and invocations(everywhere, "paper") == before
    assert run.says("bot-paper: trading_mode live needs 24 hours of healthy paper trading by the same release")
    # An hour on record is enough when an hour is asked for; on one host of the two is enough, too.
    release = everywhere[0].check_output("basename $(readlink /opt/bot-paper/current)")
    record = json.dumps({release: {"seconds": 3601, "first": 0, "last": 0}})
    everywhere[0].check_output("echo %s > /var/lib/botops/bot_app/paper/paper.json", record)
    run = site(bot_app_bots=live, bot_app_paper_hours=1)
    assert run.code == 0, run.text
    assert {health(host, 8080)["mode"] for host in everywhere} == {"live"}
    assert site(bot_app_bots=live).code == 0, "what was allowed once stays allowed"
    for host in everywhere:
        assert json.loads(host.check_output("tail -1 /var/lib/botops/bot_app/paper/live.log"))["release"] == release
    assert site().code == 0 and {health(host, 8080)["mode"] for host in everywhere} == {"paper"}


def test_live_by_override_is_logged_with_its_reason(site, bots, everywhere):
    live = bots("gitbot", trading_mode="live")
    reason = "moved from the old host, traded there for a month"
    assert site(bot_app_bots=live).changed() == 0
    run = site(bot_app_bots=live, bot_app_live_override_reason=reason)
    assert run.code == 0, run.text
    for host in everywhere:
        assert (
            json.loads(host.check_output("tail -1 /var/lib/botops/bot_app/gitbot/live.log"))["override_reason"]
            == reason
        )
        assert reason in host.check_output("journalctl --no-pager --identifier botops")
    assert site().code == 0


def test_a_paper_run_counts_on_hosts_that_are_not_yet_deployed_to(deploy, site, bots, everywhere):
    given = {"version": "v2", "batch": 1, "bot_app_bots": bots("gitbot", trading_mode="live"), "bot_app_paper_hours": 1}
    run = deploy("gitbot", **given)
    assert run.code != 0 and run.changed() == 0 and run.says("trading_mode live needs 1 hours of healthy paper trading"), run.text
    last = everywhere[-1]
    about = last.check_output("grep -l '\"version\": \"v2\"' /opt/bot-gitbot/releases/*/.botops/release.json")
    record = json.dumps({about.split("/")[4]: {"seconds": 3601, "first": 0, "last": 0}})
    last.check_output("echo %s > /var/lib/botops/bot_app/gitbot/paper.json", record)
    run = deploy("gitbot", **given)
    assert run.code == 0, run.text
    assert {(seen["mode"], seen["version"]) for seen in (health(host, 8081) for host in everywhere)} == {("live", "2.0.0")}
    assert site().code == 0


def test_a_mistyped_bot_is_refused(deploy):
    run = deploy("gitbto", rollback="previous")
    assert run.code != 0 and run.says("write one of exchange, fastapi, gitbot, node, paper, standby, static."), run.text


def test_no_space_is_one_sentence_before_any_change(site, bots):
    # Another requirements file makes another release of the same commit, which has to be built.
    run = site(bot_app_bots=bots("gitbot", requirements="other.txt"), bot_app_min_free_mb=99999999)
    assert run.code != 0 and run.changed() == 0
    assert re.search(r"bot-gitbot: \d+ MB are free for .* and 99999999 are needed; make room", run.text), run.text


def test_check_mode_tells_and_does_nothing(deploy, everywhere):
    before = on(everywhere, CURRENT)
    run = deploy("gitbot", "--check", version="v6-hashed")
    assert run.code == 0 and run.changed() == len(everywhere), run.text
    assert "bot-gitbot: start" in run.text
    assert on(everywhere, CURRENT) == before


def test_under_a_cluster_nothing_is_started_or_enabled(site, bots, everywhere):
    clustered = bots("standby", managed_by="cluster", state="started")
    for entry in clustered:
        if entry["name"] == "standby":
            entry["env"]["PM_BASE_URL"] = "http://127.0.0.1:9000"
    run = site(bot_app_bots=clustered)
    assert run.code == 0, run.text
    for host in everywhere:
        unit = show(host, "bot-standby", "ActiveState", "UnitFileState", "Restart")
        assert unit == {"ActiveState": "inactive", "UnitFileState": "disabled", "Restart": "no"}
        # The cluster starts it; killed, it stays down for the cluster to see.
        host.check_output("systemctl start bot-standby")
        assert health(host, 8082)["status"] == "ok"
        host.check_output("systemctl kill --signal KILL bot-standby")
        wait_for("failed", lambda host=host: show(host, "bot-standby", "ActiveState")["ActiveState"] == "failed")
    assert site(bot_app_bots=clustered).changed() == 0
    assert site().code == 0
    assert {show(host, "bot-standby", "ActiveState")["ActiveState"] for host in everywhere} == {"inactive"}
