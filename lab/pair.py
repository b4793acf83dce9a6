"""A pair of local hosts under faults: what is done to it, and what the exchange's own record and probes from outside say of it.

Nobody asks the cluster whether a takeover went well. For the Molecule scenario `pair` and for `make chaos`.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request

# All that the bot's database says, read where it is written.
AUDIT = """
import json, sqlite3, sys
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True, timeout=10)
print(json.dumps({
    "integrity": db.execute("pragma integrity_check").fetchone()[0],
    "known": [row[0] for row in db.execute("select client_order_id from orders")],
}))
"""


class Timeout(AssertionError):
    """Something did not come true in time; the text says what."""


def until(condition, seconds: float, what: str) -> float:
    """Seconds until the condition held."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.1)
    raise Timeout(f"not within {seconds} s: {what}")


def docker(*argv: str, check: bool = True, timeout: float = 60, **more) -> subprocess.CompletedProcess:
    return subprocess.run(["docker", *argv], text=True, capture_output=True, check=check, timeout=timeout, **more)


# --- the record ---------------------------------------------------------------------------------------------


class Exchange:
    """The exchange's book. Its monotonic clock is this machine's, so that a fault's moment compares with an order's."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def all(self, path: str, since: int, key: str) -> list[dict]:
        found, name = [], path.strip("/")
        while True:
            page = self.get(f"{path}?since={since}")[name]
            found += page
            if len(page) < 1000:
                return found
            since = page[-1][key]

    def orders(self, since: int = 0) -> list[dict]:
        return self.all("/orders", since, "seq")

    def refused(self, since: int = 0) -> list[dict]:
        return self.all("/refused", since, "id")

    def last(self) -> tuple[int, int]:
        """(sequence number of the last order, number of the last refusal)."""
        stats = self.get("/stats")
        return max((host.get("last_seq") or 0 for host in stats["hosts"].values()), default=0), stats["refused"]


def longest_gap(orders: list[dict], fault_ns: int, ended_ns: int) -> tuple[int, int, int]:
    """How long no order was accepted, and from when to when, in ns.

    Between the last order before the fault, or any later one, and the one after it; an outage that lasts until the end counts up to it.
    """
    stamps = [each["monotonic_ns"] for each in orders] + [ended_ns]
    return max(((after - before, before, after) for before, after in zip(stamps, stamps[1:]) if after > fault_ns), default=(0, 0, 0))


def judge(orders: list[dict], refused: list[dict], fault_ns: int, ended_ns: int) -> dict:
    """What the record says of one fault: `orders` and `refused` since shortly before it, in the exchange's order.

    A host that sends anything, even a repeated order that is refused, after another one began to is active twice. `replay_s` is the part of the gap in which
    the new host sent what the exchange had already.
    """
    attempts = sorted(orders + refused, key=lambda each: each["monotonic_ns"])
    gap, from_ns, to_ns = longest_gap(orders, fault_ns, ended_ns)
    hosts, double = [], 0
    for index, each in enumerate(attempts):
        if not hosts or each["host"] != hosts[-1]:
            hosts.append(each["host"])
            if len(hosts) > 1:
                back = [other for other in attempts[index:] if other["host"] == hosts[-2]]
                double = max(double, (back[-1]["monotonic_ns"] - each["monotonic_ns"] if back else 0))
    ids = [each["client_order_id"] for each in orders]
    replayed = [each["monotonic_ns"] for each in refused if from_ns <= each["monotonic_ns"] <= to_ns]
    return {
        "gap_s": round(gap / 1e9, 2),
        "replay_s": round((to_ns - min(replayed)) / 1e9, 2) if replayed else 0,
        "hosts": hosts,
        "double_active_ms": round(double / 1e6, 1),
        "duplicate_orders_accepted": len(ids) - len(set(ids)),
        "duplicates_refused": len(refused),
    }


# --- the hosts ----------------------------------------------------------------------------------------------


class Pair:
    """Two members, their witness, and the exchange that their bot trades on. Faults come from the container engine."""

    def __init__(self, group: str, members: dict[str, str], witness: tuple[str, str], exchange: str, bot: str, database: str, address: str = "") -> None:
        self.group, self.members, self.witness, self.bot = group, members, witness, bot
        self.exchange, self.database, self.address = Exchange(exchange), database, address
        # Of the last fault, for a picture: orders, refused, fault_ns, ended_ns.
        self.record: dict = {}

    def container(self, name: str) -> str:
        return f"botops-{self.group}-{name}"

    def run(self, name: str, script: str, check: bool = True, timeout: float = 60) -> str:
        """Inside the container: works whatever state its network or sshd is in."""
        return docker("exec", self.container(name), "sh", "-c", script, check=check, timeout=timeout).stdout

    def state(self, name: str) -> str:
        return docker("inspect", "-f", "{{.State.Status}}", self.container(name)).stdout.strip()

    def other(self, name: str) -> str:
        return next(member for member in self.members if member != name)

    def trading(self, name: str) -> bool:
        """Asked of the processes, not of the cluster."""
        if self.state(name) != "running":
            return False
        return self.run(name, f"pgrep -u bot-{self.bot} -f '[m]arket|paper_bot' || true").strip() != ""

    def active(self) -> str:
        """By the exchange: who sent the last order."""
        orders = self.exchange.orders(max(0, self.exchange.last()[0] - 1))
        return orders[-1]["host"] if orders else ""

    # --- whole again

    def complaint(self) -> str:
        """What is not as it should be, or nothing: members online, bot started, the other one restores what arrives, the witness votes."""
        for name in self.members:
            if self.state(name) != "running":
                return f"{name} is off"
            seen = self.run(name, "timeout 10 crm_mon -1 --output-as=xml 2>/dev/null", check=False)
            for each in self.members:
                if not re.search(rf'<node name="{each}"[^>]* online="true" standby="false"[^>]* pending="false"', seen):
                    return f"{each} is not online as {name} sees it"
            if not re.search(rf'<resource id="{self.bot}-bot"[^>]*role="Started"[^>]*active="true"', seen):
                return f"{self.bot}-bot is not started as {name} sees it"
            if not re.search(r"^\s+0\s+1\b.*Qdevice", self.run(name, "corosync-quorumtool -s", check=False), re.MULTILINE):
                return f"the witness does not vote on {name}"
        before = self.exchange.last()[0]
        who = self.active()
        if who not in self.members:
            return "nobody has traded"
        standby = json.loads(self.run(self.other(who), f"botops-rsync-ha status {self.bot} --json", check=False) or "[{}]")[0]
        restorable = (standby.get("restorable") or {}).get("databases") or {}
        if not restorable or any(each["reason"] or each["lag_seconds"] > 30 for each in restorable.values()):
            return f"what arrives on {self.other(who)} does not restore yet: {restorable}"
        time.sleep(0.3)
        return "" if self.exchange.last()[0] > before else "no orders arrive"

    def settle(self, seconds: float = 120) -> str:
        """Waits until the pair is whole, and returns who trades."""
        deadline = time.monotonic() + seconds
        while why := self.complaint():
            if time.monotonic() > deadline:
                raise Timeout(f"the pair is not whole after {seconds} s: {why}")
            time.sleep(0.5)
        return self.active()

    # --- what the bot believes, against the book

    def audit(self) -> dict:
        """Every order that the exchange accepted is in the active host's database, whose integrity is checked."""
        # The book first: what is accepted after this moment may be younger than the answer of the database.
        book = {each["client_order_id"] for each in self.exchange.orders()}
        time.sleep(0.5)
        done = docker("exec", "-i", self.container(self.active()), "python3", "-", self.database, input=AUDIT)
        found = json.loads(done.stdout)
        return {"integrity": found["integrity"], "missing": len(book - set(found["known"]))}

    # --- a fault and what came of it

    def measure(self, fault, seconds: float = 8, limit: float = 60, settle: float = 180) -> dict:
        """Does `fault(pair, who)` once the pair is whole, waits at least `seconds`, and until orders flow again; then judges by the record.

        What `fault` returns is called after that, and puts right what does not get right by itself.
        """
        who = self.settle()
        sequence, refusal = self.exchange.last()
        before = max(0, sequence - 20)
        fault_ns = time.monotonic_ns()
        repair = fault(self, who)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            time.sleep(0.2)
            late = time.monotonic_ns() - 1_500_000_000
            recent = [each for each in self.exchange.orders(before) if each["monotonic_ns"] > max(fault_ns, late)]
            if time.monotonic_ns() - fault_ns > seconds * 1e9 and len(recent) >= 5:
                break
        ended_ns = time.monotonic_ns()
        orders, refused = self.exchange.orders(before), self.exchange.refused(refusal)
        self.record = {"orders": orders, "refused": refused, "fault_ns": fault_ns, "ended_ns": ended_ns}
        found = {"active": who, **judge(orders, refused, fault_ns, ended_ns)}
        if repair:
            repair()
        began = time.monotonic()
        self.settle(settle)
        found["whole_s"] = round(time.monotonic() - began, 1)
        # What came back with the repaired host counts, too.
        later = judge(self.exchange.orders(before), self.exchange.refused(refusal), fault_ns, time.monotonic_ns())
        found.update({key: later[key] for key in ("hosts", "double_active_ms", "duplicate_orders_accepted")})
        return {**found, **self.audit()}
