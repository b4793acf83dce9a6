"""The paper bot: settings, decisions, and above all that no crash makes an order twice."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "examples/paper_bot"), str(ROOT / "examples/mock_exchange")]

from mock_exchange.book import Book  # noqa: E402
from mock_exchange.server import Exchange as MockExchange  # noqa: E402
from paper_bot import config as settings  # noqa: E402
from paper_bot import health, strategy  # noqa: E402
from paper_bot.exchange import Exchange, Unanswered  # noqa: E402
from paper_bot.store import MIGRATIONS, Store  # noqa: E402
from paper_bot.trader import Trader  # noqa: E402

REQUIRED = {"PM_API_KEY_ID": "key", "PM_PRIVATE_KEY": "canary-private", "MARKET_SLUGS": "rain,snow"}


@pytest.fixture
def exchange(tmp_path):
    book = Book(str(tmp_path / "exchange.db"))
    server = MockExchange(("127.0.0.1", 0), book)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    book.close()


def trader_for(tmp_path, url, **environ):
    config = settings.load({**REQUIRED, "PM_BASE_URL": url, "DATABASE_PATH": str(tmp_path / "bot.db"), **environ})
    return Trader(config, Store(config.database, config.balance), Exchange(config))


# --- settings


def test_defaults_and_release():
    config = settings.load({**REQUIRED, "BOT_RELEASE": "abc"})
    assert (config.mode, config.health_port, config.orders_per_second, config.release) == ("paper", 8080, 1.0, "abc")
    assert config.markets == ("rain", "snow")
    assert "canary-private" not in repr(config)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"PM_PRIVATE_KEY": ""}, "PM_PRIVATE_KEY is missing."),
        ({"MARKET_SLUGS": "a,b c"}, "MARKET_SLUGS has 'b c'"),
        ({"PM_BASE_URL": "ftp://x"}, "PM_BASE_URL is 'ftp://x'"),
        ({"TRADING_MODE": "Live"}, "TRADING_MODE is 'Live': use one of paper, live."),
        ({"HEALTH_PORT": "70000"}, "HEALTH_PORT is '70000': give a number from 0 to 65535."),
        ({"ORDERS_PER_SECOND": "nan"}, "ORDERS_PER_SECOND is 'nan'"),
        ({"RISK_MAX_POSITIONS": "many"}, "RISK_MAX_POSITIONS is 'many'"),
        ({"BOT_NAME": "a.b"}, "BOT_NAME is 'a.b'"),
    ],
)
def test_wrong_settings_are_told_in_one_sentence_each(change, sentence):
    with pytest.raises(settings.Wrong, match="^" + re.escape(sentence)):
        settings.load({**REQUIRED, **change})


def test_secrets_come_from_systemd_credentials_too(tmp_path):
    (tmp_path / "PM_PRIVATE_KEY").write_text("from-file\n")
    environ = {**REQUIRED, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    del environ["PM_PRIVATE_KEY"]
    assert settings.load(environ).private_key == "from-file"


# --- decisions


def test_the_same_tick_is_always_the_same_order():
    config = settings.load(REQUIRED)
    first, again = strategy.decide(config, 7, {}), strategy.decide(config, 7, {})
    assert first == again
    assert first.client_order_id == f"paper-bot.{first.market}.7"
    assert {strategy.decide(config, tick, {}).market for tick in range(4)} == {"rain", "snow"}


def test_a_position_at_its_limit_is_only_reduced():
    config = settings.load({**REQUIRED, "RISK_MAX_POSITION_PER_MARKET": "2"})
    for tick in range(50):
        market = config.markets[tick % 2]
        assert strategy.decide(config, tick, {market: (Decimal(2), Decimal("0.5"))}).side == "sell"
        assert strategy.decide(config, tick, {market: (Decimal(-2), Decimal("0.5"))}).side == "buy"


def test_loss_limits_halt():
    config = settings.load({**REQUIRED, "INITIAL_BALANCE": "100", "RISK_MAX_DAILY_LOSS": "10"})
    assert strategy.halted(config, Decimal("90.01"), {}) is None
    assert "RISK_MAX_DAILY_LOSS" in strategy.halted(config, Decimal(90), {})
    config = settings.load({**REQUIRED, "INITIAL_BALANCE": "100", "RISK_MAX_DRAWDOWN_PCT": "5"})
    assert "RISK_MAX_DRAWDOWN_PCT" in strategy.halted(config, Decimal(94), {"rain": (Decimal(1), Decimal(1))})


# --- intents and their answers


def test_an_accepted_order_moves_position_and_cash(tmp_path, exchange):
    trader = trader_for(tmp_path, exchange.url)
    trader._step()
    cash, positions = trader.store.portfolio()
    (order,) = exchange.book.orders(0, 10)
    sign = 1 if order["order"]["side"] == "buy" else -1
    assert positions[order["order"]["market"]][0] == sign
    assert cash == Decimal("1000.00") - sign * Decimal(order["order"]["price"])
    assert trader.store.counts()["accepted"] == 1
    trader.exchange.close()
    trader.store.close()


def test_the_intent_is_on_disk_before_the_order_leaves(tmp_path):
    trader = trader_for(tmp_path, "http://127.0.0.1:9")
    seen = []

    class Crash(Exception):
        pass

    def place(body):
        reader = sqlite3.connect(tmp_path / "bot.db")
        seen.extend(reader.execute("SELECT client_order_id, state FROM orders"))
        reader.close()
        raise Crash

    trader.exchange.place = place
    with pytest.raises(Crash):
        trader._step()
    assert seen == [(strategy.decide(trader.config, 1, {}).client_order_id, "intent")]
    trader.store.close()


@pytest.mark.parametrize("arrived", [True, False])
def test_after_a_crash_the_same_id_is_sent_and_counted_once(tmp_path, exchange, arrived):
    """The crash is between sending and marking; whether the exchange got the order nobody knows."""
    trader = trader_for(tmp_path, exchange.url)
    order = strategy.decide(trader.config, 1, {})
    trader.store.write_intent(order)
    if arrived:
        trader.exchange.place(order.body())
    trader.exchange.close()
    trader.store.close()
    again = trader_for(tmp_path, exchange.url)
    assert again.reconcile() == 1
    assert again.store.unanswered() == []
    assert again.store.counts()["duplicate" if arrived else "accepted"] == 1
    assert len(exchange.book.orders(0, 10)) == 1
    assert sum(abs(size) for size, _ in again.store.portfolio()[1].values()) == 1
    again._step()
    assert [entry["client_order_id"].rsplit(".")[-1] for entry in exchange.book.orders(0, 10)] == ["1", "2"]
    again.exchange.close()
    again.store.close()


def test_a_copy_with_an_older_database_catches_up_through_refusals(tmp_path, exchange):
    """What a standby does that was promoted with the tail of the data missing."""
    ahead = trader_for(tmp_path, exchange.url)
    for _ in range(5):
        ahead._step()
    (tmp_path / "standby").mkdir()
    behind = trader_for(tmp_path / "standby", exchange.url, BOT_HOST="standby")
    for _ in range(7):
        behind._step()
    assert behind.store.counts() == {"intent": 0, "accepted": 2, "duplicate": 5, "rejected": 0}
    stats = exchange.book.stats()
    assert (stats["orders"], stats["hosts"]["standby"]["refused"]) == (7, 5)
    for trader in (ahead, behind):
        trader.exchange.close()
        trader.store.close()


def test_an_unreachable_exchange_keeps_the_loop_alive_and_the_id_the_same(tmp_path, exchange):
    trader = trader_for(tmp_path, exchange.url)
    trader.RETRY_SECONDS = 0.01
    real, failures, sent = trader.exchange.place, [1, 2, 3], []

    def place(body):
        sent.append(body["client_order_id"])
        if failures:
            failures.pop()
            raise Unanswered("gone")
        return real(body)

    trader.exchange.place = place
    trader._step()
    assert len(sent) == 4 and len(set(sent)) == 1
    assert trader.retries == 3 and trader.reachable is True
    trader.exchange.close()
    trader.store.close()


def test_nothing_is_sent_when_the_database_refuses(tmp_path, exchange):
    trader = trader_for(tmp_path, exchange.url)
    trader.RETRY_SECONDS = 0.01
    before = trader.heartbeat

    def refuse(order):
        raise sqlite3.OperationalError("database or disk is full")

    trader.store.write_intent, real = refuse, trader.store.write_intent
    trader.store_ok = lambda: False
    trader._step()
    assert exchange.book.orders(0, 10) == [] and trader.heartbeat == before
    trader.store.write_intent = real
    del trader.store_ok
    trader._step()
    assert len(exchange.book.orders(0, 10)) == 1 and trader.heartbeat > before
    trader.exchange.close()
    trader.store.close()


def test_a_newer_schema_is_refused(tmp_path):
    Store(str(tmp_path / "bot.db"), Decimal(1)).close()
    raw = sqlite3.connect(tmp_path / "bot.db")
    raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(sqlite3.DatabaseError, match="this release knows"):
        Store(str(tmp_path / "bot.db"), Decimal(1))


# --- health


def test_health_turns_to_503_when_the_loop_stands_still(tmp_path, exchange):
    trader = trader_for(tmp_path, exchange.url)
    assert health.status(trader)[0] == 200
    trader.heartbeat -= 11
    code, body = health.status(trader)
    assert (code, body["status"]) == (503, "stale")
    assert body["last_order"] is None
    trader._step()
    code, body = health.status(trader)
    assert code == 200 and time.time() - 60 < body["last_order"] <= time.time()
    again = trader_for(tmp_path, exchange.url)
    assert again.last_order == pytest.approx(body["last_order"], abs=1), "a restart does not make it younger"
    again.exchange.close()
    again.store.close()
    assert 'paper_bot_orders_total{state="accepted"} 1\n' in health.metrics(trader)
    assert "canary" not in health.metrics(trader) + json.dumps(body)
    trader.exchange.close()
    trader.store.close()


# --- the whole program


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def start(tmp_path, exchange, **environ):
    port = free_port()
    environ = {
        **os.environ,
        **REQUIRED,
        "PM_BASE_URL": exchange.url,
        "DATABASE_PATH": str(tmp_path / "bot.db"),
        "PYTHONPATH": str(ROOT / "examples/paper_bot"),
        "HEALTH_PORT": str(port),
        "ORDERS_PER_SECOND": "50",
        **environ,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "paper_bot"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return process, port


def wait_for(condition):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


def test_killed_and_started_again_it_trades_every_tick_once(tmp_path, exchange):
    process, port = start(tmp_path, exchange)
    assert wait_for(lambda: len(exchange.book.orders(0, 100)) >= 10)
    assert get(port, "/health")[0] == 200 and get(port, "/nothing")[0] == 404
    process.kill()
    process.communicate()
    seen = len(exchange.book.orders(0, 1000))
    process, _ = start(tmp_path, exchange, LOG_JSON="true")
    assert wait_for(lambda: len(exchange.book.orders(0, 1000)) >= seen + 10)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=5)[0]
    assert process.returncode == 0 and json.loads(output.splitlines()[-1])["message"] == "stopped"
    ticks = [entry["order"]["tick"] for entry in exchange.book.orders(0, 1000)]
    assert ticks == list(range(1, len(ticks) + 1))
    assert "canary-private" not in output


def test_wrong_settings_end_with_78_and_the_sentence(tmp_path, exchange):
    process, _ = start(tmp_path, exchange, TRADING_MODE="yolo")
    output = process.communicate(timeout=5)[0]
    assert process.returncode == 78
    assert output == "TRADING_MODE is 'yolo': use one of paper, live.\n"


def test_migrate_makes_the_database_and_exits(tmp_path):
    paths = {"DATABASE_PATH": str(tmp_path / "bot.db"), "PYTHONPATH": str(ROOT / "examples/paper_bot")}
    environ = {**os.environ, **REQUIRED, **paths}
    done = subprocess.run([sys.executable, "-m", "paper_bot", "--migrate"], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "bot.db").stat().st_size > 0
