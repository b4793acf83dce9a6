# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sources on the control node: their digest, and a directory as a tar."""

from __future__ import annotations

import hashlib
import os
import tarfile

from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused, digest_of
from ansible_collections.botops.fleet.plugins.module_utils._bot.sources import file_digest

# What a work tree holds besides the program, and what differs from one machine to the next.
SKIPPED = {".git", "__pycache__", ".venv", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".botops"}


def describe(path, checksum):
    """("sha256:…", bytes) of a file, or of a directory's names, contents, links and executable bits."""
    if os.path.isdir(path):
        if checksum:
            raise Refused("source.checksum is for a file, and %s is a directory; leave it out." % path)
        digest, size = _directory(path)
    elif os.path.isfile(path):
        digest, size = file_digest(path), os.path.getsize(path)
    else:
        raise Refused("source.path %s does not exist on the control node." % path)
    found = "sha256:" + digest
    if checksum and checksum != found:
        raise Refused("%s has checksum %s, not the declared %s." % (path, found, checksum))
    return found, size


def members(root):
    """Paths below root, sorted, with the name each has in the archive."""
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in SKIPPED)
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        for name in sorted(files + links):
            if not name.endswith(".pyc"):
                path = os.path.join(directory, name)
                yield path, os.path.relpath(path, root)


def _directory(root):
    parts, size = [], 0
    for path, name in members(root):
        if os.path.islink(path):
            parts += [name, "link", os.readlink(path)]
        elif os.path.isfile(path):
            with open(path, "rb") as handle:
                data = handle.read()
            size += len(data)
            parts += [name, "x" if os.access(path, os.X_OK) else "-", hashlib.sha256(data).hexdigest()]
    if not parts:
        raise Refused("source.path %s is an empty directory." % root)
    return digest_of(*parts), size


def pack(root, handle):
    """The same members as a tar whose owners and times say nothing about the machine that made it."""

    def plain(info):
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        info.mode = 0o755 if info.mode & 0o100 else 0o644
        return info

    with tarfile.open(fileobj=handle, mode="w:gz") as archive:
        for path, name in members(root):
            if os.path.islink(path) or os.path.isfile(path):
                archive.add(path, arcname=name, recursive=False, filter=plain)
