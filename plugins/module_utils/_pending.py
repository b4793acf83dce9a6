# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A durable note of what was changed and not yet taken over by its service.

A run may end anywhere: killed, connection lost, a later task failed. Files then match at the next run, and nothing in them tells
that a service still works with the old ones. Whoever changes files writes them down here first; whoever made the service take
them over crosses them out last.
"""

from __future__ import annotations

import json
import os

HOME = "/var/lib/botops/pending"


class Note:
    """The note of one role; without a name it remembers nothing."""

    def __init__(self, name, home=None):
        self.path = os.path.join(home or HOME, "%s.json" % name) if name else None
        self.paths = self._read()

    def _read(self):
        if not self.path or not os.path.exists(self.path):
            return []
        try:
            with open(self.path, encoding="utf-8") as handle:
                return list(json.load(handle)["paths"])
        except (ValueError, KeyError, TypeError):
            # Torn by a crash of the machine: something was changed, and what, is no longer known.
            return ["/"]

    def add(self, *paths):
        """On disk when this returns."""
        self.write(self.paths + [path for path in paths if path not in self.paths])

    def write(self, paths):
        if not self.path or paths == self.paths:
            return
        self.paths = list(paths)
        if not paths:
            os.unlink(self.path)
            return
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        temporary = self.path + ".new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
            json.dump({"paths": self.paths}, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, self.path)

    def clear(self):
        self.write([])
