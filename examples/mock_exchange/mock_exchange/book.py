"""The record: every accepted order and every refusal, in SQLite, so that a restart loses nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  client_order_id TEXT NOT NULL UNIQUE,
  monotonic_ns INTEGER NOT NULL,
  wall_time REAL NOT NULL,
  source TEXT NOT NULL,
  host TEXT NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS refusals (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_order_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  wall_time REAL NOT NULL,
  source TEXT NOT NULL,
  host TEXT NOT NULL
);
"""


class Duplicate(Exception):
    """The client order id was used before; `order` is the one that holds it."""

    def __init__(self, order: dict) -> None:
        super().__init__(order["client_order_id"])
        self.order = order


class Book:
    """One connection behind one lock: sequence numbers, timestamps and rows then agree by construction."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        # Survives the death of this process; only a power cut could take the last commits, and this is a test double.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def place(self, client_order_id: str, source: str, host: str, body: dict) -> dict:
        with self._lock:
            stamp = (time.monotonic_ns(), time.time(), source, host)
            held = self._db.execute("SELECT * FROM orders WHERE client_order_id = ?", (client_order_id,)).fetchone()
            if held:
                self._db.execute(
                    "INSERT INTO refusals (client_order_id, seq, monotonic_ns, wall_time, source, host)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (client_order_id, held["seq"], *stamp),
                )
                raise Duplicate(_as_order(held))
            seq = self._db.execute(
                "INSERT INTO orders (client_order_id, monotonic_ns, wall_time, source, host, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (client_order_id, *stamp, json.dumps(body, sort_keys=True)),
            ).lastrowid
        names = ("monotonic_ns", "wall_time", "source", "host")
        return {"seq": seq, "client_order_id": client_order_id, **dict(zip(names, stamp, strict=True)), "order": body}

    def orders(self, since: int, limit: int) -> list[dict]:
        with self._lock:
            query = "SELECT * FROM orders WHERE seq > ? ORDER BY seq LIMIT ?"
            return [_as_order(row) for row in self._db.execute(query, (since, limit))]

    def refusals(self, since: int, limit: int) -> list[dict]:
        with self._lock:
            query = "SELECT * FROM refusals WHERE id > ? ORDER BY id LIMIT ?"
            return [dict(row) for row in self._db.execute(query, (since, limit))]

    def stats(self) -> dict:
        count = "SELECT host, count(*) AS orders, min(seq) AS first_seq, max(seq) AS last_seq,"
        count += " min(monotonic_ns) AS first_ns, max(monotonic_ns) AS last_ns FROM orders GROUP BY host"
        with self._lock:
            rows = [dict(row) for row in self._db.execute(count)]
            refused = self._db.execute("SELECT host, count(*) FROM refusals GROUP BY host").fetchall()
        hosts = {row.pop("host"): row for row in rows}
        for host, number in refused:
            hosts.setdefault(host, {"orders": 0})["refused"] = number
        for entry in hosts.values():
            entry.setdefault("refused", 0)
        return {
            "orders": sum(entry["orders"] for entry in hosts.values()),
            "refused": sum(entry["refused"] for entry in hosts.values()),
            "hosts": hosts,
            "monotonic_ns": time.monotonic_ns(),
        }


def _as_order(row: sqlite3.Row) -> dict:
    order = dict(row)
    order["order"] = json.loads(order.pop("body"))
    return order
