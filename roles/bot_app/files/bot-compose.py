# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the unit of a bot in compose mode calls. Written by the role bot_app.

bot-compose up NAME              start the bot's services and live as long as the bot's own one
bot-compose down NAME            stop and remove what is left of them
bot-compose kill NAME            kill the bot's own service, however it hangs; its unit starts all of them again
bot-compose ask NAME ARGUMENTS   docker compose ARGUMENTS on the running release, such as `ps --all`
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

CONFIG = os.environ.get("BOT_HELPER_CONFIG", "/etc/bot-%s/bot.json")
SOCKET = os.environ.get("BOT_ENGINE_SOCKET", "/run/docker.sock")
# Whatever surrounds the caller fills no variable of a compose file.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
RESTART_LABEL = "botops.restart"
SERVICE_LABEL = "com.docker.compose.service"
LAST_LINES = 15
SHORT_GRACE = 5
# Once the bot has ended, what the others say of being stopped would bury its last words.
OVER = threading.Event()


def command(config, arguments, release=None, plain=False):
    """docker compose on a release with its overlay and the settings of /etc. `plain`: the owner's file alone."""
    compose = config["compose"]
    root = release or os.path.realpath(config["current"])
    words = ["docker", "compose", "--project-name", "bot-" + config["name"], "--project-directory", root]
    for path in (root + "/.botops/source.env", compose["env_file"], root + "/.botops/compose.env"):
        if os.path.exists(path):
            words += ["--env-file", path]
    for profile in compose["profiles"]:
        words += ["--profile", profile]
    words += ["--file", os.path.join(root, compose["file"])]
    if not plain:
        words += ["--file", root + "/.botops/overlay.yml", "--file", compose["override"]]
    return words + arguments


def environment():
    return {**ENVIRONMENT, **{key: value for key, value in os.environ.items() if key.startswith("DOCKER_")}}


# --- the engine


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def engine(method, path, **query):
    """What the engine answers; OSError while it restarts."""
    connection = Connection("localhost", timeout=30)
    try:
        connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""))
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 400:
            raise OSError("%s %s: %s" % (method, path, text.strip()))
        return json.loads(text) if text.strip() else None
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def containers(config, every=False):
    """The project's own containers, without those of a command that runs beside them unless `every` is asked for."""
    labels = ["com.docker.compose.project=bot-" + config["name"]] + ([] if every else ["com.docker.compose.oneoff=False"])
    found = engine("GET", "/containers/json", all=1, filters=json.dumps({"label": labels}))
    return [Container(entry["Id"], entry["Labels"]) for entry in found]


class Container:
    def __init__(self, identifier, labels):
        self.id, self.service = identifier, labels.get(SERVICE_LABEL, "")
        self.policy = labels.get(RESTART_LABEL, "on-failure")
        self.descriptor, self.pause, self.start_at = None, 1, None

    def state(self):
        return engine("GET", "/containers/%s/json" % self.id)["State"]

    def follow(self):
        """Open a handle on its process, which tells its end whether the engine is up or not. False when it has none."""
        state = self.state()
        if not state["Running"]:
            return False
        try:
            self.descriptor = os.pidfd_open(state["Pid"])
        except ProcessLookupError:
            return False
        return True

    def close(self):
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def kill(self):
        engine("POST", "/containers/%s/kill" % self.id)

    def verdict(self):
        """How it ended, as soon as the engine knows; None while it runs again, or when nobody can tell."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                state = self.state()
                if not state["Running"]:
                    return state
                if self.follow():
                    return None
            except OSError:
                pass
            time.sleep(0.1)
        return {"ExitCode": 1, "OOMKilled": False, "Error": "the engine does not say how"}


def ending(state):
    why = " for want of memory" if state.get("OOMKilled") else ""
    return "exit code %s%s%s" % (state["ExitCode"], why, ": " + state["Error"] if state.get("Error") else "")


# --- logs


class Logs:
    """Copies what a container writes to the unit's journal, and goes on when the engine was restarted in between."""

    lock = threading.Lock()
    # Whose line was the last one written.
    latest = None

    def __init__(self, container, prefix):
        self.container, self.prefix = container, prefix.encode()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        since = "0"
        while True:
            words = ["docker", "logs", "--follow", "--since", since, self.container.id]
            with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()) as reading:
                for line in reading.stdout:
                    since = "%.3f" % time.time()
                    with self.lock:
                        if OVER.is_set():
                            continue
                        Logs.latest = self
                        sys.stdout.buffer.write(self.prefix + line)
                        sys.stdout.buffer.flush()
            try:
                if not self.container.state()["Running"]:
                    return
            except OSError as error:
                if "No such container" in str(error):
                    return
            time.sleep(0.5)


def last_lines(container):
    words = ["docker", "logs", "--tail", str(LAST_LINES), container.id]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=environment())
    return done.stdout.decode(errors="replace").rstrip()


# --- what the unit runs


class Bot:
    def __init__(self, config):
        self.config, self.compose = config, config["compose"]
        self.services, self.logs = [], {}
        self.stopping = False

    def up(self):
        self.wakeup, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(signalled)
        signal.signal(signal.SIGTERM, self.on_term)
        words = command(self.config, ["up", "--detach", "--no-build", "--pull", "never", "--quiet-pull", "--no-color"])
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=environment())
        if done.returncode and not self.stopping:
            return self.tell_start(done)
        code, grace = 0, self.compose["stop_seconds"]
        if not self.stopping:
            found = containers(self.config)
            for container in found:
                name = "" if container.service == self.compose["service"] else container.service
                self.logs[container.id] = Logs(container, name + " | " if name else "")
            code = self.watch(found)
        # When the bot is gone already, each second for the others is one that it does not trade.
        self.down(grace if self.stopping else min(grace, SHORT_GRACE))
        return 0 if self.stopping else code

    def on_term(self, *_):
        self.stopping = True

    def tell_start(self, done):
        """Which container was in the way, and what it said, before what Compose says."""
        for container in containers(self.config):
            state = container.state()
            unwell = (state.get("Health") or {}).get("Status") == "unhealthy"
            if state["ExitCode"] or unwell or state.get("Error"):
                print(last_lines(container))
                print("<3>the service %s %s" % (container.service, "is unhealthy" if unwell else "ended with " + ending(state)), flush=True)
        print(done.stdout.decode(errors="replace").strip(), flush=True)
        return 1

    def watch(self, found):
        """Until the bot's own service ends. Others are started again when they should be."""
        self.services = found
        for container in found:
            if not container.follow() and (code := self.ended(container)) is not None:
                return code
        while not self.stopping:
            handles = {one.descriptor: one for one in self.services if one.descriptor is not None}
            waiting = [one.start_at - time.monotonic() for one in self.services if one.start_at]
            ready = select.select([*handles, self.wakeup], [], [], max(0, min(waiting)) if waiting else None)[0]
            for descriptor in ready:
                if descriptor == self.wakeup:
                    os.read(self.wakeup, 64)
                    continue
                handles[descriptor].close()
                code = self.ended(handles[descriptor])
                if code is not None:
                    return code
            self.start_due()
        return 0

    def ended(self, container):
        """The code to end with when the bot itself ended."""
        state = container.verdict()
        if state is None or self.stopping:
            return None
        if container.service == self.compose["service"]:
            self.last_words(container)
            print("<3>the service %s ended with %s" % (container.service, ending(state)), flush=True)
            return state["ExitCode"]
        wanted = container.policy in ("always", "unless-stopped") or (container.policy == "on-failure" and state["ExitCode"])
        level, what = ("<4>", "; starting it again") if wanted else ("<3>" if state["ExitCode"] else "<5>", "")
        print("%sthe service %s ended with %s%s" % (level, container.service, ending(state), what), flush=True)
        if wanted:
            container.start_at = time.monotonic() + container.pause
            container.pause = min(container.pause * 2, 60)
        return None

    def last_words(self, container):
        """What the bot said last stands last: once more where others wrote after it, or before all of it was copied."""
        own = self.logs[container.id]
        own.thread.join(3)
        with Logs.lock:
            OVER.set()
            buried = own.thread.is_alive() or Logs.latest is not own
        if buried and (said := last_lines(container)):
            print(said, flush=True)

    def start_due(self):
        for container in self.services:
            if container.start_at and container.start_at <= time.monotonic():
                container.start_at = None
                try:
                    engine("POST", "/containers/%s/start" % container.id)
                    running = container.follow()
                except OSError as error:
                    print("<3>the service %s cannot be started: %s" % (container.service, error), flush=True)
                    running = False
                if running:
                    self.logs[container.id] = Logs(container, container.service + " | ")
                else:
                    container.start_at = time.monotonic() + container.pause
                    container.pause = min(container.pause * 2, 60)

    def down(self, grace=None):
        """By the project's name alone: whatever release they are of, and whether its file can still be read or not."""
        # Asked for three times in a restart, and mostly there is nothing left: a second of orders saved.
        with contextlib.suppress(OSError):
            if not containers(self.config, every=True):
                return 0
        words = ["docker", "compose", "--project-name", "bot-" + self.config["name"], "down", "--remove-orphans"]
        words += ["--timeout", str(self.compose["stop_seconds"] if grace is None else grace)]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=environment(), cwd="/")
        if done.returncode:
            print(done.stdout.decode(errors="replace").strip(), flush=True)
        return done.returncode


def kill(config):
    mine = [container for container in containers(config) if container.service == config["compose"]["service"]]
    for container in mine:
        container.kill()
    return 0 if mine else 1


def ask(config, arguments):
    release, plain = None, False
    if arguments[:1] == ["--release"]:
        release, arguments = arguments[1], arguments[2:]
    if arguments[:1] == ["--plain"]:
        plain, arguments = True, arguments[1:]
    words = command(config, arguments, release, plain)
    os.execvpe(words[0], words, environment())


def main(argv):
    commands = {
        "up": lambda config: Bot(config).up(), "down": lambda config: Bot(config).down(), "kill": kill, "ask": lambda config: ask(config, argv[3:]),
    }  # fmt: skip
    if len(argv) < 3 or argv[1] not in commands or (argv[1] != "ask" and len(argv) > 3):
        print(__doc__, file=sys.stderr)
        return 64
    with open(CONFIG % argv[2], encoding="utf-8") as handle:
        config = json.load(handle)
    if "compose" not in config:
        print("%s is not a compose bot" % argv[2], file=sys.stderr)
        return 64
    return commands[argv[1]](config)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
