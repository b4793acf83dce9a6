"""Faults of a pair, each `fault(pair, who)` to the host that trades; what it returns, if anything, puts right what was done."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

from pair import Pair, docker, until


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


def cut(pair: Pair, who: str, addresses: list[str], chains=(("INPUT", "-s"), ("OUTPUT", "-d"))):
    """No packet from `who` to these addresses or back; anything else, the exchange above all, it still reaches."""

    def rules(flag: str) -> None:
        lines = [f"iptables -w {flag} {chain} {way} {address} -j DROP" for address in addresses for chain, way in chains]
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


def partition_oneway(pair: Pair, who: str):
    """The host that trades hears the other one, which does not hear it; both hear the witness."""
    return cut(pair, who, [pair.members[pair.other(who)]], chains=(("OUTPUT", "-d"),))


def slow_network(pair: Pair, who: str):
    """What the host sends goes through a narrow line, in whose queue it waits, and one packet of thirty is lost."""
    device = pair.run(who, "ip -o route get 192.0.2.1 | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'").strip()
    # netem would do both; not every kernel that runs containers has it.
    lossy = "OUTPUT -m statistic --mode random --probability 0.033 -j DROP"
    pair.run(who, f"tc qdisc add dev {device} root tbf rate 500kbit burst 16kb latency 400ms && iptables -w -I {lossy}")
    return functools.partial(pair.run, who, f"tc qdisc del dev {device} root; iptables -w -D {lossy}", check=False)


def planned(pair: Pair, who: str):
    pair.run(who, f"crm_resource --move --resource {pair.bot} --node {pair.other(who)}")
    return functools.partial(pair.run, who, f"crm_resource --clear --resource {pair.bot}")


def reboot_both(pair: Pair, who: str) -> None:
    """Power is lost for the rack, and comes back."""
    members = [pair.container(name) for name in pair.members]
    docker("kill", *members)
    time.sleep(3)
    docker("start", *members)


def kill_during_promotion(pair: Pair, who: str):
    """Power is lost, and the promotion that follows is killed in the middle: a second fault within seconds of the first."""
    other, proof = pair.other(who), "/run/promotion-was-killed"
    # Waits inside, or it would come too late.
    hunt = 'until pkill -9 -f "^/usr/bin/python3 .*botops-rsync-ha promote"; do sleep 0.02; done; touch ' + proof
    docker("exec", "--detach", pair.container(other), "timeout", "40", "sh", "-c", hunt)
    time.sleep(0.3)
    node_kill(pair, who)
    return functools.partial(pair.run, other, f"rm {proof}")


# The log starts over again and again, some of the times between two of Litestream's looks.
RESTARTS = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
end = time.time() + 3
while time.time() < end:
    c.execute('pragma wal_checkpoint(restart)').fetchone()
    time.sleep(0.07)
"""


def wal_restart_kill(pair: Pair, who: str) -> None:
    """Power is lost while the write-ahead log starts over all the time."""
    docker("exec", "--user", f"bot-{pair.bot}", pair.container(who), "python3", "-c", RESTARTS, pair.database)
    node_kill(pair, who)


def crash_after_kill(pair: Pair, who: str) -> None:
    """Power is lost, and the survivor's bot dies as soon as it trades."""
    node_kill(pair, who)
    until(lambda: pair.active() == pair.other(who), 30, "the other host trades")
    bot_crash(pair, pair.other(who))


def witness_loss(pair: Pair, who: str):
    docker("kill", pair.container(pair.witness[0]))
    return functools.partial(docker, "start", pair.container(pair.witness[0]))


def standby_kill(pair: Pair, who: str) -> None:
    docker("kill", pair.container(pair.other(who)))


class Fault(NamedTuple):
    """`limit` is for how many seconds no order may arrive at most; `moves` whether the other host trades afterwards, None where either may."""

    do: Callable
    seconds: float  # that are looked at
    limit: float | None
    moves: bool | None
    loses: bool = False  # what was not replicated yet may be missing afterwards


FAULTS = {
    "node-kill": Fault(node_kill, 10, 6, True, loses=True),
    "node-pause": Fault(node_pause, 12, 7, True, loses=True),
    "bot-crash": Fault(bot_crash, 6, 2, False),
    "bot-hang": Fault(bot_hang, 14, 10, False),
    "planned": Fault(planned, 6, 2, True),
    "isolate": Fault(isolate, 15, None, True, loses=True),
    "partition": Fault(partition, 15, 1, False),
    "partition-oneway": Fault(partition_oneway, 15, 1, False),
    "witness-loss": Fault(witness_loss, 8, 1, False),
    "standby-kill": Fault(standby_kill, 8, 1, False),
    "slow-network": Fault(slow_network, 15, 3, False),
    "kill-during-promotion": Fault(kill_during_promotion, 15, None, True, loses=True),
    "wal-restart-kill": Fault(wal_restart_kill, 14, None, True, loses=True),
    "crash-after-kill": Fault(crash_after_kill, 15, None, True, loses=True),
    "reboot-both": Fault(reboot_both, 30, None, None),
}
