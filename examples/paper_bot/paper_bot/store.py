"""What the bot knows, in SQLite. An order is written as an intent before it is sent and marked once it is answered."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from decimal import Decimal

# Position N is what takes the schema from version N to N + 1.
MIGRATIONS = (
    """
    CREATE TABLE orders (
      client_order_id TEXT PRIMARY KEY,
      market TEXT NOT NULL,
      tick INTEGER NOT NULL UNIQUE,
      side TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
      price TEXT NOT NULL,
      size TEXT NOT NULL,
      mode TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('intent', 'accepted', 'duplicate', 'rejected')),
      exchange_seq INTEGER,
      created_at REAL NOT NULL,
      answered_at REAL
    );
    CREATE INDEX orders_unanswered ON orders (tick) WHERE state = 'intent';
    CREATE TABLE positions (market TEXT PRIMARY KEY, size TEXT NOT NULL, last_price TEXT NOT NULL);
    CREATE TABLE account (id INTEGER PRIMARY KEY CHECK (id = 1), cash TEXT NOT NULL);
    """,
)


@dataclass(frozen=True)
class Order:
    client_order_id: str
    market: str
    tick: int
    side: str
    price: Decimal
    size: Decimal
    mode: str

    def body(self) -> dict:
        return {
            "client_order_id": self.client_order_id,
            "market": self.market,
            "tick": self.tick,
            "side": self.side,
            "price": str(self.price),
            "size": str(self.size),
            "mode": self.mode,
        }


class Store:
    def __init__(self, path: str, balance: Decimal) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        # An intent that a power cut could take back would allow a second, different order: FULL, not NORMAL.
        self._db.execute("PRAGMA synchronous=FULL")
        # A replica is taken from the write-ahead log; the bot leaves it to the replication to start it over.
        pages = os.environ.get("SQLITE_WAL_AUTOCHECKPOINT")
        if pages is not None:
            self._db.execute(f"PRAGMA wal_autocheckpoint={int(pages)}")
        self._migrate()
        self._db.execute("INSERT OR IGNORE INTO account (id, cash) VALUES (1, ?)", (str(balance),))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _migrate(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            self._db.close()
            raise sqlite3.DatabaseError(f"the database has schema {version}, this release knows {len(MIGRATIONS)}")
        for number in range(version, len(MIGRATIONS)):
            self._db.executescript(f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")

    # --- orders

    def next_tick(self) -> int:
        with self._lock:
            return self._db.execute("SELECT coalesce(max(tick), 0) + 1 FROM orders").fetchone()[0]

    def write_intent(self, order: Order) -> None:
        with self._lock:
            self._db.execute(
                "INSERT INTO orders (client_order_id, market, tick, side, price, size, mode, state, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'intent', ?)",
                (*order.body().values(), time.time()),
            )

    def unanswered(self) -> list[Order]:
        with self._lock:
            rows = self._db.execute("SELECT * FROM orders WHERE state = 'intent' ORDER BY tick").fetchall()
        return [
            Order(
                row["client_order_id"],
                row["market"],
                row["tick"],
                row["side"],
                Decimal(row["price"]),
                Decimal(row["size"]),
                row["mode"],
            )
            for row in rows
        ]

    def mark(self, order: Order, state: str, exchange_seq: int | None, filled: Order | None) -> None:
        """Record the answer and, in the same transaction, what the fill did to position and cash."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute(
                    "UPDATE orders SET state = ?, exchange_seq = ?, answered_at = ? WHERE client_order_id = ?",
                    (state, exchange_seq, time.time(), order.client_order_id),
                )
                if filled:
                    self._fill(filled)
                self._db.execute("COMMIT")
            except BaseException:
                # After a full disk SQLite has rolled back by itself.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _fill(self, order: Order) -> None:
        sign = 1 if order.side == "buy" else -1
        row = self._db.execute("SELECT size FROM positions WHERE market = ?", (order.market,)).fetchone()
        size = (Decimal(row["size"]) if row else Decimal(0)) + sign * order.size
        self._db.execute(
            "INSERT INTO positions (market, size, last_price) VALUES (?, ?, ?)"
            " ON CONFLICT (market) DO UPDATE SET size = excluded.size, last_price = excluded.last_price",
            (order.market, str(size), str(order.price)),
        )
        cash = Decimal(self._db.execute("SELECT cash FROM account").fetchone()["cash"])
        self._db.execute("UPDATE account SET cash = ?", (str(cash - sign * order.size * order.price),))

    # --- the portfolio

    def portfolio(self) -> tuple[Decimal, dict[str, tuple[Decimal, Decimal]]]:
        with self._lock:
            cash = Decimal(self._db.execute("SELECT cash FROM account").fetchone()["cash"])
            rows = self._db.execute("SELECT market, size, last_price FROM positions").fetchall()
        return cash, {row["market"]: (Decimal(row["size"]), Decimal(row["last_price"])) for row in rows}

    def last_order(self) -> float | None:
        """When the exchange last accepted one, in seconds since 1970."""
        with self._lock:
            return self._db.execute("SELECT max(answered_at) FROM orders WHERE state = 'accepted'").fetchone()[0]

    def counts(self) -> dict[str, int]:
        with self._lock:
            rows = self._db.execute("SELECT state, count(*) FROM orders GROUP BY state").fetchall()
        return {"intent": 0, "accepted": 0, "duplicate": 0, "rejected": 0, **dict(map(tuple, rows))}
