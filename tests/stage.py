#!/usr/bin/env python3
"""Stage the tracked files as a canonical ansible_collections/botops/fleet and run a command there.

stage.py [COMMAND ...]      ansible-test refuses any other path; the clone may be anywhere.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What the built collection holds; the lab and the tests have linters of their own.
SHIPPED = ("CHANGELOG.md", "changelogs/", "LICENSE", "README.md", "docs/", "galaxy.yml", "meta/", "playbooks/", "plugins/", "requirements.txt", "roles/")
LINKS = ("playbooks/collections",)  # makes the clone work in place, and would lead ansible-test in a circle


def dependencies() -> list[pathlib.Path]:
    """The namespaces of the collections that ours stands on, where the control node's packages have them."""
    import ansible_collections

    root = pathlib.Path(next(iter(ansible_collections.__path__)))
    names = re.findall(r"^  (\w+)\.\w+:", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    return [root / name for name in sorted(set(names)) if (root / name).is_dir()]


def main() -> int:
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    with tempfile.TemporaryDirectory() as tmp:
        stage = pathlib.Path(tmp, "ansible_collections", "botops", "fleet")
        for name in tracked:
            source = ROOT / name
            if not name.startswith(SHIPPED) or name.startswith(LINKS) or not source.exists():
                continue
            target = stage / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        for namespace in dependencies():
            (stage.parents[1] / namespace.name).symlink_to(namespace)
        subprocess.run(["git", "init", "-q"], cwd=stage, check=True)
        subprocess.run(["git", "add", "-A"], cwd=stage, check=True)
        return subprocess.run(sys.argv[1:], cwd=stage, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
