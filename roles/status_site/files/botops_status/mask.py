"""What this host knows to be secret, and addresses that the reader need not see, are in nothing that is written."""

from __future__ import annotations

import contextlib
import json
import re

from botops_status import common, redaction

ENVIRONMENTS = ("etc/bot-*/secrets.env", "etc/bot-*/compose.env")
FILES = ("etc/bot-*/credentials/*", "etc/botops/*/credentials/*")
OBJECTS = ("etc/botops/*/secrets.json", "etc/botops/notify/destinations.json", "etc/botops/status_site/peers.json")
SHORTEST = 6
NAMES = r"api[_-]?key|secret|token|passw(?:or)?d|passphrase|authorization|private[_-]?key"
# What looks like one, whoever wrote it.
SHAPES = [
    (re.compile(r"(?i)\b((?:%s)[\"']?\s*[:=]\s*(?:bearer\s+)?[\"']?)([^\s\"',;&]{4,})" % NAMES), r"\1[secret]"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), r"\1[secret]"),
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^/\s@]*@"), r"\1[secret]@"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "[secret]"),
]
ADDRESS_4 = re.compile(r"(?<![\w.])(?!127\.)(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
ADDRESS_6 = re.compile(r"(?<![\w:.])(?=[0-9a-fA-F:]*:[0-9a-fA-F:]*:)(?!::1\b)(?:[0-9a-fA-F]{1,4}|:)(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
# Four numbers with dots between them are no address there.
VERSIONS = ("version", "kernel", "os", "release")
CLOCK = re.compile(r"^\d{1,2}:\d\d:\d\d$")


def known() -> list[str]:
    """Every secret that is kept on this host for bots and for this collection."""
    found: list[str] = []

    def texts(patterns):
        for pattern in patterns:
            for path in sorted(common.ROOT.glob(pattern)):
                with contextlib.suppress(OSError):
                    if path.is_file() and path.stat().st_size < 65536:
                        yield path.read_text(errors="replace")

    for text in texts(ENVIRONMENTS):
        found += redaction.read_environment(text).values()
    found += texts(FILES)
    for text in texts(OBJECTS):
        with contextlib.suppress(ValueError):
            found += leaves(json.loads(text))
    return [value for value in found if len(value.strip()) >= SHORTEST]


def leaves(value: object) -> list[str]:
    """Every text in an object; of peers only what is a secret of theirs, since their names are on the pages."""
    if isinstance(value, dict):
        return [leaf for key, each in value.items() if key not in ("name", "url", "user", "authority") for leaf in leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value] if isinstance(value, str) else []


def text(value: str, secrets: list[str], addresses: bool) -> str:
    """One text without secrets. addresses: whether it may keep those of hosts; loopback stays anyway."""
    value = redaction.scrub(value, secrets)
    for shape, instead in SHAPES:
        value = shape.sub(instead, value)
    if not addresses:
        value = ADDRESS_4.sub("[address]", value)
        value = ADDRESS_6.sub(lambda match: match[0] if CLOCK.match(match[0]) else "[address]", value)
    return value


def whole(value: object, secrets: list[str], addresses: bool) -> object:
    """The same object, with every text in it as `text` leaves it. Keys are names of ours, or of bots, databases and hosts."""
    if isinstance(value, dict):
        return {key: whole(each, secrets, addresses or key in VERSIONS) for key, each in value.items()}
    if isinstance(value, list):
        return [whole(each, secrets, addresses) for each in value]
    return text(value, secrets, addresses) if isinstance(value, str) else value
