# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings in files that know no drop-in directory, as text in and text out."""

from __future__ import annotations

import re


def pattern(key):
    words = r"[ \t]+".join(re.escape(word) for word in key.split())
    return re.compile(r"^[ \t]*%s(?=[ \t=]|$).*$" % words, re.M)


def current(text, key):
    """The active line that sets `key`, the last one if there are several, or None."""
    lines = [found.group(0) for found in pattern(key).finditer(text)]
    return lines[-1] if lines else None


def with_key(text, key, line):
    """`text` with `line` as the only active one for `key`: in place of the last active one, else at the end."""
    found = list(pattern(key).finditer(text))
    if line is None:
        return re.sub(pattern(key).pattern + r"\n?", "", text, flags=re.M) if found else text
    if found:
        for other in reversed(found[:-1]):
            text = text[: other.start()] + text[other.end() + 1 :]
        last = list(pattern(key).finditer(text))[-1]
        return text[: last.start()] + line + text[last.end() :]
    return text + ("" if text.endswith("\n") or not text else "\n") + line + "\n"


def converge(text, settings, separator, remembered):
    """(new text, what to remember). `remembered` holds the line that each key had before it was first set, None for no line."""
    remembered = dict(remembered)
    for key, value in settings.items():
        line = "%s%s%s" % (key, separator, value)
        now = current(text, key)
        if now is not None and re.split(r"[\s=]+", now.strip()) == re.split(r"[\s=]+", line):
            if len(pattern(key).findall(text)) == 1:
                continue
        remembered.setdefault(key, now)
        text = with_key(text, key, line)
    for key in [key for key in remembered if key not in settings]:
        text = with_key(text, key, remembered.pop(key))
    return text, remembered
