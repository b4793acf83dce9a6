"""Bringing a bot back: the plan, what forbids it, the copy beside, its check, and the exchange of one for the other."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import time

from . import active, checks, servers, sources
from .common import EVIDENCE, STATE, Refused, ago, fresh_directory, iso, last_words, now, parse_time, read_json, record, run, say, size, stamp, write_json
from .restic import Repository, repositories

# `data` is a bot's directories with the databases in them; `sqlite` is the databases alone, each for itself.
KINDS = ("data", "sqlite", "postgresql", "redis", "release", "configuration")
# The configuration is the inventory's; it comes back only when it is asked for.
USUAL = ("data", "postgresql", "redis", "release")


def choose(config: dict, bot: str, at: str = "", repository: str = "", snapshot: str = "") -> tuple[Repository, dict]:
    """The newest snapshot not later than `at`, from the first repository that answers and has one."""
    limit = parse_time(at) if at else None
    seen, silent = [], []
    for candidate in repositories(config, repository):
        try:
            found = candidate.snapshots(ids=(snapshot,)) if snapshot else candidate.snapshots(bot)
        except Refused as error:
            silent.append(str(error))
            continue
        if snapshot and found and found[-1]["about"].get("bot") != bot:
            other = found[-1]["about"].get("bot") or "the host's own files"
            raise Refused(f"snapshot: {snapshot} is one of {other}, not of {bot}; `botops-backup list {bot}` shows this bot's.")
        seen += found
        # Lists show whole seconds, and what a list shows must be found by it.
        fitting = [entry for entry in found if limit is None or entry["when"].replace(microsecond=0) <= limit]
        if fitting:
            for line in silent:
                say(f"WARNING {line}")
            return candidate, fitting[-1]
    if seen:
        seen.sort(key=lambda entry: entry["when"])
        oldest, newest = iso(seen[0]["when"]), iso(seen[-1]["when"])
        raise Refused(f"at: there is no snapshot of {bot} from {at} or before; the oldest is of {oldest}, the newest of {newest}.")
    if silent:
        raise Refused(" ".join(silent))
    what = f"snapshot {snapshot}" if snapshot else f"snapshot of {bot}"
    raise Refused(f"No repository holds a {what}; `botops-backup list` shows what there is.")


def data_here(config: dict, bot: str) -> str:
    """A directory of this bot that holds something, or nothing. A bot that is only declared elsewhere has its usual directory."""
    known = next((entry for entry in sources.bots(config) if entry["name"] == bot), {})
    for top in [known.get("directory") or f"/var/lib/bot-{bot}", *known.get("directories", [])]:
        if os.path.isdir(top) and any(os.scandir(top)):
            return top
    return ""


def listing(config: dict, bot: str = "") -> list[dict]:
    drill = {entry["snapshot"]: entry["time"] for entry in read_json(EVIDENCE / "drill.json").get("verified", [])}
    lines = []
    for repository in repositories(config):
        there = repository.snapshots(bot or None)
        if not bot:
            repository.forget_manifests(there)
        for snapshot in there:
            line = {
                "time": iso(snapshot["when"]), "bot": snapshot["about"].get("bot", "(host)"), "host": snapshot["hostname"],
                "repository": repository.name, "snapshot": snapshot["short_id"], "verified": drill.get(snapshot["short_id"], ""),
                "bytes": 0, "rows": 0, "release": "", "incomplete": False, "unreadable": "",
            }  # fmt: skip
            lines.append(line)
            try:
                manifest = repository.listed_manifest(snapshot)
            except Refused as error:
                # The others are there all the same, and one of them is what is looked for.
                line["unreadable"] = str(error)
                continue
            line.update(
                bytes=sum(entry.get("bytes", 0) for entry in manifest["sources"]), rows=sum(map(checks.rows, manifest["sources"])),
                release=(manifest.get("release") or {}).get("id", ""), incomplete=bool(manifest["failed"]),
            )  # fmt: skip
    return sorted(lines, key=lambda line: line["time"])


class Restore:
    def __init__(self, config: dict, bot: str, repository: Repository, snapshot: dict, source: str = "", path: str = ""):
        self.config, self.bot, self.repository, self.snapshot, self.path = config, bot, repository, snapshot, path.rstrip("/")
        self.manifest = repository.manifest(snapshot)
        self.kinds = (source,) if source else USUAL
        self.label = stamp()
        if source and source not in KINDS:
            raise Refused(f"source: {source!r} is none; write one of {', '.join(KINDS)}.")
        self.known = next((entry for entry in sources.bots(config) if entry["name"] == bot), None)
        wanted = {*self.kinds, *(("sqlite", "directory") if "data" in self.kinds else ())}
        self.entries = [entry for entry in self.manifest["sources"] if entry["type"] in wanted]
        self.tops = self.manifest["directories"] if "data" in self.kinds else []
        # What is exchanged for itself: paths.
        self.single = [self.path] if self.path else [entry["path"] for entry in self.entries] if source == "sqlite" else []
        # A restore never takes place in a place that holds other bots' data, whatever a manifest says.
        for top in self.tops:
            if len(pathlib.PurePath(top).parts) < 3 or ".." in pathlib.PurePath(top).parts:
                raise Refused(f"The manifest of snapshot {snapshot['short_id']} names {top} as this bot's data, and that is not one bot's directory.")
        if self.path:
            self.entries = [entry for entry in self.manifest["sources"] if entry["type"] == "sqlite" and entry["path"] == self.path]
            if not any((self.path + "/").startswith(top + "/") for top in self.manifest["directories"]):
                raise Refused(f"path: {self.path} is not below {' or '.join(self.manifest['directories'])}, which is what this snapshot holds of {bot}.")

    def needed(self) -> int:
        return self.repository.bytes_of(self.snapshot)

    def place(self) -> pathlib.Path:
        """Beside the data, on the same file system, so that the exchange is a renaming."""
        top = pathlib.Path((self.tops or self.manifest["directories"] or [str(STATE / "restored")])[0])
        if top.is_mount():
            return top / f".botops-restore-{self.label}"
        return top.parent / f".botops-restore-{self.bot}-{self.label}"

    def plan(self) -> dict:
        place = self.place()
        above = next(parent for parent in place.parents if parent.exists())
        steps = []
        for path in self.single:
            steps.append(f"{path} comes back; the one that is there becomes {path}.replaced-{self.label}")
        if not self.single:
            for top in self.tops:
                steps.append(f"{top} comes back; what is there becomes {self.aside(pathlib.Path(top))}")
            for entry in self.entries:
                if entry["type"] in ("postgresql", "redis"):
                    steps.append(f"{entry['type']} {entry['name']} comes back with {checks.rows(entry)} rows or keys; what is there is kept")
            release = self.manifest.get("release") or {}
            if "release" in self.kinds and release:
                steps.append(f"/opt/bot-{self.bot}/current points to release {release['id']}")
        return {
            "bot": self.bot, "repository": self.repository.name, "snapshot": self.snapshot["short_id"], "taken": iso(self.snapshot["when"]),
            "age": ago((now() - self.snapshot["when"]).total_seconds()), "host": self.snapshot["hostname"],
            "rows": sum(map(checks.rows, self.entries)), "incomplete": self.manifest["failed"],
            "release": (self.manifest.get("release") or {}).get("id", ""), "needed_bytes": self.needed(),
            "free_bytes": shutil.disk_usage(above).free, "on": str(above), "steps": steps,
        }  # fmt: skip

    def aside(self, top: pathlib.Path) -> pathlib.Path:
        return top / f".replaced-{self.label}" if top.is_mount() else top.with_name(f"{top.name}.replaced-{self.label}")

    def refuse(self, plan: dict, pause=lambda: time.sleep(5)) -> None:
        where = active.running_anywhere(self.bot, (self.known or {}).get("orders_probe") or [], pause)
        if where:
            raise Refused(f"{self.bot} is not restored while it runs: {where}.")
        # The copy, the dumps on their way into a server, and a reserve.
        if plan["free_bytes"] < plan["needed_bytes"] * 1.1 + 16_000_000:
            needs = size(plan["needed_bytes"] * 1.1 + 16_000_000)
            raise Refused(f"{plan['on']} has {size(plan['free_bytes'])} free, and the snapshot needs {needs}: make room; nothing was changed.")

    def carry_out(self) -> dict:
        begun = time.monotonic()
        place = self.place()
        fresh_directory(place)
        replaced, done = [], []
        try:
            include = [self.path] if self.path and not self.entries else None
            if self.path and self.entries:
                include = [self.entries[0]["dump"]]
            self.repository.restore(self.snapshot, str(place), include)
            manifest = {**self.manifest, "sources": self.entries}
            results = checks.check(place, manifest) if self.entries else []
            problems = [f"{result['type']} {result['name']}: {problem}" for result in results for problem in result["problems"]]
            if problems:
                raise Refused(f"What was restored is not what was saved, and nothing was exchanged: {'; '.join(problems)}.")
            self.put_sqlite_in_place(place)
            for path in self.single:
                replaced += self.exchange_one(place, path)
            if not self.single:
                for entry in self.entries:
                    if entry["type"] in ("postgresql", "redis"):
                        source = self.source_of(entry)
                        servers.preflight(entry, source)
                for entry in self.entries:
                    if entry["type"] in ("postgresql", "redis"):
                        password = self.config["secrets"][entry["type"]].get(f"{self.bot}/{entry['name']}", "")
                        replaced += servers.bring_back(entry, self.source_of(entry), password, checks.dump_path(place, entry), self.label)
                for top in self.tops:
                    replaced += self.exchange(place, pathlib.Path(top))
                if "release" in self.kinds:
                    done += self.exchange_release(place)
                if "configuration" in self.kinds:
                    done += [f"the configuration lies in {self.keep_configuration(place)}"]
        finally:
            shutil.rmtree(place, ignore_errors=True)
        seconds = round(time.monotonic() - begun, 1)
        result = {
            "source": "botops-backup restore", "host": self.config["host"], "time": iso(now()), "verdict": "ok", "bot": self.bot,
            "snapshot": self.snapshot["short_id"], "taken": iso(self.snapshot["when"]), "seconds": seconds, "checked": results,
            "replaced": replaced, "also": done, "rows": sum(map(checks.rows, self.entries)),
        }  # fmt: skip
        record("restore", result)
        return result

    def source_of(self, entry: dict) -> dict:
        found = [source for source in (self.known or {}).get(entry["type"], []) if source["name"] == entry["name"]]
        if not found:
            raise Refused(f"backups_bots of this host has no {entry['type']} {entry['name']} for {self.bot}: declare it, so that it is known where it goes.")
        return found[0]

    # --- files ------------------------------------------------------------------------------------------------

    def owner_map(self) -> tuple[dict, dict]:
        """Numbers of accounts differ between hosts; the bot's own is found by its name."""
        was = self.manifest.get("account") or {}
        if not was:
            return {}, {}
        try:
            is_now = pwd.getpwnam(was["user"])
        except KeyError:
            is_now = self.make_account(was)
        return {was["uid"]: is_now.pw_uid}, {was["gid"]: is_now.pw_gid}

    def make_account(self, was: dict) -> pwd.struct_passwd:
        """On a host that has never had the bot: as bot_app makes it, which takes it over afterwards."""
        done = run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", was["home"], "--shell", was["shell"], was["user"]], timeout=30
        )
        if done.returncode:
            raise Refused(f"The account {was['user']} does not exist on this host and cannot be made: {last_words(done)}")
        return pwd.getpwnam(was["user"])

    def adopt(self, path: pathlib.Path) -> None:
        users, groups = self.owner_map()
        for directory, names, files in os.walk(path):
            for item in [directory, *(os.path.join(directory, name) for name in names + files)]:
                info = os.lstat(item)
                os.lchown(item, users.get(info.st_uid, info.st_uid), groups.get(info.st_gid, info.st_gid))

    def put_sqlite_in_place(self, place: pathlib.Path) -> None:
        for entry in self.entries:
            if entry["type"] == "sqlite":
                target = place / entry["path"].lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(checks.dump_path(place, entry), target)
                target.chmod(entry["owner"]["mode"])
                os.chown(target, entry["owner"]["uid"], entry["owner"]["gid"])

    def exchange(self, place: pathlib.Path, top: pathlib.Path) -> list[str]:
        restored = place / str(top).lstrip("/")
        if not restored.is_dir():
            raise Refused(f"{top} is not in the snapshot; nothing of it was exchanged.")
        self.adopt(restored)
        aside = self.aside(top)
        if top.is_mount():
            aside.mkdir(mode=0o700)
            for entry in list(top.iterdir()):
                if entry not in (aside, self.place()) and not entry.name.startswith(".replaced-"):
                    os.rename(entry, aside / entry.name)
            for entry in list(restored.iterdir()):
                os.rename(entry, top / entry.name)
            return [str(aside)]
        there = top.exists()
        if there:
            os.rename(top, aside)
        top.parent.mkdir(parents=True, exist_ok=True)
        os.rename(restored, top)
        return [str(aside)] if there else []

    def exchange_one(self, place: pathlib.Path, path: str) -> list[str]:
        target, restored = pathlib.Path(path), place / path.lstrip("/")
        if not restored.exists():
            short = self.snapshot["short_id"]
            raise Refused(f"path: snapshot {short} has no {path}; `botops-backup restic {self.repository.name} ls {short}` lists what it has.")
        if restored.is_dir():
            self.adopt(restored)
        else:
            users, groups = self.owner_map()
            info = os.lstat(restored)
            os.lchown(restored, users.get(info.st_uid, info.st_uid), groups.get(info.st_gid, info.st_gid))
        replaced = []
        for suffix in ("", *(sources.COMPANIONS if self.entries else ())):
            there = pathlib.Path(path + suffix)
            if os.path.lexists(there):
                os.rename(there, f"{path}.replaced-{self.label}{suffix}")
                replaced.append(f"{path}.replaced-{self.label}{suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(restored, target)
        return replaced

    def exchange_release(self, place: pathlib.Path) -> list[str]:
        release = self.manifest.get("release") or {}
        if not release:
            return []
        path, link = pathlib.Path(release["path"]), pathlib.Path(f"/opt/bot-{self.bot}/current")
        if not path.is_dir():
            restored = place / str(path).lstrip("/")
            if not restored.is_dir():
                return [f"release {release['id']} is neither here nor in the snapshot: deploy it with playbooks/deploy.yml"]
            path.parent.mkdir(parents=True, exist_ok=True)
            self.adopt(restored)
            shutil.move(restored, path)
        was = os.readlink(link) if link.is_symlink() else ""
        if link.resolve() == path:
            return [f"release {release['id']} is current already"]
        self.hold_release(path.name, os.path.basename(was))
        temporary = link.with_name(f".current.{os.getpid()}")
        temporary.symlink_to(path)
        os.replace(temporary, link)
        return [f"release {release['id']} is current again" + (f" instead of {os.path.basename(was)}" if was else "")]

    def hold_release(self, release: str, instead_of: str) -> None:
        """As a rollback by bot_app would: the next run of site.yml stays with it until another version is declared."""
        path = pathlib.Path(f"/var/lib/botops/bot_app/{self.bot}/state.json")
        state = read_json(path)
        if state:
            pin = {"release": release, "instead_of": sorted({instead_of, *((state.get("pin") or {}).get("instead_of") or [])} - {"", release})}
            history = [entry for entry in state.get("history", []) if entry != release] + [release]
            write_json(path, {**state, "current": release, "history": history, "pin": pin}, path.stat().st_mode & 0o777)

    def keep_configuration(self, place: pathlib.Path) -> str:
        kept = STATE / "restored" / f"{self.bot}-{self.label}"
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        restored = place / f"etc/bot-{self.bot}"
        if not restored.is_dir():
            raise Refused(f"Snapshot {self.snapshot['short_id']} has no configuration of {self.bot}.")
        shutil.move(restored, kept)
        return str(kept)


def show(plan: dict) -> None:
    say(f"{plan['bot']}: snapshot {plan['snapshot']} of {plan['taken']} ({plan['age']} old), taken on {plan['host']}, from {plan['repository']}")
    room = f"{size(plan['needed_bytes'])} needed on {plan['on']}, {size(plan['free_bytes'])} free"
    say(f"  {plan['rows']} rows and keys; {room}; release {plan['release'] or 'none'}")
    for what, why in plan["incomplete"].items():
        say(f"  NOT IN IT: {what}: {why}")
    for step in plan["steps"]:
        say(f"  - {step}")
