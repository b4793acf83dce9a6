# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A front end that is part of a release: a copy that a web server may read, switched with the release."""

from __future__ import annotations

import os
import shutil

from ansible_collections.botops.fleet.plugins.module_utils._bot.compose import image_tag
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused


class Web:
    def __init__(self, host, bot):
        self.host, self.bot, self.root = host, bot, bot["paths"]["web"]

    def place(self, release):
        return os.path.join(self.root, "releases", release)

    def build(self, target):
        if not self.bot["web_root"]:
            return
        release = os.path.basename(target)
        fresh = self.place(release) + ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        os.makedirs(os.path.dirname(fresh), mode=0o755, exist_ok=True)
        service, _colon, path = self.bot["web_root"].rpartition(":")
        if service:
            created = self.host.must("docker create", ["docker", "create", "--network", "none", image_tag(self.bot, release, service), "/none"]).split()[-1]
            try:
                self.host.must("%s: web_root" % self.bot["label"], ["docker", "cp", "%s:%s" % (created, path), fresh])
            finally:
                self.host.run(["docker", "rm", "--force", created])
        elif os.path.isdir(os.path.join(target, path)):
            shutil.copytree(os.path.join(target, path), fresh, symlinks=True)
        if not os.path.isdir(fresh) or not os.listdir(fresh):
            self.refuse("which the release does not have, or which is empty; it has to be in the source, or be made by its build")
        for directory, names, files in os.walk(fresh):
            # A link would show the world what it leads to.
            for name in names + files:
                if os.path.islink(os.path.join(directory, name)):
                    self.refuse("which holds the link %s; only files are published" % os.path.relpath(os.path.join(directory, name), fresh))
        self.host.must("chown", ["chown", "-R", "--no-dereference", "root:root", fresh])
        self.host.must("chmod", ["chmod", "-R", "u=rwX,go=rX", fresh])
        shutil.rmtree(self.place(release), ignore_errors=True)
        os.rename(fresh, self.place(release))

    def refuse(self, why):
        raise Refused("%s: web_root is %s, %s." % (self.bot["label"], self.bot["web_root"], why))

    def point(self, release):
        if os.path.isdir(self.place(release)):
            self.host.point(self.root + "/current", "releases/" + release)

    def forget(self, release):
        shutil.rmtree(self.place(release), ignore_errors=True)
