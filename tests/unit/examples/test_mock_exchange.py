"""The mock exchange over real HTTP: numbering, refusals, what survives a restart, and its rate."""

import http.client
import json
import pathlib
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "examples/mock_exchange"))

from mock_exchange.book import Book  # noqa: E402
from mock_exchange.server import Exchange  # noqa: E402


class Running:
    def __init__(self, path):
        self.book = Book(str(path))
        self.server = Exchange(("127.0.0.1", 0), self.book)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.book.close()

    def call(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=5)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body)
            connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


@pytest.fixture
def exchange(tmp_path):
    running = Running(tmp_path / "exchange.db")
    yield running
    running.stop()


def test_orders_are_numbered_stamped_and_name_their_sender(exchange):
    status, first = exchange.call("POST", "/orders", {"client_order_id": "a.x.1", "side": "buy"}, X_Host="primary")
    _, second = exchange.call("POST", "/orders", {"client_order_id": "a.x.2"})
    assert status == 201
    assert (first["seq"], second["seq"]) == (1, 2)
    assert second["monotonic_ns"] > first["monotonic_ns"]
    assert (first["host"], first["source"], second["host"]) == ("primary", "127.0.0.1", "127.0.0.1")
    assert abs(first["wall_time"] - time.time()) < 60
    assert exchange.call("GET", "/orders?since=1")[1]["orders"] == [second]
    assert exchange.call("GET", "/orders")[1]["orders"][0]["order"]["side"] == "buy"


def test_a_repeated_id_is_refused_and_remembered(exchange):
    _, first = exchange.call("POST", "/orders", {"client_order_id": "a.x.1"}, X_Host="primary")
    status, answer = exchange.call("POST", "/orders", {"client_order_id": "a.x.1"}, X_Host="standby")
    assert status == 409
    assert answer["original"] == first
    stats = exchange.call("GET", "/stats")[1]
    assert (stats["orders"], stats["refused"]) == (1, 1)
    assert stats["hosts"]["primary"] == {
        "orders": 1,
        "first_seq": 1,
        "last_seq": 1,
        "first_ns": first["monotonic_ns"],
        "last_ns": first["monotonic_ns"],
        "refused": 0,
    }
    assert stats["hosts"]["standby"] == {"orders": 0, "refused": 1}
    refused = exchange.call("GET", "/refused")[1]["refused"]
    assert [(entry["host"], entry["seq"]) for entry in refused] == [("standby", 1)]


def test_a_restart_loses_nothing(tmp_path):
    path = tmp_path / "exchange.db"
    running = Running(path)
    running.call("POST", "/orders", {"client_order_id": "a.x.1"})
    running.call("POST", "/orders", {"client_order_id": "a.x.1"})
    running.stop()
    running = Running(path)
    try:
        assert running.call("POST", "/orders", {"client_order_id": "a.x.1"})[0] == 409
        assert running.call("POST", "/orders", {"client_order_id": "a.x.2"})[1]["seq"] == 2
        assert running.call("GET", "/stats")[1]["refused"] == 2
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/orders", b"not json", 400),
        ("POST", "/orders", b"[1]", 400),
        ("POST", "/orders", b'{"client_order_id": 7}', 400),
        ("POST", "/orders", b'{"client_order_id": ""}', 400),
        ("POST", "/elsewhere", b"{}", 404),
        ("POST", "/orders", b"x" * 70000, 413),
        ("GET", "/orders?since=x", None, 400),
        ("GET", "/nothing", None, 404),
        ("GET", "/health", None, 200),
    ],
)
def test_other_requests(exchange, method, path, body, status):
    assert exchange.call(method, path, body)[0] == status
    assert exchange.call("GET", "/stats")[1]["orders"] == 0


def test_two_hundred_orders_from_four_senders_in_two_seconds(exchange):
    def send(name):
        connection = http.client.HTTPConnection("127.0.0.1", exchange.server.server_address[1], timeout=5)
        for number in range(50):
            body = json.dumps({"client_order_id": f"{name}.{number}"})
            connection.request("POST", "/orders", body, {"X-Host": name})
            assert connection.getresponse().read()
        connection.close()

    started = time.monotonic()
    senders = [threading.Thread(target=send, args=(f"host{n}",)) for n in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    elapsed = time.monotonic() - started
    orders = exchange.call("GET", "/orders")[1]["orders"]
    assert [order["seq"] for order in orders] == list(range(1, 201))
    stamps = [order["monotonic_ns"] for order in orders]
    assert stamps == sorted(stamps)
    assert elapsed < 2, f"200 orders took {elapsed:.2f} s"
