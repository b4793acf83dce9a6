"""Ending a run of Ansible as a lost machine would: all of it at once. Its workers lead sessions of their own, so a process group is not enough."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal


def descendants(pid: int) -> list[int]:
    """That process and all that it started and that they started, as long as their parents live."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything: state, parent.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def kill_all(pid: int) -> None:
    """SIGKILL to the process and its descendants. It is stopped first, so that nobody escapes by losing his parent or being born meanwhile."""
    seen: set[int] = set()
    while fresh := [one for one in descendants(pid) if one not in seen]:
        for one in fresh:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
        seen.update(fresh)
    for one in seen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
