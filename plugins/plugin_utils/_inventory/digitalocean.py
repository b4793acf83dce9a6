# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Droplets: plain HTTP, 200 a page, all pages at once, the tag filter on the server's side."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import math
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import env_fallback

from ansible_collections.botops.fleet.plugins.module_utils._cloud import (
    DIGITALOCEAN_API,
    DIGITALOCEAN_ENDPOINT,
    DIGITALOCEAN_TOKEN,
    MOST_ITEMS,
    endpoint_problem,
)
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import carries, make_host
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.secret import resolve
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Source

PAGE = 200
STATE = {"new": "pending", "active": "running", "off": "stopped", "archive": "archived"}
CREDENTIAL_SPEC = {
    "token": {"type": "raw", "no_log": True},
    "token_env": {"type": "str", "no_log": False},
    "token_file": {"type": "path", "no_log": False},
}
EXCLUSIVE = [("token", "token_env", "token_file")]


def normalise(droplet, account="", tag_keys=None):
    """The schema's host out of the vendor's droplet."""
    networks = droplet.get("networks") or {}
    addresses = {}
    for entry in networks.get("v4") or []:
        addresses.setdefault(entry.get("type"), entry.get("ip_address"))
    for entry in networks.get("v6") or []:
        if entry.get("type") == "public":
            addresses.setdefault("public_ipv6", entry.get("ip_address"))
    image = droplet.get("image") or {}
    return make_host(
        "digitalocean", droplet["id"], name=droplet.get("name") or "", account=account,
        region=(droplet.get("region") or {}).get("slug") or "", size=droplet.get("size_slug") or "",
        image=str(image.get("slug") or image.get("id") or ""), state=STATE.get(droplet.get("status"), "pending"),
        addresses=addresses, labels=droplet.get("tags") or [], vpc=droplet.get("vpc_uuid") or "",
        created=droplet.get("created_at") or "", tag_keys=tag_keys,
    )


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *args, **kwargs):
        return None


class Api:
    """Reads one account. Only GET, so every failure that can pass may be tried again."""

    def __init__(self, endpoint, token, token_from, timeout=30, patience=90, sleep=time.sleep, clock=time.monotonic):
        self.endpoint, self.timeout, self.patience, self.sleep, self.clock = endpoint.rstrip("/"), timeout, patience, sleep, clock
        self.token_from = token_from
        self.headers = {"Authorization": "Bearer " + token, "Accept": "application/json", "User-Agent": "botops.fleet inventory"}
        handlers = [NoRedirect]
        if self.endpoint.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        self.opener = urllib.request.build_opener(*handlers)

    def get(self, path):
        """The answer's JSON object. Retries what can pass, within the patience of this one call."""
        deadline = self.clock() + self.patience
        pause = 0.5
        for attempt in range(1, 6):
            try:
                request = urllib.request.Request(self.endpoint + path, headers=self.headers)
                with self.opener.open(request, timeout=self.timeout) as answer:
                    body = json.loads(answer.read())
                if not isinstance(body, dict):
                    raise ValueError("not an object")
                return body
            except urllib.error.HTTPError as error:
                problem, wait = self._refused(error), self._wait(error, pause)
            except (urllib.error.URLError, http.client.HTTPException, ValueError, OSError) as error:
                problem, wait = self._unreadable(error), pause
            if attempt == 5 or self.clock() + wait > deadline:
                raise InventoryError(problem)
            self.sleep(wait)
            pause *= 2
        raise AssertionError("not reached")

    def _refused(self, error):
        """The sentence for an answer that is an error; raised at once when asking again cannot help."""
        with error:
            raw = error.read(100000)
        try:
            message = str(json.loads(raw).get("message") or "")
        except (ValueError, AttributeError):
            message = ""
        if error.code == 401:
            raise InventoryError("the token from %s was refused (401%s)" % (self.token_from, ": " + message if message else ""))
        if error.code == 403:
            raise InventoryError("the token from %s may not list droplets (403%s)" % (self.token_from, ": " + message if message else ""))
        sentence = "the API answered %d%s" % (error.code, " (%s)" % message if message else "")
        if error.code == 429:
            return "the API's request limit is used up (429); it asks to wait %d s" % self._wait(error, 0)
        if error.code < 500:
            raise InventoryError(sentence)
        return sentence

    @staticmethod
    def _wait(error, pause):
        """As long as the vendor asks for after a 429; the usual pause otherwise."""
        if error.code != 429:
            return pause
        try:
            if error.headers.get("retry-after"):
                return max(0.0, float(error.headers["retry-after"]))
            return max(0.0, float(error.headers["ratelimit-reset"]) - time.time())
        except (TypeError, ValueError):
            return max(pause, 1.0)

    def _unreadable(self, error):
        reason = getattr(error, "reason", error)
        if isinstance(reason, (socket.timeout, TimeoutError)):
            return "%s did not answer within %d s" % (self.endpoint, self.timeout)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise InventoryError("the certificate of %s cannot be trusted: %s" % (self.endpoint, reason.verify_message))
        if isinstance(error, (http.client.HTTPException, ValueError)):
            return "%s gave an answer that is cut off or not JSON" % self.endpoint
        return "%s cannot be reached: %s" % (self.endpoint, getattr(reason, "strerror", None) or reason)

    # --- listings

    def page(self, path, number, key):
        try:
            body = self.get("%s%sper_page=%d&page=%d" % (path, "&" if "?" in path else "?", PAGE, number))
        except InventoryError as error:
            raise InventoryError(str(error) if number == 1 else "page %d was lost: %s" % (number, error)) from error
        items, total = body.get(key), (body.get("meta") or {}).get("total") if isinstance(body.get("meta"), dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items) or not isinstance(total, int):
            raise InventoryError("the answer for %s has no %s or no total; is the endpoint right?" % (path, key))
        if total > MOST_ITEMS:
            raise InventoryError("the answer for %s claims %d %s, which no account has" % (path, total, key))
        return items, total

    def everything(self, path, key, workers=8, identity="id"):
        """All items. When the list changes while it is read, items move between pages and one may be on neither: read again."""
        for _unused in range(3):
            items, total = self.page(path, 1, key)
            totals = {total}
            # A first page that is not full has none behind it, whatever the total says.
            count = math.ceil(total / PAGE) if len(items) >= PAGE else 1
            if count > 1:
                with concurrent.futures.ThreadPoolExecutor(max_workers=min(workers, count - 1)) as pool:
                    for more, seen in pool.map(lambda number: self.page(path, number, key), range(2, count + 1)):
                        items += more
                        totals.add(seen)
            unique = {item[identity]: item for item in items}
            if totals == {len(unique)}:
                return list(unique.values())
        raise InventoryError("the list of %s kept changing while it was read, so a host may be missing; try again" % key)


class DigitalOceanSource(Source):
    TYPE = "digitalocean"
    SPEC = {
        "endpoint": {"type": "str", "default": DIGITALOCEAN_API, "fallback": (env_fallback, DIGITALOCEAN_ENDPOINT)},
        "timeout": {"type": "int", "default": 30},
        "accounts": {
            "type": "list", "elements": "dict", "mutually_exclusive": EXCLUSIVE,
            "options": {"name": {"type": "str", "required": True}, **CREDENTIAL_SPEC},
        },
        **CREDENTIAL_SPEC,
    }
    RULES = {"mutually_exclusive": EXCLUSIVE + [("accounts", "token"), ("accounts", "token_env"), ("accounts", "token_file")]}

    @staticmethod
    def check(options):
        said = []
        problem = endpoint_problem(options["endpoint"])
        if problem:
            said.append("endpoint %s" % problem)
        names = [account["name"] for account in options["accounts"] or []]
        said += ["accounts: %s is there twice" % name for name in sorted({name for name in names if names.count(name) > 1})]
        return said

    def parts(self, discovered):
        if self.options["accounts"]:
            return [self._part(account, account["name"]) for account in self.options["accounts"]]
        return [self._part(self.options, "")]

    def _part(self, credentials, account):
        def fetch():
            return self.fetch(credentials, account or self.name)

        try:
            whose = self.context.fingerprint(self._token(credentials)[0])
        except InventoryError:
            whose = None  # nobody's hosts; `fetch` says why, under the source's own policy
        return self.part("account %s" % account if account else "", fetch, self.options["endpoint"], whose)

    def _token(self, credentials):
        return resolve(credentials, "token", DIGITALOCEAN_TOKEN, self.context.base_dir)

    def fetch(self, credentials, account):
        token, came_from = self._token(credentials)
        if not token.isprintable() or " " in token or not token.isascii():
            raise InventoryError("the token from %s contains characters that no token has" % came_from)
        api = Api(self.options["endpoint"], token, came_from, timeout=self.options["timeout"])
        droplets = {}
        for path in self.paths():
            for droplet in api.everything(path, "droplets", self.context.workers):
                droplets[droplet["id"]] = droplet
        found = []
        regions = set()
        for droplet in droplets.values():
            host = normalise(droplet, account, self.context.tag_keys)
            if not carries(host["labels"], self.options["tags"], bare_is_whole=True):
                continue
            if self.options["states"] and host["state"] not in self.options["states"]:
                continue
            regions.add(host["region"])
            if not self.options["regions"] or host["region"] in self.options["regions"]:
                found.append(host)
        self._check_regions(api, regions)
        return sorted(found, key=lambda host: int(host["id"]))

    def paths(self):
        """The API takes one tag: send the pair with the fewest values, one listing each, and check the rest here."""
        pairs = [(key, values) for key, values in self.options["tags"] if values]
        bare = [key for key, values in self.options["tags"] if not values]
        if pairs:
            key, values = min(pairs, key=lambda pair: len(pair[1]))
            tags = ["%s:%s" % (key, value) for value in values]
        else:
            tags = bare[:1]
        if not tags:
            return ["/v2/droplets"]
        return ["/v2/droplets?tag_name=" + urllib.parse.quote(tag, safe="") for tag in tags]

    def _check_regions(self, api, seen):
        """Only a region without hosts can be a mistake: then it is worth a request."""
        unknown = set(self.options["regions"] or ()) - seen
        if not unknown:
            return
        known = {region["slug"] for region in api.everything("/v2/regions", "regions", identity="slug")}
        wrong = sorted(unknown - known)
        if wrong:
            raise InventoryError("%s is not a region of DigitalOcean; it has %s" % (", ".join(wrong), ", ".join(sorted(known))))
