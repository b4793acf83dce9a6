# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a release comes from: git, an archive, or an image. Each can name its content (`resolve`) and lay it out (`fetch`)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile

from ansible_collections.botops.fleet.plugins.module_utils._bot.compose import image_tag
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused, Unreachable

FULL_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


class Git:
    TIMEOUT = 60

    def __init__(self, host, bot, deploy_key):
        self.host, self.bot, self.key = host, bot, deploy_key
        self.url = bot["source"]["url"] or bot["source"]["path"]
        self.version = bot["source"]["version"] or "HEAD"

    @contextlib.contextmanager
    def environment(self):
        """Keys and settings for one conversation; nothing of it stays on the host."""
        directory = tempfile.mkdtemp(prefix="bot-git-", dir="/run" if os.path.isdir("/run") else None)
        try:
            ssh = "ssh -o BatchMode=yes -o ConnectTimeout=20"
            known = self.bot["source"]["known_hosts"]
            if known:
                self.host.write(directory + "/known_hosts", known.rstrip("\n") + "\n")
                ssh += " -o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s/known_hosts" % directory
            else:
                ssh += " -o StrictHostKeyChecking=accept-new"
            if self.key:
                self.host.write(directory + "/key", self.key.rstrip("\n") + "\n")
                ssh += " -o IdentitiesOnly=yes -i %s/key" % directory
            # A repository on this host belongs to somebody else; reading it as root is what was asked for.
            self.host.write(directory + "/gitconfig", "[safe]\n\tdirectory = *\n")
            yield {
                "GIT_CONFIG_GLOBAL": directory + "/gitconfig", "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": ssh,
                "GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": str(self.TIMEOUT), "LC_ALL": "C.UTF-8",
            }  # fmt: skip
        finally:
            shutil.rmtree(directory)

    def _git(self, arguments, env, cwd="/"):
        return self.host.run(["timeout", str(self.TIMEOUT * 5), "git"] + arguments, cwd=cwd, env=env)

    def resolve(self):
        """The commit that the version stands for; "" while git is not installed yet."""
        if not self.host.has("git"):
            return ""
        with self.environment() as env:
            if FULL_COMMIT.match(self.version):
                return self._confirm(env)
            status, out, err = self._git(["ls-remote", self.url], env)
        if status:
            raise Unreachable("%s: the repository %s cannot be read: %s." % (self.bot["label"], self.url, _last(err)))
        refs = dict(reversed(line.split("\t", 1)) for line in out.splitlines())
        version = self.version
        for ref in ("refs/tags/%s^{}" % version, "refs/tags/" + version, "refs/heads/" + version, version):
            if ref in refs:
                return refs[ref]
        raise Refused(
            "%s: %s has no branch or tag %r; give one that exists, or a commit's 40 digits."
            % (self.bot["label"], self.url, version)
        )

    def _confirm(self, env):
        """A commit cannot be listed: fetch it alone, into a place that is thrown away."""
        mirror = self._mirror()
        if os.path.isdir(mirror) and self._git(["cat-file", "-e", self.version + "^{commit}"], env, mirror)[0] == 0:
            return self.version
        with tempfile.TemporaryDirectory(prefix="bot-git-") as scratch:
            self._git(["init", "--quiet", "--bare", scratch], env)
            for depth in (["--depth=1", self.url, self.version], [self.url, "+refs/*:refs/*"]):
                status, _out, err = self._git(["fetch", "--quiet", "--no-tags"] + depth, env, scratch)
                if status == 0 and self._git(["cat-file", "-e", self.version + "^{commit}"], env, scratch)[0] == 0:
                    return self.version
        raise Refused("%s: %s has no commit %s: %s" % (self.bot["label"], self.url, self.version, _last(err)))

    def _mirror(self):
        return self.bot["paths"]["home"] + "/repository.git"

    def digest(self, resolved):
        return resolved

    def fetch(self, resolved, target, _upload):
        mirror = self._mirror()
        with self.environment() as env:
            if not os.path.isdir(mirror):
                self.host.must("git init", ["git", "init", "--quiet", "--bare", mirror], env=env)
            if self._git(["cat-file", "-e", resolved + "^{commit}"], env, mirror)[0]:
                for what in ([self.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], [self.url, resolved]):
                    status, _out, err = self._git(["fetch", "--quiet", "--force", "--prune"] + what, env, mirror)
                    if status == 0 and self._git(["cat-file", "-e", resolved + "^{commit}"], env, mirror)[0] == 0:
                        break
                else:
                    raise Refused("%s: %s cannot be fetched from %s: %s" % (self.bot["label"], resolved, self.url, _last(err)))
            listed = self.host.must("git ls-tree", ["git", "ls-tree", "-r", resolved], cwd=mirror, env=env)
            if any(line.startswith("160000 ") for line in listed.splitlines()):
                raise Refused("%s: %s has submodules, which are not fetched; deploy an archive instead." % (self.bot["label"], self.url))
            with tempfile.NamedTemporaryFile(prefix="bot-git-") as packed:
                command = ["git", "archive", "--format=tar", "--output", packed.name, resolved]
                self.host.must("git archive", command, cwd=mirror, env=env)
                unpack(self.host, packed.name, target, 0)


class Archive:
    """A directory or tar on the control node (sent by the action plugin), or a URL with its checksum."""

    def __init__(self, host, bot, _deploy_key):
        self.host, self.bot = host, bot
        self.source = bot["source"]

    def resolve(self):
        return self.source["checksum"] if self.source["url"] else self.source["digest"]

    def digest(self, resolved):
        return resolved

    def fetch(self, resolved, target, upload):
        if upload:
            return unpack(self.host, upload, target, self.source["strip_components"])
        with tempfile.NamedTemporaryFile(prefix="bot-archive-") as handle:
            download(self.source["url"], handle)
            handle.flush()
            found = "sha256:" + file_digest(handle.name)
            if found != self.source["checksum"]:
                raise Refused(
                    "%s: %s has checksum %s, not the declared %s; nothing was deployed."
                    % (self.bot["label"], self.source["url"], found, self.source["checksum"])
                )
            return unpack(self.host, handle.name, target, self.source["strip_components"])


class Image:
    """A registry's image, or one that `docker save` wrote on the control node."""

    def __init__(self, host, bot, _deploy_key):
        self.host, self.bot = host, bot
        self.source = bot["source"]

    def reference(self):
        version = self.source["version"]
        if version.startswith("sha256:"):
            return "%s@%s" % (self.source["image"], version)
        return "%s:%s" % (self.source["image"], version) if version else self.source["image"]

    def resolve(self):
        if self.source["path"]:
            return self.source["digest"]
        if self.source["version"].startswith("sha256:"):
            return self.source["version"]
        if not self.host.has("docker"):
            return ""
        # A tag can move, so the registry is asked: over TLS, and with what bot_app_registries says.
        status, out, err = self.host.run(["docker", "manifest", "inspect", "--verbose", self.reference()])
        if status:
            raise Unreachable("%s: the image %s cannot be found: %s." % (self.bot["label"], self.reference(), _last(err)))
        entries = json.loads(out)
        return platform_digest(entries if isinstance(entries, list) else [entries]) or self.no_platform()

    def no_platform(self):
        raise Refused("%s: the image %s is not made for this host (%s)." % (self.bot["label"], self.reference(), os.uname().machine))

    def digest(self, resolved):
        return resolved

    def fetch(self, resolved, target, upload):
        if upload:
            out = self.host.must("docker load", ["docker", "load", "--input", upload])
            loaded = re.findall(r"^Loaded image(?: ID)?: (\S+)$", out, re.MULTILINE)
            if len(loaded) != 1:
                raise Refused("%s: %s must hold one image, it holds %d." % (self.bot["label"], self.source["path"], len(loaded)))
            found = loaded[0]
        else:
            # By what was resolved: the tag may have moved since.
            found = "%s@%s" % (self.source["image"], resolved)
            self.host.must("%s: docker pull" % self.bot["label"], ["docker", "pull", "--quiet", found])
        os.makedirs(target, exist_ok=True)
        self.host.must("docker tag", ["docker", "tag", found, image_tag(self.bot, os.path.basename(target))])
        compose = {"services": {self.bot["service"]: {"image": "${BOT_IMAGE}"}}}
        self.host.write(os.path.join(target, self.bot["compose_file"]), json.dumps(compose, indent=1) + "\n", 0o644)


KINDS = {"git": Git, "archive": Archive, "image": Image}


def platform_digest(entries, machine=None):
    """Of an image's manifests the one for this machine."""
    machine = machine or os.uname().machine
    wanted = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    for entry in entries:
        platform = entry["Descriptor"].get("platform") or {}
        if platform.get("os", "linux") == "linux" and platform.get("architecture", wanted) == wanted:
            return entry["Descriptor"]["digest"]
    return None


def unpack(host, archive, target, strip):
    os.makedirs(target, exist_ok=True)
    command = ["tar", "--extract", "--file", archive, "--directory", target, "--no-same-owner"]
    host.must("unpacking", command + ["--strip-components", str(strip)])


def file_digest(path):
    whole = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            whole.update(block)
    return whole.hexdigest()


def download(url, handle):
    from ansible.module_utils.urls import open_url

    try:
        with contextlib.closing(open_url(url, timeout=60)) as answer:
            shutil.copyfileobj(answer, handle)
    except Exception as error:  # urllib raises a dozen unrelated classes
        raise Refused("%s cannot be downloaded: %s" % (url, error)) from None


def _last(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    # git's last line is advice; the reason is the first that says fatal or error.
    for line in lines:
        if line.startswith(("fatal:", "error:", "ERROR:", "ssh:")):
            return line
    return lines[-1] if lines else "no reason given"
