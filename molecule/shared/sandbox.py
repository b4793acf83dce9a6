"""How exposed units are, by systemd's own measure: 0 is shut off, 10 is no sandbox at all."""

from __future__ import annotations

import re

MOST = 4.0


def assert_sandboxed(run, units, most=MOST):
    """`run` takes a command line and returns what it printed."""
    found = {}
    for unit in units:
        found[unit] = float(re.search(r"exposure level for .*: ([0-9.]+)", run(f"systemd-analyze security --no-pager {unit}"))[1])
    print(", ".join(f"{unit}: exposure {score}" for unit, score in found.items()))
    assert {unit: score for unit, score in found.items() if score > most} == {}, f"more than {most}"
