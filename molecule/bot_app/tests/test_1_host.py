"""What is on the hosts and how it behaves when things die."""

import json
import re
import time

import pytest
from botlib import enough, fetch, health, last_order, longest_gap, orders, placed, show, stats, wait_for
from sandbox import assert_sandboxed

BUDGET = 10
EXPOSURE = 2.5
CANARIES = (
    "canary-key-id",
    'canary "quoted"',
    "canary-git-id",
    "canary-git-private",
    "canary-standby-id",
    "canary-standby-private",
)


def test_a_run_that_changes_nothing_stays_within_the_budget(site):
    run = site()
    assert run.code == 0, run.text
    print({name: f"{host['ok']} of {BUDGET} tasks" for name, host in run.recap.items()})
    for host in run.recap.values():
        assert (host["changed"], host["ok"] <= BUDGET) == (0, True), run.text


@pytest.mark.parametrize("bot", ["paper", "gitbot", "exchange"])
def test_the_sandbox_is_tight_and_the_bot_runs_in_it(root, bot):
    out = root.check_output("systemd-analyze security --no-pager bot-%s.service", bot)
    score = float(re.search(r"exposure level for .*: ([0-9.]+)", out).group(1))
    print(f"bot-{bot}: exposure {score}")
    assert score <= EXPOSURE
    assert show(root, f"bot-{bot}", "ActiveState")["ActiveState"] == "active"
    pid = show(root, f"bot-{bot}", "MainPID")["MainPID"]
    status = dict(
        line.split(":\t", 1) for line in root.file(f"/proc/{pid}/status").content_string.splitlines() if ":\t" in line
    )
    assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16)) == ("1", "2", 0)
    refused = root.run("nsenter --target %s --mount touch /etc/planted /opt/bot-%s/current/planted", pid, bot)
    assert refused.rc != 0 and refused.stderr.count("Read-only file system") == 2, refused.stderr


def test_what_looks_after_a_bot_is_sandboxed(root):
    assert_sandboxed(root.check_output, ["bot-paper-health.service", "bot-paper-retention.service"])


def test_the_bots_trade(root):
    name = root.backend.get_hostname()
    before = stats(root)["hosts"][name]["orders"]
    wait_for("ten more orders", lambda: stats(root)["hosts"][name]["orders"] >= before + 10)
    assert health(root, 8080)["host"] == name
    assert health(root, 8081)["mode"] == "paper"
    assert re.search(r'^paper_bot_orders_total{state="accepted"} [1-9]', fetch(root, 8080, "/metrics"), re.MULTILINE)


def test_directories_owners_and_modes(root):
    for path, owner, group, mode in (
        ("/etc/bot-paper", "root", "bot-paper", 0o750),
        ("/var/lib/bot-paper", "bot-paper", "bot-paper", 0o750),
        ("/var/log/bot-paper", "bot-paper", "bot-paper", 0o750),
        ("/var/backups/bot-paper", "bot-paper", "bot-paper", 0o700),
        ("/opt/bot-paper", "root", "bot-paper", 0o750),
        ("/etc/bot-paper/secrets.env", "root", "root", 0o600),
        ("/etc/bot-gitbot/credentials/PM_PRIVATE_KEY", "root", "root", 0o600),
        ("/var/lib/botops/bot_app/paper", "root", "root", 0o700),
    ):
        found = root.file(path)
        assert (found.user, found.group, found.mode) == (owner, group, mode), path
    account = root.user("bot-paper")
    assert (account.shell, account.groups, account.home) == ("/usr/sbin/nologin", ["bot-paper"], "/opt/bot-paper")


@pytest.mark.parametrize(
    "command",
    [
        "cat /etc/bot-paper/secrets.env",
        "cat /etc/bot-gitbot/bot.json",
        "ls /var/lib/bot-gitbot",
        "touch /opt/bot-paper/current/paper_bot/planted.py",
        "rm /opt/bot-paper/current/paper_bot/__init__.py",
        "touch /etc/bot-paper/planted",
        "sudo -n true",
    ],
)
def test_the_account_cannot(root, command):
    assert root.run("runuser -u bot-paper -- " + command).rc != 0


def test_secrets_reach_the_bot_exactly_and_nobody_else(root):
    pid = show(root, "bot-paper", "MainPID")["MainPID"]
    environ = root.check_output("cat /proc/%s/environ", pid).split("\0")
    assert 'PM_PRIVATE_KEY=canary "quoted" $HOME `x` \\ end' in environ
    pid = show(root, "bot-gitbot", "MainPID")["MainPID"]
    assert "canary" not in root.check_output("cat /proc/%s/environ", pid)
    assert root.check_output("ls /run/credentials/bot-gitbot.service").split() == ["PM_API_KEY_ID", "PM_PRIVATE_KEY"]
    readable = "find /etc /opt /run /srv /tmp /usr/local /var -xdev -type f -perm /o=r -print0"
    assert "canary" not in root.run(readable + " | xargs -0 grep -laE 'canary[- ]'").stdout
    # What a bot writes about itself is its own affair; a later test deploys such a bot.
    for command in ("ps -eo args", "journalctl --no-pager | grep -v 'my key is'", "systemctl show bot-paper bot-gitbot bot-standby"):
        out = root.check_output(command)
        assert not [canary for canary in CANARIES if canary in out], command


def test_limits(root):
    limits = show(root, "bot-paper", "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax", "LogRateLimitBurst")
    assert limits == {
        "MemoryMax": str(256 << 20),
        "CPUQuotaPerSecUSec": "1s",
        "TasksMax": "512",
        "LogRateLimitBurst": "2000",
    }
    pid = show(root, "bot-paper", "MainPID")["MainPID"]
    for line in root.check_output("cat /proc/%s/cgroup", pid).splitlines():
        _number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            assert root.check_output("cat /sys/fs/cgroup/memory%s/memory.limit_in_bytes", path) == str(256 << 20)
            break
        if controllers == "" and root.file(f"/sys/fs/cgroup{path}/memory.max").exists:
            assert root.check_output("cat /sys/fs/cgroup%s/memory.max", path) == str(256 << 20)
            break
    else:
        pytest.fail("no memory controller holds the bot")


def ticks(host, bot, since):
    return [entry["order"]["tick"] for entry in orders(host, since) if entry["client_order_id"].startswith(bot + ".")]


def test_a_killed_bot_comes_back_and_loses_no_tick(root):
    since = stats(root)["hosts"][root.backend.get_hostname()]["last_seq"]
    pid = show(root, "bot-paper", "MainPID")["MainPID"]
    root.check_output("kill -KILL %s", pid)
    seconds = wait_for("back", lambda: show(root, "bot-paper", "MainPID", "ActiveState")["ActiveState"] == "active"
                       and show(root, "bot-paper", "MainPID")["MainPID"] not in ("0", pid))  # fmt: skip
    print(f"killed: back after {seconds:.1f} s")
    wait_for("ten more orders", lambda: len(ticks(root, "paper", since)) > 10)
    seen = ticks(root, "paper", since)
    assert seen == list(range(seen[0], seen[0] + len(seen)))


def within(host, took, seconds):
    if took > seconds:
        enough(placed(host, "gitbot")[0])
    assert took <= seconds


def test_a_hung_bot_is_killed_and_comes_back(root):
    since = stats(root)["hosts"][root.backend.get_hostname()]["last_seq"]
    pid = show(root, "bot-paper", "MainPID")["MainPID"]
    root.check_output("kill -STOP %s", pid)
    seconds = wait_for("back", lambda: show(root, "bot-paper", "MainPID")["MainPID"] not in ("0", pid)
                       and show(root, "bot-paper", "ActiveState")["ActiveState"] == "active", 90)  # fmt: skip
    print(f"hung: back after {seconds:.1f} s")
    within(root, seconds, 20)
    wait_for("ten more orders", lambda: len(ticks(root, "paper", since)) > 10)
    seen = ticks(root, "paper", since)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert "bot-paper.service is up and does not answer: killing it" in root.check_output(
        "journalctl --no-pager --unit bot-paper-health"
    )


def test_a_bot_that_is_not_python(root):
    """A program of the host, a heartbeat in a file, first content of a shared directory, a HOME to write to."""
    assert root.file("/opt/bot-node/current/state").linked_to == "/var/lib/bot-node/state"
    assert int(root.file("/var/lib/bot-node/state/count").content_string) > 100
    assert json.loads(root.file("/var/lib/bot-node/cache.json").content_string) == ["two words"]
    pid = show(root, "bot-node", "MainPID")["MainPID"]
    assert root.check_output("cat /proc/%s/comm", pid).startswith("node")
    root.check_output("kill -STOP %s", pid)
    seconds = wait_for("back", lambda: show(root, "bot-node", "MainPID")["MainPID"] not in ("0", pid)
                       and show(root, "bot-node", "ActiveState")["ActiveState"] == "active", 90)  # fmt: skip
    print(f"hung, told by a file: back after {seconds:.1f} s")
    # Its five seconds of grace come before a probe fails.
    within(root, seconds, 25)


def test_a_web_framework_s_server_is_the_bot_and_is_started_again_when_it_trades_no_more(root):
    since, pid = last_order(root), show(root, "bot-fastapi", "MainPID")["MainPID"]
    assert root.check_output("readlink /proc/%s/exe", pid).startswith("/usr/bin/python3")
    assert "/.venv/bin/uvicorn" in root.check_output("tr '\\0' ' ' </proc/%s/cmdline", pid)
    wait_for("orders", lambda: longest_gap(root, "fastapi", since)[1] > 3)
    root.check_output("python3 -c %s", "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8083/pause', b'', method='POST'), timeout=5)")
    assert health(root, 8083)["trading"] is False
    seconds = wait_for("another process trades", lambda: show(root, "bot-fastapi", "MainPID")["MainPID"] not in ("0", pid)
                       and health(root, 8083)["last_order"], 90)  # fmt: skip
    print(f"answers and trades no more: back after {seconds:.1f} s")
    assert "no order for" in root.check_output("journalctl --no-pager --unit bot-fastapi-health")
    # Five seconds without an order make it unwell, five more of that are its grace; then a hung one's twenty.
    within(root, seconds, 30)


def test_a_static_binary_runs_and_its_compiler_is_gone(root):
    pid = show(root, "bot-static", "MainPID")["MainPID"]
    binary = root.check_output("readlink /proc/%s/exe", pid)
    assert binary.startswith("/opt/bot-static/releases/") and binary.endswith("/bin/bot")
    assert root.check_output("grep -c -F .so /proc/%s/maps || true", pid) == "0"
    assert root.run("command -v gcc").rc != 0 and not root.package("libc6-dev").is_installed
    assert root.check_output("bash -c 'exec 3<>/dev/tcp/127.0.0.1/9001; head -n 1 <&3'").startswith("alive ")
    # A stopped one would not be noticed: its system still takes connections for it. A dead one is.
    root.check_output("kill -KILL %s", pid)
    wait_for("back", lambda: show(root, "bot-static", "MainPID")["MainPID"] not in ("0", pid)
             and show(root, "bot-static", "ActiveState")["ActiveState"] == "active", 20)  # fmt: skip


def test_a_slow_bot_that_answers_lives(root):
    """Stopped for less than what the probes allow, and never killed."""
    before = show(root, "bot-paper", "MainPID", "NRestarts")
    for _again in range(3):
        root.check_output("kill -STOP %s", before["MainPID"])
        root.check_output("sleep 5")
        root.check_output("kill -CONT %s", before["MainPID"])
        root.check_output("sleep 1")
    assert show(root, "bot-paper", "MainPID", "NRestarts") == before


def test_what_an_operator_stops_stays_stopped(root):
    root.check_output("systemctl stop bot-gitbot")
    timer = show(root, "bot-gitbot-health.timer", "ActiveState")
    assert timer["ActiveState"] == "inactive"
    root.check_output("systemctl start bot-gitbot")
    # `start` came back, so it is healthy: that is what started means.
    assert health(root, 8081)["status"] == "ok"
    assert show(root, "bot-gitbot-health.timer", "ActiveState")["ActiveState"] == "active"


def test_a_standby_is_complete_and_does_nothing(root):
    unit = show(root, "bot-standby", "ActiveState", "UnitFileState", "NRestarts")
    assert unit == {"ActiveState": "inactive", "UnitFileState": "disabled", "NRestarts": "0"}
    assert root.file("/opt/bot-standby/current/.venv/bin/python").exists
    assert show(root, "bot-standby-health.timer", "ActiveState")["ActiveState"] == "inactive"
    assert not root.file("/var/lib/bot-standby/paper.db").exists


def test_logs_rotate_and_the_bot_follows(root):
    wait_for("a log", lambda: root.file("/var/log/bot-paper/bot.log").size > 0)
    root.check_output("logrotate --force /etc/logrotate.d/bot-paper")
    assert root.file("/var/log/bot-paper/bot.log.1").size > 0
    wait_for("new lines", lambda: root.file("/var/log/bot-paper/bot.log").size > 0)
    fresh = root.file("/var/log/bot-paper/bot.log")
    assert (fresh.user, fresh.mode) == ("bot-paper", 0o640)
    assert "canary" not in fresh.content_string


def test_retention_deletes_what_is_old_and_nothing_else(root):
    data, logs = "/var/lib/bot-paper/trade_history", "/var/log/bot-paper"
    root.check_output("install -d -o bot-paper -g bot-paper %s", data)
    ages = {
        f"{data}/old.json": 91, f"{data}/young.json": 89, f"{data}/old.db": 400, f"{logs}/old.log.9.gz": 31,
        f"{logs}/young.log.2.gz": 29, "/var/lib/bot-paper/old.json": 400,
    }  # fmt: skip
    for path, days in ages.items():
        root.check_output("runuser -u bot-paper -- touch -d '%s days ago' %s", str(days), path)
    root.check_output("systemctl start bot-paper-retention")
    gone = [path for path in ages if not root.file(path).exists]
    assert gone == [f"{data}/old.json", f"{logs}/old.log.9.gz"]
    assert show(root, "bot-paper-retention.timer", "ActiveState", "UnitFileState") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }
    root.check_output("rm -r %s /var/lib/bot-paper/old.json %s/young.log.2.gz", data, logs)


def test_healthy_paper_time_is_recorded(root):
    started = time.monotonic()
    record = json.loads(root.check_output("cat /var/lib/botops/bot_app/paper/paper.json"))
    release = root.check_output("basename $(readlink /opt/bot-paper/current)")
    before = record[release]["seconds"]
    again = lambda: json.loads(root.check_output("cat /var/lib/botops/bot_app/paper/paper.json"))[release]["seconds"]  # noqa: E731
    wait_for("five more seconds", lambda: again() >= before + 5)
    assert again() - before <= time.monotonic() - started + 4
