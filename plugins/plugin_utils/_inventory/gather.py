# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks all parts of all sources at once, through the cache, and applies each source's failure policy."""

from __future__ import annotations

import concurrent.futures

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError

POLICIES = ("fail", "warn", "stale")


class Part:
    """What is asked, cached and may fail as one: an account, or one region of it.

    `fetch` returns a list that JSON can hold. A part is never half: if a page is lost, all of it has failed.
    """

    def __init__(self, key, label, fetch, on_error="fail", cacheable=True):
        self.key, self.label, self.fetch, self.on_error, self.cacheable = key, label, fetch, on_error, cacheable


class Gatherer:
    def __init__(self, cache, warn, max_age=0, stale_age=0, workers=16, read_cache=True):
        self.cache, self.warn = cache, warn
        self.max_age, self.stale_age, self.workers, self.read_cache = max_age, stale_age, workers, read_cache
        self.keys = set()
        self.fetched = False

    def run(self, parts):
        """[value or None for each part]. None means that the part failed and its policy is to go on without it."""
        self.keys.update(part.key for part in parts if part.cacheable)
        values = [None] * len(parts)
        asked = []
        for index, part in enumerate(parts):
            if self.cache and self.read_cache and part.cacheable:
                values[index] = self.cache.get(part.key, self.max_age)[0]
            if values[index] is None:
                asked.append(index)
        failures = []
        for index, outcome in zip(asked, self._ask([parts[index] for index in asked]), strict=True):
            part = parts[index]
            if isinstance(outcome, InventoryError):
                sentence = "%s: %s" % (part.label, outcome)
                if part.on_error == "fail":
                    failures.append(sentence)
                else:
                    values[index] = self._without(part, sentence, failures)
                continue
            values[index] = outcome
            if self.cache and part.cacheable:
                self.cache.put(part.key, outcome)
                self.fetched = True
        if failures:
            self.finish()  # what the others said is still worth keeping
            raise InventoryError("\n".join(failures))
        return values

    def _ask(self, parts):
        def one(part):
            try:
                return part.fetch()
            except InventoryError as error:
                return error

        if len(parts) < 2:
            return [one(part) for part in parts]
        with concurrent.futures.ThreadPoolExecutor(max_workers=min(self.workers, len(parts))) as pool:
            return list(pool.map(one, parts))

    def _without(self, part, sentence, failures):
        if part.on_error == "warn":
            self.warn("%s (its hosts are MISSING from this run: on_error is warn)" % sentence)
            return None
        value, age = self.cache.get(part.key, self.max_age + self.stale_age) if self.cache else (None, None)
        if value is None:
            failures.append("%s (and there is no cached answer that is young enough)" % sentence)
            return None
        self.warn("%s (using the answer of %d minutes ago: on_error is stale)" % (sentence, age // 60))
        return value

    def finish(self):
        if self.cache and self.fetched:
            # Parts that were not asked this time may be of a discovery that failed: their answers stay until they age out.
            young = {key for key in self.cache.entries if self.cache.get(key, self.max_age + self.stale_age)[0] is not None}
            self.cache.save(self.keys | young)
            self.fetched = False
