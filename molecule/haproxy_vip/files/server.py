#!/usr/bin/python3
"""Says which port answered; /health is what the file /run/health-PORT says; /slow takes its time."""

import http.server
import json
import pathlib
import sys
import time

PORT = int(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        if self.path == "/health":
            told = pathlib.Path(f"/run/health-{PORT}")
            status = int(told.read_text()) if told.exists() else 200
        if self.path.startswith("/slow"):
            time.sleep(2)
        body = json.dumps({"port": PORT, "path": self.path}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()
