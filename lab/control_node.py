#!/usr/bin/env python3
"""Create the virtual environment and install a requirements file into it, unless that was done already.

control_node.py REQUIREMENTS [VENV]

With CORE=2.20 in the environment it is that ansible-core, and the package `ansible` that belongs to it, instead of the pinned one.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent


def wanted(requirements: str, core: str) -> str:
    """The requirements with all that they include. Version N of the package `ansible` brings ansible-core 2.(N + 7)."""
    text = re.sub(r"^-r (\S+)$", lambda match: wanted(match[1], core), (ROOT / requirements).read_text(), flags=re.MULTILINE)
    if core:
        minor = int(core.removeprefix("2."))
        text = re.sub(r"^ansible==.*$", f"ansible~={minor - 7}.0\nansible-core~=2.{minor}.0", text, flags=re.MULTILINE)
    return text


def ensure(requirements: str, target: str | None = None) -> pathlib.Path:
    """Return the environment's directory; `target` defaults to $VENV, else .venv in the clone."""
    if sys.version_info < (3, 11):
        found = sys.version.split()[0]
        sys.exit(f"Python 3.11 or newer is needed on the control node; this is {found}. Name one: make PYTHON=python3.12 …")
    directory = ROOT / (target or os.environ.get("VENV") or ".venv")
    text = wanted(requirements, os.environ.get("CORE", ""))
    digest = hashlib.sha256(text.encode()).hexdigest()
    stamp = directory / f".installed-{pathlib.Path(requirements).stem}"
    if stamp.exists() and stamp.read_text() == digest:
        return directory
    if not (directory / "bin" / "pip").exists():
        try:
            venv.create(directory, with_pip=True, clear=directory.exists())
        except subprocess.CalledProcessError:
            sys.exit("Python cannot create virtual environments here: install the package python3-venv (apt-get install python3-venv).")
    # Byte-compiling twenty thousand files that are never imported takes longer than all the rest.
    listed = directory / pathlib.Path(requirements).name
    listed.write_text(text)
    argv = [directory / "bin" / "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "-r", listed]
    done = subprocess.run(argv, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"pip could not install {requirements}:\n{done.stderr.strip()[-3000:]}")
    stamp.write_text(digest)
    return directory


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    ensure(*sys.argv[1:])
