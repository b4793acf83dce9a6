# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secret values are taken out of what a program wrote about itself. Pure."""

from __future__ import annotations

import json
import re

SHORTEST_VALUE = 4
# Part of a longer secret, and common in other text: `{` of a key in JSON, or a PEM's last few characters.
SHORTEST_LINE = 8
MARK = "[secret]"
ASSIGNMENT = re.compile(r'^(\w+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)


def read_environment(text):
    """The values of an EnvironmentFile in the form that `spec.quote_environment` writes; a value may have several lines."""
    return {key: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) for key, value in ASSIGNMENT.findall(text)}


def scrub(text, secrets):
    """`text` without the secrets, whole, as Python or JSON would escape them, and line by line.

    A journal breaks a value into lines and a failure message shows only the last ones, so each line of a value is a secret of
    its own. A short one is hidden only where it is all of a line.
    """
    spans = sorted(match.span(1) for pattern in _patterns(secrets) for match in pattern.finditer(text))
    out, end = [], 0
    for start, stop in spans:
        if start > end or not out:
            out += [text[end:start], MARK]
        end = max(end, stop)
    return "".join(out) + text[end:]


def _patterns(secrets):
    anywhere, whole_lines = set(), set()
    for value in secrets:
        if len(value.strip()) < SHORTEST_VALUE:
            continue
        lines = re.split(r"\r\n|\r|\n", value.strip())
        for ending in ("\n", "\r\n") if len(lines) > 1 else ("",):
            anywhere.update(_forms(ending.join(lines)))
        for line in (line.strip() for line in lines if line.strip() and len(lines) > 1):
            (anywhere if len(line) >= SHORTEST_LINE else whole_lines).update(_forms(line))
    # Looked ahead for, so that one that begins inside another is found as well.
    found = [re.compile("(?=(%s))" % re.escape(needle)) for needle in anywhere]
    return found + [re.compile(r"^(?=([ \t]*%s[ \t]*)\r?$)" % re.escape(needle), re.MULTILINE) for needle in whole_lines]


def _forms(value):
    return value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]
