"""The agent's decisions: which era is newest, what is a database, what may go on after a stop, what is set aside."""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time

import pytest

FILES = pathlib.Path(__file__).resolve().parents[3] / "roles" / "rsync_ha" / "files"
sys.path.insert(0, str(FILES))

from rsync_ha import common, databases, litestream, plain_files, promote, replicate, report, rewind, standby  # noqa: E402
from rsync_ha.common import Era, Refused  # noqa: E402


@pytest.fixture
def bot(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    import getpass

    config = {
        "host": "primary", "state_directory": str(tmp_path / "state"), "run_directory": str(tmp_path / "run"), "managed_by": "operator",
        "sync_interval_ms": 500, "snapshot_hours": 24, "retention_hours": 24, "keep_eras": 2, "keep_superseded": 1,
        "propagate_deletions": False, "integrity_check": "full", "textfile_directory": "",
        "sftp_user": "s", "rsync_user": "r", "peer": {"name": "standby", "address": "10.0.0.2", "port": 22, "host_keys": ["k"]},
        "bots": {"paper": {"user": getpass.getuser(), "directory": str(tmp_path / "data"), "databases": [], "find": ["*.db"], "exclude": ["*.tmp"]}},
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    monkeypatch.setattr(common, "CONFIG", path)
    (tmp_path / "state").mkdir()
    found = common.load_bot("paper")
    found.run.mkdir(parents=True)
    return found


def make(path, wal=True, rows=3):
    connection = sqlite3.connect(path)
    connection.execute(f"pragma journal_mode={'wal' if wal else 'delete'}")
    connection.execute("create table orders(id integer primary key, what text)")
    connection.executemany("insert into orders(what) values(?)", [(f"order {n}",) for n in range(rows)])
    connection.commit()
    connection.close()


# --- eras


def test_eras_are_ordered_by_number_then_by_start():
    ids = ["000002-100-a", "000010-50-b", "000002-200-b"]
    assert [era.id for era in sorted(map(Era.parse, ids))] == ["000002-100-a", "000002-200-b", "000010-50-b"]
    assert Era.parse("000003-5-host-with-dashes").host == "host-with-dashes"
    assert Era.parse("heartbeat") is None and Era.parse("000001-x-a") is None


def test_the_newest_of_two_is_chosen(bot):
    assert promote.promote("paper")["action"] == "kept local data"
    era = common.own_era(bot)
    assert era.number == 1 and bot.marker.exists()
    assert promote.promote("paper")["action"] == "none"
    bot.marker.unlink()
    assert promote.promote("paper")["era"] == era.id, "the same host goes on in its era"


def test_after_a_handover_a_new_era_begins_even_here(bot):
    promote.promote("paper")
    state = common.read_json(bot.state_file)
    common.write_json(bot.state_file, {**state, "handover": {"trades.db": {"position": [1, 7], "rows": None}}})
    bot.marker.unlink()
    assert promote.promote("paper")["era"].startswith("000002-")
    assert common.read_json(bot.state_file)["parent"]["databases"] == {"trades.db": [1, 7]}


def record(bot, era, **more):
    common.write_json(bot.incoming / "records" / f"{era}.json", {"era": era, "databases": {}, **more})


def test_an_era_that_never_arrived_is_not_passed_over(bot):
    promote.promote("paper")
    bot.marker.unlink()
    record(bot, "000002-9999999999-standby", databases={"trades.db": {}})
    with pytest.raises(Refused, match=r"standby wrote era 000002-9999999999-standby, and of trades\.db nothing arrived here"):
        promote.promote("paper")
    assert not bot.marker.exists()
    with pytest.raises(Refused, match="Nothing of era 000001-1-x arrived here"):
        promote.promote("paper", accept="000001-1-x")


def test_a_peer_that_still_writes_is_not_overtaken_without_a_cluster(bot):
    record(bot, "000002-9999999999-standby")
    common.write_json(bot.incoming / "records" / "heartbeat", {"at": time.time(), "era": "x"})
    with pytest.raises(Refused, match="standby was active 0 s ago: stop paper there first"):
        promote.promote("paper")
    assert promote.promote("paper", force=True)["action"] == "took over from standby"


def test_a_broken_promise_is_refused(bot, tmp_path):
    make(tmp_path / "trades.db")
    handover = {"trades.db": {"position": [1, 9], "rows": {"orders": 3}}}
    era = Era.parse("000002-5-standby")
    promote.check_handover(bot, era, handover, {"trades.db": [1, 9]}, tmp_path)
    with pytest.raises(Refused, match=r"handed over at \[1, 9\]"):
        promote.check_handover(bot, era, handover, {"trades.db": [1, 8]}, tmp_path)
    handover["trades.db"]["rows"] = {"orders": 4}
    with pytest.raises(Refused, match="Nothing was changed"):
        promote.check_handover(bot, era, handover, {"trades.db": [1, 9]}, tmp_path)


# --- what is in the directory


def test_survey(bot):
    make(bot.directory / "trades.db")
    make(bot.directory / "old.db", wal=False)
    make(bot.directory / "cache.bin")
    (bot.directory / "new.db").touch()
    (bot.directory / "x.tmp").write_text("x")
    (bot.directory / "state").mkdir()
    (bot.directory / "state" / "a.json").write_text("{}")
    (bot.directory / "link").symlink_to("/etc/passwd")
    for name in ("trades.db-wal", "trades.db.diverged-20260101T000000Z", "notes-journal"):
        (bot.directory / name).write_text("x")
    survey = databases.Survey(bot)
    found, files, problems = survey.look()
    assert found == ["trades.db"]
    assert files == ["state/a.json"]
    assert "is not in WAL mode" in problems["old.db"] and "no pattern of `find`" in problems["cache.bin"]
    before = survey.fingerprint
    assert survey.look() and survey.fingerprint == before
    (bot.directory / "state" / "a.json").write_text("{ }")
    assert survey.look() and survey.fingerprint != before


def test_a_declared_database_that_is_none_is_a_problem(bot):
    bot.databases.append("trades.db")
    (bot.directory / "trades.db").write_text("hello")
    assert databases.Survey(bot).look() == ([], [], {"trades.db": "is declared as a database and is not an SQLite file"})


def test_set_aside_takes_the_wal_along(bot):
    path = bot.directory / "trades.db"
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table orders(id integer primary key)")
    connection.execute("insert into orders values (1)")
    connection.commit()
    wal = path.with_name("trades.db-wal").read_bytes()
    shm = path.with_name("trades.db-shm").read_bytes()
    whole = path.read_bytes()
    connection.close()
    # As a killed process leaves them.
    path.write_bytes(whole)
    path.with_name("trades.db-wal").write_bytes(wal)
    path.with_name("trades.db-shm").write_bytes(shm)
    kept = databases.set_aside(path, "diverged-20260101T000000Z")
    assert not list(bot.directory.glob("trades.db-*")) and not path.exists()
    connection = sqlite3.connect(kept)
    assert connection.execute("select count(*) from orders").fetchone() == (1,)
    connection.close()
    assert report.aside(bot, "diverged") == [str(kept)]
    assert databases.set_aside(path, "x") is None


def test_an_open_database_is_left_alone(bot, monkeypatch):
    path = bot.directory / "trades.db"
    make(path)
    monkeypatch.setattr(databases, "holders", lambda _: [4711])
    with pytest.raises(Refused, match="is open in process 4711: stop that first"):
        databases.set_aside(path, "diverged-x")
    assert path.exists()


def test_compare_names_what_the_survivor_lacks(tmp_path):
    make(tmp_path / "old.db", rows=5)
    make(tmp_path / "new.db", rows=3)
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.execute("update orders set what = 'filled' where id = 1")
    connection.commit()
    connection.close()
    told = databases.compare(str(tmp_path / "old.db"), str(tmp_path / "new.db"))["orders"]
    assert (told["rows"], told["only_here"], told["changed_here"]) == (5, 2, 1)
    assert {"id": "1", "what": "filled"} in told["examples"]


# --- segments


def test_a_segment_goes_on_only_where_nothing_was_written(bot):
    make(bot.directory / "trades.db")
    era = Era.parse("000001-5-primary")

    def opened():
        return litestream.Segment(bot, era, "trades.db").open()

    first = opened()
    assert first.number == 1
    first.close(replicated=0)
    assert opened().number == 1, "nothing was written"
    first.close(replicated=0)
    connection = sqlite3.connect(bot.directory / "trades.db")
    connection.execute("insert into orders(what) values('meanwhile')")
    connection.commit()
    connection.close()
    assert opened().number == 2, "somebody wrote while Litestream was away"
    assert opened().number == 3, "it was never closed in good order"
    assert litestream.Segment(bot, Era.parse("000002-9-primary"), "trades.db").open().number == 1


def test_the_configuration_holds_no_secret(bot, tmp_path):
    key = tmp_path / "key"
    key.write_text("PRIVATE")
    bot.config["key"] = str(key)
    segment = litestream.Segment(bot, Era.parse("000001-5-primary"), "a/trades.db").open()
    segment.write_config("ecdsa-sha2-nistp256 AAAA")
    text = segment.config.read_text()
    assert "PRIVATE" not in text
    entry = json.loads(text)["dbs"][0]
    assert entry["replica"]["path"] == "/paper/000001-5-primary/0001/a/trades.db"
    assert entry["replica"]["host-key"] == "ecdsa-sha2-nistp256 AAAA"
    assert (segment.home / "key").stat().st_mode & 0o777 == 0o400


def test_metrics(bot):
    status = {
        "databases": {"trades.db": {"lag_seconds": 0.4, "txid": 9, "replicated_txid": 8}}, "files": {"lag_seconds": None, "count": 0},
        "unreplicated": {"x": "y"}, "errors": {},
    }  # fmt: skip
    found = {(name, labels): value for name, _, labels, value in report.metrics(bot, report.passive(bot), status)}
    assert found["rsync_ha_database_lag_seconds", 'bot="paper",database="trades.db"'] == 0.4
    assert found["rsync_ha_unreplicated_databases", 'bot="paper"'] == 1
    assert found["rsync_ha_active", 'bot="paper"'] == 0


# --- the standby's watch


@pytest.fixture
def replica(bot, monkeypatch):
    """An era of the peer whose one database has arrived; `restores` is what Litestream answers."""
    era = Era.parse("000002-9999999999-standby")
    record(bot, era.id, databases={"trades.db": {}})

    class Replica:
        restores = (1, 5)

        def arrive(self, txid, segment=1):
            path = bot.replicas / era.id / f"{segment:04d}" / "trades.db" / "ltx" / "0" / f"{txid:016x}-{txid:016x}.ltx"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

        def restore(self, segments, target, check):
            self.asked = getattr(self, "asked", 0) + 1
            if isinstance(self.restores, Exception):
                raise self.restores
            return self.restores

    found = Replica()
    found.era = era
    found.arrive(5)
    monkeypatch.setattr(litestream, "restore_newest", found.restore)
    monkeypatch.setattr(standby.plain_files, "send_records", lambda bot, timeout: found.__dict__.setdefault("sent", []).append(1))
    return found


def look(bot, watch=None):
    watch = watch or standby.Watch(bot)
    watch.due = 0
    watch.look()
    return watch, report.restorable(bot)["databases"]["trades.db"]


def test_what_arrived_is_restored_and_its_age_is_known(bot, replica):
    watch, seen = look(bot)
    assert seen["position"] == [1, 5] and 0 <= seen["lag_seconds"] < 5 and seen["unrestorable_seconds"] == 0
    look(bot, watch)
    assert replica.asked == 1, "nothing new arrived"
    replica.arrive(6)
    replica.restores = (1, 6)
    assert look(bot, watch)[1]["position"] == [1, 6] and replica.asked == 2


def test_a_quiet_bot_is_not_behind(bot, replica, monkeypatch):
    watch, _seen = look(bot)
    clock = time.time() + 3600
    monkeypatch.setattr(report.time, "time", lambda: clock)
    said = {"era": replica.era.id, "at": clock - 2, "databases": {"trades.db": {"segment": 1, "txid": 5}}}
    common.write_json(bot.incoming / "records" / "heartbeat", said)
    assert look(bot, watch)[1]["lag_seconds"] == 2
    said["databases"]["trades.db"]["txid"], said["at"] = 9, clock
    common.write_json(bot.incoming / "records" / "heartbeat", said)
    assert look(bot, watch)[1]["lag_seconds"] == 2, "transaction 9 has not arrived"


def test_what_does_not_restore_is_told_to_the_active_host(bot, replica, monkeypatch, capsys):
    watch, _seen = look(bot)
    replica.arrive(6)
    replica.restores = Refused("decode page 7: no page")
    seen = look(bot, watch)[1]
    assert seen["unrestorable_seconds"] >= 0 and seen["reason"] == "decode page 7: no page"
    assert "cannot be restored" not in capsys.readouterr().out, "an upload may be half-way"
    later = time.time() + standby.BROKEN_SECONDS + 1
    monkeypatch.setattr(report.time, "time", lambda: later)
    replica.sent = []
    look(bot, watch)
    assert "<2>the replica of paper cannot be restored on primary: trades.db: decode page 7" in capsys.readouterr().out and replica.sent
    # The same host, now seen as the active one that receives this word.
    (bot.incoming / "records").mkdir(parents=True, exist_ok=True)
    (bot.incoming / "records" / "restorable").write_bytes((bot.records / "restorable").read_bytes())
    segment = litestream.Segment(bot, replica.era, "trades.db", 1)
    assert standby.told_broken(bot, segment) == "decode page 7: no page"
    assert standby.told_broken(bot, litestream.Segment(bot, replica.era, "trades.db", 2)) is None, "a new segment is not the broken one"
    assert standby.told_broken(bot, litestream.Segment(bot, Era.parse("000003-5-primary"), "trades.db", 1)) is None
    replica.restores = (1, 6)
    look(bot, watch)
    assert "restores again" in capsys.readouterr().out


def test_an_older_segment_that_restores_is_not_enough(bot, replica):
    watch, _seen = look(bot)
    replica.arrive(1, segment=2)
    assert "segment 2 of trades.db cannot be restored, segment 1 can" in look(bot, watch)[1]["reason"]


def test_the_active_host_watches_nothing(bot, replica):
    promote.keep(bot, None)
    bot.marker.write_text("x")
    standby.Watch(bot).look()
    assert not report.verdict_file(bot).exists() and report.restorable(bot) is None


def test_a_broken_segment_is_renewed(bot, monkeypatch):
    era = Era.parse("000001-5-primary")
    make(bot.directory / "trades.db")
    agent = replicate.Agent(bot, era)
    agent.look()
    broken = agent.replicas["trades.db"]
    broken.segment.open()
    broken.process = object()
    renewed = []
    monkeypatch.setattr(standby, "told_broken", lambda bot, segment: "no page")
    monkeypatch.setattr(replicate.Replica, "end", lambda self: renewed.append(self.segment.number))
    agent.renew_broken()
    assert renewed == [1] and broken.anew
    broken.segment.close(0)
    assert broken.segment.open(anew=True).number == 2, "although nothing was written since"


# --- housekeeping


def test_promotion_does_not_wait_for_housekeeping(bot):
    """A look-round that would take minutes gives the lock away, and what it had begun is cleared."""
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from rsync_ha import common\n"
        "try:\n"
        "    with common.locked(common.load_bot('paper'), housekeeping=True):\n"
        "        print('holds', flush=True); time.sleep(60)\n"
        "except common.GaveWay:\n"
        "    print('gave way', flush=True)\n"
    )
    environment = {**os.environ, "RSYNC_HA_CONFIG": str(common.CONFIG)}
    with subprocess.Popen([sys.executable, "-c", code, str(FILES)], stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(common.GaveWay), common.locked(bot, housekeeping=True):
            pytest.fail("two look-rounds at once")
        started = time.monotonic()
        with common.locked(bot):
            took = time.monotonic() - started
        assert other.stdout.read() == "gave way\n"
    assert took < 3


def test_a_clean_handover_is_no_divergence(bot):
    promote.promote("paper")
    era = Era.parse("000002-9999999999-standby")
    (bot.replicas / era.id / "0001" / "trades.db" / "ltx").mkdir(parents=True)
    make(bot.directory / "trades.db")
    state = {**common.read_json(bot.state_file), "handover": {"trades.db": {"position": [1, 7], "rows": None}}}
    common.write_json(bot.state_file, state)
    bot.marker.unlink()
    record(bot, era.id, databases={"trades.db": {}}, parent={"id": state["era"], "databases": {"trades.db": [1, 7]}})
    assert promote.settle("paper")["databases"]["trades.db"]["verdict"] == "in order"
    assert common.read_json(bot.state_file)["settled"] == state["era"]
    assert (bot.directory / "trades.db").exists() and promote.settle("paper") is None
    assert not promote.went_on_where_we_ended({"handover": {"trades.db": {"position": [1, 8]}}}, {"databases": {"trades.db": [1, 7]}})


def test_pruning_keeps_the_newest_and_everything_diverged(bot, replica):
    for number in range(3, 7):
        replica_dir = bot.replicas / f"{number:06d}-{9999999999 + number}-standby" / "0001" / "trades.db" / "ltx" / "0"
        replica_dir.mkdir(parents=True)
        (replica_dir / f"{5:016x}-{5:016x}.ltx").touch()
    for label in ("superseded", "diverged"):
        for day in (1, 2, 3):
            for suffix in ("", "-wal"):
                (bot.directory / f"trades.db.{label}-2026010{day}T000000Z{suffix}").touch()
    assert promote.prune("paper") == [], "the newest era has not been restored here"
    look(bot)
    removed = promote.prune("paper")
    assert sorted(os.listdir(bot.replicas)) == ["000005-10000000004-standby", "000006-10000000005-standby"]
    assert len(removed) == 3 + 2
    left = sorted(path.name for path in bot.directory.iterdir())
    assert [name for name in left if "superseded" in name] == ["trades.db.superseded-20260103T000000Z", "trades.db.superseded-20260103T000000Z-wal"]
    assert len([name for name in left if "diverged" in name]) == 6


# --- a peer that refuses


def test_a_peer_that_refuses_is_asked_more_and_more_seldom(bot, monkeypatch):
    agent = replicate.Agent(bot, Era.parse("000001-5-primary"))
    monkeypatch.setattr(replicate.plain_files, "send_records", lambda bot: (_ for _ in ()).throw(OSError("Connection refused")))
    pauses = []
    for _ in range(6):
        agent.send()
        pauses.append(agent.send_pause)
    assert pauses == [1, 2, 4, 8, 15, 15]
    monkeypatch.setattr(replicate.plain_files, "send_records", lambda bot: None)
    agent.send()
    assert agent.send_pause == 0


def test_the_reader_of_a_status_may_leave(bot):
    environment = {**os.environ, "RSYNC_HA_CONFIG": str(common.CONFIG), "PYTHONPATH": str(FILES)}
    code = "from rsync_ha import cli; cli.main()"
    with subprocess.Popen([sys.executable, "-c", code, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


# --- back to a moment


@pytest.fixture
def past(bot, monkeypatch):
    """An era of the peer that began at 1000, with one transaction a second up to 1009; restoring one makes a database of as many rows."""
    era = Era.parse("000004-1000-standby")
    record(bot, era.id, databases={"trades.db": {"mode": 0o600}})
    level = bot.replicas / era.id / "0001" / "trades.db" / "ltx" / "0"
    level.mkdir(parents=True)
    for second in range(10):
        txid = second + 1
        (level / f"{txid:016x}-{txid:016x}.ltx").write_bytes(rewind.HEAD.pack(b"LTX1", 0, 4096, 1, txid, txid, (1000 + second) * 1000) + bytes(60))

    def restore(segment, target, check, txid):
        make(target, rows=txid)
        return txid

    monkeypatch.setattr(litestream, "restore", restore)
    monkeypatch.setattr(plain_files, "put_in_place", lambda bot, aside: [])
    monkeypatch.setattr(plain_files, "send_records", lambda bot, timeout: None)
    return era


def moment(second):
    return rewind.iso(second)


def test_the_newest_state_not_later_than_a_moment_becomes_the_newest_of_the_pair(bot, past, capsys):
    make(bot.directory / "trades.db", rows=50)
    result = rewind.rewind("paper", moment(1004.5))
    assert result["databases"] == {"trades.db": {"position": [1, 5], "written": 1004.0, "rows": {"orders": 5}}}
    assert databases.count_rows(str(bot.directory / "trades.db")) == {"orders": 5}
    assert (bot.directory / "trades.db").stat().st_mode & 0o777 == 0o600
    era = common.own_era(bot)
    assert era.number == 5 and common.read_json(bot.state_file)["parent"] == {"id": past.id, "databases": {"trades.db": [1, 5]}}
    assert common.read_json(bot.records / f"{era.id}.json")["databases"] == {"trades.db": {"mode": 0o600}}, "so the peer waits for it"
    kept = result["kept"]["trades.db"]["path"]
    assert databases.count_rows(kept) == {"orders": 50}, "nothing is lost"
    assert "trades.db as of 1970-01-01T00:16:44.000Z, 0.5 s before the moment: 5 orders" in capsys.readouterr().out
    assert promote.promote("paper")["action"] == "kept local data", "the next promotion goes on with it"


def test_a_plan_changes_nothing(bot, past):
    make(bot.directory / "trades.db", rows=50)
    assert rewind.rewind("paper", moment(1002), plan=True)["databases"]["trades.db"]["rows"] == {"orders": 3}
    assert sorted(path.name for path in bot.directory.iterdir()) == ["trades.db"] and common.own_era(bot) is None


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        ("yesterday", "at: 'yesterday' is no time; write it like 2026-01-31T02:00:30Z."),
        ("2999-01-01T00:00Z", "at: 2999-01-01T00:00Z is yet to come."),
        ("1970-01-01T00:10Z", r"at: nothing of 1970-01-01T00:10:00.000Z arrived here; the oldest is of 1970-01-01T00:16:40.000Z."),
    ],
)
def test_moments_that_cannot_be_gone_back_to(bot, past, at, sentence):
    with pytest.raises(Refused) as refused:
        rewind.rewind("paper", at)
    assert str(refused.value) == sentence and not list(bot.directory.iterdir())


def test_what_this_host_wrote_lies_on_the_other_one(bot, past):
    common.write_json(bot.records / "000005-1005-primary.json", {})
    with pytest.raises(Refused, match="primary itself wrote at 1970-01-01T00:16:46.000Z, and what it wrote went to standby: go back there"):
        rewind.rewind("paper", moment(1006))
    assert rewind.rewind("paper", moment(1003), plan=True)["from_era"] == past.id


def test_a_state_that_was_dropped_already(bot, past):
    for path in list(bot.replicas.glob("*/*/trades.db/ltx/0/*"))[:]:
        if int(path.stem.partition("-")[0], 16) < 4:
            path.unlink()
    with pytest.raises(Refused, match=r"at: trades\.db of 1970-01-01T00:16:41\.000Z is not here any more; what is older than 24 h goes"):
        rewind.rewind("paper", moment(1001))


def test_an_active_host_is_not_taken_back(bot, past):
    bot.marker.write_text("x")
    with pytest.raises(Refused, match="paper is active here: stop it first"):
        rewind.rewind("paper", moment(1003))


def test_a_peer_that_writes_on_is_stopped_first(bot, past):
    common.write_json(bot.incoming / "records" / "heartbeat", {"at": time.time(), "era": past.id})
    with pytest.raises(Refused, match="standby was active 0 s ago: stop paper there first"):
        rewind.rewind("paper", moment(1003))
    assert rewind.rewind("paper", moment(1003), plan=True)["action"] == "would rewind"
    record(bot, past.id, databases={"trades.db": {}}, handover={"trades.db": {"position": [1, 10], "rows": None}})
    assert rewind.rewind("paper", moment(1003))["action"] == "rewound"
