"""How verify.yml prints what host_checks saw."""

from ansible_collections.botops.fleet.plugins.filter import checks


def test_a_line_names_what_was_expected_only_when_it_fails():
    result = {"title": "T", "actual": "a", "expected": "e"}
    assert checks.check_line({**result, "passed": True}) == "ok    T: a"
    assert checks.check_line({**result, "passed": False}) == "FAIL  T: a (expected e)"
