#!/usr/bin/env python3
"""Break the pair of the Molecule scenario `pair` again and again, and judge by the exchange's record.

    chaos.py [--runs N] [--seed S] [--faults node-kill,bot-hang] [--pictures]

Each run is one fault at a moment that the seed decides. build/chaos.json has every run; the table gives p50 and p95 of the seconds without an order.
Of a run that failed, or of each with --pictures, build/chaos/RUN-FAULT.svg shows when whose orders arrived.
Exit status 1 when anything was lost that must not be, anything traded twice, a database is damaged, or a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import random
import statistics
import sys
import time

import timeline
from faults import FAULTS
from pair import Pair, Timeout

ROOT = pathlib.Path(__file__).resolve().parent.parent


def hosts() -> Pair:
    """As molecule/pair/molecule.yml names them."""
    return Pair(
        group="molecule-pair",
        members={"pair-alpha": "10.77.65.11", "pair-beta": "10.77.65.12"},
        witness=("pair-witness", "10.77.65.13"),
        exchange="http://10.77.65.20:9000",
        bot="paper",
        database="/var/lib/bot-paper/paper.db",
        address="10.77.65.100",
    )


def complaints(name: str, found: dict, other: str) -> list[str]:
    """What must not be, whatever the machine is busy with."""
    fault, said = FAULTS[name], []
    if found["double_active_ms"]:
        said.append(f"two hosts traded for {found['double_active_ms']} ms")
    if found["duplicate_orders_accepted"]:
        said.append(f"{found['duplicate_orders_accepted']} orders were accepted twice")
    if found["integrity"] != "ok":
        said.append(f"the database is damaged: {found['integrity']}")
    stayed, moved = [found["active"]], [found["active"], other]
    wanted = {True: [moved], False: [stayed], None: [stayed, moved]}[fault.moves]
    if found["hosts"] not in wanted:
        said.append(f"orders came from {' → '.join(found['hosts'])} and not from {' or '.join(' → '.join(each) for each in wanted)}")
    if not fault.loses and found["missing"]:
        said.append(f"{found['missing']} orders that the exchange accepted are not in the database")
    return said


def p(values: list[float], share: float) -> float:
    """The value that this share of the runs does not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def table(runs: list[dict]) -> list[str]:
    lines = [f"{'fault':<23}{'runs':>5}{'failed':>8}{'p50 s':>8}{'p95 s':>8}{'limit s':>9}{'replay s':>10}{'lost at most':>14}{'double ms':>11}"]
    for name, fault in FAULTS.items():
        mine = [run for run in runs if run["fault"] == name]
        measured = [run for run in mine if "gap_s" in run]
        if not measured:
            continue
        gaps = [run["gap_s"] for run in measured]
        lines.append(
            f"{name:<23}{len(mine):>5}{sum(bool(run['complaints']) for run in mine):>8}{statistics.median(gaps):>8.2f}{p(gaps, 0.95):>8.2f}"
            f"{fault.limit or '–':>9}{max(run['replay_s'] for run in measured):>10.2f}{max(run['missing'] for run in measured):>14}"
            f"{max(run['double_active_ms'] for run in measured):>11.1f}"
        )
    return lines


def late(runs: list[dict]) -> list[str]:
    """Limits that the runs together miss."""
    said = []
    for name, fault in FAULTS.items():
        gaps = [run["gap_s"] for run in runs if run["fault"] == name and "gap_s" in run]
        if gaps and fault.limit and p(gaps, 0.95) > fault.limit:
            said.append(f"{name}: p95 is {p(gaps, 0.95):.2f} s, and {fault.limit} s is the limit")
    return said


def picture(number: int, name: str, run: dict, pair: Pair) -> None:
    path = ROOT / "build/chaos" / f"{number:03d}-{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(timeline.draw(f"{name} of {run['active']}" + "".join(f": {each}" for each in run["complaints"]), pair.record, list(pair.members)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=len(FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--pictures", action="store_true")
    args = parser.parse_args()
    names = args.faults.split(",")
    unknown = sorted(set(names) - set(FAULTS))
    if unknown:
        parser.error(f"--faults: {', '.join(unknown)} is not known; choose from {', '.join(FAULTS)}")
    # Every fault equally often, in an order and at moments that the seed decides.
    chance = random.Random(args.seed)
    plan = [names[index % len(names)] for index in range(args.runs)]
    chance.shuffle(plan)
    pair, runs = hosts(), []
    for number, name in enumerate(plan, 1):
        run = {"run": number, "fault": name, "seed": args.seed, "load": pathlib.Path("/proc/loadavg").read_text().split()[0]}
        pair.record = {}
        try:
            pair.settle()
            time.sleep(run.setdefault("after_s", round(chance.uniform(0, 5), 2)))
            run.update(pair.measure(FAULTS[name].do, FAULTS[name].seconds))
            run["complaints"] = complaints(name, run, pair.other(run["active"]))
        except Timeout as error:
            run["complaints"] = [str(error)]
        run["verdict"] = "failed" if run["complaints"] else "ok"
        runs.append(run)
        if pair.record and (args.pictures or run["complaints"]):
            picture(number, name, run, pair)
        gap = f"{run['gap_s']:6.2f} s without an order" if "gap_s" in run else ""
        print(f"{number:>4}/{len(plan)} {name:<23}{gap} {run['verdict']} {'; '.join(run['complaints'])}", flush=True)
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build/chaos.json").write_text(json.dumps({"seed": args.seed, "runs": runs}, indent=1) + "\n")
    print("\n".join(["", *table(runs), *late(runs)]))
    sys.exit(1 if late(runs) or any(run["complaints"] for run in runs) else 0)


if __name__ == "__main__":
    main()
