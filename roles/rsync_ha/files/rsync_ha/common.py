"""What every command needs: where things are, the configuration, eras, and small tools."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import pwd
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone

CONFIG = pathlib.Path(os.environ.get("RSYNC_HA_CONFIG", "/etc/botops/rsync_ha.json"))
NOTIFIER = pathlib.Path("/usr/local/sbin/botops-notify")
LITESTREAM = os.environ.get("RSYNC_HA_LITESTREAM", "/usr/local/lib/botops/litestream")


class Refused(Exception):
    """Something that must not go on, said in one sentence for an operator."""


def say(text: str) -> None:
    print(text, flush=True)


def ring(severity: str, text: str) -> None:
    """Something that a person has to hear of: into the journal with its priority, and to the program that delivers it, where there is one."""
    print({"critical": "<2>", "warning": "<4>"}.get(severity, "<6>") + text, flush=True)
    if NOTIFIER.exists():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([NOTIFIER, severity, text], timeout=10, check=False, stdin=subprocess.DEVNULL)


def sources() -> list[int]:
    """Of the configuration and of this program: when they change, whoever runs begins anew."""
    code = pathlib.Path(__file__).parent
    return [path.stat().st_mtime_ns for path in [CONFIG, *sorted(code.glob("*.py"))]]


def stamp(at: float | None = None) -> str:
    return datetime.fromtimestamp(time.time() if at is None else at, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


# --- configuration and places -------------------------------------------------------------------------------


@dataclasses.dataclass
class Bot:
    """One bot's data, and where this host keeps what belongs to it."""

    name: str
    user: str
    directory: pathlib.Path
    databases: list[str]
    find: list[str]
    exclude: list[str]
    config: dict

    @property
    def root(self) -> pathlib.Path:
        return pathlib.Path(self.config["state_directory"])

    @property
    def run(self) -> pathlib.Path:
        return pathlib.Path(self.config.get("run_directory", "/run/botops-rsync-ha")) / self.name

    @property
    def replicas(self) -> pathlib.Path:
        """What the peer's Litestream writes here, one directory an era."""
        return self.root / "replicas" / self.name

    @property
    def incoming(self) -> pathlib.Path:
        """What the peer's rsync writes here."""
        return self.root / "incoming" / self.name

    @property
    def records(self) -> pathlib.Path:
        """What this host tells the peer about its own eras."""
        return self.root / "records" / self.name

    @property
    def reports(self) -> pathlib.Path:
        return self.root / "reports"

    @property
    def state_file(self) -> pathlib.Path:
        return self.root / "state" / (self.name + ".json")

    @property
    def marker(self) -> pathlib.Path:
        """There while this host is the active one. In /run, so that a reboot makes a standby."""
        return self.run / "active"

    def meta(self, era: Era) -> pathlib.Path:
        return self.root / "meta" / self.name / era.id

    def account(self) -> pwd.struct_passwd:
        try:
            return pwd.getpwnam(self.user)
        except KeyError:
            raise Refused(f"The user {self.user} of bot {self.name} does not exist on this host: deploy the bot here first.") from None


def load_config() -> dict:
    try:
        return json.loads(CONFIG.read_text())
    except FileNotFoundError:
        raise Refused(f"{CONFIG} is missing: apply the role rsync_ha to this host.") from None


def load_bot(name: str, config: dict | None = None) -> Bot:
    config = config or load_config()
    if name not in config["bots"]:
        raise Refused(f"There is no bot {name!r} in {CONFIG}; known are: {', '.join(sorted(config['bots'])) or 'none'}.")
    entry = config["bots"][name]
    return Bot(
        name=name, user=entry["user"], directory=pathlib.Path(entry["directory"]), databases=entry["databases"],
        find=entry["find"], exclude=entry["exclude"], config=config,
    )  # fmt: skip


# --- eras ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, order=True)
class Era:
    """A stretch of time during which one host wrote. The highest one holds the newest data.

    Two hosts can only use one number twice when the second never heard of the first; then the later start wins.
    """

    number: int
    started_at: int
    host: str

    @property
    def id(self) -> str:
        return f"{self.number:06d}-{self.started_at}-{self.host}"

    @classmethod
    def parse(cls, text: str) -> Era | None:
        number, _unused, rest = text.partition("-")
        started, _unused, host = rest.partition("-")
        if not (number.isdigit() and started.isdigit() and host):
            return None
        return cls(int(number), int(started), host)


def read_json(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def write_json(path: pathlib.Path, value: dict, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
        json.dump(value, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def own_era(bot: Bot) -> Era | None:
    return Era.parse(read_json(bot.state_file).get("era") or "")


def received_records(bot: Bot) -> dict[Era, dict]:
    """What the peer told about its eras."""
    found = {}
    for path in (bot.incoming / "records").glob("*.json"):
        if era := Era.parse(path.stem):
            found[era] = read_json(path)
    return found


def received_eras(bot: Bot) -> list[Era]:
    """Every era that anything has arrived of, newest first."""
    eras = set(received_records(bot))
    with contextlib.suppress(FileNotFoundError):
        eras |= {era for name in os.listdir(bot.replicas) if (era := Era.parse(name))}
    return sorted(eras, reverse=True)


# --- processes ----------------------------------------------------------------------------------------------


class GaveWay(BaseException):
    """Housekeeping made room for something that cannot wait."""


def give_way(*_unused) -> None:
    raise GaveWay


@contextlib.contextmanager
def undisturbed():
    """What housekeeping must not leave half done."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def ask_to_give_way(handle) -> None:
    """The holder of the lock wrote its number and its trade into the file; while the lock is held, the number is its."""
    handle.seek(0)
    pid, _unused, trade = handle.read().strip().partition(" ")
    if trade == "housekeeping" and pid.isdigit():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)


@contextlib.contextmanager
def locked(bot: Bot, wait: float = 20, housekeeping: bool = False):
    """One promotion, handover or look-round at a time. Nothing waits for housekeeping, which ends and comes again."""
    bot.run.mkdir(parents=True, exist_ok=True)
    with open(bot.run / "lock", "a+") as handle:
        deadline, asked = time.monotonic() + wait, 0.0
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if housekeeping:
                    raise GaveWay from None
                if time.monotonic() > deadline:
                    raise Refused(f"Another botops-rsync-ha command works on {bot.name} and does not end.") from None
                if time.monotonic() - asked > 1:
                    asked = time.monotonic()
                    ask_to_give_way(handle)
                time.sleep(0.05)
        if housekeeping:
            signal.signal(signal.SIGTERM, give_way)
        handle.truncate(0)
        handle.write(f"{os.getpid()} {'housekeeping' if housekeeping else 'work'}")
        handle.flush()
        try:
            yield
        finally:
            if housekeeping:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)


def as_user(bot: Bot) -> dict:
    """Arguments that make a child run as the bot's user."""
    if os.geteuid():
        return {}
    account = bot.account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": os.getgrouplist(bot.user, account.pw_gid)}


def own_by_bot(bot: Bot, path: pathlib.Path) -> None:
    if os.geteuid() == 0:
        account = bot.account()
        os.chown(path, account.pw_uid, account.pw_gid)


def make_for_bot(bot: Bot, path: pathlib.Path, mode: int = 0o700) -> pathlib.Path:
    """A directory that the bot's user may write; parents stay root's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=mode, exist_ok=True)
    own_by_bot(bot, path)
    return path


def run(argv: list[str], timeout: float = 60, **kwargs) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(argv, text=True, capture_output=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL, **kwargs)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", f"gave no answer within {timeout:.0f} s")


def last_words(done: subprocess.CompletedProcess) -> str:
    lines = (done.stderr or done.stdout or "").strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def notify(text: str) -> None:
    """Tell systemd, if it listens."""
    import socket

    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(text.encode(), address)


def fail(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
    raise SystemExit(1)
