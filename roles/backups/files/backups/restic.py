"""One restic repository: how it is reached, what it answers, and what its errors mean for an operator."""

from __future__ import annotations

import json
import re
import time

from .common import ETC, STATE, Refused, last_words, parse_time, run

# What passes by itself: asked again, with growing pauses, for as long as the configuration allows.
PASSING = re.compile(
    r"\b50[0234]\b|ServiceUnavailable|SlowDown|connection refused|connection reset|i/o timeout|no route to host|timed out|EOF|network is unreachable"
    r"|Connection closed|temporary failure|already locked|gave no answer",
    re.I,
)
MEANINGS = (
    (r"wrong password or no key found|exit 12", "the password is not one of this repository's: compare backups_repositories[].password in the vault"),
    (r"bucket does not exist|NoSuchBucket", "the bucket does not exist: make it first, with versioning and a policy as in docs/backups.md"),
    (
        r"InvalidAccessKeyId|ExpiredToken|SignatureDoesNotMatch|AccessDenied|Access Key Id you provided|Forbidden|401 Unauthorized|403",
        "the store refuses the key: it is wrong, expired, or not allowed to do this",
    ),
    (r"Host key verification failed", "the store's host key is not the one in ssh.known_hosts of backups_repositories[]"),
    (r"Permission denied \(", "the store does not accept the SSH key: add the public key of backups_repositories[].ssh.private_key there"),
    (r"no space left on device", "the store or this host has no space left"),
    (r"already locked", "another restic has locked it, and the lock is not stale: wait, or look who that is with `restic list locks`"),
    (r"\b50[0234]\b|connection refused|timed? ?out|no route|unreachable|gave no answer", "the store did not answer; the next run catches up"),
)
# Commands that ask for little. restic itself goes on asking a store that is away for a quarter of an hour.
QUICK = frozenset({"cat", "unlock", "snapshots", "key", "list"})
QUICK_SECONDS = 60
ABSENT = re.compile(r"unable to open config file|Is there a repository at|does not exist.*config|config file does not exist", re.I)


def meaning(text: str) -> str:
    return next((said for pattern, said in MEANINGS if re.search(pattern, text, re.I)), "")


class Repository:
    def __init__(self, entry: dict, config: dict, recovery: bool = False, cache: bool = True):
        self.name = entry["name"]
        self.append_only = entry["append_only"]
        self.retention = entry["retention"]
        self.limit = config["upload_kib_per_second"]
        self.patience = config["retry_minutes"] * 60
        self.cache = cache
        secrets = config["secrets"]["repositories"][self.name]
        password = secrets["password"]
        if recovery and secrets.get("recovery_password"):
            password = secrets["recovery_password"]
        self.recovery = secrets.get("recovery_password") or ""
        self.extra = {
            "RESTIC_REPOSITORY": secrets["repository"], "RESTIC_PASSWORD": password, "RESTIC_CACHE_DIR": str(STATE / "cache"),
            "TMPDIR": str(STATE), "GOGC": "50", **secrets["environment"],
        }  # fmt: skip
        self.options = list(entry["options"])
        if (ETC / "ssh" / f"{self.name}.key").exists():
            ssh = (
                f"ssh -i {ETC}/ssh/{self.name}.key -p {entry['ssh']['port']} -o UserKnownHostsFile={ETC}/ssh/{self.name}.known_hosts "
                f"-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 "
                f"{entry['ssh']['user']}@{entry['ssh']['host']}"
            )
            # rclone: the store's forced command is `rclone serve restic --stdio --append-only`, whatever is asked for.
            self.options += ["-o", f"sftp.command={ssh} -s sftp", "-o", f"rclone.program={ssh} rclone"]
        if entry["ca"]:
            self.options += ["--cacert", f"{ETC}/{self.name}.ca.pem"]

    def __call__(self, *arguments: str, patience: float | None = None, **kwargs):
        """One restic command. What passes by itself is tried again; anything else comes back as it is."""
        argv = ["restic", *self.options, *([] if self.cache else ["--no-cache"]), *arguments]
        if self.limit and arguments[0] == "backup":
            argv += ["--limit-upload", str(self.limit)]
        if arguments[0] in QUICK:
            kwargs.setdefault("timeout", QUICK_SECONDS)
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        pause, extra = 5.0, {**self.extra, **kwargs.pop("extra", {})}
        while True:
            done = run(argv, extra=extra, **kwargs)
            if done.returncode in (0, 3) or not PASSING.search(done.stderr or "") or self.certain(done.stderr) or time.monotonic() + pause > deadline:
                return done
            time.sleep(pause)
            pause = min(pause * 2, 60)

    @staticmethod
    def certain(text: str) -> bool:
        return bool(re.search(r"wrong password|does not exist|AccessDenied|InvalidAccessKey|Host key verification|Permission denied", text))

    def refusal(self, done, doing: str) -> Refused:
        why = meaning((done.stderr or "") + (f"exit {done.returncode}"))
        return Refused(f"Repository {self.name}: {doing} failed: {why or 'restic said'} ({last_words(done)}).")

    def must(self, *arguments: str, doing: str, **kwargs) -> str:
        done = self(*arguments, **kwargs)
        if done.returncode:
            raise self.refusal(done, doing)
        return done.stdout

    def exists(self) -> bool:
        done = self("cat", "config", patience=min(self.patience, 30))
        text = done.stderr or ""
        if done.returncode == 0:
            return True
        if re.search(r"bucket does not exist|NoSuchBucket", text) or not ABSENT.search(text) or PASSING.search(text):
            raise self.refusal(done, "opening it")
        if re.search(r"Permission|AccessDenied|Forbidden|401|403", text):
            raise self.refusal(done, "opening it")
        return False

    def keys(self) -> int:
        return len(json.loads(self.must("key", "list", "--json", doing="listing its keys") or "[]"))

    def opens_with(self, password: str) -> bool:
        done = self("cat", "config", extra={"RESTIC_PASSWORD": password}, patience=30)
        if done.returncode and "wrong password" not in done.stderr and done.returncode != 12:
            raise self.refusal(done, "opening it with the recovery key")
        return done.returncode == 0

    def unlock(self) -> None:
        """Takes over locks whose holder is dead on this host or has not refreshed them for half an hour; never a living one."""
        self.must("unlock", doing="taking over stale locks")

    def snapshots(self, bot: str | None = None, ids: tuple[str, ...] = ()) -> list[dict]:
        """Oldest first; the tags `key=value` as a dictionary under `about`."""
        tag = ["--tag", f"bot={bot}"] if bot else ["--tag", "botops"]
        found = json.loads(self.must("snapshots", "--json", "--no-lock", *tag, *ids, doing="listing snapshots") or "[]") or []
        for snapshot in found:
            snapshot["about"] = dict(tag.split("=", 1) for tag in snapshot.get("tags") or [] if "=" in tag)
            snapshot["when"] = parse_time(snapshot["time"])
            snapshot["repository"] = self.name
        return sorted(found, key=lambda snapshot: snapshot["when"])

    def manifest(self, snapshot: dict) -> dict:
        name = snapshot["about"].get("bot") or "@host"
        path = f"{STATE}/staging/{name}/manifest.json"
        done = self("dump", "--no-lock", snapshot["id"], path)
        try:
            return json.loads(done.stdout) if done.returncode == 0 else self.unreadable(done, snapshot)
        except ValueError:
            return self.unreadable(done, snapshot)

    def unreadable(self, done, snapshot: dict):
        raise self.refusal(done, f"reading the manifest of snapshot {snapshot['short_id']}")

    def restore(self, snapshot: dict, target: str, include: list[str] | None = None) -> None:
        chosen = [word for path in include or [] for word in ("--include", path)]
        done = self("restore", "--no-lock", snapshot["id"], "--target", target, *chosen)
        # Some versions print errors about single files and end with 0 or 1: any of them is one too many.
        complaints = [line for line in (done.stderr or "").splitlines() if re.search(r"ignoring error|error for|Fatal|There were \d+ errors", line)]
        if done.returncode or complaints:
            words = (complaints or [last_words(done)])[0].strip()
            raise Refused(f"Repository {self.name}: snapshot {snapshot['short_id']} cannot be restored whole: {words}")

    def bytes_of(self, snapshot: dict) -> int:
        done = self.must("stats", "--no-lock", "--json", "--mode", "restore-size", snapshot["id"], doing="measuring a snapshot")
        return int(json.loads(done)["total_size"])

    def forget(self, keep: dict, host: str) -> str:
        words = [word for period, count in keep.items() if count for word in (f"--keep-{period}", str(count))]
        # By tags and not by paths: a bot's paths change with its releases, and its snapshots stay one series.
        return self.must(
            "forget", "--prune", "--tag", "botops", "--host", host, "--group-by", "host,tags", *words, doing="forgetting old snapshots",
        )  # fmt: skip


def repositories(config: dict, only: str = "", **kwargs) -> list[Repository]:
    found = [Repository(entry, config, **kwargs) for entry in config["repositories"] if only in ("", entry["name"])]
    if not found:
        known = ", ".join(entry["name"] for entry in config["repositories"]) or "none"
        raise Refused(f"There is no repository {only!r}; backups_repositories names: {known}.")
    return found
