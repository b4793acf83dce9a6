"""Whatever fails, one host trades again in seconds, and never two. Judged by the exchange's record."""

from __future__ import annotations

import chaos
import faults
import pytest

from conftest import without_an_order


@pytest.mark.parametrize(("name", "limit"), [
    ("bot-crash", 5), ("bot-hang", 15), ("witness-loss", 2), ("partition", 3), ("standby-kill", 2), ("node-kill", 12), ("node-pause", 14), ("isolate", 20),
])
def test_whatever_fails_one_host_trades_again_in_seconds(pair, name, limit):
    found = pair.measure(faults.FAULTS[name].do, faults.FAULTS[name].seconds)
    print(f"\n{name}: {found}")
    assert chaos.complaints(name, found, pair.other(found["active"])) == []
    without_an_order(found, limit)
