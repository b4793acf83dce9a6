"""The program of the role notify without a network: what is sent when, what is masked, and what a message says. The rest is in molecule/notify."""

import importlib
import pathlib
import shutil
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """As the role puts it together: its modules, and how bots' secrets are found."""
    top = tmp_path_factory.mktemp("program")
    shutil.copytree(ROOT / "roles/notify/files/notify", top / "notify")
    shutil.copy(ROOT / "plugins/module_utils/_bot/redaction.py", top / "notify")
    sys.path.insert(0, str(top))
    modules = {
        name: importlib.import_module("notify." + name)
        for name in ("common", "plan", "spool", "deliver", "mask", "unit", "cli", "thresholds", "probes")
    }
    sys.path.remove(str(top))
    return type("Program", (), modules)


@pytest.fixture
def place(program, tmp_path, monkeypatch):
    for name in ("STATE", "SPARE", "ETC"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(program.common, name, tmp_path / name)
    (tmp_path / "STATE/drop").mkdir()
    monkeypatch.setattr(program.common, "EVIDENCE", tmp_path / "evidence.json")
    monkeypatch.setattr(program.spool.os, "geteuid", lambda: 0)
    # A power cut is not what these are about.
    monkeypatch.setattr(program.common.os, "fsync", lambda _handle: None)
    return tmp_path


CONFIG = {
    "host": "db1", "repeat_seconds": [60, 600, 3600], "max_per_hour": 60, "keep_hours": 1,
    "destinations": [{"name": "phone", "severity": "critical"}, {"name": "desk", "severity": "info"}],
}  # fmt: skip


ADDRESSES = {"destinations": {"phone": "phone", "desk": "desk"}, "heartbeat": ""}


class Provider:
    def __init__(self):
        self.got, self.down = [], set()

    def __call__(self, url, severity, title, body):
        if url in self.down:
            return "503"
        self.got.append((url, title, body))
        return ""


@pytest.fixture
def delivery(program, place):
    provider = Provider()
    found = program.deliver.Delivery(CONFIG, ADDRESSES, provider)
    found.provider = provider

    def settle(now, steps=60):
        for _ in range(steps):
            found.step(now)
            for _wait in range(200):
                if not found.busy or not found.answers.empty():
                    break
                time.sleep(0.002)

    found.settle = settle
    return found


def test_a_destination_gets_what_is_severe_enough(program, delivery):
    now = time.time()
    program.spool.put(program.spool.event("info", "small"))
    program.spool.put(program.spool.event("critical", "large"))
    delivery.settle(now)
    assert sorted((url, title) for url, title, _ in delivery.provider.got) == [
        ("desk", "[critical] db1: large"), ("desk", "[info] db1: small"), ("phone", "[critical] db1: large"),
    ]  # fmt: skip
    assert program.spool.waiting() == {}


def test_a_thousand_equal_events_are_a_message_and_a_count(program, delivery):
    now = time.time()
    for _ in range(1000):
        program.spool.put({**program.spool.event("critical", "down", key="x"), "time": now})
    delivery.settle(now)
    delivery.settle(now + 61)
    delivery.settle(now + 900)
    titles = [title for url, title, _ in delivery.provider.got if url == "phone"]
    assert titles == ["[critical] db1: down", "[critical] db1: 999 more: down"]


def test_a_storm_that_goes_on_is_told_ever_more_rarely_and_is_forgotten_when_it_ends(program, delivery):
    start = time.time()
    for minute in range(300):
        program.spool.put({**program.spool.event("critical", "down", key="x"), "time": start + minute * 60})
        delivery.settle(start + minute * 60, 4)
    assert len([url for url, *_ in delivery.provider.got if url == "phone"]) <= 3 + 5
    program.spool.put({**program.spool.event("critical", "down", key="x"), "time": start + 300 * 60 + 3700})
    delivery.settle(start + 300 * 60 + 3700)
    assert delivery.provider.got[-1][1] == "[critical] db1: down"


def test_what_is_over_rings_at_once_when_it_comes_back(program, delivery):
    now = time.time()
    story = [("critical", "disk 95 %", "disk", ""), ("info", "disk is well again", "", "disk"), ("critical", "disk 96 %", "disk", "")]
    for severity, subject, key, clears in story:
        program.spool.put(program.spool.event(severity, subject, key=key, clears=clears))
        delivery.settle(now, 10)
    assert [title for url, title, _ in delivery.provider.got if url == "phone"] == ["[critical] db1: disk 95 %", "[critical] db1: disk 96 %"]


def test_a_thousand_different_events_are_no_thousand_messages(program, delivery):
    now = time.time()
    for number in range(300):
        program.spool.put(program.spool.event("critical", f"trouble {number}"))
    delivery.settle(now, 60)
    got = [(title, body) for url, title, body in delivery.provider.got if url == "phone"]
    assert len(got) == program.plan.BURST and "messages in one" in got[-1][0] and "more" in got[-1][1]
    assert len(got[-1][1]) < 1500 and program.spool.waiting() == {}


def test_a_provider_that_is_down_is_asked_with_patience_and_keeps_no_other_waiting(program, delivery):
    now = time.time()
    delivery.provider.down = {"phone"}
    program.spool.put(program.spool.event("critical", "large"))
    delivery.settle(now)
    assert [url for url, *_ in delivery.provider.got] == ["desk"]
    state = delivery.state["destinations"]["phone"]
    assert state["next"] == now + 5 and state["fails"] == 1
    waits = []
    for _ in range(12):
        program.plan.failed(state, now, "503")
        waits.append(state["next"] - now)
    assert waits == sorted(waits) and waits[-1] == program.plan.LONGEST_WAIT
    delivery.provider.down = set()
    # The next process reads what this one left on disk.
    again = program.deliver.Delivery(CONFIG, ADDRESSES, delivery.provider)
    again.state["destinations"]["phone"]["next"] = 0
    again.step(now + 600)
    for _wait in range(200):
        if not again.answers.empty():
            break
        time.sleep(0.005)
    again.step(now + 601)
    assert [url for url, *_ in delivery.provider.got] == ["desk", "phone"] and "sent late: this was at" in delivery.provider.got[-1][2]
    assert program.spool.waiting() == {}


def test_what_nobody_takes_is_given_up_and_counted(program, delivery):
    now = time.time()
    delivery.provider.down = {"phone", "desk"}
    program.spool.put(program.spool.event("critical", "large"))
    delivery.settle(now)
    delivery.settle(now + 3700)
    assert program.spool.waiting() == {} and delivery.state["destinations"]["phone"]["lost"] == 1
    delivery.record(now + 3700)
    assert program.common.read_json(program.common.EVIDENCE)["verdict"] == "failed"


def test_a_destination_that_was_taken_away_holds_nothing_back(program, place, delivery):
    delivery.provider.down = {"phone", "desk"}
    program.spool.put(program.spool.event("critical", "large"))
    delivery.settle(time.time())
    one = program.deliver.Delivery({**CONFIG, "destinations": []}, ADDRESSES, delivery.provider)
    one.step(time.time())
    assert program.spool.waiting() == {}


def test_a_queue_has_an_end_and_says_so(program, place, delivery, monkeypatch):
    monkeypatch.setattr(program.spool, "MOST", 5)
    for number in range(30):
        program.spool.put(program.spool.event("warning", f"n{number}"))
    program.spool.put(program.spool.event("critical", "still fits"))
    assert len(program.spool.waiting()) == 6
    delivery.settle(time.time())
    titles = [title for _url, title, _body in delivery.provider.got]
    assert "[critical] db1: 25 messages found no room in the queue" in titles and "[critical] db1: still fits" in titles


def test_a_file_that_is_not_whole_is_passed_over(program, place):
    program.spool.queue().mkdir()
    (program.spool.queue() / "1-1-1.json").write_text('{"severity": "crit')
    (program.spool.queue() / ".hidden.json.7").write_text("{}")
    assert program.spool.waiting() == {}


def test_a_drop_of_somebody_else_is_not_believed(program, place, monkeypatch):
    event = program.spool.event("critical", "from elsewhere")
    program.common.write_json(program.spool.drop() / "1.json", event, 0o644)
    monkeypatch.setattr(program.spool, "DROPPERS", ("nobody-at-all",))
    program.spool.take_drops()
    assert program.spool.waiting() == {} and list(program.spool.drop().iterdir()) == []
    (place / "secret.json").write_text('{"severity": "critical", "subject": "x"}')
    (program.spool.drop() / "2.json").symlink_to(place / "secret.json")
    monkeypatch.setattr(program.spool, "DROPPERS", ("root",))
    program.spool.take_drops()
    assert program.spool.waiting() == {}


@pytest.mark.parametrize(("severity", "subject"), [("panic", "x"), ("info", "  ")])
def test_a_message_that_says_nothing_is_refused(program, severity, subject):
    with pytest.raises(program.common.Refused):
        program.spool.event(severity, subject)


def test_known_secrets_are_masked_wherever_they_stand(program, tmp_path, monkeypatch):
    monkeypatch.setattr(program.mask, "ROOT", tmp_path)
    for path, text in {
        "etc/bot-paper/secrets.env": 'KEY="alpha-secret-1"\nPEM="line one of it\nline two of it"\n', "etc/bot-live/credentials/token": "bravo-secret-2\n",
        "etc/botops/backups/secrets.json": '{"repositories": [{"password": "charlie-secret-3"}]}',
        "etc/botops/notify/destinations.json": '{"phone": "discord://123456789/delta-secret-4-and-longer"}',
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    text = "a alpha-secret-1 b bravo-secret-2 c charlie-secret-3 d delta-secret-4-and-longer\nline two of it\nauthorization: Bearer abcdefghijk\nplain words"
    masked = program.mask.mask(text)
    assert "secret-" not in masked and "line two" not in masked and "abcdefghijk" not in masked and "plain words" in masked


def test_names_are_no_secrets(program, monkeypatch):
    monkeypatch.setattr(program.common, "config", lambda: {"host": "trading-host-1"})
    parts = program.mask.parts("https://hc.example.com:8443/ping/delta-secret-4/trading-host-1")
    assert parts[1:] == ["delta-secret-4"]


def test_a_provider_s_words_have_no_part_of_the_address(program):
    said = program.deliver.without("404 for /api/webhooks/123456789/delta-token with u:sesame", "discord://123456789/delta-token?x=sesame")
    assert "delta" not in said and "123456789" not in said and "404" in said


@pytest.mark.parametrize(
    ("unit", "severity", "words"),
    [
        ("bot-paper.service", "critical", ["bot: paper", "sudo systemctl restart bot-paper.service", "ansible-playbook playbooks/deploy.yml -e bot=paper"]),
        ("bot-paper-health.service", "warning", ["bot: paper", "sudo systemctl status bot-paper"]),
        ("botops-backup.service", "critical", ["sudo botops-backup run"]),
        ("botops-restore-drill.service", "critical", ["sudo botops-backup drill"]),
        ("certbot.service", "critical", ["sudo certbot renew --dry-run"]),
        ("anything@else.service", "critical", ["sudo systemctl start anything@else.service"]),
    ],
)
def test_a_message_about_a_unit_says_what_to_type(program, monkeypatch, unit, severity, words):
    shown = f"Description=What it is\nResult=signal\nExecMainStatus=9\nNRestarts=3\nStateChangeTimestamp=@1700000000\nInvocationID=abc\nId={unit}\n"
    monkeypatch.setattr(program.common, "output", lambda argv, timeout=10: shown if argv[0] == "systemctl" else "one\n\ntwo\nthree\nfour\nfive\nsix\n")
    found = program.unit.described(unit, "db1", now=1700000060.0)
    assert found["severity"] == severity and found["key"] == f"unit:{unit}"
    for each in ["host: db1", "was killed by SIGKILL; started again 3 times", "since: 2023-11-14T22:13:20Z (60 s ago)", "  six", *words]:
        assert each in found["body"], found["body"]
    assert "  one" not in found["body"]


@pytest.mark.parametrize(
    ("value", "below", "expected"),
    [
        (69, False, ("", "warning")), (71, False, ("warning", "warning")), (85, False, ("warning", "critical")), (95, False, ("critical", "critical")),
        (50, False, ("", "")), (22, True, ("", "warning")), (20, True, ("warning", "warning")), (7.5, True, ("warning", "critical")),
        (3, True, ("critical", "critical")),
    ],
)  # fmt: skip
def test_a_level_and_the_one_that_it_would_keep(program, value, below, expected):
    assert program.probes.level(value, *((21, 7) if below else (70, 90)), below=below) == expected


def test_one_odd_answer_changes_nothing_and_a_level_is_left_only_when_it_is_left_for_good(program):
    state, told = {}, []
    for value in (50, 95, 50, 95, 95, 95, 87, 87, 60, 60, 60):
        reached, near = program.probes.level(value, 70, 90)
        for _answer, changes in program.probes.remembered(state, [program.probes.Answer("x", reached, "", near)]):
            told.append((value, *changes) if changes else value)
    assert told == [50, 95, 50, 95, (95, ("critical", False)), 95, 87, 87, 60, (60, ("critical", True)), 60]


def test_a_message_about_a_threshold_says_what_to_type_and_that_it_is_over(program):
    found = program.thresholds.message("disk:/srv", "critical", "", "space usage 96%", "db1", 1700000000)
    assert found["subject"] == "the disk /srv is filling" and "df -h /srv" in found["body"] and found["severity"] == "critical"
    over = program.thresholds.message("disk:/srv", "over", "critical", "space usage 10%", "db1", 1700000000)
    assert over["clears"] == found["key"] and over["severity"] == "info" and over["route"] == "critical"
    assert program.plan.recipients(over, CONFIG["destinations"]) == ["phone", "desk"]


def test_every_probe_has_words(program):
    assert set(program.probes.PROBES) - {"bots"} <= set(program.thresholds.WORDS) and {"health", "response", "orders"} <= set(program.thresholds.WORDS)


def test_restarts_are_counted_over_an_hour(program, place, monkeypatch):
    count = [0]
    monkeypatch.setattr(program.common, "output", lambda argv, timeout=10: f"Id=bot-paper.service\nNRestarts={count[0]}\n")
    limits = {"restarts_per_hour": [3, 10]}
    levels = []
    for minute, restarts in ((0, 7), (5, 8), (10, 10), (15, 17), (90, 17)):
        count[0] = restarts
        levels.append(program.probes.restarts(limits, minute * 60.0)[0].level)
    assert levels == ["", "", "warning", "critical", ""]


def test_certificates_are_told_in_time(program, place, monkeypatch):
    monkeypatch.setattr(program.probes, "ROOT", place)
    (place / "live/example.com").mkdir(parents=True)
    (place / "live/example.com/fullchain.pem").write_text("x")
    monkeypatch.setattr(program.common, "output", lambda argv, timeout=10: "notAfter=Jan 10 00:00:00 2026 GMT\n")
    limits = {"certificates": ["/live/*/fullchain.pem"], "certificate_days": [21, 7]}
    january = 1767225600.0  # 2026-01-01
    assert [(answer.what, answer.level) for answer in program.probes.certificates(limits, january)] == [("example.com", "warning")]
    assert program.probes.certificates(limits, january - 30 * 86400)[0].level == ""
    assert program.probes.certificates(limits, january + 5 * 86400)[0].level == "critical"


def test_a_bot_that_does_not_answer_and_a_slow_one(program, place, monkeypatch):
    monkeypatch.setattr(program.probes, "bots", lambda: {"paper": {"health": {"url": "http://127.0.0.1:9/health"}}})
    monkeypatch.setattr(program.common, "output", lambda argv, timeout=10: "active\n")
    limits = {"response_ms": [500, 2000], "order_minutes": [30, 60]}

    def refused(url, seconds):
        raise OSError("refused")

    monkeypatch.setattr(program.probes, "timed", refused)
    assert [(answer.what, answer.level) for answer in program.probes.health(limits, 1000.0)] == [("health:paper", "critical")]
    monkeypatch.setattr(program.probes, "timed", lambda url, seconds: (900.0, {"last_order": 10000.0 - 45 * 60}))
    levels = {answer.what: answer.level for answer in program.probes.health(limits, 10000.0)}
    assert levels == {"health:paper": "", "response:bot-paper": "warning", "orders:paper": "warning"}


def test_a_destination_that_is_gone_is_told_to_the_others(program, delivery):
    now = time.time()
    delivery.provider.down = {"phone"}
    program.spool.put(program.spool.event("critical", "large"))
    for after in (0, 6, 20, 45):
        delivery.settle(now + after, 8)
    assert [title for url, title, _ in delivery.provider.got if url == "desk"] == ["[critical] db1: large", "[critical] db1: takes no messages: phone"]
    delivery.provider.down = set()
    delivery.settle(now + 200, 12)
    titles = [title for url, title, _ in delivery.provider.got if url == "phone"]
    assert titles == ["[critical] db1: large"] and delivery.provider.got[-1][1] == "[info] db1: takes messages again: phone"


def test_a_unit_that_is_being_deployed_is_left_to_the_deployment(program, tmp_path, monkeypatch):
    monkeypatch.setattr(program.unit, "DEPLOYING", tmp_path)
    assert not program.unit.is_being_deployed("bot-paper.service", 100.0)
    (tmp_path / "bot-paper.service").write_text("150\n")
    assert program.unit.is_being_deployed("bot-paper.service", 100.0) and not program.unit.is_being_deployed("bot-paper.service", 151.0)
