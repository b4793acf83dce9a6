"""HTTP in front of the book.

POST /orders            201 with seq, monotonic_ns, wall_time, source, host; 409 for a repeated client_order_id
GET  /orders?since=SEQ  accepted orders after SEQ (limit=N, at most and by default 1000)
GET  /refused?since=ID  refusals after ID
GET  /stats             counts for each host
GET  /health            200
"""

from __future__ import annotations

import json
import sqlite3
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .book import Book, Duplicate

MAX_BODY = 64 * 1024
PAGE = 1000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: Exchange

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        try:
            since, limit = (int(query.get(name, [default])[0]) for name, default in (("since", "0"), ("limit", PAGE)))
        except ValueError:
            return self.answer(400, {"error": "since and limit are whole numbers"})
        limit = max(1, min(limit, PAGE))
        book = self.server.book
        if url.path == "/orders":
            return self.answer(200, {"orders": book.orders(since, limit)})
        if url.path == "/refused":
            return self.answer(200, {"refused": book.refusals(since, limit)})
        if url.path == "/stats":
            return self.answer(200, book.stats())
        if url.path == "/health":
            return self.answer(200, {"status": "ok"})
        return self.answer(404, {"error": f"nothing at {url.path}"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            return self.answer(413, {"error": f"a body of at most {MAX_BODY} bytes and its Content-Length are needed"})
        raw = self.rfile.read(int(length))
        if self.path != "/orders":
            return self.answer(404, {"error": f"nothing at {self.path}"})
        try:
            body = json.loads(raw)
            client_order_id = body["client_order_id"]
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "the body must be a JSON object with client_order_id"})
        if not isinstance(client_order_id, str) or not 1 <= len(client_order_id) <= 128:
            return self.answer(400, {"error": "client_order_id must be a string of 1 to 128 characters"})
        source = self.client_address[0]
        host = self.headers.get("X-Host") or source
        try:
            return self.answer(201, self.server.book.place(client_order_id, source, host[:128], body))
        except Duplicate as duplicate:
            return self.answer(409, {"error": "client_order_id was used before", "original": duplicate.order})
        except sqlite3.Error as error:
            return self.answer(503, {"error": f"the order could not be recorded: {error}"})

    def answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Every order is in the book; a line for each would only fill the journal."""


class Exchange(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], book: Book) -> None:
        self.book = book
        super().__init__(address, Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle of a request is what fault tests do all day."""
