"""Telling a command what happens to the machines of an emulated cloud, so that real hosts can stand behind them."""

from __future__ import annotations

import json
import shlex
import subprocess


def call(hook: str, event: str, machine: dict) -> tuple[dict, str]:
    """Run `hook EVENT` with the machine as JSON on its standard input, and wait for it.

    Returns what it printed (the addresses after `create`: {"public": …, "private": …}) and, when it failed, a sentence that says so.
    """
    ran = subprocess.run([*shlex.split(hook), event], input=json.dumps(machine), text=True, capture_output=True, check=False)
    if ran.returncode:
        return {}, f"hook {event} failed ({ran.returncode}): {ran.stderr.strip()}"
    return json.loads(ran.stdout) if ran.stdout.strip() else {}, ""
