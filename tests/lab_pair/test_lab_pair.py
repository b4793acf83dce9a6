"""The lab as a pair, from outside: what a newcomer sees who types `make lab-pair` and pulls a plug. In the order in which it stands here."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import urllib.request

import chaos
import faults
import pytest
from pair import Pair, until

import lab

ROOT = lab.ROOT
# From nothing with two reboots by fencing tests, and again; on a machine that does something else beside it.
FIRST_SECONDS, AGAIN_SECONDS = 300, 60


@pytest.fixture(scope="module")
def pair() -> Pair:
    if not lab.PAIR.exists():
        pytest.exit("The lab that runs is no pair, or none runs: make lab-down lab-pair", returncode=1)
    return Pair(
        group=lab.GROUP, members={name: lab.HOSTS[name][0] for name in lab.CONTROLLERS}, witness=("witness", lab.HOSTS["witness"][0]), exchange=lab.EXCHANGE,
        bot="polymarket", database="/var/lib/bot-polymarket/paper.db", address=lab.FLOATING,
    )  # fmt: skip


def test_from_nothing_to_a_pair_whose_fencing_was_tested(pair):
    first = json.loads((ROOT / "build/lab.json").read_text())
    print(f"\nfrom nothing to a pair: {first['seconds']} s")
    assert first["changed"] > 0, "this lab was not made from nothing; `make lab-down lab-pair` first"
    assert first["seconds"] <= FIRST_SECONDS
    table = "\n".join(lab.pair_table(pathlib.Path(sys.prefix)))
    assert "fencing    automatic" in table and "primary: ok, today" in table and "standby: ok, today" in table, table


def over_https(name: str, path: str, config: str = "") -> str:
    """What a browser gets of a site of the lab. `config` is curl's, for what belongs in no command line."""
    argv = ["curl", "-fsS", "--cacert", lab.STATE / "acme-root.pem", "--resolve", f"{name}:443:{lab.HOSTS['primary'][0]}", "--config", "-"]
    return subprocess.run([*argv, f"https://{name}{path}"], input=config, text=True, capture_output=True, check=True).stdout


def test_the_bot_is_found_on_the_floating_address_and_behind_https(pair):
    active = pair.settle()
    with urllib.request.urlopen(f"http://{lab.FLOATING}:8088/health", timeout=5) as answer:
        assert json.load(answer)["host"] == active
    assert json.loads(over_https(lab.BOT_NAME, "/health"))["host"] == active


def status(path: str, password: str) -> str:
    return over_https(lab.STATUS_NAME, path, f'user = "ops:{password}"\n')


def test_the_status_site_tells_of_the_pair(pair):
    active, password = pair.settle(), lab.status_password()
    until(lambda: f"{active} is active, {pair.other(active)} stands by" in status("/ha/", password), 30, "the page says who is active")
    figures = status("/metrics", password)
    assert f'botops_cluster_node_active{{member="{active}"}} 1' in figures and "botops_cluster_witness_connected 1" in figures, figures
    page = status("/ha/", password)
    for member in pair.members:
        assert member in page
    with pytest.raises(subprocess.CalledProcessError) as refused:
        status("/", "guessed")
    assert "401" in refused.value.stderr


def test_again_changes_nothing_and_moves_nothing(pair):
    active, (sequence, _refused) = pair.settle(), pair.exchange.last()
    done = subprocess.run([sys.executable, ROOT / "lab/lab.py", "up"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    again = json.loads((ROOT / "build/lab.json").read_text())
    print(f"\nagain: {again['seconds']} s")
    assert again["changed"] == 0 and again["seconds"] <= AGAIN_SECONDS
    assert {order["host"] for order in pair.exchange.orders(sequence)} == {active}


def test_the_plug_is_pulled_and_the_orders_go_on(pair):
    found = pair.measure(faults.FAULTS["node-kill"].do, faults.FAULTS["node-kill"].seconds)
    print(f"\nnode-kill: {found}")
    assert chaos.complaints("node-kill", found, pair.other(found["active"])) == []
    assert found["gap_s"] <= 12
