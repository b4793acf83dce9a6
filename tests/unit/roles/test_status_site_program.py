"""The program of the role status_site on what the other roles leave behind: what is well, what is not, what is old, and what is on no page."""

import html.parser
import json
import pathlib
import re
import time

import pytest
from status_program import LEFT, LIMITS, SYSTEM, answering, put_together

NOW = 1795864472.0
UNIT = {"ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "0", "ActiveEnterTimestamp": f"@{int(NOW) - 18000}"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return put_together(tmp_path_factory.mktemp("program"))


@pytest.fixture
def host(program, tmp_path, monkeypatch):
    """A root with everything on it, whose commands answer as a pair's do."""
    LEFT["build"](tmp_path, NOW, pair=True)
    monkeypatch.setattr(program.common, "ROOT", tmp_path)
    unit = "Id=bot-paper.service\n" + "".join(f"{k}={v}\n" for k, v in UNIT.items())
    monkeypatch.setattr(program.common, "run", answering(program, unit))
    monkeypatch.setattr(program.collect, "system", lambda config: json.loads(json.dumps(SYSTEM)))
    monkeypatch.setattr(
        program.collect,
        "fetched",
        lambda url: (
            200,
            json.dumps({"status": "ok", "last_order": NOW - 4})
            if url.endswith("/health")
            else 'orders_total{state="a"} 40\norders_total{state="b"} 2\norders_total_other 9\n',
        ),
    )
    return tmp_path


def looked(program, now=NOW, **limits):
    config = {
        "host": "alpha",
        "show_addresses": False,
        "certificates": [],
        "limits": {**LIMITS, **limits},
        "order_metrics": [{"bot": "paper", "url": "http://127.0.0.1:1/metrics", "metric": "orders_total"}],
    }
    return program.cli.look(config, now)


def levels(state):
    return {entry["id"]: entry["level"] for entry in state["checks"]}


def changed(host, name, **changes):
    path = host / f"var/lib/botops/evidence/{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- what is well and what is not


def test_everything_is_all_right(program, host):
    state = looked(program)
    assert state["verdict"] == "ok" and state["line"] == "Everything is all right; paper runs", state["line"]
    found = levels(state)
    assert set(found.values()) == {"ok"} and {
        "units",
        "disk:/",
        "cluster",
        "node:alpha",
        "witness",
        "fencing",
        "fence_test:beta",
        "replication:paper",
        "backup:paper",
        "backup:@host",
        "drill",
        "compliance",
        "audit",
        "notify",
        "bot:paper",
        "orders:paper",
    } <= set(found)
    bot = state["bots"][0]
    assert bot["orders_total"] == 42 and bot["release"] == LEFT["RELEASES"][1] and bot["version"] == "v1.1" and bot["paper_seconds"] == 266400


@pytest.mark.parametrize(
    "what, changes, check, words",
    [
        ("backup", {"last_good": {"paper": "2026-11-26T00:00:00Z"}}, "backup:paper", "and it is old after 26 h"),
        ("backup", {"problems": ["paper: disk full"], "verdict": "failed"}, "backup_run", "paper: disk full"),
        ("backup", {"last_good": {"paper": "2026-12-24T00:00:00Z"}}, "backup:paper", "ahead of this host's clock"),
        ("backup", {"last_good": {}}, "backup", "never"),
        ("drill", {"last_good": ""}, "drill", "never"),
        ("drill", {"problems": ["rows differ"]}, "drill_run", "rows differ"),
        ("compliance", {"problems": ["the score is 80 %"], "score": 80.0}, "compliance", "score 80.0 %"),
        ("compliance", {"time": "2026-11-20T00:00:00Z"}, "compliance_age", "and it is old after 2 days"),
        ("audit", {"verdict": "failed", "problems": ["3 events were lost"]}, "audit", "3 events were lost"),
        ("notify", {"time": "2026-11-20T00:00:00Z"}, "notify", "and it is old after 26 h"),
    ],
)
def test_what_is_wrong_with_evidence_is_said(program, host, what, changes, check, words):
    changed(host, what, **changes)
    state = looked(program)
    found = next(entry for entry in state["checks"] if entry["id"] == check)
    assert found["level"] == "failed" and words in found["words"] and found["advice"] and state["verdict"] == "failed" and found["title"] in state["line"]


def test_evidence_that_is_no_json_is_none(program, host):
    (host / "var/lib/botops/evidence/backup.json").write_text("{")
    (host / "usr/local/sbin/botops-backup").write_text("")
    assert levels(looked(program))["backup"] == "failed"


def test_a_host_without_anything_is_all_right(program, tmp_path, monkeypatch):
    monkeypatch.setattr(program.common, "ROOT", tmp_path)
    monkeypatch.setattr(program.common, "run", lambda argv, timeout=10: program.common.Done(127, ""))
    monkeypatch.setattr(program.collect, "system", lambda config: SYSTEM)
    state = looked(program)
    assert state["verdict"] == "ok" and {entry["area"] for entry in state["checks"]} == {"system"} and state["pair"] is None
    texts = program.pages.everything(state, {"samples": [], "releases": {}}, [], 5)
    assert "No bot is deployed" in texts["releases/index.html"] and "no member of a pair" in texts["ha/index.html"]


def test_a_part_that_cannot_be_looked_at_fails_alone(program, host, monkeypatch):
    monkeypatch.setattr(program.collect, "pair", lambda: 1 / 0)
    state = looked(program)
    assert levels(state)["looked:pair"] == "failed" and levels(state)["backup:paper"] == "ok" and "ZeroDivisionError" in state["line"]


@pytest.mark.parametrize(
    "changes, check, level",
    [
        ({"failed_units": ["bot-paper.service"]}, "units", "failed"),
        ({"failed_units": ["foreign.service"]}, "units", "warning"),
        ({"failed_units": None}, "units", "failed"),
        ({"timers": {"botops-backup.timer": "inactive"}}, "timers", "failed"),
        ({"reboot_required": True}, "reboot", "warning"),
        ({"disks": [{"mount": "/", "used_ratio": 0.86, "free_bytes": 1}]}, "disk:/", "warning"),
        ({"disks": [{"mount": "/", "used_ratio": 0.96, "free_bytes": 1}]}, "disk:/", "failed"),
        ({"memory_available_bytes": 100_000_000}, "memory", "failed"),
        ({"load1": 17.0}, "load", "failed"),
        ({"certificates": [{"name": "a", "ends": "2026-11-30T00:00:00Z"}]}, "certificate:a", "failed"),
        ({"certificates": [{"name": "a", "ends": "2026-12-08T00:00:00Z"}]}, "certificate:a", "warning"),
    ],
)
def test_the_machine(program, changes, check, level):
    found = {entry["id"]: entry["level"] for entry in program.model.system_checks({**SYSTEM, **changes}, LIMITS, NOW)}
    assert found[check] == level and set(found.values()) - {"ok"} == {level}


BOT = {
    "name": "paper",
    "mode": "paper",
    "active": True,
    "state": "active",
    "enabled": True,
    "started": NOW - 7200,
    "restarts": 0,
    "live": None,
    "health": {"answers": True, "well": True, "words": "", "milliseconds": 2.0, "last_order": NOW - 5},
}


@pytest.mark.parametrize(
    "changes, check, level, words",
    [
        ({"active": False, "state": "failed"}, "bot:paper", "failed", "is failed"),
        ({"active": False, "state": "inactive"}, "bot:paper", "failed", "is inactive"),
        ({"active": False, "state": "inactive", "enabled": False}, "bot:paper", "none", "stands by on this host"),
        ({"health": {"answers": False, "well": False, "words": "Connection refused"}}, "bot:paper", "failed", "does not answer: Connection refused"),
        ({"health": {**BOT["health"], "well": False, "words": "status 503"}}, "bot:paper", "failed", "not well (status 503)"),
        ({"health": {**BOT["health"], "last_order": NOW - 3600}}, "orders:paper", "warning", "60 min ago"),
        # It has begun a moment ago, and has no new order yet.
        ({"health": {**BOT["health"], "last_order": NOW - 3600}, "started": NOW - 30}, "orders:paper", "ok", "60 min ago"),
        ({"mode": "live", "live": {"override": True, "paper_hours": 1.5, "time": ""}}, "paper:paper", "warning", "live by override, with 1.5 h"),
    ],
)
def test_a_bot(program, changes, check, level, words):
    found = next(entry for entry in program.model.bot_checks([{**BOT, **changes}], True, LIMITS, NOW) if entry["id"] == check)
    assert found["level"] == level and words in found["words"]


def test_a_pair(program, host):
    pair, copies = program.collect.pair(), program.collect.replication()

    def judge(**changes):
        return {entry["id"]: entry for entry in program.model.pair_checks({**pair, **changes}, copies, LIMITS, NOW)}

    assert judge()["cluster"]["words"] == "alpha is active, beta stands by" and judge()["fencing"]["words"] == "automatic"
    assert judge(quorate=False)["cluster"]["level"] == "failed" and judge(witness="disconnected")["witness"]["level"] == "failed"
    waiting = judge(waiting_for_operator=["beta"])["cluster"]
    assert waiting["level"] == "failed" and waiting["advice"].endswith("-e failed_node_is_off=beta")
    failed = judge(tests={"alpha": pair["tests"]["alpha"], "beta": {"epoch": NOW, "result": "failed", "why": "no power", "seconds": None}})["fence_test:beta"]
    assert failed["level"] == "failed" and failed["words"] == "the last one failed: no power"
    assert judge(tests={})["fence_test:alpha"]["words"] == "never"
    copies[0]["databases"]["paper.db"]["lag_seconds"] = 61
    assert judge()["replication:paper"]["level"] == "failed"
    copies[0]["databases"]["paper.db"]["lag_seconds"] = None
    assert judge()["replication:paper"]["level"] == "warning"
    assert program.model.pair_checks({"answers": False, "why": "gone", "tests": {}}, None, LIMITS, NOW)[0]["words"] == "gone"


def test_a_cluster_that_cannot_be_asked_says_why(program, host, monkeypatch):
    error = "Could not connect to the CIB: Transport endpoint is not connected"
    said = f'<pacemaker-result>\n<status code="102" message="Not connected">\n<errors>\n<error>{error}</error>\n</errors>\n</status>\n</pacemaker-result>'
    monkeypatch.setattr(program.common, "run", answering(program, "", crm_mon=said))
    assert program.collect.pair()["why"] == error


# --- over time


def test_orders_a_minute_and_a_counter_that_began_anew(program):
    samples = [{"time": NOW + 60 * minute, "orders": {"paper": count}, "lag": {}, "score": None} for minute, count in enumerate((100, 160, 190, 10, 40))]
    assert [rate for _time, rate in program.model.orders_per_minute(samples, "paper")] == [60, 30, 10, 30]
    assert program.model.orders_per_minute(samples, "other") == []


def test_the_memory_is_a_day_and_knows_a_rollback(program, host):
    state = looked(program)
    old = {"time": NOW - 90000, "orders": {}, "lag": {}, "score": 1}
    memory = program.model.remembered({"samples": [old, {**old, "time": NOW - 60}]}, state)
    assert [sample["time"] for sample in memory["samples"]] == [NOW - 60, NOW] and memory["samples"][-1]["lag"] == {"paper": 0.4}
    assert memory["releases"]["paper"][-1]["kind"] == "deployment"
    again = program.model.remembered(memory, state)
    assert again["releases"] == memory["releases"]
    bot = state["bots"][0]
    log = program.model.releases(memory["releases"], [{**bot, "release": "next"}])
    log = program.model.releases(log, [bot])
    assert [entry["kind"] for entry in log["paper"]] == ["deployment", "deployment", "rollback"]
    assert "rollback" in program.pages.releases_page(state, [], log)


# --- pages


class Page(html.parser.HTMLParser):
    """Tags that are closed, links, ids and headings."""

    EMPTY = ("meta", "link", "br", "line", "polyline", "polygon")

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.tags, self.ids = [], [], [], []
        self.feed(re.sub(r"<!--.*?-->", "", text))
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        assert not {name for name in given if name.startswith("on") or name == "style"}
        self.links += [given[name] for name in ("href", "src") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, tag


@pytest.fixture
def site(program, host, tmp_path):
    state = looked(program)
    memory = {"samples": [], "releases": {}}
    for minute in range(300, -1, -1):
        earlier = {**state, "epoch": NOW - 60 * minute, "bots": [{**state["bots"][0], "orders_total": 60 * (300 - minute)}]}
        memory = program.model.remembered(memory, earlier)
    peers = [{"name": "beta", "level": "ok", "line": "Everything is all right", "epoch": NOW - 30, "old": False, "url": "https://beta.example.com/"}]
    return {**program.pages.everything(state, memory, peers, 5), "metrics": program.metrics.text(state), "state.json": json.dumps(state)}


def test_pages_are_whole_and_have_no_script(site):
    assert {"index.html", "system/index.html", "ha/index.html", "backups/index.html", "compliance/index.html", "releases/index.html"} <= set(site)
    for name, text in site.items():
        if not name.endswith(".html"):
            continue
        page = Page(text)
        assert "script" not in page.tags and page.tags.count("h1") == 1 and page.tags.count("main") == 1 and len(set(page.ids)) == len(page.ids)
        for link in page.links:
            if link.startswith(("https://beta", "data:", "#")):
                continue
            path = str((pathlib.PurePosixPath("/") / name).parent.joinpath(link))
            path = re.sub(r"[^/]+/\.\./", "", path.removeprefix("/")).removesuffix("/.").rstrip("/") if path != "/" else ""
            assert path in {"", ".", "..", "style.css", "metrics", "state.json"} or f"{path}/index.html" in site or re.fullmatch(r"\w+/\.\.", path), (
                name,
                link,
            )


def test_charts_are_on_the_pages_and_say_in_words_what_they_show(site):
    assert 'aria-label="Orders a minute, paper: now 60 a minute, from 60 to 60' in site["index.html"] and "<svg" in site["releases/index.html"]
    assert "Replication lag, paper" in site["ha/index.html"] and 'aria-label="Score: now 97.4 %' in site["compliance/index.html"]


@pytest.mark.parametrize("canary", LEFT["CANARIES"])
def test_no_secret_and_no_address_is_in_anything(site, canary):
    assert [name for name, text in site.items() if canary in text] == []
    assert "[secret]" in site["compliance/index.html"] and "[address]" in site["compliance/index.html"]


def test_times_and_versions_are_no_addresses(program):

    def mask(text, addresses=False):
        return program.mask.text(text, [], addresses)

    for text in ("2026-11-28T19:41:12Z", "at 19:41:12 it ended", "127.0.0.1:8080 and ::1", "lynis:ACCT-9622", "std::x c", "bot:paper"):
        assert mask(text) == text, mask(text)
    assert mask("10.1.2.3:22 fe80::1 2001:db8:0:1:2:3:4:5") == "[address]:22 [address] [address]" and mask("10.1.2.3", addresses=True) == "10.1.2.3"
    assert mask("https://user:word@host/") == "https://[secret]@host/"
    assert program.mask.whole({"version": "1.2.3.4", "words": "1.2.3.4"}, [], False) == {"version": "1.2.3.4", "words": "[address]"}


def test_what_is_told_is_escaped(program, host):
    changed(host, "backup", problems=["<script>alert(1)</script> & \"<!--#exec cmd='id' -->"])
    state = looked(program)
    text = program.pages.everything(state, {"samples": [], "releases": {}}, [], 5)["index.html"]
    assert "<script" not in text and "&lt;script&gt;" in text and "<!--#exec" not in text


def test_old_pages_are_told_by_the_server(program):
    minutes = re.compile(f"^({program.pages.fresh(NOW, 5)})")
    read = [time.strftime("%Y-%m-%dT%H:%M", time.gmtime(NOW + offset)) for offset in (-3600, -60, 0, 240, 300, 420, 86400)]
    assert [bool(minutes.match(moment)) for moment in read] == [False, True, True, True, True, False, False]
    # nginx takes no longer value; over midnight it is longest.
    midnight = 1795910340.0
    assert len(program.pages.fresh(midnight, 45)) < 250
    assert all(len(value) < 256 for value in re.findall(r'value="([^"]*)"', program.pages.old_notice({"epoch": NOW}, 45)))


# --- metrics


def test_metrics_are_text_that_prometheus_reads(site):
    told = {}
    for line in site["metrics"].splitlines():
        if line.startswith("# TYPE"):
            told[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            found = re.fullmatch(r'([a-z_0-9]+)(\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? -?[0-9.e+]+', line)
            assert found and found[1] in told, line
    assert told["botops_bot_orders_total"] == "counter" and len(told) > 30
    assert 'botops_bot_order_age_seconds{bot="paper"} 4\n' in site["metrics"] and "botops_compliance_score 97.4\n" in site["metrics"]
    assert f'botops_bot_release_info{{bot="paper",release="{LEFT["RELEASES"][1]}",version="v1.1",mode="live"}} 1' in site["metrics"]


# --- peers


def test_a_peer_that_is_silent_keeps_its_last_word(program, host, monkeypatch):
    peer = {"name": "beta", "url": "https://beta.example.com/", "user": "ops", "password": "p", "authority": ""}
    monkeypatch.setattr(program.peers, "fetch", lambda _peer: {"epoch": NOW, "verdict": "ok", "line": "fine"})

    def line(now):
        return program.model.peer_line("beta", program.peers.heard([peer])["beta"], 300, now)

    assert line(NOW + 60)["level"] == "ok" and line(NOW + 60)["line"] == "fine"

    def silent(_peer):
        raise OSError("connection\nrefused")

    monkeypatch.setattr(program.peers, "fetch", silent)
    assert line(NOW + 200)["level"] == "ok" and line(NOW + 200)["why"] == "connection refused"
    late = line(NOW + 900)
    assert late["level"] == "failed" and late["line"] == "Not heard for 15 min; before that: fine" and late["old"]
    never = program.model.peer_line("gamma", {"state": None, "error": "status 401"}, 300, NOW)
    assert never["level"] == "failed" and never["line"] == "Not known: status 401"


def test_a_peers_word_is_taken_with_care(program):
    brief = program.peers.brief({"epoch": "5", "verdict": "<b>", "line": "x" * 900})
    assert brief["epoch"] == 5.0 and brief["verdict"] == "failed" and len(brief["line"]) == 300
    with pytest.raises(KeyError):
        program.peers.brief({})


def test_no_metrics_but_of_this_host(program):
    with pytest.raises(OSError):
        program.collect.fetched("http://198.51.100.1/metrics")
