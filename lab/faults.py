"""Faults of a pair, each `fault(pair, who)` to the host that trades; what it returns, if anything, puts right what was done."""

from __future__ import annotations

import functools

from pair import Pair, docker


def node_kill(pair: Pair, who: str) -> None:
    """Power is lost. The cluster finds the host off and switches it on again."""
    docker("kill", pair.container(who))


def node_pause(pair: Pair, who: str) -> None:
    """The host hangs and would go on where it stopped. Fencing has to be quicker than its return."""
    docker("pause", pair.container(who))


def bot_crash(pair: Pair, who: str) -> None:
    pair.run(who, f"kill -9 $(systemctl show -p MainPID --value bot-{pair.bot})")


def bot_hang(pair: Pair, who: str) -> None:
    pair.run(who, f"kill -STOP $(systemctl show -p MainPID --value bot-{pair.bot})")


def cut(pair: Pair, who: str, addresses: list[str]):
    """No packet from `who` to these addresses or back; anything else, the exchange above all, it still reaches."""

    def rules(flag: str) -> None:
        lines = [f"iptables -w {flag} {chain} {way} {address} -j DROP" for address in addresses for chain, way in (("INPUT", "-s"), ("OUTPUT", "-d"))]
        # A host that was fenced meanwhile has booted without the rules.
        pair.run(who, "; ".join(lines), check=flag == "-I")

    rules("-I")
    return functools.partial(rules, "-D")


def isolate(pair: Pair, who: str):
    """The host that trades hears neither the other member nor the witness, and still reaches the exchange."""
    return cut(pair, who, [pair.members[pair.other(who)], pair.witness[1]])


def partition(pair: Pair, who: str):
    """The members lose each other; both still hear the witness. Nobody has a reason to stop trading."""
    return cut(pair, who, [pair.members[pair.other(who)]])


def witness_loss(pair: Pair, who: str):
    docker("kill", pair.container(pair.witness[0]))
    return functools.partial(docker, "start", pair.container(pair.witness[0]))


def standby_kill(pair: Pair, who: str) -> None:
    docker("kill", pair.container(pair.other(who)))


# name: (the fault, seconds that are looked at, seconds without an order at most, whether the other host trades afterwards).
FAULTS = {
    "node-kill": (node_kill, 10, 6, True),
    "node-pause": (node_pause, 12, 7, True),
    "bot-crash": (bot_crash, 6, 2, False),
    "bot-hang": (bot_hang, 14, 10, False),
    "isolate": (isolate, 15, None, True),
    "partition": (partition, 15, 1, False),
    "witness-loss": (witness_loss, 8, 1, False),
    "standby-kill": (standby_kill, 8, 1, False),
}
