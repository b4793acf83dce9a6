"""The trading loop: intent to disk, order to the exchange, answer to disk."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from decimal import Decimal

from .config import Config
from .exchange import Exchange, Unanswered
from .store import Order, Store
from .strategy import decide, halted

log = logging.getLogger("paper_bot")


class Trader:
    RETRY_SECONDS = 0.25

    def __init__(self, config: Config, store: Store, exchange: Exchange) -> None:
        self.config, self.store, self.exchange = config, store, exchange
        self.stopping = threading.Event()
        self.heartbeat = time.monotonic()
        self.reachable: bool | None = None
        self.halt_reason: str | None = None
        self.retries = 0
        self.last_order = store.last_order()
        self._tick = store.next_tick()

    def age(self) -> float:
        return time.monotonic() - self.heartbeat

    def stale(self) -> bool:
        return self.age() > self.config.stale_seconds

    def run(self) -> None:
        try:
            self.reconcile()
            due = time.monotonic()
            while not self.stopping.is_set():
                self._step()
                # Time lost to an outage is not made up for: a burst of late orders is not what anybody asked for.
                due = max(due + 1 / self.config.orders_per_second, time.monotonic())
                self._pause(due - time.monotonic())
        finally:
            self.exchange.close()

    def _pause(self, seconds: float) -> None:
        """Wait in slices, so that a slow trading rate is not taken for a hung loop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopping.wait(min(left, 1)):
            self.heartbeat = time.monotonic()

    def reconcile(self) -> int:
        """Orders that were written but not answered before a stop: the same ids again; the exchange knows."""
        pending = self.store.unanswered()
        for order in pending:
            log.info("reconciling %s", order.client_order_id)
            self.submit(order)
        self.heartbeat = time.monotonic()
        return len(pending)

    def _step(self) -> None:
        try:
            cash, positions = self.store.portfolio()
            self.halt_reason = halted(self.config, cash, positions)
            if self.halt_reason is None:
                order = decide(self.config, self._tick, positions)
                self.store.write_intent(order)
                self._tick += 1
                self.submit(order)
            self.heartbeat = time.monotonic()
        except sqlite3.Error as error:
            # Without a durable intent nothing is sent. The heartbeat stands still, so /health turns to 503.
            log.error("the database refuses: %s", error)
            self.stopping.wait(self.RETRY_SECONDS)
            self._tick = self._reread_tick()
            if self.store_ok() and not self.stopping.is_set():
                self.reconcile()

    def _reread_tick(self) -> int:
        try:
            return self.store.next_tick()
        except sqlite3.Error:
            return self._tick

    def store_ok(self) -> bool:
        try:
            self.store.unanswered()
        except sqlite3.Error:
            return False
        return True

    def submit(self, order: Order) -> None:
        """Send until it is answered; the order after it waits, since its decision depends on this one."""
        while not self.stopping.is_set():
            try:
                status, answer = self.exchange.place(order.body())
            except Unanswered as error:
                if self.reachable is not False:
                    log.warning("no answer from the exchange: %s", error)
                self.reachable = False
                self.retries += 1
                self.heartbeat = time.monotonic()
                self.stopping.wait(self.RETRY_SECONDS)
                continue
            if self.reachable is False:
                log.info("the exchange answers again")
            self.reachable = True
            self._record(order, status, answer)
            return

    def _record(self, order: Order, status: int, answer: dict) -> None:
        if status == 201:
            self.store.mark(order, "accepted", answer.get("seq"), order)
            self.last_order = time.time()
            log.debug("%s accepted as %s", order.client_order_id, answer.get("seq"))
        elif status == 409:
            # Sent before, by this database's earlier self or by another copy. What the exchange holds is what counts.
            original = answer.get("original") or {}
            self.store.mark(order, "duplicate", original.get("seq"), _as_filled(order, original.get("order") or {}))
            log.warning("%s was on record as %s", order.client_order_id, original.get("seq"))
        else:
            self.store.mark(order, "rejected", None, None)
            log.error("%s rejected with status %s", order.client_order_id, status)


def _as_filled(order: Order, held: dict) -> Order:
    return Order(
        order.client_order_id,
        order.market,
        order.tick,
        held.get("side", order.side),
        Decimal(held.get("price", order.price)),
        Decimal(held.get("size", order.size)),
        held.get("mode", order.mode),
    )
