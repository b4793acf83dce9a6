# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role's program of several Python modules, as file_set wants it."""

from __future__ import annotations

HOME = "/usr/local/lib/botops"


def files(names, texts, program):
    """The modules `names` with their `texts` as files of C(/usr/local/lib/botops/PROGRAM); their braces are no templates."""
    return [
        {"path": "%s/%s/%s.py" % (HOME, program, name), "mode": "0644", "content": text.rstrip("\n") + "\n"} for name, text in zip(names, texts)
    ]
