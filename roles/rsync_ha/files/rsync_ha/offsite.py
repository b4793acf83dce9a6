"""A second copy of what was received, in object storage, by rclone. The standby does it: the active host has enough to do."""

from __future__ import annotations

import time

from .common import Bot, Refused, last_words, load_bot, load_config, received_eras, run, write_json

RCLONE = "/etc/botops/rsync_ha/rclone.conf"


def push(bot: Bot) -> dict:
    """The replicas first, then what says that they are there. Files of an era never change, so sizes decide."""
    storage = bot.config["object_storage"]
    base = f"offsite:{storage['bucket']}/{storage['path'].strip('/')}/{bot.name}"
    started = time.time()
    for source, target in ((bot.replicas, f"{base}/replicas"), (bot.incoming / "files", f"{base}/files"), (bot.incoming / "records", f"{base}/records")):
        if not source.is_dir():
            continue
        # Never `sync`: a bucket's own lifecycle rules remove what is old, so that a lost host cannot empty the second copy.
        argv = ["rclone", "--config", RCLONE, "copy", str(source), target, "--exclude", "*.tmp", "--contimeout", "5s", "--timeout", "60s", "--retries", "1"]
        done = run(argv, timeout=1700)
        if done.returncode:
            raise Refused(f"{bot.name}: {target} cannot be written: {last_words(done)}")
    return {"at": started, "seconds": round(time.time() - started, 3), "era": received_eras(bot)[0].id if received_eras(bot) else None}


def run_all() -> None:
    config = load_config()
    failures = []
    for name in sorted(config["bots"]):
        bot = load_bot(name, config)
        # The active host receives nothing: what lies here is an older era's.
        if bot.marker.exists():
            continue
        try:
            write_json(bot.root / f"{name}-offsite.json", push(bot))
        except Refused as error:
            failures.append(str(error))
    if failures:
        raise Refused("\n".join(failures))
