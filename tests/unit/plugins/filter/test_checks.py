"""What verify.yml asks of a bot."""

from ansible_collections.botops.fleet.plugins.filter import checks

BOT = {
    "name": "paper", "unit": "bot-paper.service", "state": "started", "managed_by": "systemd", "mode": "systemd",
    "health": {"url": "http://127.0.0.1:8080/health"}, "paths": {"etc": "/etc/bot-paper"},
}


def ids(**changes):
    return [check["id"] for check in checks.bot_checks({**BOT, **changes})]


def test_a_bot_that_runs_is_asked_everything():
    assert ids() == ["secrets-paper", "bot-paper", "health-paper", "sandbox-paper"]


def test_compose_units_are_not_measured_as_sandboxes():
    assert "sandbox-paper" not in ids(mode="compose")


def test_a_standby_must_not_run_and_a_cluster_decides_for_itself():
    standby = checks.bot_checks({**BOT, "state": "stopped"})
    assert standby[-1]["unit"] == {"bot-paper.service": "inactive"}
    assert ids(managed_by="cluster") == ["secrets-paper"]


def test_a_line_names_what_was_expected_only_when_it_fails():
    result = {"title": "T", "actual": "a", "expected": "e"}
    assert checks.check_line({**result, "passed": True}) == "ok    T: a"
    assert checks.check_line({**result, "passed": False}) == "FAIL  T: a (expected e)"
