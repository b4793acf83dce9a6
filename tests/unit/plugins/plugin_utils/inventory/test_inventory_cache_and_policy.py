"""The cache file and what it is for: no calls when warm, a fallback when a source fails, and no trust in bad files."""

import json
import os
import pathlib

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory import cache as cache_module
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.cache import Cache
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.gather import Gatherer, Part


class Setting:
    def __init__(self, directory):
        self.directory, self.now, self.warnings, self.calls = directory, 1_000_000.0, [], []

    def cache(self):
        return Cache(str(self.directory), "/inv/fleet.yml", self.warnings.append, clock=lambda: self.now)

    def part(self, key, answer, on_error="fail", **more):
        def fetch():
            self.calls.append(key)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return Part(key, "part " + key, fetch, on_error=on_error, **more)

    def run(self, *parts, cache=True, read=True, max_age=300, stale_age=3600):
        gatherer = Gatherer(
            self.cache() if cache else None, self.warnings.append, max_age=max_age, stale_age=stale_age, read_cache=read
        )
        values = gatherer.run(list(parts))
        gatherer.finish()
        return values


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path / "cache")


BROKEN = InventoryError("it broke")


def test_warm_makes_no_call_and_the_file_is_private(setting):
    assert setting.run(setting.part("a", [1]), setting.part("b", [2])) == [[1], [2]]
    path = setting.cache().path
    assert oct(os.stat(path).st_mode & 0o777) == "0o600" and oct(os.stat(os.path.dirname(path)).st_mode & 0o777) == "0o700"
    setting.calls.clear()
    assert setting.run(setting.part("a", BROKEN), setting.part("b", BROKEN)) == [[1], [2]]
    assert setting.calls == [] and setting.warnings == []


def test_fingerprints_stay_with_the_file_and_cannot_be_compared_with_another(setting, tmp_path):
    cache = setting.cache()
    mark = cache.fingerprint("a-token")
    assert mark != cache.fingerprint("b-token") and "token" not in mark
    cache.put(mark, [1])
    cache.save([mark])
    assert setting.cache().fingerprint("a-token") == mark
    assert Cache(str(tmp_path / "other"), "/inv/fleet.yml", setting.warnings.append).fingerprint("a-token") != mark
    # Short secrets cannot be guessed cheaply either: a look costs as many rounds as are worth the name.
    assert cache_module.ROUNDS >= 100_000


def test_an_answer_that_is_too_old_is_asked_for_again(setting):
    setting.run(setting.part("a", [1]))
    setting.now += 301
    assert setting.run(setting.part("a", [2])) == [[2]]


def test_flushing_reads_anew_and_still_writes(setting):
    setting.run(setting.part("a", [1]))
    assert setting.run(setting.part("a", [2]), read=False) == [[2]]
    assert setting.run(setting.part("a", BROKEN)) == [[2]]


def test_a_clock_that_went_back_does_not_make_answers_fresh_for_ever(setting):
    setting.run(setting.part("a", [1]))
    setting.now -= 10
    assert setting.run(setting.part("a", [2])) == [[2]]


def test_fail_tells_every_failure_and_keeps_what_worked(setting):
    with pytest.raises(InventoryError, match="part a: it broke\npart c: it broke"):
        setting.run(setting.part("a", BROKEN), setting.part("b", [2]), setting.part("c", BROKEN))
    assert setting.run(setting.part("b", BROKEN)) == [[2]]


def test_warn_goes_on_without_and_says_so(setting):
    assert setting.run(setting.part("a", BROKEN, "warn"), setting.part("b", [2]), cache=False) == [None, [2]]
    assert setting.warnings == ["part a: it broke (its hosts are MISSING from this run: on_error is warn)"]


def test_a_part_that_failed_is_not_cached_as_empty(setting):
    setting.run(setting.part("a", BROKEN, "warn"), setting.part("b", [2]))
    assert setting.run(setting.part("a", [1], "warn"), setting.part("b", BROKEN)) == [[1], [2]]


def test_stale_uses_the_last_answer_while_it_is_young_enough(setting):
    setting.run(setting.part("a", [1], "stale"))
    setting.now += 1200
    assert setting.run(setting.part("a", BROKEN, "stale")) == [[1]]
    assert setting.warnings == ["part a: it broke (using the answer of 20 minutes ago: on_error is stale)"]
    setting.now += 3600
    with pytest.raises(InventoryError, match="no cached answer that is young enough"):
        setting.run(setting.part("a", BROKEN, "stale"))


def test_stale_survives_a_flush_of_the_cache(setting):
    setting.run(setting.part("a", [1], "stale"))
    assert setting.run(setting.part("a", BROKEN, "stale"), read=False) == [[1]]


def test_answers_of_sources_that_are_gone_leave_the_file_when_they_are_old(setting):
    setting.run(setting.part("old", [1]))
    setting.now += 4000
    setting.run(setting.part("new", [2]))
    assert list(json.loads(pathlib.Path(setting.cache().path).read_text())["parts"]) == ["new"]


def test_what_is_written_down_is_never_cached(setting):
    setting.run(setting.part("secret", [{"vars": {"x": "y"}}], cacheable=False), setting.part("a", [1]))
    assert "secret" not in pathlib.Path(setting.cache().path).read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 2, "parts": {"a": 5}}', b'{"version": 2, "parts": {"a": {"at": "x", "value": []}}}',
     b'{"version": 2, "parts": []}', b'{"version": 2, "parts": {}}', b'{"version": 2, "parts": {}, "key": "no number"}', b"\xff\xfe\x00"],
)
def test_a_broken_file_is_a_warning(setting, content):
    setting.run(setting.part("a", [1]))
    path = setting.cache().path
    with open(path, "wb") as handle:
        handle.write(content)
    assert setting.run(setting.part("a", [2])) == [[2]]
    assert len(setting.warnings) >= 1 and "cannot be used and is read anew" in setting.warnings[0]
    assert setting.run(setting.part("a", BROKEN)) == [[2]]


def test_another_version_is_silently_replaced(setting):
    setting.run(setting.part("a", [1]))
    with open(setting.cache().path, "w") as handle:
        json.dump({"version": 99, "parts": {"a": {"at": setting.now, "value": [9]}}}, handle)
    assert setting.run(setting.part("a", [2])) == [[2]] and setting.warnings == []


def test_a_file_that_others_can_write_is_not_believed(setting):
    setting.run(setting.part("a", [1]))
    os.chmod(setting.cache().path, 0o666)
    setting.warnings.clear()
    assert setting.run(setting.part("a", [2])) == [[2]]
    assert "others can write it" in setting.warnings[0]


def test_a_directory_that_cannot_be_made_is_a_warning(setting):
    setting.directory.write_text("a file where the directory should be")
    assert setting.run(setting.part("a", [1])) == [[1]]
    assert any("could not be written" in sentence for sentence in setting.warnings)
