"""What this host knows to be secret is in no message."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re

from notify import common, redaction

ROOT = pathlib.Path("/")
# Of bots, and of everything that keeps its secrets as JSON or in files of their own.
ENVIRONMENTS = ("etc/bot-*/secrets.env", "etc/bot-*/compose.env")
FILES = ("etc/bot-*/credentials/*", "etc/botops/*/credentials/*")
OBJECTS = ("etc/botops/*/secrets.json", "etc/botops/notify/destinations.json")
SHORTEST = 6
NAMES = r"api[_-]?key|secret|token|passw(?:or)?d|passphrase|authorization|private[_-]?key"
# What looks like one, whoever wrote it.
SHAPES = [
    (re.compile(r"(?i)\b((?:%s)[\"']?\s*[:=]\s*(?:bearer\s+)?[\"']?)([^\s\"',;&]{4,})" % NAMES), r"\1[secret]"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), r"\1[secret]"),
    (re.compile(r"\b([a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+@"), r"\1[secret]@"),
    (re.compile(r"(/api/webhooks/)\S+"), r"\1[secret]"),
    (re.compile(r"(/bot)\d+:[\w-]+"), r"\1[secret]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "[secret]"),
]


def leaves(value) -> list[str]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value] if isinstance(value, str) else []


def parts(value: str) -> list[str]:
    """Of an address its parts as well: one of them is the token. A name that is looked up is none, nor is this host's."""
    if "://" not in value:
        return [value]
    own = common.config()["host"]
    found = [part for part in re.split(r"[/@?&=]", value.partition("://")[2]) if len(part) >= 10 and part != own]
    return [value, *(part for part in found if not re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", part))]


def known() -> list[str]:
    """Every secret that this process may read."""
    found: list[str] = []

    def read(patterns):
        for pattern in patterns:
            for path in sorted(ROOT.glob(pattern)):
                with contextlib.suppress(OSError):
                    if path.is_file() and path.stat().st_size < 65536:
                        yield path.read_text(errors="replace")

    for text in read(ENVIRONMENTS):
        found += redaction.read_environment(text).values()
    found += read(FILES)
    for text in read(OBJECTS):
        with contextlib.suppress(ValueError):
            for leaf in leaves(json.loads(text)):
                found += parts(leaf)
    return [value for value in found if len(value.strip()) >= SHORTEST]


def mask(text: str) -> str:
    text = redaction.scrub(text, known())
    for shape, instead in SHAPES:
        text = shape.sub(instead, text)
    return text
