"""What stands at the other end: Discord, Telegram, a webhook and a mail server that write down what they get, and fail and dawdle when told.

GET  /_messages        everything that arrived, in order
POST /_mode            {"discord": "ok" | "fail" | "slow" | "refuse", ...}; all others are ok
POST /_forget          start anew
"""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import re
import socketserver
import ssl
import sys
import threading
import time

MESSAGES, MODES, LOCK = [], {}, threading.Lock()
SLOW_SECONDS = 8


def note(service, text, **more):
    with LOCK:
        MESSAGES.append({"service": service, "text": text.replace("\r", ""), "at": time.time(), **more})


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Nobody reads it."""

    def answer(self, status, value=None):
        body = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/beat/"):
            note("beat", self.path.rpartition("/")[2])
            return self.answer(200, {})
        with LOCK:
            return self.answer(200, MESSAGES)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host, path = self.headers.get("Host", "").split(":")[0], self.path.split("?")[0]
        if path == "/_mode":
            MODES.clear()
            MODES.update(json.loads(raw))
            return self.answer(200, MODES)
        if path == "/_forget":
            with LOCK:
                MESSAGES.clear()
            return self.answer(200, {})
        sent = json.loads(raw or b"{}")
        if host == "discord.com" and (found := re.fullmatch(r"/api/webhooks/(\d+)/([\w-]+)", path)):
            text = "\n".join([sent.get("content") or "", *(f"{each.get('title', '')}\n{each.get('description', '')}" for each in sent.get("embeds") or [])])
            return self.take("discord", text, 204, None, {"message": "Unknown Webhook", "code": 10015}, token=found[2])
        if host == "api.telegram.org" and (found := re.fullmatch(r"/bot(\d+:[\w-]+)/sendMessage", path)):
            result = {"ok": True, "result": {"message_id": len(MESSAGES) + 1, "chat": {"id": sent.get("chat_id")}, "text": sent.get("text")}}
            return self.take("telegram", sent.get("text", ""), 200, result, {"ok": False, "error_code": 404, "description": "Not Found"}, token=found[1])
        if path.startswith("/hook/"):
            return self.take("hook", f"{sent.get('title')}\n{sent.get('message')}", 200, {}, {}, kind=sent.get("type"))
        return self.answer(404, {"message": "404: Not Found"})

    def take(self, service, text, status, value, refusal, **more):
        mode = MODES.get(service, "ok")
        if mode == "slow":
            time.sleep(SLOW_SECONDS)
        if mode == "fail":
            return self.answer(503, {"message": "down"})
        if mode == "refuse":
            return self.answer(404, refusal)
        note(service, text, **more)
        return self.answer(status, value)


class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        if MODES.get("mail") == "fail":
            return self.say("421 not now")
        self.say("220 phone")
        while line := self.rfile.readline().decode(errors="replace").strip():
            word = line.split()[0].upper().rstrip(":")
            if word == "EHLO":
                self.say("250-phone\r\n250 AUTH PLAIN LOGIN")
            elif word == "AUTH":
                if "LOGIN" in line.upper():
                    for question in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6")[1 if len(line.split()) > 2 else 0 :]:
                        self.say(question)
                        self.rfile.readline()
                elif len(line.split()) < 3:
                    self.say("334 ")
                    self.rfile.readline()
                self.say("235 welcome")
            elif word == "DATA":
                self.say("354 go on")
                raw = b""
                while (data := self.rfile.readline()) not in (b".\r\n", b""):
                    raw += data[1:] if data.startswith(b"..") else data
                found = email.message_from_bytes(raw, policy=email.policy.default)
                body = found.get_body(("plain", "html"))
                note("mail", f"{found['subject']}\n{body.get_content() if body else ''}", to=found["to"])
                self.say("250 kept")
            elif word == "QUIT":
                self.say("221 bye")
                return None
            else:
                self.say("250 ok")
        return None

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def main():
    secure = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Web)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    plain = http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Web)
    mail = MailServer(("0.0.0.0", 2525), Mail)
    for server in (secure, plain, mail):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


main()
