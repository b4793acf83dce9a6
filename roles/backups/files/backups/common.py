"""What all parts share: the configuration, the lock, files that are whole or not there, processes, evidence."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import time

# Another directory for a restore of what another host saved.
ETC = pathlib.Path(os.environ.get("BOTOPS_BACKUPS_ETC", "/etc/botops/backups"))
STATE = pathlib.Path("/var/lib/botops/backups")
EVIDENCE = pathlib.Path("/var/lib/botops/evidence")
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
NAMESPACE = "botops-evidence"


class Refused(Exception):
    """A sentence for the operator."""


def read_json(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def write_json(path: pathlib.Path, value: dict, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
        os.fchmod(stream.fileno(), mode)
        json.dump(value, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def load_config() -> dict:
    config = read_json(ETC / "config.json")
    if not config:
        raise Refused(f"{ETC}/config.json is missing: apply the role backups to this host.")
    config["secrets"] = read_json(ETC / "secrets.json")
    return config


# --- time -----------------------------------------------------------------------------------------------------


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp() -> str:
    return now().strftime("%Y%m%dT%H%M%SZ")


def parse_time(text: str) -> datetime.datetime:
    """ISO 8601, down to the minute or finer; without a zone it is UTC. restic writes nine digits of a second, Python reads six."""
    clean = text.strip().replace("Z", "+00:00").replace("z", "+00:00")
    head, dot, rest = clean.partition(".")
    if dot:
        zone = rest.lstrip("0123456789")
        clean = f"{head}.{rest[: len(rest) - len(zone)][:6].ljust(6, '0')}{zone}"
    try:
        moment = datetime.datetime.fromisoformat(clean)
    except ValueError:
        raise Refused(f"at: {text!r} is no time; write it like 2026-01-31T02:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


# --- files ----------------------------------------------------------------------------------------------------


def sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    # A dump lies in a directory that its bot may write: never follow a link from there.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fresh_directory(path: pathlib.Path, mode: int = 0o700) -> pathlib.Path:
    if path.is_symlink():
        raise Refused(f"{path} is a symbolic link, and a directory is expected there: remove it.")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def tree_bytes(path: pathlib.Path) -> int:
    total = 0
    for directory, _names, files in os.walk(path):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
    return total


@contextlib.contextmanager
def locked(what: str, wait: float = 0):
    """Two runs never meet. The kernel lets go of the lock when its holder dies."""
    STATE.mkdir(parents=True, exist_ok=True)
    with open(STATE / "lock", "a+") as handle:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    holder = handle.read().strip() or "another command"
                    raise Refused(f"{holder} is at work; wait until it has ended (journalctl -fu botops-backup) and try again.") from None
                time.sleep(0.2)
        handle.truncate(0)
        handle.write(f"{what} (process {os.getpid()})")
        handle.flush()
        yield


# --- processes ------------------------------------------------------------------------------------------------


def environment(extra: dict | None = None) -> dict:
    """Nothing of the caller's but what programs need; secrets are added here and never in a command line."""
    base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
    return {**base, **(extra or {})}


def identity(uid: int, gid: int) -> dict:
    """Arguments that make a child run as this account, if it is not the one we are."""
    if os.geteuid() or uid == 0:
        return {}
    try:
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        groups = [gid]
    return {"user": uid, "group": gid, "extra_groups": groups}


def run(argv: list[str], timeout: float | None = None, extra: dict | None = None, **kwargs) -> subprocess.CompletedProcess:
    if "input" not in kwargs:
        kwargs.setdefault("stdin", subprocess.DEVNULL)
    try:
        return subprocess.run(
            argv, text=True, check=False, timeout=timeout, env=environment(extra),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "errors": "replace", **kwargs},
        )  # fmt: skip
    except FileNotFoundError:
        return subprocess.CompletedProcess(argv, 127, "", f"{argv[0]} is not installed on this host")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", f"{argv[0]} gave no answer within {timeout:.0f} s")


def last_words(done: subprocess.CompletedProcess) -> str:
    lines = [line.strip() for line in ((done.stderr or "") + "\n" + (done.stdout or "")).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("Fatal", "ERROR", "error", "pg_dump: error", "pg_restore: error"))]
    return (errors or lines or [f"exit status {done.returncode}"])[-1 if not errors else 0]


def say(text: str) -> None:
    print(text, flush=True)


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- evidence -------------------------------------------------------------------------------------------------


def record(what: str, value: dict, sign: bool = False) -> None:
    """Under /var/lib/botops/evidence, readable by everyone and without secrets; signed with the host's key where that is asked."""
    path = EVIDENCE / f"{what}.json"
    write_json(path, value)
    if sign:
        signature = path.with_name(path.name + ".sig")
        signature.unlink(missing_ok=True)
        done = run(["ssh-keygen", "-Y", "sign", "-q", "-f", HOST_KEY, "-n", NAMESPACE, str(path)], timeout=30)
        if done.returncode:
            raise Refused(f"{path} could not be signed with {HOST_KEY}: {last_words(done)}.")
        signature.chmod(0o644)


def signature_problem(what: str) -> str:
    """Nothing, or why the evidence is not this host's word."""
    path = EVIDENCE / f"{what}.json"
    signature = path.with_name(path.name + ".sig")
    if not signature.exists():
        return f"{path} is not signed"
    public = pathlib.Path(HOST_KEY + ".pub").read_text().split()
    allowed = STATE / "allowed_signers"
    allowed.write_text(f'host namespaces="{NAMESPACE}" {public[0]} {public[1]}\n')
    done = run(
        ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "host", "-n", NAMESPACE, "-s", str(signature)],
        timeout=30, input=path.read_text(),
    )  # fmt: skip
    return "" if done.returncode == 0 else f"{path} was changed after it was signed, or signed by another host"
