# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One private file per inventory: the normalised hosts of each part and when they were read. No secret is ever in it.

Answers belong to the account that gave them, so keys hold fingerprints of credentials. They are keyed with a random number of
the file's own and slow to make: who gets hold of the file can neither read the credentials nor guess short ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import tempfile
import time

VERSION = 2
ROUNDS = 100_000  # some 50 ms


class Cache:
    """Entries by the key of a part. A file that cannot be used is a warning, never a failed run."""

    def __init__(self, directory, inventory_path, warn, clock=time.time):
        name = hashlib.sha256(os.path.abspath(inventory_path).encode()).hexdigest()[:16]
        self.path = os.path.join(os.path.expanduser(os.path.expandvars(directory)), "fleet-%s.json" % name)
        self.warn, self.clock = warn, clock
        self.key = secrets.token_hex(16)
        self.entries = self._load()
        self._fingerprints = {}

    def fingerprint(self, secret):
        if secret not in self._fingerprints:
            digest = hashlib.pbkdf2_hmac("sha256", secret.encode(), bytes.fromhex(self.key), ROUNDS, dklen=16)
            self._fingerprints[secret] = digest.hex()
        return self._fingerprints[secret]

    def _load(self):
        try:
            with open(self.path, "rb") as handle:
                about = os.fstat(handle.fileno())
                if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    self.warn("the cache %s is ignored: others can write it" % self.path)
                    return {}
                content = json.load(handle)
            if content["version"] != VERSION:
                return {}
            entries = content["parts"]
            for entry in entries.values():
                if not isinstance(entry["at"], (int, float)) or not isinstance(entry["value"], list):
                    raise ValueError("an entry has the wrong form")
            bytes.fromhex(content["key"])
            self.key = content["key"]
            return entries
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.warn("the cache %s cannot be used and is read anew: %s" % (self.path, error))
            return {}

    def get(self, key, max_age):
        """(value, age in seconds), or (None, None). An entry from the future is as good as none."""
        entry = self.entries.get(key)
        if entry is None:
            return None, None
        age = self.clock() - entry["at"]
        if age < 0 or age > max_age:
            return None, None
        return entry["value"], age

    def put(self, key, value):
        self.entries[key] = {"at": self.clock(), "value": value}

    def save(self, keep):
        """Write the entries whose keys are in `keep`; the rest belong to sources that are no longer configured."""
        self.entries = {key: entry for key, entry in self.entries.items() if key in keep}
        directory = os.path.dirname(self.path)
        temporary = None
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".fleet-", dir=directory)  # 0600 from the start
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                # dumps runs in C where dump would not: five times as fast for thousands of hosts.
                stream.write(json.dumps({"version": VERSION, "key": self.key, "parts": self.entries}, separators=(",", ":")))
            os.replace(temporary, self.path)
        except OSError as error:
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)
            self.warn("the cache %s could not be written: %s" % (self.path, error.strerror))
