# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bot of mode systemd: what is built for it, and commands beside it."""

from __future__ import annotations

import os
import shutil

from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused

APT = ["apt-get", "--quiet", "--assume-yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


class Venv:
    # What of a release belongs to its configuration.
    laid = ()

    def __init__(self, host, bot):
        self.host, self.bot, self.paths, self.label = host, bot, bot["paths"], bot["label"]
        self.warnings = []

    def demand(self):
        if self.bot["python"] != "python3" and not self.bot["packages"] and not self.host.has(self.bot["python"]):
            raise Refused(
                "%s: %s is not installed on this host, and no Python is built here: use python3, name a Debian package of it in `packages`, or"
                " deploy the bot in mode compose with an image that has it." % (self.label, self.bot["python"])
            )

    def build(self, target):
        """With the packages that only a build needs, which are gone afterwards: no compiler stays for whoever breaks in."""
        added = self.add_packages()
        try:
            self.make(target)
        finally:
            if added:
                self.host.must("%s: removing the build's packages" % self.label, APT + ["purge"] + added, env=QUIET)

    def add_packages(self):
        """Those that were not there before, with all that came with them."""
        if not self.bot["build_packages"]:
            return []
        before = self.installed()
        self.host.must("%s: installing the build's packages" % self.label, APT + ["install"] + self.bot["build_packages"], env=QUIET)
        return sorted(self.installed() - before)

    def installed(self):
        out = self.host.must("dpkg-query", ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${binary:Package}\n"])
        return {line[3:].strip() for line in out.splitlines() if line.startswith("ii")}

    def make(self, target):
        """As the bot's user: what a package's build step may do is then no more than what the bot may do."""
        user = self.bot["user"]
        cache = target + "/.botops/home"
        os.mkdir(cache)
        self.host.must("chown", ["chown", "-R", "%s:%s" % (user, user), target])

        def step(what, words, **env):
            env = dict({"HOME": cache, "PATH": search_path(target)}, **env)
            self.host.must("%s: %s" % (self.label, what), self.host.as_user(user, words, target, env))

        requirements = os.path.join(target, self.bot["requirements"]) if self.bot["requirements"] else ""
        lines = _requirement_lines(requirements)
        # Without packages to install, pip itself is not needed either: nine tenths of the time.
        step("making the virtualenv", [self.bot["python"], "-m", "venv"] + ([] if lines else ["--without-pip"]) + [".venv"])
        if lines:
            words = [".venv/bin/python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet"]
            if any("--hash=" in line for line in lines):
                words.append("--require-hashes")
            step("installing the requirements", words + ["--requirement", self.bot["requirements"]])
        if self.bot["build_command"]:
            step("the build command", self.bot["build_command"])
        shutil.rmtree(cache)

    def lay(self, target):
        """Nothing of a release depends on the configuration."""

    def task(self, target, command):
        """Run with the bot's own user, environment and secrets; systemd reads them, so none is on a command line."""
        etc = self.paths["etc"]
        settings = ["User=" + self.bot["user"], "Group=" + self.bot["user"], "WorkingDirectory=" + target,
                    "EnvironmentFile=%s/env" % etc, "Environment=PATH=" + search_path(target), "UMask=0027", "NoNewPrivileges=yes", "ProtectSystem=strict",
                    "PrivateTmp=yes", "ReadWritePaths=" + " ".join(self.bot["read_write_paths"] + [self.paths["backups"]])]  # fmt: skip
        if self.bot["secrets_via"] == "credentials":
            settings += ["LoadCredential=%s:%s/credentials/%s" % (name, etc, name) for name in self.bot["secret_names"]]
        else:
            settings.append("EnvironmentFile=%s/secrets.env" % etc)
        argv = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe"]
        for setting in settings:
            argv += ["--property", setting]
        words = list(command)
        if not words[0].startswith("/"):
            here = os.path.join(target, words[0] if "/" in words[0] else ".venv/bin/" + words[0])
            words = [here] + words[1:] if os.path.exists(here) or "/" in words[0] else ["/usr/bin/env"] + words
        return self.host.run(argv + words)

    def forget(self, release):
        """Nothing of a release lies outside of its directory."""

    def forget_all(self):
        """The same for all of them."""

    def leave(self):
        """Nothing to leave behind."""


def search_path(target):
    """Where programs are looked for: the release's own first. The unit says the same of the current release."""
    return "%s/.venv/bin:%s/node_modules/.bin:/usr/local/bin:/usr/bin:/bin" % (target, target)


def _requirement_lines(path):
    try:
        with open(path, encoding="utf-8") as handle:
            return [line for line in handle if line.strip() and not line.lstrip().startswith("#")]
    except OSError:
        return []
