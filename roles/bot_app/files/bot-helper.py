# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the units of a bot call. Written by the role bot_app.

bot-helper wait NAME     until the health endpoint answers 200, or the bot died, or time is up
bot-helper check NAME    one probe; after so many failures in a row the bot is killed, and its unit starts it again
bot-helper retain NAME   delete files past their days
"""

from __future__ import annotations

import fnmatch
import json
import os
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request

CONFIG = os.environ.get("BOT_HELPER_CONFIG", "/etc/bot-%s/bot.json")
RUNTIME = os.environ.get("BOT_HELPER_RUNTIME", "/run/botops")


def probe(health):
    """None when healthy, else why not."""
    # No proxy from the environment: the endpoint is this host's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(health["url"], timeout=health["probe_seconds"]) as answer:
            return None if answer.status == 200 else "status %s" % answer.status
    except urllib.error.HTTPError as error:
        return "status %s: %s" % (error.code, error.read(200).decode(errors="replace").strip())
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def alive(pid):
    """False once the main process has ended; systemd would otherwise wait for us before it noticed."""
    # Not by /proc: in the bot's sandbox other processes, even of the same user, cannot be seen there.
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def wait(config):
    health, main_pid = config["health"], os.environ.get("MAINPID")
    deadline = time.monotonic() + health["timeout_seconds"]
    while True:
        if main_pid and not alive(main_pid):
            print("the bot ended before it was healthy")
            return 1
        why = probe(health)
        if why is None:
            return 0
        if time.monotonic() >= deadline:
            print("not healthy after %d s at %s: %s" % (health["timeout_seconds"], health["url"], why))
            return 1
        time.sleep(0.3)


def properties(unit):
    shown = subprocess.run(
        ["systemctl", "show", unit, "--property", "ActiveState,InvocationID"], stdout=subprocess.PIPE, check=True
    )
    return dict(line.split("=", 1) for line in shown.stdout.decode().splitlines())


def load(path):
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except (OSError, ValueError):
        return {}


def save(path, value):
    temporary = path + ".new"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
        json.dump(value, handle, indent=1, sort_keys=True)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def check(config, clock=time.monotonic):
    state = properties(config["unit"])
    counter = os.path.join(RUNTIME, config["name"] + ".json")
    if state["ActiveState"] != "active":
        return 0
    os.makedirs(RUNTIME, mode=0o755, exist_ok=True)
    seen = load(counter)
    if seen.get("invocation") != state["InvocationID"]:
        seen = {"invocation": state["InvocationID"], "failures": 0}
    why = probe(config["health"])
    if why is None:
        if config["trading_mode"] == "paper":
            record_paper(config, seen, clock())
        seen.update(failures=0, healthy_at=clock())
        save(counter, seen)
        return 0
    seen["failures"] += 1
    save(counter, seen)
    print("<4>%s: probe %d of %d failed: %s" % (config["unit"], seen["failures"], config["health"]["failures"], why))
    if seen["failures"] < config["health"]["failures"]:
        return 0
    # Again: seconds have passed, and an operator may have stopped it. SIGKILL, since a hung bot ignores the rest.
    if properties(config["unit"]) == state:
        print("<3>%s is up and does not answer: killing it" % config["unit"])
        subprocess.run(["systemctl", "kill", "--signal=SIGKILL", config["unit"]], check=True)
    return 0


def record_paper(config, seen, now):
    """Add the healthy time since the last probe of the same run to what this release has on record."""
    if "healthy_at" not in seen or seen["failures"]:
        return
    # The clock stands still for nobody, but a probe that came late vouches for no more than a few intervals.
    gained = min(max(now - seen["healthy_at"], 0), 3 * config["health"]["interval_seconds"])
    release = os.path.basename(os.path.realpath(config["current"]))
    path = os.path.join(config["state"], "paper.json")
    record = load(path)
    entry = record.setdefault(release, {"seconds": 0, "first": int(time.time())})
    entry["seconds"] = round(entry["seconds"] + gained, 1)
    entry["last"] = int(time.time())
    save(path, record)


def retain(config, now=None):
    now, removed = now or time.time(), 0
    for rule in config["retention"]:
        for directory, _names, names in os.walk(rule["path"]):  # does not follow links
            for name in fnmatch.filter(names, rule["pattern"]):
                path = os.path.join(directory, name)
                try:
                    info = os.lstat(path)
                    if stat.S_ISREG(info.st_mode) and now - info.st_mtime > rule["days"] * 86400:
                        os.unlink(path)
                        removed += 1
                except FileNotFoundError:
                    pass
    print("%d files removed" % removed)
    return 0


def main(argv):
    commands = {"wait": wait, "check": check, "retain": retain}
    if len(argv) != 3 or argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 64
    with open(CONFIG % argv[2], encoding="utf-8") as handle:
        return commands[argv[1]](json.load(handle))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
