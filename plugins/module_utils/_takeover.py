# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an earlier version of a role left under another name.

A directory is moved as a whole, and until everything that points into it was written anew a link stands under the old name: a
service that is started in between, or a run that dies there, finds its files.
"""

from __future__ import annotations

import os


def begin(renamed, check_mode=False):
    """Move the directories of `renamed` ({old: new}) that are still under their old name. Returns the new paths of those."""
    moved = []
    for old, new in sorted(renamed.items()):
        if os.path.islink(old) or not os.path.isdir(old) or os.path.lexists(new):
            continue
        moved.append(new)
        if not check_mode:
            os.makedirs(os.path.dirname(new), mode=0o755, exist_ok=True)
            os.rename(old, new)
            os.symlink(new, old)
    return moved


def links(renamed):
    """The links that `begin` left under old names, here or in a run that died."""
    return [old for old, new in sorted(renamed.items()) if os.path.islink(old) and os.readlink(old) == new]


def rewrite(text, renamed):
    """`text` with every old path, or path below one, replaced by the new one."""
    for old, new in sorted(renamed.items()):
        text = text.replace(old + "/", new + "/").replace(old + "\n", new + "\n").replace(old + ",", new + ",")
    return text
