"""The last known state of other hosts, fetched from their own sites over HTTPS."""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.request

from botops_status import common

SECONDS = 5
MOST = 4 << 20


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A password goes to the address that was written down, and to no other."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


def fetch(peer: dict) -> dict:
    """peer: name, url, user, password, authority (PEM, or empty for what the system trusts). Its state; raises OSError or ValueError."""
    context = ssl.create_default_context(cadata=peer["authority"] or None)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), NoRedirect())
    request = urllib.request.Request(peer["url"].rstrip("/") + "/state.json")
    if peer["user"]:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{peer['user']}:{peer['password']}".encode()).decode())
    with opener.open(request, timeout=SECONDS) as answer:
        value = json.loads(answer.read(MOST))
    if not isinstance(value, dict) or value.get("source") != "botops-status":
        raise ValueError("its answer is no state of botops-status")
    return brief(value)


def brief(value: dict) -> dict:
    """What the overview tells of it, with the types that it needs."""
    verdict = value.get("verdict")
    return {
        "epoch": float(value["epoch"]),
        "verdict": verdict if verdict in ("ok", "warning", "failed") else "failed",
        "line": str(value.get("line", ""))[:300],
    }


def heard(peers: list[dict]) -> dict[str, dict]:
    """{name: {state, error}}. What a host said last is kept while it does not answer."""
    found = {}
    for peer in peers:
        path = common.at(f"{common.STATE}/peers/{peer['name']}.json")
        entry = {"state": common.read_json(path).get("state"), "error": ""}
        try:
            entry["state"] = fetch(peer)
        except urllib.error.HTTPError as error:
            entry["error"] = f"status {error.code}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            entry["error"] = re.sub(r"\s+", " ", str(getattr(error, "reason", error)) or type(error).__name__)[:200]
        common.write(path, json.dumps(entry), 0o600)
        found[peer["name"]] = entry
    return found
