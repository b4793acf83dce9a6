# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every source shares."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.gather import Part


class Context:
    """What sources need from the plugin."""

    def __init__(self, base_dir="", tag_keys=None, cache=None, workers=16):
        self.base_dir, self.tag_keys, self.cache, self.workers = base_dir, tag_keys or {}, cache, workers

    def fingerprint(self, secret):
        """What stands for a secret in a key of the cache. Without a cache nothing is kept, and nothing has to be told apart."""
        return self.cache.fingerprint(secret) if self.cache else None


class Source:
    TYPE = ""
    SPEC = {}
    RULES = {}
    # Options that decide what is asked. They and whose account it is make the cache's key; of a secret, only its fingerprint.
    IDENTITY = ("tags", "states", "regions")

    @staticmethod
    def check(options):
        """Sentences about options whose types are right and whose values are not."""
        return []

    def __init__(self, options, context):
        self.options, self.context = options, context
        self.name = options["name"]

    def discovery(self):
        """Parts whose values `parts` needs first, such as the list of regions."""
        return []

    def parts(self, discovered):
        raise NotImplementedError

    def part(self, what, fetch, *identity, **kwargs):
        about = [self.TYPE, self.name, what, self.context.tag_keys, [self.options.get(key) for key in self.IDENTITY], list(identity)]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]
        label = "%s source %s%s" % (self.TYPE, self.name, ", " + what if what else "")
        return Part("%s/%s/%s" % (self.name, what, digest), label, fetch, on_error=self.options["on_error"], **kwargs)
