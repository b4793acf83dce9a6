"""One restic repository: how it is reached, what it answers, and what its errors mean for an operator."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time

from . import s3
from .common import ETC, STATE, Refused, last_words, parse_time, read_json, run, write_json

# What passes by itself: asked again, with growing pauses, for as long as the configuration allows.
PASSING = re.compile(
    r"\b50[0234]\b|ServiceUnavailable|SlowDown|connection refused|connection reset|i/o timeout|no route to host|timed out|EOF|network is unreachable"
    r"|Connection closed|temporary failure|already locked|gave no answer",
    re.I,
)
CLOCK = "this host's clock is not the store's, which refuses a signature of another time: `timedatectl`"
MEANINGS = (
    (r"wrong password or no key found|exit 12$", "the password is not one of this repository's: compare backups_repositories[].password in the vault"),
    (r"bucket does not exist|NoSuchBucket", "the bucket does not exist: make it first, with versioning and a policy as in docs/backups.md"),
    # A certificate is young only by a clock.
    (r"RequestTimeTooSkewed|difference between the request time", CLOCK),
    (
        r"certificate (?:has expired|is not yet valid)",
        "by this host's clock the store's certificate is not valid: look at the clock with `timedatectl`, then at the certificate",
    ),
    (
        r"InvalidAccessKeyId|ExpiredToken|SignatureDoesNotMatch|Access ?Denied|Access Key Id you provided|Forbidden|401 Unauthorized|403",
        "the store refuses the key: it is wrong, expired, or not allowed to do this",
    ),
    (r"Host key verification failed", "the store's host key is not the one in ssh.known_hosts of backups_repositories[]"),
    (r"Permission denied \(", "the store does not accept the SSH key: add the public key of backups_repositories[].ssh.private_key there"),
    (r"no space left on device", "the store or this host has no space left"),
    (r"already locked", "another restic has locked it, and the lock is not stale: wait, or look who that is with `restic list locks`"),
    (r"\b50[0234]\b|connection refused|timed? ?out|no route|unreachable|gave no answer", "the store did not answer; the next run catches up"),
)
# From when on S3 refuses: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
SKEW_SECONDS = 15 * 60
# Commands that ask for little. restic itself goes on asking a store that is away for a quarter of an hour.
QUICK = frozenset({"cat", "unlock", "snapshots", "key", "list"})
QUICK_SECONDS = 60
# The first one of a run, which is asked again as long as the configuration allows.
ANYBODY_SECONDS = 30
LOCKED = re.compile(r"already locked", re.I)
# What opens a repository costs a processor half a second for each key that is tried: which key is whose is remembered here, and asked first.
KEYS = STATE / "keys.json"
MANIFESTS = STATE / "manifests"
# Of the store, or of what this host keeps of it: told apart by reading without that.
DAMAGED = re.compile(r"ciphertext verification failed|invalid data returned|hash mismatch|does not match (?:id|hash)", re.I)
CACHE = STATE / "cache"
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
        self.place = secrets["repository"]
        self.fingerprint = hashlib.sha256(json.dumps([self.place, secrets["password"], self.recovery]).encode()).hexdigest()
        self.extra = {
            "RESTIC_REPOSITORY": secrets["repository"], "RESTIC_PASSWORD": password, "RESTIC_CACHE_DIR": str(CACHE),
            "TMPDIR": str(STATE), "GOGC": "50", **secrets["environment"],
        }  # fmt: skip
        hint = self.known_keys().get("recovery" if recovery else "host")
        if hint:
            self.extra["RESTIC_KEY_HINT"] = hint
        self.options = list(entry["options"])
        if (ETC / "ssh" / f"{self.name}.key").exists():
            ssh = (
                f"ssh -i {ETC}/ssh/{self.name}.key -p {entry['ssh']['port']} -o UserKnownHostsFile={ETC}/ssh/{self.name}.known_hosts "
                f"-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 "
                f"{entry['ssh']['user']}@{entry['ssh']['host']}"
            )
            # rclone: the store's forced command is `rclone serve restic --stdio --append-only`, whatever is asked for.
            self.options += ["-o", f"sftp.command={ssh} -s sftp", "-o", f"rclone.program={ssh} rclone"]
        self.ca = entry["ca"]
        if self.ca:
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
        taken_over = arguments[0] == "unlock"
        while True:
            done = run(argv, extra=extra, **kwargs)
            if done.returncode and LOCKED.search(done.stderr or "") and not taken_over:
                # By a restic that was killed, most likely: its lock goes away, and one whose holder lives stays.
                taken_over = True
                self.unlock()
                continue
            if done.returncode and self.cache and DAMAGED.search(done.stderr or ""):
                self.cache = False
                shutil.rmtree(CACHE, ignore_errors=True)
                argv = [argv[0], "--no-cache", *argv[1:]]
                continue
            if done.returncode in (0, 3) or not PASSING.search(done.stderr or "") or self.certain(done.stderr) or time.monotonic() + pause > deadline:
                return done
            time.sleep(pause)
            pause = min(pause * 2, 60)

    @staticmethod
    def certain(text: str) -> bool:
        return bool(re.search(r"wrong password|does not exist|Access ?Denied|InvalidAccessKey|Host key verification|Permission denied", text))

    def refusal(self, done, doing: str) -> Refused:
        why = meaning((done.stderr or "") + (f"exit {done.returncode}"))
        if not why and ABSENT.search(done.stderr or "") and self.bucket_is_missing():
            why = meaning("NoSuchBucket")
        if why.startswith("the store refuses the key") and abs(ahead := self.clock_ahead()) > SKEW_SECONDS:
            why = f"{CLOCK} ({abs(ahead) / 60:.0f} minutes {'ahead' if ahead > 0 else 'behind'})"
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
        if re.search(r"Permission|Access ?Denied|Forbidden|401|403", text):
            raise self.refusal(done, "opening it")
        if self.bucket_is_missing():
            # restic would make one, without versioning and without a policy.
            raise self.refusal(done, "opening it")
        return False

    def bucket_is_missing(self) -> bool:
        return self.place.startswith("s3:") and not s3.bucket_exists(self.place, self.extra, f"{ETC}/{self.name}.ca.pem" if self.ca else "")

    def clock_ahead(self) -> float:
        return s3.clock_ahead(self.place, f"{ETC}/{self.name}.ca.pem" if self.ca else "") if self.place.startswith("s3:") else 0.0

    def known_keys(self) -> dict:
        """Numbers of the host's key and of the recovery key, as long as the passwords are those of which they were remembered."""
        known = read_json(KEYS).get(self.name, {})
        return known if known.get("of") == self.fingerprint else {}

    def key_of(self, password: str = "") -> str:
        """The number of the key that this password opens, or of the host's own; nothing if it opens none."""
        done = self("key", "list", "--no-lock", "--json", extra={"RESTIC_PASSWORD": password} if password else {}, patience=30)
        if done.returncode and password and ("wrong password" in done.stderr or done.returncode == 12):
            return ""
        if done.returncode:
            raise self.refusal(done, "listing its keys")
        return next(key["id"] for key in json.loads(done.stdout) if key["current"])

    def remember_keys(self, **ids: str) -> None:
        write_json(KEYS, {**read_json(KEYS), self.name: {"of": self.fingerprint, **ids}}, 0o600)

    def remember_manifest(self, snapshot: str, manifest: dict) -> None:
        """For lists, which would otherwise open the repository once for each snapshot. A restore reads the snapshot's own."""
        write_json(MANIFESTS / self.name / f"{snapshot[:8]}.json", manifest, 0o600)

    def listed_manifest(self, snapshot: dict) -> dict:
        found = read_json(MANIFESTS / self.name / f"{snapshot['short_id']}.json")
        if not found:
            found = self.manifest(snapshot)
            self.remember_manifest(snapshot["id"], found)
        return found

    def forget_manifests(self, there: list[dict]) -> None:
        """Of snapshots that are gone."""
        known = {snapshot["short_id"] for snapshot in there}
        for path in (MANIFESTS / self.name).glob("*.json"):
            if path.stem not in known:
                path.unlink()

    def unlock(self) -> None:
        """Takes over locks whose holder is dead on this host or has not refreshed them for half an hour; never a living one."""
        self.must("unlock", doing="taking over stale locks", timeout=ANYBODY_SECONDS)

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

    def damage(self, part: int = 0, parts: int = 0) -> list[str]:
        """What is wrong with the repository as a whole: the size of every pack, indexes and trees; with `parts` also all data of one part of the packs."""
        done = self("check", "--no-lock", *([f"--read-data-subset={part}/{parts}"] if parts else []), patience=0)
        if not done.returncode:
            return []
        text = f"{done.stderr or ''}\n{done.stdout or ''}"
        if not re.search(r"contains errors|Fatal: .*(number|ciphertext|invalid|not found|EOF)", text):
            raise self.refusal(done, "checking it")
        found = [line.strip() for line in text.splitlines() if re.search(r"\bpacks? |error|unexpected|ciphertext|mismatch", line, re.I)]
        return [line for line in found if not line.startswith(("Fatal", "check all packs", "load indexes", "read "))][:3] or [last_words(done)]

    def bytes_of(self, snapshot: dict) -> int:
        """How much a restore of it takes; restic 0.17 and later have written it down."""
        if (snapshot.get("summary") or {}).get("total_bytes_processed"):
            return int(snapshot["summary"]["total_bytes_processed"])
        done = self.must("stats", "--no-lock", "--json", "--mode", "restore-size", snapshot["id"], doing="measuring a snapshot")
        return int(json.loads(done)["total_size"])

    def forget(self, keep: dict, host: str) -> str:
        words = [word for period, count in keep.items() if count for word in (f"--keep-{period}", str(count))]
        # By tags and not by paths: a bot's paths change with its releases, and its snapshots stay one series.
        return self.must(
            "forget", "--prune", "--tag", "botops", "--host", host, "--group-by", "host,tags", *words, doing="forgetting old snapshots",
        )  # fmt: skip


def version() -> tuple[int, ...]:
    found = re.search(r"restic (\d+)\.(\d+)", run(["restic", "version"], timeout=20).stdout)
    return tuple(map(int, found.groups())) if found else (0, 0)


def repositories(config: dict, only: str = "", **kwargs) -> list[Repository]:
    found = [Repository(entry, config, **kwargs) for entry in config["repositories"] if only in ("", entry["name"])]
    if not found:
        known = ", ".join(entry["name"] for entry in config["repositories"]) or "none"
        raise Refused(f"There is no repository {only!r}; backups_repositories names: {known}.")
    return found
