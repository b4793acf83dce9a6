# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Paths of a release that outlive it."""

from __future__ import annotations

import os
import shutil

from ansible_collections.botops.fleet.plugins.module_utils._bot.compose import place


def share(host, bot, target):
    """The paths of `shared` become links to where they outlive the release; what the release has there is the first content."""
    for path in bot["shared"]:
        here, there = os.path.join(target, path), place(bot, path)
        if not os.path.lexists(there):
            if os.path.isdir(here) and not os.path.islink(here):
                shutil.copytree(here, there, symlinks=True)
            elif os.path.isfile(here):
                os.makedirs(os.path.dirname(there), exist_ok=True)
                shutil.copy2(here, there)
            else:
                os.makedirs(there)
            host.must("chown", ["chown", "-R", "--no-dereference", "%s:%s" % (bot["user"], bot["user"]), there])
        if os.path.isdir(here) and not os.path.islink(here):
            shutil.rmtree(here)
        elif os.path.lexists(here):
            os.unlink(here)
        os.makedirs(os.path.dirname(here), exist_ok=True)
        os.symlink(there, here)
