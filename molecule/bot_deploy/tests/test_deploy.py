"""Orders that are not placed while a release is exchanged, counted at the exchange."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bot_app/tests"))

from botlib import enough, last_order, longest_gap, p95, placed, wait_for  # noqa: E402


def test_a_deployment_costs_less_than_a_second_of_orders(deploy, everywhere):
    gaps = []
    # v1 is there: each of these exchanges a release.
    for version in ("v2", "v1") * 2:
        since = [last_order(host) for host in everywhere]
        run = deploy("gitbot", version=version)
        assert run.code == 0 and run.changed() == len(everywhere), run.text
        for host, first in zip(everywhere, since):
            wait_for("orders", lambda host=host, first=first: longest_gap(host, "gitbot", first)[1] > 100)
            gaps.append(longest_gap(host, "gitbot", first)[0])
    print(f"seconds without an order at 50 a second, {len(gaps)} deployments: p95 {p95(gaps):.2f}, all {sorted(round(gap, 2) for gap in gaps)}")
    enough(min(placed(host, "gitbot")[0] for host in everywhere))
    assert p95(gaps) <= 1.0
