"""Playbooks against the scenario's hosts, as an operator runs them."""

import json
import os
import pathlib
import re
import subprocess
import time

import pytest
import testinfra
import testinfra.utils.ansible_runner

ROOT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
SCENARIO = ROOT / "molecule" / os.environ["MOLECULE_SCENARIO_NAME"]
CACHE = ROOT / ".cache" / os.environ["MOLECULE_SCENARIO_NAME"]


NAMES = testinfra.utils.ansible_runner.AnsibleRunner(INVENTORY).get_hosts("all")


def connect(name):
    # Over one kept SSH connection: a test asks dozens of small questions.
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={INVENTORY}&force_ansible=False", sudo=True)


class Run:
    def __init__(self, done):
        self.code, self.text = done.returncode, done.stdout + done.stderr
        recap = re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+).*failed=(\d+)", done.stdout, re.MULTILINE)
        self.recap = {
            name: {"ok": int(ok), "changed": int(changed), "failed": int(failed)} for name, ok, changed, failed in recap
        }

    def changed(self):
        return sum(host["changed"] for host in self.recap.values())

    def says(self, sentence):
        """Wrapped or not."""
        return re.sub(r"\s+", " ", sentence) in re.sub(r"\s+", " ", self.text.replace("\\n", "\n"))


def play(playbook, *arguments, **variables):
    command = ["ansible-playbook", "-i", INVENTORY, str(playbook), "--diff", *arguments]
    environ = {
        **os.environ,
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    environ.update(ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"), COLUMNS="500")
    if variables:
        command += ["-e", json.dumps(variables)]
    return Run(subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True))


def show(host, unit, *properties):
    out = host.check_output("systemctl show %s --property %s", unit, ",".join(properties))
    return dict(line.split("=", 1) for line in out.splitlines())


def fetch(host, port, path="/health"):
    script = "import json,sys,urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
    return host.check_output("python3 -c %s http://127.0.0.1:%s%s", script, str(port), path)


def health(host, port):
    return json.loads(fetch(host, port))


def orders(host, since=0):
    return json.loads(fetch(host, 9000, f"/orders?since={since}"))["orders"]


def stats(host):
    return json.loads(fetch(host, 9000, "/stats"))


def wait_for(what, condition, seconds=30):
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            if condition():
                return time.monotonic() - started
        except AssertionError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


LONGEST = """
import sqlite3, sys
book = sqlite3.connect("file:/var/lib/bot-exchange/exchange.db?mode=ro", uri=True)
rows = book.execute("SELECT monotonic_ns FROM orders WHERE client_order_id LIKE ? AND seq > ? ORDER BY seq", (sys.argv[1] + ".%", sys.argv[2])).fetchall()
print(len(rows), max((after - before for (before,), (after,) in zip(rows, rows[1:])), default=10**12) / 1e9)
"""


def last_order(host):
    return stats(host)["hosts"][host.backend.get_hostname()]["last_seq"]


def longest_gap(host, bot, since):
    """Seconds without an order of this bot, at the exchange, after order `since`; and how many came."""
    number, seconds = host.check_output("python3 -c %s %s %s", LONGEST, bot, str(since)).split()
    return float(seconds), int(number)


def placed(host, bot, seconds=3):
    """(orders a second, longest time without one) while nothing is done to the bot: what this machine makes of it today."""
    since = last_order(host)
    host.check_output("sleep %s", str(seconds))
    gap, number = longest_gap(host, bot, since)
    return number / seconds, gap


def enough(rate, wanted=50):
    """What is promised at 50 orders a second cannot be measured where the machine is too busy to let a bot place them."""
    load, processors = os.getloadavg()[0], os.cpu_count()
    if load > 4 * processors:
        pytest.skip(f"{load:.0f} programs wait for {processors} processors here: the machine is too busy to judge")
    if rate < 0.8 * wanted:
        pytest.skip(f"undisturbed, the bot places only {rate:.0f} of {wanted} orders a second here: the machine is too busy to judge")


def p95(values):
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]
