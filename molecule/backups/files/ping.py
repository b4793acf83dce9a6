"""The other end of a dead-man's switch: it writes down who called, by way of its standard error."""

import http.server


class Switch(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


http.server.HTTPServer(("", 8009), Switch).serve_forever()
