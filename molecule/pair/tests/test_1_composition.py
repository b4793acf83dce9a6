"""The pair as site.yml made it. The tests build on each other: they run in the order in which they stand here."""

from __future__ import annotations

import time
import urllib.request


def test_the_bot_trades_on_one_member_behind_the_floating_address(pair):
    active = pair.settle()
    assert [name for name in pair.members if pair.trading(name)] == [active]
    with urllib.request.urlopen(f"http://{pair.address}/health", timeout=5) as answer:
        assert answer.status == 200 and f'"host": "{active}"' in answer.read().decode()
    assert {order["host"] for order in pair.exchange.orders()} <= set(pair.members)


def test_site_again_changes_nothing_and_moves_nothing(pair, operator):
    active, (sequence, _) = pair.settle(), pair.exchange.last()
    began = time.monotonic()
    done = operator.play("site.yml")
    print(f"\nsite.yml again: {time.monotonic() - began:.1f} s")
    changed = operator.changed(done.stdout)
    assert set(changed) == {"pair-alpha", "pair-beta", "pair-witness", "pair-exchange"} and not any(changed.values()), done.stdout[-6000:]
    orders = pair.exchange.orders(sequence)
    assert {order["host"] for order in orders} == {active}
    stamps = [order["monotonic_ns"] for order in orders]
    assert max(after - before for before, after in zip(stamps, stamps[1:])) < 2e9, "trading stood still while nothing changed"


def test_every_member_and_the_witness_let_in_what_the_pair_needs(pair):
    for name, address in pair.members.items():
        rules = pair.run(name, "ufw status")
        other = pair.members[pair.other(name)]
        assert any("5404:5412/udp" in line and other in line for line in rules.splitlines()), rules
        assert any(line.startswith("22/tcp ") and "ALLOW" in line and other in line for line in rules.splitlines()), rules
        assert other in pair.run(name, "cat /etc/fail2ban/jail.d/60-botops.conf")
        assert f"5403/tcp                   ALLOW       {address}" in pair.run(pair.witness[0], "ufw status")
