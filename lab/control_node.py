#!/usr/bin/env python3
"""Create the virtual environment and install a requirements file into it, unless that was done already.

control_node.py REQUIREMENTS [VENV]
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent


def ensure(requirements: str, target: str | None = None) -> pathlib.Path:
    """Return the environment's directory; `target` defaults to $VENV, else .venv in the clone."""
    if sys.version_info < (3, 11):
        found = sys.version.split()[0]
        sys.exit(f"Python 3.11 or newer is needed on the control node; this is {found}. Name one: make PYTHON=python3.12 …")
    directory = ROOT / (target or os.environ.get("VENV") or ".venv")
    files = sorted({ROOT / requirements, ROOT / "requirements.txt"})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    stamp = directory / f".installed-{pathlib.Path(requirements).stem}"
    if stamp.exists() and stamp.read_text() == digest:
        return directory
    if not (directory / "bin" / "pip").exists():
        try:
            venv.create(directory, with_pip=True, clear=directory.exists())
        except subprocess.CalledProcessError:
            sys.exit("Python cannot create virtual environments here: install the package python3-venv (apt-get install python3-venv).")
    # Byte-compiling twenty thousand files that are never imported takes longer than all the rest.
    argv = [directory / "bin" / "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "-r", ROOT / requirements]
    done = subprocess.run(argv, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"pip could not install {requirements}:\n{done.stderr.strip()[-3000:]}")
    stamp.write_text(digest)
    return directory


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    ensure(*sys.argv[1:])
