# Managed by botops.fleet ha_cluster.
"""DigitalOcean's API for the agents of a cluster: the standard library, a token in a file, and no patience without end."""

import json
import os
import stat
import time
import urllib.error
import urllib.request

API = "https://api.digitalocean.com"
TOKEN_FILE = "/var/lib/botops/ha_cluster/do-token"
# Between two looks at the same thing; shorter only in tests.
PAUSE = float(os.environ.get("BOTOPS_DO_PAUSE", "1"))
ONE_CALL = 10


class Failed(Exception):
    """The reason, as one sentence."""


class Refused(Failed):
    """The API understood and said no; asking again is of no use."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def read_token(path):
    try:
        info = os.stat(path)
        with open(path, encoding="utf-8") as stream:
            token = stream.read().strip()
    except OSError as error:
        raise Failed(f"the token file cannot be read: {error}") from error
    if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Failed(f"{path} can be read by others: chmod 600 {path}")
    if not token:
        raise Failed(f"{path} is empty")
    return token


class Api:
    """Every call is retried until the deadline. Only calls that may be repeated are made: reading, and changes to a given state."""

    def __init__(self, url, token_file, seconds):
        self.url = (url or API).rstrip("/")
        self.token = read_token(token_file or TOKEN_FILE)
        self.deadline = time.monotonic() + seconds

    def left(self):
        return self.deadline - time.monotonic()

    def call(self, method, path, body=None):
        said = ""
        while self.left() > 0:
            try:
                return self.once(method, path, body)
            except Refused:
                raise
            except Failed as error:
                said = str(error)
            self.rest()
        raise Failed(said or f"{method} {path}: no time left")

    def once(self, method, path, body):
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "User-Agent": "botops-fleet-agent"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=max(0.5, min(ONE_CALL, self.left()))) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                self.explain(method, path, error)
        except (OSError, ValueError) as error:
            raise Failed(f"{method} {path}: {getattr(error, 'reason', None) or error}") from error
        try:
            return json.loads(text or b"{}")
        except ValueError:
            raise Failed(f"{method} {path}: the answer is not JSON") from None

    def explain(self, method, path, error):
        try:
            text = json.loads(error.read()).get("message") or error.reason
        except (ValueError, AttributeError):
            text = error.reason
        sentence = f"{method} {path}: {error.code} {text}"
        if error.code == 429:
            wait = error.headers.get("retry-after") or ""
            self.rest(float(wait) if wait.isdigit() else PAUSE)
            raise Failed(sentence)
        # An event that is under way passes; every other 4xx stays.
        if error.code >= 500 or (error.code == 422 and "pending event" in str(text)):
            raise Failed(sentence)
        raise Refused(error.code, sentence)

    def rest(self, seconds=PAUSE):
        time.sleep(max(0.0, min(seconds, self.left())))

    # --- what the agents ask

    def droplet(self, number):
        return self.call("GET", f"/v2/droplets/{number}")["droplet"]

    def droplets(self):
        found, page = [], 1
        while True:
            answer = self.call("GET", f"/v2/droplets?per_page=200&page={page}")
            found += answer["droplets"]
            if not ((answer.get("links") or {}).get("pages") or {}).get("next"):
                return found
            page += 1

    def until_status(self, number, wanted):
        while True:
            now = self.droplet(number)["status"]
            if now == wanted:
                return
            if self.left() <= 0:
                raise Failed(f"droplet {number} is still {now}, not {wanted}")
            self.rest()

    def power(self, number, kind, wanted):
        """power_on or power_off, until the droplet's own status says so: an action that completed is not evidence."""
        while self.droplet(number)["status"] != wanted:
            try:
                self.call("POST", f"/v2/droplets/{number}/actions", {"type": kind})
            except Refused as error:
                # "already powered off": the status decides.
                if error.status != 422 or self.droplet(number)["status"] != wanted:
                    raise
            self.until_status(number, wanted)

    def reserved_holder(self, address):
        droplet = self.call("GET", f"/v2/reserved_ips/{address}")["reserved_ip"].get("droplet")
        return droplet["id"] if droplet else None

    def reserve_for(self, address, number):
        """Assign the address to the droplet, or with None to nobody, and wait until that is so."""
        body = {"type": "assign", "droplet_id": number} if number is not None else {"type": "unassign"}
        if self.reserved_holder(address) == number:
            return
        self.call("POST", f"/v2/reserved_ips/{address}/actions", body)
        while self.reserved_holder(address) != number:
            if self.left() <= 0:
                raise Failed(f"{address} was not moved in time")
            self.rest()
