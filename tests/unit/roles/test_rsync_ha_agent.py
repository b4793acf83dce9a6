"""The agent's decisions: which era is newest, what is a database, what may go on after a stop, what is set aside."""

import json
import pathlib
import sqlite3
import sys

import pytest

FILES = pathlib.Path(__file__).resolve().parents[3] / "roles" / "rsync_ha" / "files"
sys.path.insert(0, str(FILES))

from rsync_ha import common, databases, litestream, promote, report  # noqa: E402
from rsync_ha.common import Era, Refused  # noqa: E402


@pytest.fixture
def bot(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    import getpass

    config = {
        "host": "primary", "state_directory": str(tmp_path / "state"), "run_directory": str(tmp_path / "run"), "managed_by": "operator",
        "sync_interval_ms": 500, "snapshot_hours": 24, "retention_hours": 24, "integrity_check": "full", "textfile_directory": "",
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
    common.write_json(bot.incoming / "records" / "heartbeat", {"at": __import__("time").time(), "era": "x"})
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
