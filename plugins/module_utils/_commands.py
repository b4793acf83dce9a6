# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the programs of several roles ask a host with: objects in files, and commands with a time limit. Roles bring it along as a module of theirs."""

from __future__ import annotations

import json
import pathlib
import subprocess

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}


def read_json(path: pathlib.Path) -> dict:
    """The object in a file; nothing where there is none, or where it is not whole."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class Done:
    """How a command ended: `status` (127 where it is missing, 124 where it took too long), `out` and the last line of what it said."""

    def __init__(self, status: int, out: str, err: str = "") -> None:
        self.status, self.out, self.err = status, out, err
        self.last = next((line.strip() for line in reversed((err or out).splitlines()) if line.strip()), "")


def run(argv: list[str], timeout: float = 60, cwd: pathlib.Path | None = None) -> Done:
    """`timeout` in seconds. Never a shell, never standard input."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", check=False, timeout=timeout, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
            cwd=cwd,
        )
    except FileNotFoundError:
        return Done(127, "", f"{argv[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Done(124, "", f"{argv[0]} gave no answer within {timeout:.0f} s")
    except OSError as error:
        return Done(126, "", f"{argv[0]}: {error.strerror}")
    return Done(done.returncode, done.stdout, done.stderr)
