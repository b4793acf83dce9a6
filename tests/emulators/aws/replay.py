"""A shim in front of a moto server for measurements: it answers a question that was asked before from memory.

    replay.py --port P --upstream http://127.0.0.1:MOTO [--latency-ms MS]

moto works every answer out anew, in one Python process: 2,000 instances take 13 s a page, and the regions, which are separate
machines in reality, wait for each other. Behind this shim only the first question of a kind does. Questions are told apart by
what is asked and by the region in the signature; nothing is forgotten, so it is of use only while nothing changes.
GET /_shim/requests tells how many requests came.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")


class Replay(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port, upstream, latency):
        super().__init__(("127.0.0.1", port), Handler)
        self.upstream, self.latency = upstream, latency
        self.lock = threading.Lock()
        self.requests, self.answers = 0, {}

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def answer(self, method, path, headers, body):
        scope = SCOPE.search(headers.get("Authorization", ""))
        key = (scope.groups() if scope else None, method, path, body)
        if key not in self.answers:
            kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length", "connection")}
            request = urllib.request.Request(self.upstream + path, data=body or None, headers=kept, method=method)
            try:
                with urllib.request.urlopen(request, timeout=120) as said:
                    self.answers[key] = said.status, said.headers.get("content-type"), said.read()
            except urllib.error.HTTPError as said:
                with said:
                    return said.code, said.headers.get("content-type"), said.read()
        return self.answers[key]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/_shim/requests":
            status, kind, answer = 200, "application/json", json.dumps(self.server.requests).encode()
        else:
            with self.server.lock:
                self.server.requests += 1
            time.sleep(self.server.latency)
            status, kind, answer = self.server.answer(self.command, self.path, self.headers, body)
        self.send_response_only(status)
        self.send_header("content-type", kind or "text/xml")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    do_GET = do_POST = serve

    def log_message(self, *_):
        """Counted, not written down."""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Replay(options.port, options.upstream.rstrip("/"), options.latency_ms / 1000).serve_forever()


if __name__ == "__main__":
    main()
