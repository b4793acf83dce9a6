#!/usr/bin/env python3
"""The lab's clouds: from a declaration to two trading bots, one on a droplet and one on an EC2 instance, without an account.

    cloud.py up          emulated APIs, real hosts: site.yml -e provision=true, then the plan; repeat it as often as you like
    cloud.py status      the table that `up` ends with
    cloud.py down        destroy.yml, and then everything else that `up` made, and nothing more

The whole output of the last run is in build/lab-cloud.log, what came out of it in build/lab-cloud.json.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import cloud_hosts
import hosts

import control_node
import lab

ROOT = lab.ROOT
GROUP, FLEET = "cloud", "cloudlab"
STATE = ROOT / ".cache" / GROUP
RECORD = STATE / "vendors.json"
INVENTORY = "inventories/lab-cloud"
# What the first plan would create: after the removal all of it is missing again.
BEFORE = STATE / "before.json"
PREFIX = os.environ.get("LAB_CLOUD_PREFIX", "10.77.31")
RELEASE = "debian13"
REQUIREMENTS = "requirements-cloud.txt"
# The one table of the machines; inventories/lab-cloud declares them.
CLOUDS = {"feed": "digitalocean", "engine": "aws"}
DOMAIN = "cloud.test"
START_SECONDS, ORDER_SECONDS, GONE_SECONDS = 60, 60, 60
STARTED = time.monotonic()
lab.LOG = ROOT / "build" / "lab-cloud.log"


def vendors() -> dict | None:
    """Pid and addresses of the emulated clouds, when they run; a pid that was given to some other program since does not count."""
    try:
        record = json.loads(RECORD.read_text())
        words = pathlib.Path(f"/proc/{record['pid']}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    return record if b"vendors.py" in words else None


def known_secrets() -> dict[str, str]:
    return lab.known_secrets(STATE / "secrets.json", ("token", "aws_secret", "bot_api_key_id", "bot_private_key"))


def start_vendors(environment: pathlib.Path) -> dict:
    if running := vendors():
        return running
    log = STATE / "vendors.log"
    names = [f"{name}.{DOMAIN}" for name in CLOUDS]
    argv = [environment / "bin/python", ROOT / "lab/vendors.py", "--group", GROUP, "--prefix", PREFIX, "--names", *names]
    with log.open("ab") as stream:
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=stream, stderr=stream, cwd=ROOT, start_new_session=True)
    child.stdin.write(json.dumps({"token": known_secrets()["token"]}).encode())
    child.stdin.close()
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if running := vendors():
            return running
        time.sleep(0.1)
    child.kill()
    raise lab.Failed(f"The emulated clouds did not start; their last words, from {log}:\n{log.read_text()[-2000:]}")


def stop_vendors() -> None:
    running = vendors()
    if running:
        os.kill(running["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 15
        while vendors() and time.monotonic() < deadline:
            time.sleep(0.1)
    RECORD.unlink(missing_ok=True)


def environment_of(running: dict) -> dict[str, str]:
    """What an operator has in the environment, with other endpoints."""
    known = known_secrets()
    return {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "LAB_CLOUD_PREFIX": PREFIX,
        "LAB_CLOUD_EXCHANGE": running["exchange"],
        "DIGITALOCEAN_TOKEN": known["token"], "DIGITALOCEAN_API_ENDPOINT": running["digitalocean"],
        "AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": known["aws_secret"], "AWS_ENDPOINT_URL": running["aws"],
    }  # fmt: skip


def ansible(environment: pathlib.Path, running: dict, *arguments: str, tool: str = "ansible-playbook") -> str:
    return lab.run(environment / "bin" / tool, "-i", INVENTORY, *arguments, env=environment_of(running), show=lab.show_task)


def asked(running: dict, method: str = "GET") -> dict[str, list]:
    """The request logs of both clouds since they were emptied; DELETE empties them."""
    found = {}
    for vendor in ("digitalocean", "aws"):
        request = urllib.request.Request(f"{running[vendor]}/_emulator/log", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found[vendor] = json.load(answer)
    return found


def writes(running: dict) -> dict[str, list[str]]:
    log = asked(running)
    return {
        "digitalocean": [f"{entry['method']} {entry['path']}" for entry in log["digitalocean"] if entry["method"] != "GET"],
        "aws": [entry["operation"] for entry in log["aws"] if entry["write"]],
    }


def violations(running: dict) -> list[str]:
    """What broke a vendor's contract, and what the hosts behind the machines could not do."""
    found = []
    for vendor in ("digitalocean", "aws"):
        found += json.loads(lab.get(f"{running[vendor]}/_emulator/violations"))["violations"]
    return found


def addresses() -> dict[str, str]:
    """{name: address} of the hosts that run."""
    form = f'{{{{.ID}}}} {{{{.Label "{cloud_hosts.ADDRESS}"}}}}'
    shown = hosts.run("docker", "ps", "--filter", f"label={hosts.LABEL}={GROUP}", "--format", form).stdout.split()
    return {hosts.run("docker", "inspect", "-f", "{{.Config.Hostname}}", ident).stdout.strip(): address
            for ident, address in zip(shown[::2], shown[1::2], strict=True)}  # fmt: skip


def health(name: str, address: str) -> dict:
    """What a bot says of itself over HTTPS; the certificate has to be the host's own, signed by the lab's authority."""
    context = ssl.create_default_context(cafile=str(STATE / "ca.pem"))
    with socket.create_connection((address, 443), timeout=5) as plain, context.wrap_socket(plain, server_hostname=f"{name}.{DOMAIN}") as secured:
        connection = http.client.HTTPConnection(f"{name}.{DOMAIN}")
        connection.sock = secured
        connection.request("GET", "/health")
        answer = connection.getresponse()
        said = json.loads(answer.read())
    return {"http": answer.status, **said}


def await_orders(running: dict) -> dict[str, int]:
    """Wait until the exchange has new orders of each host; return how many it has of each."""
    deadline, first = time.monotonic() + ORDER_SECONDS, None
    while time.monotonic() < deadline:
        counted = {name: about["orders"] for name, about in json.loads(lab.get(f"{running['exchange']}/stats"))["hosts"].items()}
        first = first or {name: counted.get(name, 0) for name in CLOUDS}
        if all(counted.get(name, 0) > first[name] for name in CLOUDS):
            return counted
        time.sleep(0.3)
    raise lab.Failed(f"Not each bot placed an order within {ORDER_SECONDS} s: {counted}. Look at one: docker exec CONTAINER journalctl -u 'bot-*' -n 50")


def plan(environment: pathlib.Path, running: dict) -> dict:
    path = STATE / "plan.json"
    ansible(environment, running, "playbooks/plan.yml", "-e", f"plan_file={path}")
    return json.loads(path.read_text())


def missing(document: dict) -> list[str]:
    """What a plan would create, each as its kind and name."""
    return sorted(f"{change['kind']} {change['name']}" for change in document["changes"] if change["action"] == "create")


def table(document: dict) -> str:
    where = addresses()
    rows = [("host", "cloud", "address", "$ a month", "health")]
    for name, vendor in CLOUDS.items():
        price = sum(line["monthly"] or 0 for line in document["costs"] if name in line["what"].split())
        try:
            said = health(name, where[name])
            told = f"{said['http']} {said.get('status', '')}".strip()
        except (KeyError, OSError, ValueError) as problem:
            told = f"{type(problem).__name__}: {problem}"
        rows.append((name, vendor, where.get(name, "none"), f"{price:.2f}", told))
    width = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  " + "  ".join(cell.ljust(size) for cell, size in zip(row, width, strict=True)).rstrip() for row in rows]
    name, address = next(iter(where.items()), ("HOST", "ADDRESS"))
    lines += [
        "",
        f"  the plan   {len(document['changes'])} changes, {document['monthly']:.2f} dollars a month altogether",
        f"  a bot      curl --cacert .cache/{GROUP}/ca.pem --resolve {name}.{DOMAIN}:443:{address} https://{name}.{DOMAIN}/health",
        f"  log in     ssh -i .cache/{GROUP}/id_ed25519 -o UserKnownHostsFile=.cache/{GROUP}/known_hosts admin@{address}",
        "  again      make lab-cloud       (changes nothing)",
        "  remove     make lab-cloud-down",
    ]
    return "\n".join(lines)


# --- the commands -----------------------------------------------------------------------------------


def up() -> None:
    lab.LOG.write_text("")
    environment = lab.step("control node: the virtual environment with the pinned packages", lambda: control_node.ensure(REQUIREMENTS))
    lab.step("Docker engine", lambda: lab.run(ROOT / "lab/engine.sh", show=lab.PROGRESS.note))
    lab.step(f"host image with cloud-init, {RELEASE}", lambda: cloud_hosts.image(RELEASE))
    if not vendors() and hosts.run("docker", "ps", "-aq", "--filter", f"label={hosts.LABEL}={GROUP}").stdout:
        # The clouds forget what they had when they end, and then nothing would know whose these hosts are.
        lab.step("hosts of an earlier cloud: removed, to be made anew", lambda: hosts.down(GROUP))
    hosts.network(GROUP, f"{PREFIX}.0/24", cloud_hosts.ELSEWHERE)
    hosts.identity(GROUP)
    running = lab.step("emulated clouds and an exchange", lambda: start_vendors(environment))
    if not BEFORE.exists():
        first = lab.step("the plan, before anything is made", lambda: plan(environment, running))
        BEFORE.write_text(json.dumps(missing(first), indent=2) + "\n")
    asked(running, "DELETE")
    applied = lab.step(f"site.yml -i {INVENTORY} -e provision=true", lambda: ansible(environment, running, "site.yml", "-e", "provision=true"))
    counts, written = lab.recap(applied), writes(running)
    orders = lab.step("orders arrive from both clouds", lambda: await_orders(running))
    document = lab.step("the plan, now that all is there", lambda: plan(environment, running))
    changed = sum(host.get("changed", 0) for host in counts.values())
    result = {
        "seconds": round(time.monotonic() - STARTED, 1), "changed": changed, "hosts": counts, "writes": written, "orders": orders, "plan": document,
        "health": {name: health(name, address) for name, address in addresses().items()},
        "judged": running["judged"], "violations": violations(running),
    }  # fmt: skip
    (ROOT / "build/lab-cloud.json").write_text(json.dumps(result, indent=2) + "\n")
    sent = ", ".join(f"{len(requests)} at {vendor}" for vendor, requests in written.items())
    print(f"{result['seconds']:6.1f} s  altogether, changed={changed}; requests that write: {sent}\n\n{table(document)}")
    if result["violations"]:
        raise lab.Failed("\n".join(["What broke a vendor's contract:", *result["violations"]]))


def status() -> None:
    running = vendors()
    if not running:
        raise lab.Failed("No lab cloud runs: make lab-cloud")
    print(table(plan(control_node.ensure(REQUIREMENTS), running)))


def down() -> None:
    running = vendors()
    if running and BEFORE.exists():
        environment = control_node.ensure(REQUIREMENTS)
        words = ("-e", f"fleet_confirm={FLEET}", "-e", "fleet_with_data=true")
        lab.step(f"playbooks/destroy.yml -i {INVENTORY}", lambda: ansible(environment, running, "playbooks/destroy.yml", *words))
        deadline = time.monotonic() + GONE_SECONDS
        while (left := addresses()) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            raise lab.Failed(f"destroy.yml is over and these hosts still run: {', '.join(left)}")
        # Keys of an account stay: other fleets may use them.
        # Counted, as both clouds have a network of the fleet's name.
        kept = collections.Counter(json.loads(BEFORE.read_text())) - collections.Counter(missing(plan(environment, running)))
        kept = [one for one in kept if not one.startswith("ssh_key ")]
        if kept:
            raise lab.Failed(f"destroy.yml is over and the clouds still have: {', '.join(kept)}")
    stop_vendors()
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        hosts.down(GROUP)
    print("The lab's clouds are removed: no container, no machine, no network is left of them.")


def main() -> int:
    return lab.command_line({("up",): up, ("status",): status, ("down",): down}, __doc__, "make lab-cloud")


if __name__ == "__main__":
    sys.exit(main())
