# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way to the DigitalOcean API, for modules and inventory: pydo's client for transport, our own rules for retry, paging, budget and errors.

The agents that roles leave on hosts (fencing, the reserved address) do not use it: they have to work with the standard library alone.
"""

from __future__ import annotations

import json
import math
import random
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.botops.fleet.plugins.module_utils._cloud import DIGITALOCEAN_API, DIGITALOCEAN_TOKEN, MOST_ITEMS, endpoint_problem
from ansible_collections.botops.fleet.plugins.module_utils._resource import Ambiguous, Failure, Gone

try:
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import AzureError, ServiceRequestError, ServiceRequestTimeoutError, ServiceResponseTimeoutError
    from azure.core.pipeline.policies import AzureKeyCredentialPolicy, RetryPolicy
    from azure.core.rest import HttpRequest
    from pydo import Client as PydoClient

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error

PAGE_SIZE = 200
PARALLEL = 8
OPTIONS = ("api_token or %s" % DIGITALOCEAN_TOKEN[0], "api_endpoint")
ATTEMPTS = 4
FIRST_PAUSE = 0.5
# A longer wait for the rate limit than this helps nobody who watches a playbook.
LONGEST_BUDGET_WAIT = 120
LONGEST_PAUSE = 15.0
# Sending these twice has the same effect as sending them once.
REPEATABLE = ("GET", "PUT", "PATCH", "DELETE")
# What says that something on the way failed, not that the request was wrong; 52x are the vendor's front end.
TEMPORARY = frozenset({408, *range(500, 600)} - {501, 505})


def answer_text(status, text, content_type=""):
    """What an error body says, in words: the API's own message, or what came instead of JSON."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if body is not None:
        said = next((body[name] for name in ("message", "error", "errors", "id") if body.get(name)), body) if isinstance(body, dict) else body
        return "%s (HTTP %d)" % ((said if isinstance(said, str) else json.dumps(said)).strip().rstrip(".")[:300], status)
    plain = re.sub(r"\s+", " ", re.sub(r"(?s)<(script|style).*?</\1>|<[^>]+>", " ", text or "")).strip()
    kind = "an HTML page" if "<html" in (text or "").lower() or "html" in content_type else "no JSON"
    return "HTTP %d with %s instead of an answer%s" % (status, kind, ": %s" % plain[:120] if plain else "")


def last_page(first, total, size=PAGE_SIZE):
    """How many pages a listing has, from its total."""
    return max(1, math.ceil(max(total, len(first)) / size))


def budget_pause(status, headers, now):
    """Seconds to wait before asking again after a 429, from what the answer says."""
    for name, base in (("retry-after", 0), ("ratelimit-reset", now)):
        try:
            seconds = float(headers.get(name, "")) - base
        except ValueError:
            continue
        if seconds >= 0:
            return seconds
    return 5.0


class Answer(dict):
    """An answer's JSON object. A part that has to be there and is not is a sentence."""

    def __init__(self, body, what, failure=Failure):
        super().__init__(body)
        self.what, self.failure = what, failure

    def __getitem__(self, key):
        value = self.get(key)
        if value is None:
            raise self.failure("%s: the answer has no %r; is api_endpoint right?" % (self.what, key))
        return value


def identity_of(item):
    """What tells items of a listing apart, whatever the kind."""
    for key in ("id", "uuid", "ip", "slug", "urn", "name"):
        if item.get(key):
            return item[key]
    return repr(item)


def never_sent(error):
    """Whether no byte of the request can have reached the API. The library's own distinction is too kind: a connection
    that breaks while the answer is read may count as a failed request there."""
    if not isinstance(error, ServiceRequestError):
        return False
    early = ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "CERTIFICATE_VERIFY_FAILED", "ProxyError", "gaierror")
    return isinstance(error, ServiceRequestTimeoutError) or any(name in repr(error.inner_exception) for name in early)


class Client:
    """Requests, answers and errors. Safe for several threads."""

    def __init__(self, token, endpoint=None, timeout=30, log=None, sleep=None, parallel=PARALLEL, options=OPTIONS):
        """`options` is how whoever asks calls (token, endpoint): sentences name what the user can change."""
        if IMPORT_ERROR:
            raise Failure("The Python library pydo is missing for %s (%s). Install it there: pip install pydo" % (sys.executable, IMPORT_ERROR))
        self.token_option, self.endpoint_option = options
        if not token:
            raise Failure("No API token was given. Set api_token, or the environment variable %s." % " or ".join(DIGITALOCEAN_TOKEN))
        if re.search(r"\s", token) or not token.isprintable() or not token.isascii():
            raise Failure("The API token of %s has spaces, line breaks or other characters that no token has." % self.token_option)
        self.endpoint = (endpoint or DIGITALOCEAN_API).rstrip("/")
        problem = endpoint_problem(self.endpoint)
        if problem:
            raise Failure("%s %s." % (self.endpoint_option, problem))
        self.timeout = timeout
        self.log = log or (lambda text: None)
        self.sleep = sleep or time.sleep
        self.parallel = parallel
        self.remaining = None
        self._cache = {}
        self._lock = threading.Lock()
        # pydo's own retry repeats POST as well, and its bearer policy refuses http, which a local endpoint needs.
        self.pydo = PydoClient(
            token,
            endpoint=self.endpoint,
            retry_policy=RetryPolicy(retry_total=0),
            authentication_policy=AzureKeyCredentialPolicy(AzureKeyCredential(token), "Authorization", prefix="Bearer"),
        )

    # --- verbs

    def get(self, path, what=None, **query):
        what = what or "reading %s" % path
        return self._json(self._request("GET", path, what, query=query), what)

    def post(self, path, body, what):
        # It was accepted: what cannot be read of the answer is lost, and the thing may be there.
        return self._json(self._request("POST", path, what, body=body), what, Ambiguous)

    def put(self, path, body, what):
        return self._json(self._request("PUT", path, what, body=body), what)

    def patch(self, path, body, what):
        return self._json(self._request("PATCH", path, what, body=body), what)

    def delete(self, path, what, body=None, **query):
        self._request("DELETE", path, what, body=body, query=query)

    def listing(self, path, key, what=None, insist=False, **query):
        """Every item of a listing, or an error: never a part of it. Some listings of the vendor have no total; `insist` on it where there is one."""
        what = what or "listing %s" % key.replace("_", " ")
        first = self._page(path, key, what, query, 1)
        if insist and not first[2]:
            raise Failure("%s: the answer has no total; is %s right?" % (what, self.endpoint_option))
        items = list(first[0])
        # A first page that is not full cannot have others behind it, whatever the total says.
        pages = last_page(items, first[1]) if len(items) >= PAGE_SIZE else 1
        if pages > 1:
            with ThreadPoolExecutor(min(self.parallel, pages - 1)) as pool:
                for page in pool.map(lambda number: self._page(path, key, what, query, number), range(2, pages + 1)):
                    items.extend(page[0])
        # While pages were read, something may have been created or removed in front of them.
        unique = {identity_of(item): item for item in items}
        if len(unique) < first[1]:
            return self._recount(path, key, what, query)
        return list(unique.values())

    def cached(self, path, key, **query):
        """A listing that is asked for once in a module's life: names that have to be looked up."""
        index = (path, key, tuple(sorted(query.items())))
        if index not in self._cache:
            self._cache[index] = self.listing(path, key, **query)
        return self._cache[index]

    # --- the inside

    def _recount(self, path, key, what, query):
        """A page that shrank under the reading: read once more, one after another, and insist."""
        items, number = {}, 1
        while True:
            page, total, _counted = self._page(path, key, what, query, number)
            items.update((identity_of(item), item) for item in page)
            if len(page) < PAGE_SIZE or number > last_page(page, total):
                break
            number += 1
        if len(items) < total:
            raise Failure("%s gave %d of %d; the list is incomplete, so nothing was decided from it." % (what[0].upper() + what[1:], len(items), total))
        return list(items.values())

    def _page(self, path, key, what, query, number):
        body = self.get(path, what, **dict(query, per_page=PAGE_SIZE, page=number))
        items = [] if key in body and body.get(key) is None else body[key]
        meta = body.get("meta")
        counted = isinstance(meta, dict) and meta.get("total") is not None
        total = (meta["total"] if counted else None) or 0
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items) or not isinstance(total, int):
            raise Failure("%s: the answer is no list of %s with its total, so nothing was decided from it." % (what, key.replace("_", " ")))
        if total > MOST_ITEMS:
            raise Failure("%s: the answer claims %d items, which no account has, so nothing was decided from it." % (what, total))
        return items, max(total, len(items)), counted

    def _json(self, response, what, failure=Failure):
        if response is None or response.status_code == 204 or not response.content:
            return Answer({}, what, failure)
        try:
            body = response.json()
        except (ValueError, AzureError):
            raise failure("%s: the answer is not JSON: %s" % (what, answer_text(response.status_code, response.text()))) from None
        if not isinstance(body, dict):
            raise failure("%s: the answer is no JSON object but %s; is %s right?" % (what, json.dumps(body)[:60], self.endpoint_option))
        return Answer(body, what, failure)

    def _request(self, method, path, what, body=None, query=None):
        params = {name: ("true" if value is True else "false" if value is False else str(value)) for name, value in (query or {}).items() if value is not None}
        content = {} if body is None else {"json": body}
        request = HttpRequest(method, path, params=params, headers={"Accept": "application/json"}, **content)
        pause, waited, attempt = FIRST_PAUSE, 0.0, 1
        sent_before = False
        while True:
            last = attempt == ATTEMPTS
            self._spend()
            try:
                response = self.pydo.send_request(request, connection_timeout=min(self.timeout, 10), read_timeout=self.timeout, permit_redirects=False)
            except AzureError as error:
                self._lost(method, what, error, last)
                sent_before = sent_before or not never_sent(error)
            else:
                self._account(response)
                status = response.status_code
                if status < 300:
                    return response
                if status == 429:
                    # Refused, not failed: it costs no attempt, however short the vendor's advice was. Only patience ends.
                    wait = max(budget_pause(status, response.headers, time.time()), pause if waited else 0.0)
                    waited += max(wait, FIRST_PAUSE)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
                    if waited > LONGEST_BUDGET_WAIT:
                        raise Failure("%s: the API's rate limit is used up; it opens again in %d s. Run the task again then." % (what, math.ceil(wait)))
                    self.log("%s: rate limit, waiting %.1f s" % (what, wait))
                    self.sleep(wait)
                    continue
                if status == 404 and method == "DELETE" and sent_before:
                    return None  # the first, unanswered request did it
                if status not in TEMPORARY or last or method not in REPEATABLE:
                    self._refuse(method, what, response)
                sent_before = True
            self.sleep(pause * (1 + random.random() / 4))
            pause *= 2
            attempt += 1

    def _lost(self, method, what, error, last):
        """No answer came. Decide whether asking again is safe."""
        unsent = never_sent(error)
        reason = str(error).strip()
        match = re.search(r"\[Errno -?\d+\] ([^')\"]+)|((?:Read|Connect\w*) timed out)|(Connection (?:aborted|refused|reset))", reason)
        words = next((group for group in match.groups() if group), reason[:200]) if match else reason[:200]
        if "certificate verify failed" in reason.lower():
            words = "its TLS certificate was not accepted"
        if isinstance(error, (ServiceRequestTimeoutError, ServiceResponseTimeoutError)):
            words = "no answer within %d s" % self.timeout
        sentence = "%s: %s did not answer (%s)" % (what, self.endpoint, words)
        if not unsent and method not in REPEATABLE:
            raise Ambiguous(sentence)
        if last or "certificate" in words:
            raise Failure(sentence + ". Check %s, the network and any proxy." % self.endpoint_option)

    def _refuse(self, method, what, response):
        status, text = response.status_code, response.text()
        said = answer_text(status, text, response.headers.get("content-type", ""))
        if status == 401:
            raise Failure(
                "%s: the API token was refused (HTTP 401): it is wrong, expired or revoked. Give a valid one in %s." % (what, self.token_option)
            )
        if status == 403:
            raise Failure("%s was refused: %s. If it says nothing more, the API token lacks a scope for this." % (what, said))
        if status == 404 and " instead of an answer" in said:
            raise Failure("%s: %s. Is %s right?" % (what, said, self.endpoint_option))
        if status == 404:
            raise Gone("%s: it does not exist: %s." % (what, said))
        if status in TEMPORARY and method not in REPEATABLE:
            raise Ambiguous("%s: %s" % (what, said))
        if status in TEMPORARY:
            raise Failure("%s failed %d times, last with %s." % (what, ATTEMPTS, said))
        raise Failure("%s was refused: %s." % (what, said))

    def _account(self, response):
        try:
            with self._lock:
                self.remaining = int(response.headers["ratelimit-remaining"])
                self._reset = int(response.headers["ratelimit-reset"])
        except (KeyError, ValueError):
            pass

    def _spend(self):
        """Do not run into a limit that is known to be reached."""
        with self._lock:
            remaining, reset = self.remaining, getattr(self, "_reset", 0)
        if remaining == 0:
            wait = reset - time.time()
            if wait > LONGEST_BUDGET_WAIT:
                raise Failure("The API's budget of requests is used up; it opens again in %d minutes." % math.ceil(wait / 60))
            if wait > 0:
                self.log("rate limit used up, waiting %.1f s" % wait)
                self.sleep(wait)
            with self._lock:
                self.remaining = None
