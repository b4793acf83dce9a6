#!/usr/bin/env python3
"""The lab: the whole product on four local hosts, over real SSH.

    lab.py up [--pair]   from nothing to a live bot behind HTTPS; with --pair, to one that fails over by itself; repeat it as often as you like
    lab.py status        the table that `up` ends with
    lab.py watch         orders as the exchange records them
    lab.py compliance    each host of the lab compared with what is declared of it: build/compliance/report.html, .json, .xml
    lab.py down          remove the lab's containers, network and state, and nothing else

A lab that is a pair stays one until it is removed. The whole output of the last run is in build/lab.log.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import control_node

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATE = ROOT / ".cache" / "lab"
LOG = ROOT / "build" / "lab.log"
GROUP = "lab"
REQUIREMENTS = "requirements-lab.txt"
PREFIX = os.environ.get("LAB_PREFIX", "10.77.30")
RELEASE = os.environ.get("LAB_RELEASE", "debian13")
BOT_NAME = "bot.lab.test"
STATUS_NAME = "status.lab.test"
# The one table of the lab's hosts; inventories/lab gives them their roles.
HOSTS = {
    "primary": (f"{PREFIX}.11", [BOT_NAME, STATUS_NAME]),
    "standby": (f"{PREFIX}.12", []),
    "witness": (f"{PREFIX}.13", []),
    "services": (f"{PREFIX}.20", ["exchange.lab.test", "acme.lab.test"]),
}
# Where the bot is found, wherever it runs.
FLOATING = f"{PREFIX}.10"
# Each member's management controller: this port of the network's gateway.
CONTROLLERS = {"primary": 6231, "standby": 6232}
EXCHANGE = f"http://{HOSTS['services'][0]}:9000"
SECRETS = ("bot_api_key_id", "bot_private_key", "status_password")
# Of the backups; what is encrypted with them cannot be read with others.
VAULT = ("backups_password", "backups_recovery_password", "backups_store_password")
BMC_PASSWORD = STATE / "bmc-password"
# Of the password of the pair's status site; made once, since each making has another salt.
STATUS_HASH = STATE / "status-hash"
# Is there when the lab is a pair.
PAIR = STATE / "pair"
STARTED = time.monotonic()


class Failed(Exception):
    """A step did not succeed; the text says what to do."""


class Progress:
    """One line a step, with the seconds it took; while a step runs its last activity is shown on a terminal."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.lock = threading.Lock()

    def note(self, text: str) -> None:
        if self.live:
            with self.lock:
                print(f"\r\033[K  {text[:100]}", end="", flush=True)

    def done(self, text: str, since: float) -> None:
        with self.lock:
            print(f"{chr(13) + chr(27) + '[K' if self.live else ''}{time.monotonic() - since:6.1f} s  {text}", flush=True)


PROGRESS = Progress()


def step(text: str, work) -> object:
    since = time.monotonic()
    PROGRESS.note(text)
    result = work()
    PROGRESS.done(text, since)
    return result


def run(*argv: str | os.PathLike, env: dict | None = None, show=None) -> str:
    """Run a command into the log; `show` is called with every line. A failure carries the last lines."""
    lines: list[str] = []
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(map(str, argv))}\n")
        with subprocess.Popen(
            argv, cwd=ROOT, env={**os.environ, **(env or {})}, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:
            for line in process.stdout:
                log.write(line)
                lines.append(line.rstrip())
                if show:
                    show(line.rstrip())
    if process.returncode:
        raise Failed("\n".join(failures(lines) or lines[-40:]))
    return "\n".join(lines)


def failures(lines: list[str]) -> list[str]:
    """The parts of a playbook's output that say what failed: each `fatal:` or `[ERROR]` line and what belongs to it."""
    found, inside = [], False
    for line in lines:
        if line.startswith(("fatal: ", "[ERROR]")):
            inside = True
        elif not line.strip() or re.match(r"(ok|changed|skipping): ", line):
            inside = False
        if inside:
            found.append(line)
    return found[:60]


# --- the steps --------------------------------------------------------------------------------------


def prepare() -> pathlib.Path:
    """The control node's packages and the host image, side by side: one waits for the network, the other computes."""
    with ThreadPoolExecutor() as pool:
        environment = pool.submit(step, "control node: .venv with the pinned packages", lambda: control_node.ensure(REQUIREMENTS))
        image = pool.submit(engine_and_image)
        image.result()
        return environment.result()


def engine_and_image() -> None:
    step("Docker engine", lambda: run(ROOT / "lab/engine.sh", show=PROGRESS.note))
    step(f"host image, {RELEASE}", lambda: run(sys.executable, ROOT / "lab/hosts.py", "images", RELEASE, show=PROGRESS.note))


def forget_stopped() -> None:
    """Remove a lab that the machine's or the engine's restart stopped.

    Its ACME server makes new authorities whenever it starts, so that nobody could verify the certificates that the hosts still hold.
    """
    stopped = run("docker", "ps", "-a", "--filter", f"name=^botops-{GROUP}-services$", "--filter", "status=exited", "--format", "{{.Names}}")
    if stopped:
        step("an earlier lab was stopped: removed, to be made anew", down)
        STATE.mkdir(parents=True, exist_ok=True)


def start_hosts() -> None:
    specs = [f"{name}={RELEASE},ip={ip}" + "".join(f",alias={alias}" for alias in aliases) for name, (ip, aliases) in HOSTS.items()]
    run(sys.executable, ROOT / "lab/hosts.py", "up", GROUP, "--subnet", f"{PREFIX}.0/24", *specs)


def start_controllers(environment: pathlib.Path) -> None:
    """What fences the members: real IPMI, and power that is `docker kill` and `docker start`."""
    nodes = [f"--node={name}={port}" for name, port in CONTROLLERS.items()]
    run(environment / "bin/python", ROOT / "lab/bmc.py", "--group", GROUP, "--user", "admin", "--password-file", BMC_PASSWORD, *nodes)


def known_secrets(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, str]:
    """Random secrets in a file, made once. They start with a mark that the tests look for where no secret may be."""
    known = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        known.setdefault(name, f"canary-{name}-{secrets.token_hex(12)}")
    write_private(path, json.dumps(known, indent=2))
    return known


def make_secrets() -> None:
    for file, names in (("secrets.json", SECRETS), ("vault.json", VAULT)):
        known_secrets(STATE / file, names)
    if not BMC_PASSWORD.exists():  # IPMI takes twenty characters
        write_private(BMC_PASSWORD, f"canary-bmc_{secrets.token_hex(4)}\n")
    if PAIR.exists() and not STATUS_HASH.exists():
        argv = ["openssl", "passwd", "-6", "-stdin"]
        write_private(STATUS_HASH, subprocess.run(argv, input=status_password(), text=True, capture_output=True, check=True).stdout)


def status_password() -> str:
    return json.loads((STATE / "secrets.json").read_text())["status_password"]


def write_private(path: pathlib.Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)


def show_task(line: str) -> None:
    """Ansible's present play or task as the progress of a step."""
    if line.startswith(("PLAY [", "TASK [")):
        PROGRESS.note(line.split("[", 1)[1].split("]")[0])


def ansible(environment: pathlib.Path, *playbooks: str) -> str:
    """Apply playbooks to the lab; return what they printed."""
    # A control node may have its own settings for any of these; the lab's are what this clone says.
    env = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    return run(environment / "bin/ansible-playbook", *inventory(), *playbooks, env=env, show=show_task)


def inventory() -> list[str]:
    return ["-i", "inventories/lab", *(["-i", "inventories/lab-pair"] if PAIR.exists() else [])]


def pair_table(environment: pathlib.Path) -> list[str]:
    """What playbooks/ha_status.yml says of the pair, where there is one."""
    if not PAIR.exists():
        return []
    output = ansible(environment, "playbooks/ha_status.yml")
    return told(output) or ["playbooks/ha_status.yml says nothing; build/lab.log has its output"]


def told(output: str) -> list[str]:
    """The lines of the last table that a playbook printed."""
    shown = re.findall(r'"msg": (\[.*?^ *\])', output, re.MULTILINE | re.DOTALL)
    return json.loads(shown[-1]) if shown else []


def recap(output: str) -> dict[str, dict[str, int]]:
    found = re.findall(r"^(\S+)\s+: (ok=\d+.*)$", output, re.MULTILINE)
    return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in found}


def get(url: str, cafile: pathlib.Path | None = None) -> bytes:
    context = None
    if cafile:
        context = ssl.create_default_context(cafile=str(cafile))
    with urllib.request.urlopen(url, timeout=3, context=context) as answer:  # noqa: S310 - the lab's own addresses
        return answer.read()


def orders(since: int = 0) -> list[dict]:
    return json.loads(get(f"{EXCHANGE}/orders?since={since}"))["orders"]


def await_orders() -> int:
    """Wait until the exchange records new orders; return how many it has."""
    deadline = time.monotonic() + 60
    first = None
    while time.monotonic() < deadline:
        try:
            recorded = json.loads(get(f"{EXCHANGE}/stats"))["orders"]
            if first is None:
                first = recorded
            elif recorded > first:
                return recorded
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.3)
    look = "docker exec botops-lab-primary journalctl -u 'bot-*' -n 50"
    raise Failed(f"The hosts are up but no order arrived within 60 s. Look at the bot: {look}")


def table(pair: list[str]) -> str:
    ip = HOSTS["primary"][0]
    what = {
        "primary": "member of the pair; nginx, which asks the floating address" if pair else "the bot `polymarket`, behind nginx",
        "standby": "member of the pair" if pair else "the same release, installed and stopped",
        "witness": "the third vote of the pair" if pair else "a hardened host, the third vote of a pair",
        "services": f"mock exchange ({EXCHANGE}), ACME server",
    }
    rows = [("host", "address", "what runs there"), *((name, HOSTS[name][0], what[name]) for name in HOSTS)]
    width = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  " + "  ".join(cell.ljust(size) for cell, size in zip(row, width, strict=True)).rstrip() for row in rows]
    if pair:
        lines += ["", *(f"  {line}" for line in pair)]
    fetch = f"curl --cacert .cache/lab/acme-root.pem --resolve {BOT_NAME}:443:{ip} https://{BOT_NAME}"
    lines += ["", f"  the bot          {fetch}/health", "  orders arriving  make lab-watch"]
    if pair:
        lines += [f"  wherever it runs curl http://{FLOATING}:8088/health"]
        lines += [f"  is all well      https://{STATUS_NAME} (at {ip}), as ops with the password status_password of .cache/lab/secrets.json"]
        lines += ["  pull the plug    docker kill botops-lab-primary      while lab-watch runs: the orders go on from the standby"]
        lines += [f"  the pair         ansible-playbook playbooks/ha_status.yml {' '.join(inventory())}      (failover.yml, failback.yml)"]
    lines += [
        f"  log in           ssh -i .cache/lab/id_ed25519 -o UserKnownHostsFile=.cache/lab/known_hosts admin@{ip}",
        f"  again            make {'lab-pair' if pair else 'lab     '}  (changes nothing)",
        "  remove           make lab-down",
    ]
    return "\n".join(lines)


# --- the commands -----------------------------------------------------------------------------------


def up(pair: bool) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    environment = prepare()
    forget_stopped()
    if pair:
        PAIR.touch()
    make_secrets()
    step("four hosts with systemd and sshd", start_hosts)
    if PAIR.exists():
        step("a management controller for each member", lambda: start_controllers(environment))
    # The first time a pair's fencing is tested, while nothing runs; then it is what site.yml does.
    site = "playbooks/pair_bootstrap.yml" if PAIR.exists() else "site.yml"
    applied = step(f"{site} {' '.join(inventory())}", lambda: ansible(environment, "lab/services.yml", site))
    step("orders arrive at the exchange", await_orders)
    shown = pair_table(environment)
    counts = recap(applied)
    changed = sum(host.get("changed", 0) for host in counts.values())
    result = {"seconds": round(time.monotonic() - STARTED, 1), "changed": changed, "hosts": counts}
    (ROOT / "build/lab.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['seconds']:6.1f} s  altogether, changed={changed}\n\n{table(shown)}")


def watch() -> None:
    senders = json.loads(get(f"{EXCHANGE}/stats"))["hosts"].values()
    since = max((sender.get("last_seq") or 0 for sender in senders), default=0)
    print("sequence  from      order")
    while True:
        for order in orders(since):
            since = order["seq"]
            print(f"{since:8d}  {order['host']:8s}  {order['client_order_id']}", flush=True)
        time.sleep(0.5)


def status() -> None:
    print(table(pair_table(control_node.ensure(REQUIREMENTS))))


def compliance() -> None:
    """On the lab as it is: the scanners, what is compared with what, and one report of all hosts. A lab that is not as declared is a failure."""
    LOG.write_text("")
    try:
        await_orders()
    except Failed:
        raise Failed("There is no lab that trades: `make lab` first.") from None
    environment = control_node.ensure(REQUIREMENTS)
    over = ("-i", "inventories/lab-compliance")
    step("site.yml --tags compliance", lambda: ansible(environment, *over, "site.yml", "--tags", "compliance"))
    try:
        step("playbooks/compliance.yml", lambda: ansible(environment, *over, "playbooks/compliance.yml"))
    finally:
        print("\n".join(f"  {line}" for line in told(LOG.read_text())))


def down() -> None:
    run(sys.executable, ROOT / "lab/bmc.py", "--group", GROUP, "--stop")
    run(sys.executable, ROOT / "lab/hosts.py", "down", GROUP)


def down_and_say() -> None:
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        print("No Docker engine answers, so no lab runs. What a stopped engine still holds, the next `make lab` removes.")
        return
    down()
    print("The lab is removed.")


def command_line(commands: dict, usage: str, make: str) -> int:
    """Run the command whose words were given; what went wrong is said with where to look. `make`: what makes this lab."""
    command = commands.get(tuple(sys.argv[1:]))
    if not command:
        sys.exit(usage)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    try:
        command()
    except KeyboardInterrupt:
        return 130
    except (Failed, urllib.error.URLError) as problem:
        print(f"\n{problem}\n\nNot done. The whole output is in {LOG.relative_to(ROOT)}; `{make}` can simply be repeated.", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    commands = {
        ("up",): lambda: up(pair=False), ("up", "--pair"): lambda: up(pair=True), ("status",): status, ("watch",): watch,
        ("compliance",): compliance, ("down",): down_and_say,
    }  # fmt: skip
    return command_line(commands, __doc__, "make lab")


if __name__ == "__main__":
    sys.exit(main())
