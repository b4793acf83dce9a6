# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a new daemon.json reaches an engine that runs: pure decisions, no commands."""

from __future__ import annotations

# What dockerd takes over on SIGHUP. Everything else is read at its start only.
RELOADABLE = frozenset(
    (
        "allow-nondistributable-artifacts",
        "authorization-plugins",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    )
)
# live-restore keeps containers over a restart only while these stay as they are.
BREAKS_LIVE_RESTORE = frozenset(
    ("bip", "data-root", "exec-root", "storage-driver", "storage-opts", "userns-remap", "containerd", "exec-opts", "group")
)


def differing(running, wanted):
    """The options whose value the running engine has not got; all of them when nothing is known about it."""
    if running is None:
        return sorted(wanted)
    return sorted(key for key in set(running) | set(wanted) if running.get(key) != wanted.get(key))


def running_config(record, engine, on_disk, written):
    """What the engine had read when it started, as far as anyone can tell.

    record: what this code noted last time ({"engine": …, "config": …}) or None
    engine: {"id": a value that changes with every start, "started": seconds}
    on_disk, written: daemon.json's parsed content ({} if there is none) and when it was written (None if there is none)
    """
    if record and record.get("engine") == engine["id"]:
        return record["config"]
    if written is not None and written < engine["started"]:
        return on_disk
    return None


def after_reload(running, wanted):
    """The running configuration once dockerd was told to read its file again."""
    result = {key: value for key, value in (running or {}).items() if key not in RELOADABLE}
    result.update((key, value) for key, value in wanted.items() if key in RELOADABLE)
    return result


def restart_is_safe(keys, containers, live_restore, allowed):
    """May the engine be restarted without stopping a container that nobody allowed to stop?"""
    if allowed or not containers:
        return True
    return live_restore and not BREAKS_LIVE_RESTORE.intersection(keys)


def plan(running, wanted, replaced):
    """(reload?, why a restart is needed: a list, empty if it is not)."""
    keys = differing(running, wanted)
    restart = [key for key in keys if key not in RELOADABLE]
    if replaced:
        restart.append("the upgraded engine itself")
    return any(key in RELOADABLE for key in keys), restart


def pending_sentence(reasons, containers, live_restore):
    names = ", ".join(containers[:5]) + (" and %d more" % (len(containers) - 5) if len(containers) > 5 else "")
    if live_restore and not BREAKS_LIVE_RESTORE.intersection(reasons):
        cost = "live-restore is on, so they keep running"
    else:
        cost = "which stops and starts them"
    return (
        "A restart of Docker is pending for: %s. It was not done because containers run (%s). When it suits you, type "
        "`sudo systemctl restart docker` (%s), or run again with docker_host_allow_restart=true." % (", ".join(reasons), names, cost)
    )
