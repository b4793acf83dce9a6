#!/usr/bin/env python3
"""Management controllers (IPMI 2.0) for the lab's hosts: each can switch off, switch on and reset its container.

    bmc.py --group GROUP --node NAME=PORT [--node NAME=PORT]... --user USER --password-file FILE
    bmc.py --group GROUP --status | --stop

It listens on the gateway address of the group's network (or --address), so that only that network and this machine
reach it, runs in the background and keeps its pid and log in .cache/GROUP. Power is real: `off` is `docker kill`, with no
goodbye to systemd, `on` is `docker start`. Starting it again with the same arguments is no change; with others, it
replaces the one that runs.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WAIT_SECONDS = 15


def container(group: str, name: str) -> str:
    return f"botops-{group}-{name}"


def docker(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(["docker", *argv], text=True, capture_output=True)


def gateway(group: str) -> str:
    """Where containers of the group reach this machine, and nobody else does."""
    done = docker("network", "inspect", "-f", "{{json .IPAM.Config}}", f"botops-{group}")
    if done.returncode:
        sys.exit(f"The network botops-{group} does not exist: start the hosts first (lab/hosts.py up {group} …).")
    for config in json.loads(done.stdout):
        if config.get("Gateway"):
            return config["Gateway"].partition("/")[0]
        if config.get("Subnet"):
            return str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    sys.exit(f"The network botops-{group} has no gateway address; name one with --address.")


class Power:
    """One container's power. Orders are carried out one after the other, as a controller's would be."""

    def __init__(self, group: str, name: str) -> None:
        self.name, self.target = name, container(group, name)
        self.orders: queue.Queue[tuple[str, ...]] = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while True:
            order = self.orders.get()
            for verb in order:
                started = time.monotonic()
                done = docker(verb, self.target)
                # `kill` of what is off already and `start` of what runs already are what was asked for.
                words = done.stderr.strip() if done.returncode else "done"
                print(f"{time.time():.3f} {self.name} {verb} {time.monotonic() - started:.2f}s {words}", flush=True)

    def order(self, *verbs: str) -> None:
        print(f"{time.time():.3f} {self.name} ordered: {' '.join(verbs)}", flush=True)
        self.orders.put(verbs)

    def is_on(self) -> bool:
        done = docker("inspect", "-f", "{{.State.Running}}", self.target)
        return done.returncode == 0 and done.stdout.strip() == "true"


def serve(group: str, nodes: dict[str, int], address: str, user: str, password: str) -> None:
    try:
        from pyghmi.ipmi.bmc import Bmc
        from pyghmi.ipmi.private import session
    except ImportError:
        sys.exit("The Python package pyghmi is missing: pip install -r requirements-lab.txt")

    class Controller(Bmc):
        def __init__(self, power: Power, port: int) -> None:
            super().__init__({user: password}, port=port, address=address)
            self.power = power

        def get_power_state(self) -> str:
            return "on" if self.power.is_on() else "off"

        def power_off(self) -> None:
            self.power.order("kill")

        def power_on(self) -> None:
            self.power.order("start")

        def power_cycle(self) -> None:
            self.power.order("kill", "start")

        power_reset = power_cycle

        def power_shutdown(self) -> None:
            self.power.order("stop")

        def is_active(self) -> bool:
            return self.power.is_on()

    # pyghmi wakes its own reader with a datagram to itself, and would guess ::1, where nothing of ours listens.
    session.myself = address
    controllers = [Controller(Power(group, name), port) for name, port in nodes.items()]
    print(f"{time.time():.3f} {len(controllers)} controllers on {address}: {nodes}", flush=True)
    Controller.listen()


# --- the background process --------------------------------------------------------------------------


def running(state: pathlib.Path) -> dict | None:
    """What runs, by its pid file; a pid that was given to some other program since does not count."""
    try:
        record = json.loads((state / "bmc.json").read_text())
        words = pathlib.Path(f"/proc/{record['pid']}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    return record if b"bmc.py" in words else None


def stop(state: pathlib.Path) -> None:
    record = running(state)
    if record:
        os.kill(record["pid"], signal.SIGTERM)
        deadline = time.monotonic() + WAIT_SECONDS
        while running(state) and time.monotonic() < deadline:
            time.sleep(0.05)
        if running(state):
            os.kill(record["pid"], signal.SIGKILL)
    (state / "bmc.json").unlink(missing_ok=True)


def start(args: argparse.Namespace, state: pathlib.Path, nodes: dict[str, int]) -> None:
    password = args.password_file.read_text().strip()
    if not password or len(password) > 20:
        sys.exit(f"{args.password_file}: an IPMI 2.0 password has 1 to 20 characters.")
    address = args.address or gateway(args.group)
    wanted = {"address": address, "nodes": nodes, "user": args.user}
    # So that a new password replaces the process, without keeping the password.
    wanted["password_digest"] = hashlib.sha256(f"{args.group}:{password}".encode()).hexdigest()
    now = running(state)
    if now and {key: now.get(key) for key in wanted} == wanted:
        print(f"running already (pid {now['pid']})")
        return
    stop(state)
    log = state / "bmc.log"
    with log.open("ab") as stream:
        argv = [sys.executable, str(pathlib.Path(__file__).resolve()), "--group", args.group, "--foreground"]
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=stream, stderr=stream, cwd="/", start_new_session=True
        )
    assert child.stdin is not None
    child.stdin.write(json.dumps({**wanted, "password": password}).encode())
    child.stdin.close()
    (state / "bmc.json").write_text(json.dumps({"pid": child.pid, **wanted}) + "\n")
    deadline = time.monotonic() + WAIT_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if all(listens(address, port) for port in nodes.values()):
            print(f"listening on {address}: " + ", ".join(f"{name}={port}" for name, port in nodes.items()))
            return
        time.sleep(0.05)
    stop(state)
    sys.exit(f"The controllers did not start; their last words, from {log}:\n{log.read_text()[-1000:]}")


def listens(address: str, port: int) -> bool:
    wanted = f"{int.from_bytes(ipaddress.ip_address(address).packed, sys.byteorder):08X}:{port:04X}"
    return wanted in pathlib.Path("/proc/net/udp").read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", required=True)
    parser.add_argument("--node", action="append", default=[], metavar="NAME=PORT")
    parser.add_argument("--user")
    parser.add_argument("--password-file", type=pathlib.Path)
    parser.add_argument("--address", help="listen here instead of on the network's gateway address")
    parser.add_argument("--foreground", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--status", action="store_true")
    parser.add_argument("--stop", action="store_true")
    args = parser.parse_args()
    state = ROOT / ".cache" / args.group
    if args.stop:
        stop(state)
    elif args.status:
        record = running(state)
        print(json.dumps(record) if record else "not running")
        sys.exit(0 if record else 3)
    elif args.foreground:
        given = json.load(sys.stdin)
        serve(args.group, given["nodes"], given["address"], given["user"], given["password"])
    elif not (args.node and args.user and args.password_file):
        parser.error("--node, --user and --password-file are needed")
    else:
        state.mkdir(parents=True, exist_ok=True)
        pairs = [spec.partition("=") for spec in args.node]
        if any(not port.isdigit() for _, _, port in pairs):
            parser.error("--node takes NAME=PORT")
        start(args, state, {name: int(port) for name, _, port in pairs})


if __name__ == "__main__":
    main()
