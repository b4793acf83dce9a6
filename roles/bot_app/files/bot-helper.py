# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the units of a bot call. Written by the role bot_app.

bot-helper wait NAME     until the bot says that it is well, or died, or time is up
bot-helper check NAME    is it well? One that does not answer is killed, and its unit starts it again
bot-helper probe NAME    one probe: 0 when it is well
bot-helper retain NAME   delete files past their days
"""

from __future__ import annotations

import fnmatch
import json
import os
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request

CONFIG = os.environ.get("BOT_HELPER_CONFIG", "/etc/bot-%s/bot.json")
COMPOSE = "/usr/local/lib/botops/bot-compose"
RUNTIME = os.environ.get("BOT_HELPER_RUNTIME", "/run/botops")


class Unwell(str):
    """It answers, and says that it is not well: no reason to end it at once."""


def probe(config, since=0):
    """None when the bot is well, else why not. A file counts when it was written after `since`."""
    health = config["health"]
    kind = next(kind for kind in ("command", "tcp", "file_age", "url") if health.get(kind))
    try:
        return PROBES[kind](config, health, since)
    except subprocess.TimeoutExpired:
        return "no answer within %s s" % health["probe_seconds"]
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def by_url(config, health, since):
    # No proxy from the environment: the endpoint is this host's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(health["url"], timeout=health["probe_seconds"]) as answer:
            if answer.status != 200:
                return Unwell("status %s" % answer.status)
            # A start is judged by its answer alone: its first order may take its time.
            most = 0 if since else health.get("order_age_seconds")
            return order_age(answer.read(65536), most, config.get("started", 0)) if most else None
    except urllib.error.HTTPError as error:
        return Unwell("status %s: %s" % (error.code, error.read(200).decode(errors="replace").strip()))


def order_age(text, most, started):
    """Counted from the start where that came later, so that a quiet market does not end a bot again and again."""
    try:
        last = max(json.loads(text)["last_order"] or 0, started)
    except (ValueError, KeyError, TypeError):
        return Unwell("its answer has no last_order, in seconds since 1970")
    age = time.time() - last
    return Unwell("no order for %d s, more than %d" % (age, most)) if last and age > most else None


def by_tcp(_config, health, _since):
    address, _colon, port = health["tcp"].rpartition(":")
    socket.create_connection((address.strip("[]"), int(port)), timeout=health["probe_seconds"]).close()


def by_file_age(_config, health, since):
    path, most = health["file_age"]["path"], health["file_age"]["seconds"]
    written = os.stat(path).st_mtime
    if written < since:
        return "%s was not written since the start" % path
    age = time.time() - written
    return None if age <= most else "%s was last written %d s ago, more than %s" % (path, age, most)


def by_command(config, health, _since):
    """As the bot: in its container, or as its user with its environment."""
    words = list(health["command"])
    if "compose" in config:
        words = [COMPOSE, "ask", config["name"], "exec", "--no-TTY", config["compose"]["service"]] + words
    elif os.geteuid() == 0:
        words = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe"] + config["run_as"] + words
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=health["probe_seconds"])
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        return "exit code %d%s" % (done.returncode, ": " + said[-1] if said else "")
    return None


PROBES = {"url": by_url, "tcp": by_tcp, "file_age": by_file_age, "command": by_command}


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
    deadline, started = time.monotonic() + health["timeout_seconds"], time.time()
    while True:
        if main_pid and not alive(main_pid):
            print("the bot ended before it was healthy")
            return 1
        why = probe(config, started)
        if why is None:
            return 0
        if time.monotonic() >= deadline:
            print("not healthy after %d s: %s" % (health["timeout_seconds"], why))
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


def check(config, clock=time.monotonic, pause=time.sleep):
    """One probe when it is well. One that does not answer is asked again at once, `failures` times in all, and then killed; one that
    answers that it is unwell has `unwell_seconds` to get well by itself."""
    health = config["health"]
    state = properties(config["unit"])
    counter = os.path.join(RUNTIME, config["name"] + ".json")
    if state["ActiveState"] != "active":
        return 0
    os.makedirs(RUNTIME, mode=0o755, exist_ok=True)
    seen = load(counter)
    if seen.get("invocation") != state["InvocationID"]:
        seen = {"invocation": state["InvocationID"], "started": time.time()}
    config = {**config, "started": seen.get("started", 0)}
    for attempt in range(1, health["failures"] + 1):
        began = clock()
        why = probe(config)
        if why is None:
            if config["trading_mode"] == "paper":
                record_paper(config, seen, clock())
            seen = {"invocation": seen["invocation"], "started": config["started"], "healthy_at": clock()}
            save(counter, seen)
            return 0
        seen["failed"] = True
        if isinstance(why, Unwell):
            seen.setdefault("unwell_since", began)
            save(counter, seen)
            lasted = clock() - seen["unwell_since"]
            print("<4>%s says for %d s of %d that it is not well: %s" % (config["unit"], lasted, health["unwell_seconds"], why))
            if lasted < health["unwell_seconds"]:
                return 0
            break
        save(counter, seen)
        print("<4>%s: probe %d of %d failed: %s" % (config["unit"], attempt, health["failures"], why))
        if attempt < health["failures"]:
            # One that refuses at once is given as long as one that says nothing.
            pause(max(0, began + health["probe_seconds"] - clock()))
    # Again: seconds have passed, and an operator may have stopped it. SIGKILL, since a hung bot ignores the rest.
    if properties(config["unit"]) == state:
        print("<3>%s is up and %s: killing it" % (config["unit"], "not well" if isinstance(why, Unwell) else "does not answer"))
        if "compose" in config and subprocess.run([COMPOSE, "kill", config["name"]], check=False).returncode == 0:
            return 0
        subprocess.run(["systemctl", "kill", "--signal=SIGKILL", config["unit"]], check=True)
    return 0


def record_paper(config, seen, now):
    """Add the healthy time since the last probe of the same run to what this release has on record."""
    if "healthy_at" not in seen or seen.get("failed"):
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


def tell(config):
    why = probe(config)
    print("well" if why is None else why)
    return 0 if why is None else 1


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
    commands = {"wait": wait, "check": check, "probe": tell, "retain": retain}
    if len(argv) != 3 or argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 64
    with open(CONFIG % argv[2], encoding="utf-8") as handle:
        return commands[argv[1]](json.load(handle))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
