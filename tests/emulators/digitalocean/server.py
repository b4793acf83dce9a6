"""The HTTP side of the emulator: routing, paging, rate limits, failures on demand, the request log and the clock."""

from __future__ import annotations

import argparse
import copy
import heapq
import itertools
import json
import math
import os
import pathlib
import re
import signal
import sys
import threading
import time
import traceback
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

if not __package__:  # started as a script: become the package, so that relative imports work
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
    from emulators.digitalocean.server import main as run_as_package

    run_as_package()
    sys.exit()

from .. import hooks  # noqa: E402 - a script has become the package only above

HTML_500 = b"<html><head><title>500</title></head><body><h1>We're sorry, but something went wrong.</h1></body></html>"
SPECIFICATION = "BOTOPS_DIGITALOCEAN_OPENAPI"
ROUTES = []


def route(method, path):
    """Register `function(emulator, request, **path parameters)` for one operation."""
    pattern = re.compile("^" + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path) + "$")

    def register(function):
        # Literal paths come before those with parameters: /projects/default before /projects/{project_id}.
        ROUTES.append((path.count("{"), method, pattern, function))
        ROUTES.sort(key=lambda entry: entry[0])
        return function

    return register


class Refusal(Exception):
    """An answer that is an error, in the vendor's own form."""

    def __init__(self, status, message, error_id=None):
        super().__init__(message)
        names = {
            400: "bad_request",
            401: "Unauthorized",
            404: "not_found",
            409: "conflict",
            412: "precondition_failed",
            422: "unprocessable_entity",
            429: "too_many_requests",
            500: "server_error",
            501: "not_implemented",
            503: "service_unavailable",
        }
        self.status = status
        self.body = {"id": error_id or names.get(status, "error"), "message": message}


def not_found():
    return Refusal(404, "The resource you were accessing could not be found.")


def not_emulated(what):
    """The vendor has it and this emulator has not, which must not look like something that is gone."""
    return Refusal(501, f"This emulator has no {what}; the vendor may.")


def number_of(text):
    """A number out of a path; what is none is nothing that exists."""
    try:
        return int(text)
    except (TypeError, ValueError):
        raise not_found() from None


class Request:
    def __init__(self, method, target, headers, raw):
        parts = urlsplit(target)
        self.method, self.target, self.headers, self.raw = method, target, headers, raw
        self.path = unquote(parts.path.rstrip("/"))
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            self.body = json.loads(raw) if raw else {}
        except ValueError:
            raise Refusal(400, "The request body is not JSON.") from None
        if not isinstance(self.body, dict):
            raise Refusal(400, "The request body is no JSON object.")

    def need(self, *names):
        for name in names:
            if self.body.get(name) in (None, ""):
                raise Refusal(422, f"{name.replace('_', ' ').capitalize()} can't be blank")
        return [self.body[name] for name in names]


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Emulator:
    """All state lives here, behind one lock; area modules (`compute`, `network`, …) work on `self.tables`."""

    def __init__(
        self,
        token="emulated-token",
        port=0,
        latency_ms=0,
        action_ms=0,
        rate_limit=None,
        burst=None,
        specification=None,
        hook=None,
        judge=None,
        bind="127.0.0.1",
    ):
        from . import areas

        self.token = token
        self.latency = latency_ms / 1000
        self.action_seconds = action_ms / 1000
        self.rate_limit, self.burst = rate_limit, burst
        self.hook = hook
        self.lock = threading.RLock()
        self.tables = {}
        self.log = []
        self.faults = []
        self.bugs = []  # exceptions of the emulator itself, each a sentence with its place
        self.texts = {}  # plain files, such as logs, that need no token
        self._due = []
        self._sequence = itertools.count()
        self._hits = []
        self._numbers = itertools.count(300_000_001)
        self.judge = judge
        if specification and not judge:
            from .judge import Judge

            self.judge = Judge(specification)
        areas.prepare(self)
        self.server = _Server((bind, port), self)
        # What listens everywhere is reached from this machine by the loopback address; links name the host that was asked.
        self.url = f"http://{'127.0.0.1' if bind == '0.0.0.0' else bind}:{self.server.server_address[1]}"

    # --- life

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    # --- what tests and areas use

    def table(self, name):
        return self.tables.setdefault(name, {})

    def number(self):
        return next(self._numbers)

    @staticmethod
    def uuid():
        return str(uuid.uuid4())

    def later(self, work, seconds=None):
        """Run `work` under the lock once the time has come; nothing runs between requests, so no thread is needed."""
        due = time.monotonic() + (self.action_seconds if seconds is None else seconds)
        heapq.heappush(self._due, (due, next(self._sequence), work))

    def settle(self):
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def fault(self, **what):
        """Make a request fail. Keys: method, path (regular expression on path and query), times, skip, status, html,
        message, headers, delay (seconds), drop (no answer), truncate (half an answer), after (take effect first)."""
        self.faults.append({"times": 1, "skip": 0, **what})

    def writes(self, since=0):
        return [entry for entry in self.log[since:] if entry["method"] != "GET"]

    @property
    def violations(self):
        """What broke the vendor's contract, and what broke inside."""
        return (self.judge.violations if self.judge else []) + self.bugs

    def bug(self, method, target):
        """Answer for an exception of the emulator: told to the client, and kept for the test to fail on."""
        error = sys.exc_info()[1]
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{method} {target}: the emulator has a bug: {type(error).__name__}: {error} ({pathlib.Path(place.filename).name}:{place.lineno})"
        self.bugs.append(said)
        return Refusal(500, said)

    def call_hook(self, event, droplet, done=None):
        """Tell the command given with --hook, so that a real host can stand behind a droplet.

        It gets the event as its argument and the droplet (with its user data and keys) as JSON on stdin; what it prints,
        if anything, is JSON with the addresses: {"public": …, "private": …}.
        """
        if not self.hook:
            return False
        about = copy.deepcopy(droplet)

        def work():
            said, failure = hooks.call(self.hook, event, about)
            with self.lock:
                if failure:  # nobody may take a host that is not there for one
                    self.bugs.append(failure)
                    print(failure, file=sys.stderr, flush=True)
                elif done:
                    done(said)

        threading.Thread(target=work, daemon=True).start()
        return True

    # --- answering

    def page(self, request, key, items, render=None):
        """One page of `items` with the vendor's links and total. `render` gives an item's JSON text, cheap for big lists."""
        try:
            size, number = int(request.query.get("per_page", 20)), int(request.query.get("page", 1))
        except ValueError:
            raise Refusal(400, "page and per_page must be numbers") from None
        if not 1 <= size <= 200 or number < 1:
            raise Refusal(400, "per_page must be between 1 and 200 and page at least 1")
        chosen = items[(number - 1) * size : number * size]
        last = max(1, math.ceil(len(items) / size))

        def link(to):
            others = "".join(f"&{k}={v}" for k, v in request.query.items() if k not in ("page", "per_page"))
            return f"http://{request.headers.get('host') or self.url[7:]}{request.path}?page={to}&per_page={size}{others}"

        pages = {}
        if number < last:
            pages.update(last=link(last), next=link(number + 1))
        if number > 1:
            pages.update(first=link(1), prev=link(min(number - 1, last)))
        tail = {"links": {"pages": pages} if pages else {}, "meta": {"total": len(items)}}
        if render:
            text = '{"%s":[%s],%s' % (key, ",".join(render(item) for item in chosen), json.dumps(tail)[1:])
            return 200, text.encode()
        return 200, {key: chosen, **tail}

    def handle(self, method, target, headers, raw):
        """Returns (status, headers, body bytes, fault or None)."""
        if target.startswith("/_emulator/"):
            return self.control(method, target, raw)
        if self.latency:
            time.sleep(self.latency)
        entry = {"method": method, "path": target, "body": None, "status": None, "at": time.time()}
        with self.lock:
            self.log.append(entry)
            fault = self.due_fault(method, target)
            headers_out = self.rate_headers()
        if fault and fault.get("delay"):
            time.sleep(fault["delay"])
        effective = not fault or fault.get("after") or not (fault.get("status") or fault.get("drop") or "body" in fault)
        status, body = 200, b""
        if effective:
            status, body = self.answer(method, target, headers, raw, headers_out)
        if not isinstance(body, bytes):
            body = b"" if body is None else json.dumps(body).encode()
        if fault and "body" in fault:
            status, body = fault.get("status", 200), json.dumps(fault["body"]).encode()
            headers_out.update(fault.get("headers", {}))
        elif not fault and self.judge and status not in (500, 501):
            self.judge.exchange(method, target, headers, raw, status, {"content-type": "application/json", **headers_out}, body)
        if fault and fault.get("status") and "body" not in fault:
            status = fault["status"]
            body = (
                HTML_500 if fault.get("html") else json.dumps(Refusal(status, fault.get("message", "Server was unable to give you a response.")).body).encode()
            )
            headers_out.update(fault.get("headers", {}))
            if fault.get("html"):
                headers_out["content-type"] = "text/html"
        try:
            entry["body"] = json.loads(raw) if raw else None
        except ValueError:
            entry["body"] = raw.decode(errors="replace")
        entry["status"] = status
        return status, headers_out, body, fault

    def answer(self, method, target, headers, raw, headers_out):
        with self.lock:
            try:
                if headers.get("authorization") != f"Bearer {self.token}":
                    raise Refusal(401, "Unable to authenticate you")
                self.take_from_budget(headers_out)
                self.settle()
                request = Request(method, target, headers, raw)
                for _, verb, pattern, function in ROUTES:
                    match = pattern.match(request.path)
                    if verb == method and match:
                        status, body = function(self, request, **match.groupdict())
                        return status, body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
                raise not_emulated(f"{method} {request.path}")
            except Refusal as refusal:
                return refusal.status, refusal.body
            except Exception:
                refusal = self.bug(method, target)
                return refusal.status, refusal.body

    def due_fault(self, method, target):
        for fault in self.faults:
            if fault["times"] <= 0 or fault.get("method", method) != method or not re.search(fault.get("path", ""), target):
                continue
            if fault["skip"] > 0:
                fault["skip"] -= 1
                continue
            fault["times"] -= 1
            return fault
        return None

    def rate_headers(self):
        limit = self.rate_limit or 5000
        return {
            "ratelimit-limit": str(limit),
            "ratelimit-remaining": str(max(0, limit - len(self._hits))),
            "ratelimit-reset": str(int(time.time()) + 3600),
        }

    def take_from_budget(self, headers_out):
        moment = time.time()
        self._hits = [hit for hit in self._hits if hit > moment - 3600] if self.rate_limit else self._hits[-4999:]
        recent = sum(1 for hit in reversed(self._hits) if hit > moment - 60) if self.burst else 0
        if self.rate_limit and len(self._hits) >= self.rate_limit:
            headers_out["ratelimit-remaining"] = "0"
            headers_out["ratelimit-reset"] = str(int(self._hits[0] + 3600))
            headers_out["retry-after"] = str(max(1, math.ceil(self._hits[0] + 3600 - moment)))
            raise Refusal(429, "API Rate limit exceeded.")
        if self.burst and recent >= self.burst:
            headers_out["retry-after"] = "1"
            raise Refusal(429, "API Rate limit exceeded.")
        self._hits.append(moment)
        headers_out["ratelimit-remaining"] = str(max(0, int(headers_out["ratelimit-limit"]) - len(self._hits)))

    def control(self, method, target, raw):
        """What a test in another process needs: the log, the violations, faults."""
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            return 400, {}, b'{"message": "not JSON"}', None
        with self.lock:
            if target == "/_emulator/log" and method == "DELETE":
                self.log.clear()
            elif target == "/_emulator/faults" and method == "POST":
                self.fault(**body)
            answers = {
                "/_emulator/log": lambda: self.log,
                "/_emulator/violations": lambda: {
                    "judged": self.judge.judged if self.judge else None,
                    "violations": self.violations,
                },
                "/_emulator/faults": lambda: self.faults,
            }
            if target in self.texts:
                return 200, {"content-type": "text/plain"}, self.texts[target].encode(), None
            found = answers.get(target)
            return (200, {}, json.dumps(found()).encode(), None) if found else (404, {}, b"{}", None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, emulator):
        self.emulator = emulator
        super().__init__(address, _Handler)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        emulator = self.server.emulator
        try:
            status, extra, body, fault = emulator.handle(self.command, self.path, headers, raw)
        except Exception:
            refusal = emulator.bug(self.command, self.path)
            status, extra, body, fault = refusal.status, {}, json.dumps(refusal.body).encode(), None
        if fault and fault.get("drop"):
            self.close_connection = True
            return
        self.send_response_only(status)
        extra = {"content-type": "application/json", **extra}
        if status == 204:
            body = b""
            extra.pop("content-type", None)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if fault and fault.get("truncate"):
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, *_):
        """The request log is data, not text on stderr."""


def main(argv=None):
    parser = argparse.ArgumentParser(description="DigitalOcean API emulator")
    parser.add_argument("--port", type=int, default=8480)
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="where to listen; containers reach it by their bridge's address")
    parser.add_argument("--token", default="emulated-token", help="the only token that is accepted")
    parser.add_argument("--droplets", type=int, default=0, help="start with that many droplets")
    parser.add_argument("--duplicates", type=int, default=0, help="so many of them carry the name of the one before")
    parser.add_argument("--latency-ms", type=float, default=0, help="every answer takes at least this long")
    parser.add_argument("--action-ms", type=float, default=500, help="how long creating, resizing and so on takes")
    parser.add_argument("--rate-limit", type=int, help="requests an hour (the vendor's own: 5000); not enforced when left out")
    parser.add_argument("--burst", type=int, help="requests a minute (the vendor's own: 250); not enforced when left out")
    parser.add_argument("--openapi", default=os.environ.get(SPECIFICATION), help=f"the vendor's document; ${SPECIFICATION}")
    parser.add_argument("--hook", help="command told of every droplet's create, delete, power_on, power_off and reboot")
    options = parser.parse_args(argv)
    emulator = Emulator(
        token=options.token,
        port=options.port,
        bind=options.bind,
        latency_ms=options.latency_ms,
        action_ms=options.action_ms,
        rate_limit=options.rate_limit,
        burst=options.burst,
        specification=options.openapi,
        hook=options.hook,
    )
    if options.droplets:
        from .compute import populate

        populate(emulator, options.droplets, options.duplicates)
    if not options.openapi:
        print(f"WARNING: requests and answers are not judged: ${SPECIFICATION} is not set", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on {emulator.url} with {options.droplets} droplets", flush=True)
    try:
        emulator.server.serve_forever()
    except (KeyboardInterrupt, SystemExit):
        emulator.server.server_close()


if __name__ == "__main__":
    main()
