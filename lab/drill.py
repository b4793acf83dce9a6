#!/usr/bin/env python3
"""The bot's hosts are lost, data and all, while it trades, and come back from inventory, vault and repository alone.

    drill.py [--limit SECONDS]

Needs a lab that runs (`make lab`). Gives it a store and backups (drill_vars.yml), saves the bot, lets orders flow, removes the containers of the
bot's hosts with everything in them, starts empty ones under the same names, types one command (playbooks/rebuild.yml), and waits until the exchange
accepts a new order. Then every order that the exchange recorded is compared with the bot's database, field by field.

Prints and writes build/restore-drill.json:

rto_s          seconds from the loss to the first order that the exchange accepted afterwards
rpo_s          seconds from the newest restored order to the loss
rows_expected  orders that the exchange had accepted when the backup began, and those that the backup took along while it ran
rows_restored  those of them that came back from the repository equal to the exchange's record
integrity      what SQLite's integrity_check says
verdict        ok, or failed with `problems`; then the exit status is 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import control_node
import lab

BOT = "polymarket"
DATABASE = f"/var/lib/bot-{BOT}/paper.db"
LOST = ("primary", "standby")
BACKUPS = ("-e", f"@{lab.ROOT}/lab/drill_vars.yml")
REPORT = lab.ROOT / "build" / "restore-drill.json"
# An operator's quarter of an hour for a rollback; a whole site has four hours.
LIMIT = 900
FIELDS = ("market", "tick", "side", "price", "size", "mode")
READ = (
    "import json, sqlite3, sys; c = sqlite3.connect('file:%s?mode=ro' % sys.argv[1], uri=True); c.row_factory = sqlite3.Row; "
    "print(json.dumps({'rows': [dict(row) for row in c.execute('SELECT * FROM orders')], "
    "'integrity': '; '.join(row[0] for row in c.execute('PRAGMA integrity_check'))}))"
)


def recorded() -> list[dict]:
    """All orders that the exchange accepted, page by page, oldest first."""
    found: list[dict] = []
    while page := lab.orders(found[-1]["seq"] if found else 0):
        found += page
    return found


def bots_own() -> dict:
    """Rows and integrity of the bot's database, read on its host."""
    argv = ["docker", "exec", "--user", f"bot-{BOT}", f"botops-{lab.GROUP}-primary", "python3", "-c", READ, DATABASE]
    return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def judge(record: list[dict], own: dict, began_seq: int, lost_at: float, back_at: float, limit: float) -> dict:
    """The verdict, from the exchange's record and the bot's database alone.

    :param record: the exchange's accepted orders.
    :param own: C(rows) and C(integrity) of the bot's database after the rebuild.
    :param began_seq: the newest order that the exchange had accepted when the backup began.
    :param lost_at: when the hosts were removed, in seconds since the epoch.
    :param back_at: when the exchange accepted the first order afterwards, likewise; 0 if it never did.
    :param limit: most seconds that the way back may take.
    """
    problems = []
    # What was written before the loss can only have come from the repository: the hosts are new.
    restored = {row["client_order_id"]: row for row in own["rows"] if row["created_at"] < lost_at}
    newest = max((row["exchange_seq"] or 0 for row in restored.values() if row["state"] == "accepted"), default=0)
    last = max(began_seq, newest)
    expected = [order for order in record if order["seq"] <= last]
    equal, different = 0, []
    for order in expected:
        row = restored.get(order["client_order_id"])
        if row and row["exchange_seq"] == order["seq"] and all(row[name] == order["order"][name] for name in FIELDS):
            equal += 1
        else:
            different.append(order["client_order_id"])
    if different:
        problems.append(f"{len(different)} of {len(expected)} orders did not come back or are not the exchange's, {different[0]} among them")
    if not expected:
        problems.append("the exchange had no order to compare with")
    known = {order["client_order_id"] for order in record}
    invented = [name for name, row in restored.items() if row["state"] == "accepted" and name not in known]
    if invented:
        problems.append(f"{len(invented)} restored orders are unknown to the exchange, {invented[0]} among them")
    if own["integrity"] != "ok":
        problems.append(f"integrity_check says {own['integrity']}")
    later = [order for order in record if order["wall_time"] > lost_at]
    if not back_at:
        problems.append("no order arrived after the rebuild")
    elif back_at - lost_at > limit:
        problems.append(f"the way back took {back_at - lost_at:.0f} s, and {limit:.0f} s is the limit")
    if any(order["order"]["mode"] != "paper" for order in later):
        problems.append("the bot came back in another mode than paper")
    taken = [row["created_at"] for row in restored.values()]
    return {
        "rto_s": round(back_at - lost_at, 1) if back_at else None,
        "rpo_s": round(lost_at - max(taken), 1) if taken else None,
        "rows_expected": len(expected),
        "rows_restored": equal,
        "rows_after_the_backup": len([order for order in record if last < order["seq"] and order["wall_time"] <= lost_at]),
        "integrity": own["integrity"],
        "verdict": "failed" if problems else "ok",
        "problems": problems,
    }


def await_new_order(since: int, seconds: float = 120) -> float:
    """When the exchange accepted its first order after `since`, or 0."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = lab.orders(since)
        if found:
            return found[0]["wall_time"]
        time.sleep(0.2)
    return 0


def newest_seq() -> int:
    return max((entry.get("last_seq") or 0 for entry in json.loads(lab.get(f"{lab.EXCHANGE}/stats"))["hosts"].values()), default=0)


def drill(limit: float) -> dict:
    environment = control_node.ensure(lab.REQUIREMENTS)
    if lab.PAIR.exists():
        raise lab.Failed("This lab is a pair, and the drill is for one that is not: make lab-down drill")
    lab.step("orders flow", lab.await_orders)
    prepared = ("lab/drill_store.yml", "site.yml", "--limit", "services,primary", *BACKUPS)
    lab.step("a store, and backups into it", lambda: lab.ansible(environment, *prepared))
    began = newest_seq()
    lab.step("backup", lambda: lab.ansible(environment, "playbooks/backup.yml", "-e", f"bot={BOT}", "--limit", "primary", *BACKUPS))
    # What is traded from here on is what a loss costs.
    time.sleep(3)
    containers = [f"botops-{lab.GROUP}-{name}" for name in LOST]
    lost_at = time.time()
    lab.step(f"{' and '.join(LOST)} are gone, with all their data", lambda: lab.run("docker", "rm", "-f", "-v", *containers))
    last = newest_seq()
    lab.step("empty machines under their names", lab.start_hosts)
    lab.step("playbooks/rebuild.yml", lambda: lab.ansible(environment, "playbooks/rebuild.yml", "--limit", ",".join(LOST), *BACKUPS))
    back_at = lab.step("an order arrives", lambda: await_new_order(last))
    return judge(recorded(), bots_own(), began, lost_at, back_at, limit)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=LIMIT, help="most seconds from the loss to the next order")
    arguments = parser.parse_args()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    try:
        result = drill(arguments.limit)
    except (lab.Failed, OSError, subprocess.CalledProcessError) as problem:
        result = {"verdict": "failed", "problems": [str(problem)]}
    REPORT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 0 if result["verdict"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
