"""A store that refuses: every request is answered with one status. refusal.py PORT STATUS [SECONDS its clock is ahead]"""

import http.server
import sys
import time

port, status, ahead = [*map(int, sys.argv[1:]), 0][:3]


class Refusal(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + ahead)

    def answer(self):
        # What is sent and not read would break the connection, which says something else.
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer


http.server.ThreadingHTTPServer(("", port), Refusal).serve_forever()
