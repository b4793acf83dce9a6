"""The program of the role backups, with real SQLite files; what needs servers and restic is in molecule/backups."""

import datetime
import email.utils
import http.server
import importlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

FILES = pathlib.Path(__file__).resolve().parents[3] / "roles/backups/files"
sys.path.insert(0, str(FILES))
active, checks, cli, common, drill, restic, restore, s3, sources = (
    importlib.import_module(f"backups.{name}") for name in ("active", "checks", "cli", "common", "drill", "restic", "restore", "s3", "sources")
)
sys.path.remove(str(FILES))
ORDERS = "SELECT max(id) FROM orders"


def database(path, wal=True, rows=100):
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA journal_mode={'wal' if wal else 'delete'}")
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    connection.executemany("INSERT INTO orders (note) VALUES (?)", [("x" * 50,)] * rows)
    return connection


def dumped(path, tmp_path, queries=(ORDERS,), busy=2):
    return sources.dump_sqlite(str(path), tmp_path / "staging/sqlite/copy", list(queries), busy)


@pytest.mark.parametrize("wal", [True, False])
def test_a_database_is_found_by_its_header_and_copied_while_it_is_open(tmp_path, wal):
    (tmp_path / "data").mkdir()
    open_one = database(tmp_path / "data/named-like-nothing", wal)
    (tmp_path / "data/fake.db").write_text("no database " * 100)
    (tmp_path / "data/scrap.tmp").write_bytes((tmp_path / "data/named-like-nothing").read_bytes())
    (tmp_path / "data/link.db").symlink_to(tmp_path / "data/named-like-nothing")
    assert sources.databases_below(str(tmp_path / "data"), ["*.tmp"]) == [str(tmp_path / "data/named-like-nothing")]
    facts = dumped(tmp_path / "data/named-like-nothing", tmp_path)
    assert facts["tables"] == {"orders": 100} and facts["orders"] == {ORDERS: [100]} and facts["integrity"] == "ok" and facts["wal"] is wal
    copy = tmp_path / "staging/sqlite/copy"
    assert facts["sha256"] == common.sha256(copy) and facts["bytes"] == copy.stat().st_size
    assert os.listdir(copy.parent) == ["copy"], "nothing is left beside it"
    open_one.execute("INSERT INTO orders (note) VALUES ('later')")
    assert checks.differences(facts, sources.facts_of_sqlite(copy, [ORDERS], {})) == []
    open_one.close()


def test_copies_under_writes_are_whole_and_exactly_what_was_counted(tmp_path):
    connection, stop = database(tmp_path / "trades.db"), threading.Event()

    def write():
        while not stop.is_set():
            connection.execute("INSERT INTO orders (note) VALUES ('more')")
            time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        counts = []
        for _ in range(5):
            facts = dumped(tmp_path / "trades.db", tmp_path)
            assert facts["integrity"] == "ok"
            found = sources.facts_of_sqlite(tmp_path / "staging/sqlite/copy", [ORDERS], {})
            assert checks.differences(facts, found) == [] and found["integrity"] == "ok"
            counts.append(facts["tables"]["orders"])
    finally:
        stop.set()
        writer.join()
        connection.close()
    assert counts == sorted(counts) and counts[0] < counts[-1]


def test_a_locked_database_is_named_and_not_waited_for_for_ever(tmp_path):
    connection = database(tmp_path / "trades.db", wal=False)
    connection.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    with pytest.raises(common.Refused, match="database is locked"):
        dumped(tmp_path / "trades.db", tmp_path, busy=1)
    assert time.monotonic() - begun < 5
    connection.close()


def test_a_table_that_was_renamed_is_said_and_the_copy_is_there(tmp_path):
    connection = database(tmp_path / "trades.db")
    connection.execute("ALTER TABLE orders RENAME TO trades")
    facts = dumped(tmp_path / "trades.db", tmp_path)
    assert facts["refused"] == {ORDERS: "no such table: orders"} and facts["tables"] == {"trades": 100}
    connection.close()


def test_damage_is_found(tmp_path):
    connection = database(tmp_path / "trades.db", rows=5000)
    facts = dumped(tmp_path / "trades.db", tmp_path)
    copy = tmp_path / "staging/sqlite/copy"
    with open(copy, "r+b") as stream:
        stream.seek(8192)
        stream.write(b"\xff" * 4096)
    entry = {"type": "sqlite", "name": "trades.db", "dump": str(copy), "path": "/trades.db", **facts}
    [result] = checks.check(pathlib.Path("/"), {"sources": [entry]}) if os.geteuid() else [unprivileged(entry)]
    assert any("SHA-256" in problem for problem in result["problems"]) and len(result["problems"]) > 1 and result["rows_restored"] is None
    connection.close()


def unprivileged(entry):
    """As root, `check` would give its top directory away; here that is /."""
    result = {"problems": [] if common.sha256(pathlib.Path(entry["dump"])) == entry["sha256"] else ["SHA-256"], "rows_restored": None}
    try:
        facts = sources.facts_of_sqlite(pathlib.Path(entry["dump"]), [ORDERS], {})
        result["problems"] += [facts["integrity"]] if facts["integrity"] != "ok" else []
    except common.Refused as error:
        result["problems"].append(str(error))
    return result


def test_every_difference_is_a_sentence():
    expected = {"tables": {"orders": 10, "fills": 3}, "orders": {ORDERS: [10]}}
    found = {"tables": {"orders": 9, "new": 1}, "orders": {ORDERS: [9]}}
    assert checks.differences(expected, found) == [
        "table fills has gone, and the manifest says 3", "table new has 1, and the manifest says none",
        "table orders has 9, and the manifest says 10", f"{ORDERS!r} answers [9], and the manifest says [10]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T02:00Z", (2026, 1, 31, 2, 0, 0)), ("2026-01-31 02:00", (2026, 1, 31, 2, 0, 0)), ("2026-01-31T03:00:05+01:00", (2026, 1, 31, 2, 0, 5)),
        ("2026-01-31T02:00:00.123456789Z", (2026, 1, 31, 2, 0, 0, 123456)), ("2026-01-31T03:00:00.5+01:00", (2026, 1, 31, 2, 0, 0, 500000)),
    ],
)  # fmt: skip
def test_times(text, expected):
    assert common.parse_time(text) == datetime.datetime(*expected, tzinfo=datetime.timezone.utc)


def test_a_word_is_no_time():
    with pytest.raises(common.Refused, match="'yesterday' is no time; write it like 2026-01-31T02:00Z"):
        common.parse_time("yesterday")


def test_ages_and_clocks():
    now = common.now()
    hour = datetime.timedelta(hours=1)
    assert drill.age_problem("a backup", common.iso(now - hour), 7200) == ""
    assert "1.0 h is the limit" not in drill.age_problem("a backup", common.iso(now - 3 * hour), 7200)
    assert drill.age_problem("a backup", common.iso(now - 3 * hour), 7200) == "a backup is 3.0 h old, and 2.0 h is the limit"
    assert drill.age_problem("a backup", "", 7200) == "there never was a backup"
    assert drill.age_problem("a backup", common.iso(now + hour), 7200).endswith("from now: a clock is wrong")


CRM_MON = """<pacemaker-result><resources>
  <resource id="paper-data" resource_agent="systemd:botops-promote@paper" role="Started"><node name="b"/></resource>
  <resource id="paper" resource_agent="ocf:botops:unit" role="{role}">{node}</resource>
</resources></pacemaker-result>"""


def test_where_the_cluster_runs_a_bot():
    assert active.cluster_opinion("paper", CRM_MON.format(role="Started", node='<node name="b"/>')) == (True, ["b"])
    assert active.cluster_opinion("paper", CRM_MON.format(role="Stopped", node="")) == (True, [])
    assert active.cluster_opinion("other", CRM_MON.format(role="Started", node='<node name="b"/>')) == (False, [])


@pytest.fixture
def cluster(monkeypatch):
    said = {"cluster": (True, ["b"]), "node": "a", "here": False}

    def ask(_name):
        if isinstance(said["cluster"], Exception):
            raise said["cluster"]
        return said["cluster"]

    monkeypatch.setattr(active, "cluster", ask)
    monkeypatch.setattr(active, "own_node", lambda: said["node"])
    monkeypatch.setattr(active, "runs_here", lambda _name: said["here"])
    monkeypatch.setattr(active, "unit_state", lambda _name: "active" if said["here"] else "inactive")
    return said


def test_only_the_active_host_saves(cluster):
    assert active.on_standby("paper") == "paper runs on b, which saves it"
    cluster["node"] = "b"
    assert active.on_standby("paper") == ""
    cluster["cluster"] = (False, [])
    assert active.on_standby("paper") == "", "without a cluster everyone saves its own"
    cluster["cluster"] = (True, [])
    assert active.on_standby("paper") == "", "nobody runs it: rather twice than never"


def test_a_cluster_that_does_not_answer_stops_no_backup_of_what_runs_here(cluster):
    cluster["cluster"] = common.Refused("no answer")
    with pytest.raises(common.Refused):
        active.on_standby("paper")
    cluster["here"] = True
    assert active.on_standby("paper") == ""


def test_a_bot_that_runs_anywhere_is_not_restored(cluster, tmp_path):
    assert "the cluster runs paper on b: stop it first" in active.running_anywhere("paper", [], None)
    cluster["cluster"] = (True, [])
    assert active.running_anywhere("paper", [], None) == ""
    cluster["here"] = True
    assert "bot-paper.service is active on this host" in active.running_anywhere("paper", [], None)
    cluster["here"] = False
    record = tmp_path / "orders"
    record.write_text("7")
    assert active.running_anywhere("paper", ["cat", str(record)], lambda: None) == ""
    assert "goes on receiving orders of paper" in active.running_anywhere("paper", ["cat", str(record)], lambda: record.write_text("8"))
    assert "nobody can say whether the bot trades" in active.running_anywhere("paper", ["false"], lambda: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fatal: wrong password or no key found", "the password is not one of this repository's"),
        ("Fatal: unable to open config file: Stat: The specified bucket does not exist", "the bucket does not exist"),
        ("The AWS Access Key Id you provided does not exist in our records.", "the store refuses the key"),
        ("Fatal: create repository at s3:http://s/b failed: client.BucketExists: Access Denied.", "the store refuses the key"),
        ("client.PutObject: The provided token has expired. ExpiredToken", "the store refuses the key"),
        ("Stat: The difference between the request time and the current time is too large. 403 Forbidden", "this host's clock is not the store's"),
        ("tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-01-31T02:00:00Z", "look at the clock"),
        ("Load: unexpected HTTP response (503): 503 Service Unavailable", "the store did not answer; the next run catches up"),
        ("write /srv/x: no space left on device", "no space left"),
        ("Host key verification failed.", "the store's host key is not the one"),
    ],
)
def test_errors_of_restic_mean_something(text, expected):
    assert expected in restic.meaning(text)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    """What the program remembers, away from this machine's own."""
    monkeypatch.setattr(restic, "KEYS", tmp_path / "state/keys.json")
    monkeypatch.setattr(restic, "CACHE", tmp_path / "state/cache")
    monkeypatch.setattr(restic, "MANIFESTS", tmp_path / "state/manifests")
    monkeypatch.setattr(cli, "STATE", tmp_path)


def repository(monkeypatch, answers, minutes=1, place="/r"):
    asked, now = [], [0.0]

    def run(argv, **_kwargs):
        asked.append(argv)
        code, text, *printed = answers[min(len(asked), len(answers)) - 1]
        return subprocess.CompletedProcess(argv, code, *(printed or [""]), text)

    monkeypatch.setattr(restic, "run", run)
    monkeypatch.setattr(restic.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(restic.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    entry = {"name": "r", "append_only": False, "retention": {}, "options": [], "ca": False, "ssh": {}}
    secrets = {"r": {"password": "p" * 20, "recovery_password": "q" * 20, "repository": place, "environment": {}}}
    config = {"upload_kib_per_second": 100, "retry_minutes": minutes, "secrets": {"repositories": secrets}}
    return restic.Repository(entry, config), asked, now


def test_a_store_that_is_away_for_a_minute_is_asked_again(monkeypatch):
    one, asked, now = repository(monkeypatch, [(1, "503 Service Unavailable")] * 3 + [(0, "")], minutes=2)
    assert one("backup", "/data").returncode == 0
    assert len(asked) == 4 and now[0] == 35
    assert asked[0][-2:] == ["--limit-upload", "100"] and not any("pppp" in word for argv in asked for word in argv)


def test_a_store_that_stays_away_ends_the_run_in_time(monkeypatch):
    one, _asked, now = repository(monkeypatch, [(1, "503 Service Unavailable")])
    assert one("backup", "/data").returncode == 1 and now[0] <= 60


def test_a_store_that_gives_no_answer_is_not_called_a_wrong_password(monkeypatch):
    """124 is what an end by time is; 12 is restic's own for a wrong password."""
    one, _asked, _now = repository(monkeypatch, [(124, "restic gave no answer within 30 s")], minutes=0)
    with pytest.raises(common.Refused, match="the store did not answer; the next run catches up"):
        one.unlock()
    one, _asked, _now = repository(monkeypatch, [(12, "Fatal: something new")])
    with pytest.raises(common.Refused, match="the password is not one of this repository's"):
        one.unlock()


def test_a_wrong_password_is_not_tried_again(monkeypatch):
    one, asked, _now = repository(monkeypatch, [(1, "Fatal: wrong password or no key found")])
    with pytest.raises(common.Refused, match="compare backups_repositories"):
        one.must("snapshots", doing="listing")
    assert len(asked) == 1


def test_a_damaged_cache_is_not_taken_for_a_damaged_store(monkeypatch):
    """A store that was damaged and is whole again has left its damage in the cache."""
    damaged = (1, "decrypting blob b331 failed: ciphertext verification failed")
    one, asked, _now = repository(monkeypatch, [damaged, (0, "")])
    restic.CACHE.mkdir(parents=True)
    assert one("dump", "1", "/m").returncode == 0 and not restic.CACHE.exists()
    assert [argv[1] == "--no-cache" for argv in asked] == [False, True]
    one, asked, _now = repository(monkeypatch, [damaged])
    assert one("dump", "1", "/m").returncode == 1 and len(asked) == 2, "the store itself is damaged"


ABSENT = "Fatal: unable to open config file: stat config: no such file\nIs there a repository at the following location?"


def test_a_repository_that_is_not_there_is_told_from_one_that_cannot_be_read(monkeypatch):
    one, asked, _now = repository(monkeypatch, [(1, "Fatal: unable to open config file: Stat: The specified bucket does not exist")])
    with pytest.raises(common.Refused, match="the bucket does not exist: make it first"):
        one.exists()
    assert len(asked) == 1
    one, _asked, _now = repository(monkeypatch, [(1, ABSENT)])
    assert one.exists() is False


@pytest.mark.parametrize("there", [True, False])
def test_a_bucket_is_asked_for_before_restic_would_make_one(monkeypatch, there):
    questions = []
    monkeypatch.setattr(s3, "bucket_exists", lambda *words: questions.append(words) or there)
    one, _asked, _now = repository(monkeypatch, [(1, ABSENT)], place="s3:https://store/bucket/alpha")
    if there:
        assert one.exists() is False
    else:
        with pytest.raises(common.Refused, match="the bucket does not exist: make it first"):
            one.exists()
        with pytest.raises(common.Refused, match="the backup failed: the bucket does not exist"):
            raise one.refusal(one("backup", "/data"), "the backup")
    assert {words[0] for words in questions} == {"s3:https://store/bucket/alpha"}


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_words):
        pass


@pytest.mark.parametrize(("answer", "there"), [(200, True), (404, False), (403, True), (503, True)])
def test_only_the_stores_own_word_says_that_there_is_no_bucket(answer, there):
    server = http.server.HTTPServer(("127.0.0.1", 0), Store)
    server.asked, server.answer = [], answer
    threading.Thread(target=server.handle_request, daemon=True).start()
    place = f"s3:http://127.0.0.1:{server.server_port}/bucket/alpha"
    assert s3.bucket_exists(place, {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "canary"}) is there
    server.server_close()
    assert s3.bucket_exists(place, {}) is True, "nobody answers: restic says what that means"
    [(path, headers)] = server.asked
    assert path == "/bucket?list-type=2&max-keys=1" and "canary" not in str(headers)


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [(3600, "(60 minutes ahead)"), (-7200, "(120 minutes behind)"), (60, "the store refuses the key"), (None, "the store refuses the key")],
)
def test_a_wrong_clock_is_told_from_a_wrong_key(monkeypatch, ahead, sentence):
    """By the date in the store's answer, which refuses both alike."""

    class Refusing(Store):
        def do_GET(self):
            self.send_response_only(403)
            if ahead is not None:
                self.send_header("Date", email.utils.formatdate(time.time() - ahead, usegmt=True))
            self.end_headers()

    server = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.handle_request, daemon=True).start()
    one, _asked, _now = repository(
        monkeypatch, [(1, "Fatal: unable to open config file: Stat: Access Denied.")], place=f"s3:http://127.0.0.1:{server.server_port}/bucket/alpha"
    )
    with pytest.raises(common.Refused) as refused:
        raise one.refusal(one("cat", "config"), "opening it")
    server.server_close()
    assert sentence in str(refused.value) and ("timedatectl" in str(refused.value)) == (ahead is not None and abs(ahead) > 900)
    assert s3.clock_ahead(one.place) == 0, "nobody answers"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3:https://fra1.digitaloceanspaces.com/fleet/alpha", ("https://fra1.digitaloceanspaces.com", "fleet")),
        ("s3:s3.amazonaws.com/fleet", ("https://s3.amazonaws.com", "fleet")),
        ("s3:http://10.0.0.9:9000/fleet/", ("http://10.0.0.9:9000", "fleet")),
    ],
)
def test_ways_to_write_a_bucket(place, expected):
    assert s3.parts(place) == expected


@pytest.mark.parametrize("token", ["", "session-token"])
def test_a_request_is_signed_as_the_vendors_own_library_signs_it(token):
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    awsrequest, credentials = importlib.import_module("botocore.awsrequest"), importlib.import_module("botocore.credentials")
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/+=", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_SESSION_TOKEN": token}
    request = awsrequest.AWSRequest("GET", f"https://store.example:9000/fleet?{s3.QUERY}")
    auth.S3SigV4Auth(credentials.Credentials("AKIDEXAMPLE", "secret/+=", token or None), "s3", "eu-central-1").add_auth(request)
    moment = datetime.datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    ours = s3.headers("https://store.example:9000", "fleet", keys, moment)
    assert ours["Authorization"] == request.headers["Authorization"]


def test_a_lock_of_the_dead_is_taken_over_once(monkeypatch):
    one, asked, _now = repository(monkeypatch, [(1, "unable to create lock in backend: repository is already locked by PID 7"), (0, ""), (0, "")])
    assert one("forget").returncode == 0
    assert [argv[1] for argv in asked] == ["forget", "unlock", "forget"]


def test_keys_are_looked_for_once_and_then_asked_first(monkeypatch):
    keys = '[{"current": false, "id": "aaaa1111"}, {"current": true, "id": "bbbb2222"}]'
    wrong = (1, "Fatal: wrong password or no key found")
    one, asked, _now = repository(monkeypatch, [(0, ""), (0, "", keys), wrong, (0, ""), (0, "", keys), (0, "")])
    monkeypatch.setattr(cli, "repositories", lambda _config: [one])
    assert cli.initialize({}) == 0
    assert [argv[1:3] for argv in asked[:5]] == [["cat", "config"], ["key", "list"], ["key", "list"], ["key", "add"], ["key", "list"]]
    assert not any("qqqq" in word for argv in asked for word in argv)
    asked.clear()
    assert cli.initialize({}) == 0
    assert [argv[1:3] for argv in asked] == [["cat", "config"]], "the second time only whether it is there"
    again, _asked, _now = repository(monkeypatch, [(0, "")])
    assert again.extra["RESTIC_KEY_HINT"] == "bbbb2222"
    other, _asked, _now = repository(monkeypatch, [(0, "")], place="/elsewhere")
    assert "RESTIC_KEY_HINT" not in other.extra, "another repository has other keys"


def test_damage_is_told_from_a_store_that_does_not_answer(monkeypatch):
    text = "pack 5f3a403b: unexpected file size: got 100, expected 4100\n\nThe repository is damaged\nFatal: repository contains errors"
    one, asked, _now = repository(monkeypatch, [(1, text)])
    assert one.damage(2, 10) == ["pack 5f3a403b: unexpected file size: got 100, expected 4100"]
    assert asked[0][1:] == ["check", "--no-lock", "--read-data-subset=2/10"]
    one, _asked, _now = repository(monkeypatch, [(1, "Fatal: unable to open config file: 503 Service Unavailable")])
    with pytest.raises(common.Refused, match="checking it failed: the store did not answer"):
        one.damage(2, 10)
    one, _asked, _now = repository(monkeypatch, [(0, "")])
    assert one.damage() == []


def test_a_list_opens_no_snapshot_twice_and_shows_one_that_cannot_be_read(monkeypatch):
    manifest = {"sources": [{"bytes": 10, "tables": {"orders": 3}}], "failed": {}, "release": {"id": "r1"}}
    one, asked, _now = repository(monkeypatch, [(0, "", json.dumps(manifest)), (1, "Fatal: ciphertext verification failed")])
    snapshots = [{"id": f"{n}" * 16, "short_id": f"{n}" * 8, "about": {"bot": "paper"}, "when": common.now(), "hostname": "alpha"} for n in (1, 2)]
    monkeypatch.setattr(one, "snapshots", lambda _bot: snapshots)
    monkeypatch.setattr(restore, "repositories", lambda _config: [one])
    monkeypatch.setattr(restore, "EVIDENCE", pathlib.Path("/nonexistent"))
    found = restore.listing({})
    assert [(line["rows"], bool(line["unreadable"])) for line in found] == [(3, False), (0, True)]
    asked.clear()
    restore.listing({})
    assert len(asked) == 1, "the one that could be read is known"
    snapshots.pop(0)
    restore.listing({})
    assert [path.stem for path in (restic.MANIFESTS / "r").glob("*.json")] == ["2" * 8], "of a snapshot that is gone nothing is kept"


def test_the_child_reads_its_queries_as_json(tmp_path):
    database(tmp_path / "x.db").close()
    child = FILES / "backups/sqlite_child.py"
    argv = [sys.executable, "-I", child, "facts", tmp_path / "x.db", "full"]
    done = subprocess.run(argv, input='["DELETE FROM orders"]', text=True, capture_output=True, check=False)
    facts = json.loads(done.stdout)
    assert "DELETE FROM orders" in facts["refused"] and facts["tables"] == {"orders": 100}, "what is looked at is not changed"
