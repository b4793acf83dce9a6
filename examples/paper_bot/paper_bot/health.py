"""GET /health (JSON; 503 when the trading loop is stale) and GET /metrics (Prometheus text)."""

from __future__ import annotations

import json
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import __version__
from .trader import Trader


def status(trader: Trader) -> tuple[int, dict]:
    config = trader.config
    body = {
        "status": "stale" if trader.stale() else "ok",
        "bot": config.bot,
        "host": config.host,
        "mode": config.mode,
        "release": config.release,
        "version": __version__,
        "heartbeat_age_seconds": round(trader.age(), 3),
        "last_order": trader.last_order,
        "exchange": {None: "unknown", True: "ok", False: "unreachable"}[trader.reachable],
        "halted": trader.halt_reason,
    }
    return (503 if trader.stale() else 200), body


def metrics(trader: Trader) -> str:
    config = trader.config
    cash, positions = trader.store.portfolio()
    lines = [
        "# HELP paper_bot_orders_total Orders by their last known state.",
        "# TYPE paper_bot_orders_total counter",
        *(f'paper_bot_orders_total{{state="{state}"}} {number}' for state, number in trader.store.counts().items()),
        "# TYPE paper_bot_retries_total counter",
        f"paper_bot_retries_total {trader.retries}",
        "# TYPE paper_bot_heartbeat_age_seconds gauge",
        f"paper_bot_heartbeat_age_seconds {trader.age():.3f}",
        "# TYPE paper_bot_cash gauge",
        f"paper_bot_cash {cash}",
        "# TYPE paper_bot_position gauge",
        *(f'paper_bot_position{{market="{market}"}} {size}' for market, (size, _) in sorted(positions.items())),
        "# TYPE paper_bot_info gauge",
        f'paper_bot_info{{bot="{config.bot}",mode="{config.mode}",version="{__version__}"}} 1',
    ]
    return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    server: Health

    def do_GET(self) -> None:
        trader = self.server.trader
        try:
            if self.path == "/health":
                code, body = status(trader)
                self.answer(code, "application/json", json.dumps(body))
            elif self.path == "/metrics":
                self.answer(200, "text/plain; version=0.0.4", metrics(trader))
            else:
                self.answer(404, "text/plain", "try /health or /metrics\n")
        except sqlite3.Error as error:
            self.answer(503, "text/plain", f"the database refuses: {error}\n")

    def answer(self, code: int, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """A probe every few seconds is not news."""


class Health(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], trader: Trader) -> None:
        self.trader = trader
        super().__init__(address, Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A probe that hangs up early is not news either."""
