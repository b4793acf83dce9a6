#!/usr/bin/env python3
"""Seconds without an order while a release is exchanged, at 50 orders a second, counted at the exchange; beside the way by hand.

    bench/deploy.py [--rounds N]

On the hosts of the Molecule scenarios bot_deploy and bot_compose, which `make bench-deploy` sets up:

- systemd: deploy.yml exchanges the release of a bot in a virtualenv, on Debian 12 and 13.
- compose: the same of a compose file with one service.
- by hand: `docker compose down`, `build --no-cache`, `up --detach` of that same compose file on that same host, with one layer that asks apt.

Prints a table, writes build/bench-deploy.json, and exits with 1 if a target is missed or a bot could not place its orders undisturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCENARIOS = ("bot_deploy", "bot_compose")
RATE = 50
# Of the figure's name: the most that its 95th percentile may be, in seconds.
TARGETS = {"systemd": 1.0, "compose": 2.0}
BY_HAND = "/srv/by-hand"
BY_HAND_BOT = "byhand"
MAKE_BY_HAND = f"""
set -eu
rm -rf {BY_HAND}
cp -rL /opt/bot-single/current {BY_HAND}
cd {BY_HAND}
rm -rf .botops .env data logs
install -d -m 0777 data logs
sed -i 's/^COPY requirements.txt/RUN apt-get update \\&\\& apt-get install -y --no-install-recommends less\\n&/' Dockerfile
printf '%s\\n' "$1" > .env
"""
EXCHANGE_IT = f"cd {BY_HAND} && docker compose down && docker compose build --no-cache && docker compose up --detach"


def inventory(scenario: str, directory: pathlib.Path) -> pathlib.Path:
    """The scenario's hosts as an operator's inventory."""
    import yaml

    cache = ROOT / f".cache/molecule-{scenario}"
    if not (cache / "hosts.json").exists():
        sys.exit(f"The scenario {scenario} has no hosts: molecule converge -s {scenario}, or make bench-deploy.")
    declared = yaml.safe_load((ROOT / f"molecule/{scenario}/molecule.yml").read_text().replace("$$", "$"))
    hosts = {
        host["name"]: {
            "ansible_host": host["address"], "ansible_user": host["user"], "ansible_ssh_private_key_file": host["identity_file"],
            "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='{cache}/known_hosts'",
        }
        for host in json.loads((cache / "hosts.json").read_text())
    }  # fmt: skip
    path = directory / f"{scenario}.yml"
    path.write_text(json.dumps({"bot_hosts": {"hosts": hosts, "vars": declared["provisioner"]["inventory"]["group_vars"]["bot_hosts"]}}))
    return path


def measure(scenario: str, rounds: int) -> dict[str, dict]:
    """In a process of its own, whose environment is the scenario's: the library of its tests reads that."""
    sys.path.insert(0, str(ROOT / "molecule/bot_app/tests"))
    import botlib

    hosts = [botlib.connect(name) for name in botlib.NAMES]
    bot = {"bot_deploy": "gitbot", "bot_compose": "single"}[scenario]

    def gaps(exchange, bot: str = bot) -> list[float]:
        since = [botlib.last_order(host) for host in hosts]
        exchange()
        found = []
        for host, first in zip(hosts, since):
            botlib.wait_for("orders after the exchange", lambda host=host, first=first: botlib.longest_gap(host, bot, first)[1] > 2 * RATE, 120)
            found.append(round(botlib.longest_gap(host, bot, first)[0], 2))
        return found

    def deploy(version: str) -> None:
        run = botlib.play(ROOT / "playbooks/deploy.yml", bot=bot, version=version, target="all", batch=2)
        if run.code or run.changed() < len(hosts):
            sys.exit(f"The deployment of {version} failed or changed nothing:\n{run.text}")

    versions = {"bot_deploy": ("v2", "v1"), "bot_compose": ("2", "1")}[scenario]
    undisturbed = min(botlib.placed(host, bot)[0] for host in hosts)
    ours = [gap for _round in range(rounds) for version in versions for gap in gaps(lambda version=version: deploy(version))]
    result = {{"bot_deploy": "systemd", "bot_compose": "compose"}[scenario]: {"orders_per_second": round(undisturbed, 1), "gaps_s": ours}}
    if scenario == "bot_compose":
        (host,) = hosts
        # As the bot had it, under a name of its own: with a new database it would send the other's orders again.
        settings = host.check_output("cat /etc/bot-single/compose.env")
        host.check_output("systemctl stop bot-single")
        try:
            # The last one of a name counts.
            host.check_output("sh -c %s sh %s", MAKE_BY_HAND, f"{settings}\nPM_PRIVATE_KEY=by-hand\nBOT_NAME={BY_HAND_BOT}")
            host.check_output("sh -c %s", EXCHANGE_IT)
            gaps(lambda: None, BY_HAND_BOT)
            by_hand = [gap for _round in range(rounds) for gap in gaps(lambda: host.check_output("sh -c %s", EXCHANGE_IT), BY_HAND_BOT)]
        finally:
            host.run("sh -c %s", f"cd {BY_HAND} && docker compose down; rm -rf {BY_HAND}")
            host.check_output("systemctl start bot-single")
        result["by hand"] = {"orders_per_second": round(undisturbed, 1), "gaps_s": by_hand}
    for figures in result.values():
        figures["p95_s"] = botlib.p95(figures["gaps_s"])
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.rounds)))
        return 0
    figures: dict[str, dict] = {}
    with tempfile.TemporaryDirectory(prefix="bench-deploy-") as name:
        for scenario in SCENARIOS:
            environ = {
                **os.environ, "MOLECULE_PROJECT_DIRECTORY": str(ROOT), "MOLECULE_SCENARIO_NAME": scenario,
                "MOLECULE_INVENTORY_FILE": str(inventory(scenario, pathlib.Path(name))),
            }  # fmt: skip
            argv = [sys.executable, __file__, "--measure", scenario, "--rounds", str(arguments.rounds)]
            done = subprocess.run(argv, env=environ, text=True, stdout=subprocess.PIPE, check=False)
            if done.returncode:
                return 1
            figures |= json.loads(done.stdout.splitlines()[-1])
    for name, row in figures.items():
        print(f"{name:<8} {len(row['gaps_s']):>2} deployments: p95 {row['p95_s']:6.2f} s without an order, all {sorted(row['gaps_s'])}")
    targets = {f"{name}: p95 at most {most} s": figures[name]["p95_s"] <= most for name, most in TARGETS.items()}
    targets["less than by hand"] = figures["compose"]["p95_s"] < figures["by hand"]["p95_s"]
    targets[f"undisturbed, {RATE} orders a second"] = all(row["orders_per_second"] >= 0.8 * RATE for row in figures.values())
    report = ROOT / "build/bench-deploy.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps({"figures": figures, "targets": targets}, indent=1) + "\n")
    for target, met in targets.items():
        print(f"{'met   ' if met else 'MISSED'} {target}")
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
