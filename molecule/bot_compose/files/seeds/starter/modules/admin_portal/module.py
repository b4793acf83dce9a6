"""Tells which variables it was given: by name, as a portal that is looked at from outside should."""

import http.server
import json
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"names": sorted(os.environ), "token": len(os.environ.get("ADMIN_TOKEN", ""))}).encode())

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()
