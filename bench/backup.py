#!/usr/bin/env python3
"""What a backup costs and what it is worth, each figure from one run, peers side by side.

    bench/backup.py [--state-mib 1024] [--snapshots 50] [--database-mib 256]

1. 500 writes a second during the snapshots: how many of each way's copies pass SQLite's integrity_check. Ours is the role's own program; `cp` and
   `tar` are how it is done by hand. What is copied within a few milliseconds is seldom torn, so the database has --database-mib.
2. State of --state-mib, of which 1 % changes: bytes stored and seconds of the second backup, beside tar and gzip of everything, and borgmatic.
3. The gap between two orders of a bot that writes 100 a second: its 99th percentile while a backup runs, against none.

Needs restic and borgmatic (Debian's packages). Works below --directory only. Prints tables, writes build/bench-backup.json, exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHILD = ROOT / "roles/backups/files/backups/sqlite_child.py"
PASSWORD = {"RESTIC_PASSWORD": "bench", "BORG_PASSPHRASE": "bench", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}


def run(*argv, **kwargs) -> float:
    """Seconds that a command took; it must succeed."""
    begun = time.monotonic()
    done = subprocess.run([str(word) for word in argv], check=False, capture_output=True, text=True, env={**os.environ, **PASSWORD}, **kwargs)
    if done.returncode:
        sys.exit(f"{argv[0]} failed: {(done.stderr or done.stdout)[-500:]}")
    return time.monotonic() - begun


def write(path: str, rate: float, stop, gaps, rows: int) -> None:
    """A bot: one transaction an order, at a steady rate, in a book of so many. Tells when each was written, on the monotonic clock, and the rate."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    begun, written, found = time.monotonic(), 0, []
    while not stop.is_set():
        # Inserts and changes all over the file, as a book of orders has them.
        connection.execute("INSERT INTO orders (note) VALUES (hex(randomblob(200)))")
        connection.execute("UPDATE orders SET note = hex(randomblob(200)) WHERE id = ?", (random.randint(1, rows),))
        moment = time.monotonic()
        found.append(moment)
        written += 1
        time.sleep(max(0.0, written / rate - (moment - begun)))
    gaps.put((found, written / (time.monotonic() - begun)))


def make(path: pathlib.Path, rows: int, size: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    connection.executemany("INSERT INTO orders (note) VALUES (?)", ((os.urandom(size // 2).hex(),) for _ in range(rows)))
    connection.commit()
    connection.close()


def good(path: pathlib.Path) -> bool:
    """As somebody would find it after a restore: the file with what was saved beside it."""
    try:
        connection = sqlite3.connect(path)
        try:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def ours(source: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    run(sys.executable, "-I", CHILD, "dump", source, place / "copy.db", "30", input="[]")
    return place / "copy.db"


def by_cp(source: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    run("cp", source, place / "copy.db")
    return place / "copy.db"


def by_tar(source: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """The whole directory, write-ahead log included; tar itself complains that a file changed, and nobody reads it."""
    subprocess.run(["tar", "-C", str(source.parent), "-cf", str(place / "all.tar"), "."], check=False, capture_output=True)
    run("tar", "-C", place, "-xf", place / "all.tar")
    return place / source.name


def integrity(top: pathlib.Path, snapshots: int, mebibytes: int) -> dict:
    source, rows = top / "bot/trades.db", mebibytes * 2**20 // 215
    source.parent.mkdir()
    make(source, rows, 200)
    database = source.stat().st_size
    stop, gaps = multiprocessing.Event(), multiprocessing.Queue()
    writer = multiprocessing.Process(target=write, args=(str(source), 500, stop, gaps, rows))
    writer.start()
    counts = dict.fromkeys(("ours", "cp", "tar"), 0)
    try:
        for number in range(snapshots):
            for name, way in (("ours", ours), ("cp", by_cp), ("tar", by_tar)):
                place = top / f"{name}-{number}"
                place.mkdir()
                counts[name] += good(way(source, place))
                shutil.rmtree(place)
    finally:
        stop.set()
        _found, rate = gaps.get()
        writer.join()
    shutil.rmtree(source.parent)
    return {"database_bytes": database, "snapshots": snapshots, "writes_per_second": round(rate), "whole": counts}


def size(path: pathlib.Path) -> int:
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def change(path: pathlib.Path, rows: int) -> None:
    """One row in a hundred, in one stretch: what a day's orders are."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE orders SET note = hex(randomblob(length(note) / 2)) WHERE id BETWEEN ? AND ?", (rows // 2, rows // 2 + rows // 100))
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def increment(top: pathlib.Path, mebibytes: int) -> dict:
    data, place = top / "data", top / "staging"
    data.mkdir()
    place.mkdir()
    rows = mebibytes * 2**20 // 4100
    make(data / "trades.db", rows, 4000)
    repository = top / "restic"
    run("restic", "-r", repository, "init")
    borg = top / "borgmatic.yaml"
    borg.write_text(json.dumps({
        "location": {"source_directories": [str(data)], "repositories": [str(top / "borg")]}, "retention": {"keep_daily": 7},
        "storage": {"archive_name_format": "{now:%Y-%m-%dT%H:%M:%S.%f}"},
    }))  # fmt: skip
    run("borg", "init", "--encryption", "repokey", top / "borg")

    def by_us() -> None:
        ours(data / "trades.db", place)
        run("restic", "-r", repository, "backup", place)
        (place / "copy.db").unlink()

    def by_borgmatic() -> None:
        run("borgmatic", "-c", borg, "create")

    def by_tar_and_gzip() -> None:
        (top / "tar").mkdir(exist_ok=True)
        run("tar", "-C", data, "-czf", top / f"tar/{time.time_ns()}.tar.gz", ".")

    result = {}
    ways = {"ours": (by_us, repository), "borgmatic": (by_borgmatic, top / "borg"), "tar_gzip": (by_tar_and_gzip, top / "tar")}
    for way, _stored in ways.values():
        way()
    change(data / "trades.db", rows)
    state = size(data)
    for name, (way, stored) in ways.items():
        before, begun = size(stored), time.monotonic()
        way()
        result[name] = {"seconds": round(time.monotonic() - begun, 2), "bytes": size(stored) - before}
    return {"state_bytes": state, **result}


def gap(top: pathlib.Path, rounds: int = 10, seconds: float = 4) -> dict:
    """The same bot, with and without a backup of the database that it writes, scheduled as the unit is.

    By turns, so that what else the machine does falls on both alike.
    """
    source, rows = top / "data/live.db", 200_000
    make(source, rows, 200)
    low = ("chrt", "--idle", "0", "ionice", "-c", "3")
    stop, moments = multiprocessing.Event(), multiprocessing.Queue()
    writer = multiprocessing.Process(target=write, args=(str(source), 100, stop, moments, rows))
    writer.start()
    phases: list[tuple[bool, float, float]] = []
    try:
        for number in range(2 * rounds):
            backup, begun = bool(number % 2), time.monotonic()
            while time.monotonic() < begun + seconds:
                if backup:
                    (top / "staging/copy.db").unlink(missing_ok=True)
                    run(*low, sys.executable, "-I", CHILD, "dump", source, top / "staging/copy.db", "30", input="[]")
                    run(*low, "restic", "-r", top / "restic", "backup", top / "staging")
                else:
                    time.sleep(0.1)
            phases.append((backup, begun, time.monotonic()))
    finally:
        stop.set()
        found, _rate = moments.get()
        writer.join()

    def percentile(backup: bool) -> tuple[float, int]:
        gaps = sorted(
            after - before for wanted, begun, ended in phases if wanted is backup
            for before, after in itertools.pairwise(moment for moment in found if begun <= moment <= ended)
        )  # fmt: skip
        return gaps[int(len(gaps) * 0.99)] * 1000, len(gaps)

    (without, quiet), (during, busy) = percentile(False), percentile(True)
    return {
        "p99_ms_without": round(without, 2), "p99_ms_during": round(during, 2), "gaps_without": quiet, "gaps_during": busy,
        "ratio": round(during / without, 2),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state-mib", type=int, default=1024)
    parser.add_argument("--snapshots", type=int, default=50)
    parser.add_argument("--database-mib", type=int, default=256, help="what is copied while it is written 500 times a second")
    parser.add_argument("--directory", default=None, help="where to work; a new one below the system's temporary directory")
    arguments = parser.parse_args()
    missing = [name for name in ("restic", "borg", "borgmatic") if not shutil.which(name)]
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. Install Debian's packages: apt-get install restic borgmatic")
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="bench-backup-") as name:
        top = pathlib.Path(name)
        os.environ.update(HOME=str(top), XDG_CACHE_HOME=str(top / "cache"), BORG_BASE_DIR=str(top))
        whole = integrity(top, arguments.snapshots, arguments.database_mib)
        print(f"{whole['writes_per_second']} writes a second into {whole['database_bytes'] / 2**20:.0f} MiB, {whole['snapshots']} snapshots each", flush=True)
        print(f"  that pass integrity_check: {whole['whole']}", flush=True)
        second = increment(top, arguments.state_mib)
        for way in ("ours", "borgmatic", "tar_gzip"):
            share = 100 * second[way]["bytes"] / second["state_bytes"]
            print(f"1 % of {second['state_bytes'] / 2**20:.0f} MiB changed, {way:<10} {second[way]['seconds']:7.1f} s {share:6.2f} % of the bytes", flush=True)
        gaps = gap(top)
        print(f"p99 gap between orders: {gaps['p99_ms_without']} ms without a backup, {gaps['p99_ms_during']} ms during one, ratio {gaps['ratio']}", flush=True)
    targets = {
        "every snapshot of ours is whole": whole["whole"]["ours"] == whole["snapshots"],
        "the way by hand is not": min(whole["whole"]["cp"], whole["whole"]["tar"]) < whole["snapshots"],
        "at most 3 % of the bytes": second["ours"]["bytes"] <= 0.03 * second["state_bytes"],
        "a quarter of tar's time": second["ours"]["seconds"] <= 0.25 * second["tar_gzip"]["seconds"],
        "p99 gap at most 1.2 times": gaps["ratio"] <= 1.2,
    }
    report = ROOT / "build/bench-backup.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps({"integrity": whole, "increment": second, "gap": gaps, "targets": targets}, indent=1) + "\n")
    for target, met in targets.items():
        print(f"{'met   ' if met else 'MISSED'} {target}")
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
