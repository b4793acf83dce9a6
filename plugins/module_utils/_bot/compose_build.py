# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bot of mode compose: its images, what is laid over its file, and commands beside it."""

from __future__ import annotations

import json
import os
import re
import time

from ansible_collections.botops.fleet.plugins.module_utils._bot.compose import Overlay, dependencies, image_tag, inside
from ansible_collections.botops.fleet.plugins.module_utils._bot.host import read
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused

PROGRAM = "/usr/local/lib/botops/bot-compose"
UNSET = re.compile(r'The \\?"(\w+)\\?" variable is not set')
NO_ENV_FILE = re.compile(r"env file (/\S+) not found|open (/\S+): no such file")
# What a directory of a repository holds when it holds nothing.
PLACEHOLDERS = {".gitkeep", ".gitignore", ".keep", ".dockerignore"}


class Compose:
    def __init__(self, host, bot):
        self.host, self.bot, self.paths, self.label = host, bot, bot["paths"], bot["label"]
        self.warnings = []

    @property
    def laid(self):
        return ("/.botops/overlay.yml",)

    def demand(self):
        if self.host.check_mode:
            return
        if not self.host.has("docker"):
            raise Refused("%s: mode compose needs Docker, which is not installed; apply the role docker_host first." % self.label)
        if self.host.run(["docker", "compose", "version"])[0]:
            raise Refused("%s: mode compose needs Docker Compose v2, which is not installed; apply the role docker_host first." % self.label)

    def compose(self, target, arguments, plain=False):
        return [PROGRAM, "ask", self.bot["name"], "--release", target] + ["--plain"] * plain + arguments

    def must(self, what, argv):
        """A failure is told without the secrets: the settings that Compose reads hold them."""
        try:
            return self.host.must("%s: %s" % (self.label, what), argv)
        except Refused as refused:
            raise Refused(self.host.scrub(self.bot, str(refused))) from None

    # --- building

    def build(self, target):
        freshen(target)
        self.settings(target)
        config = self.read(target)
        overlay = Overlay(self.bot, config, target, self.holder(target))
        self.write_overlay(target, overlay.make())
        if any("build" in service for service in overlay.services.values()):
            self.must("building the images", self.compose(target, ["build", "--quiet"]))
        for name, service in overlay.services.items():
            tag = image_tag(self.bot, os.path.basename(target), name)
            image = service.get("image", "")
            if "build" in service or image == tag:
                continue
            if self.host.run(["docker", "image", "inspect", image])[0]:
                self.must("pulling the image of %s" % name, ["docker", "pull", "--quiet", image])
            # The release's own name for it: a tag that moves, or a prune, changes nothing of what was deployed.
            self.must("docker tag", ["docker", "tag", image, tag])

    def settings(self, target):
        """Variables that a compose file may use, beside those of the bot; and the release's own .env, where it has one."""
        import grp
        import pwd

        release = os.path.basename(target)
        env = {
            "BOT_IMAGE": image_tag(self.bot, release), "BOT_RELEASE": release, "BOT_NAME": self.bot["name"],
            "BOT_UID": str(pwd.getpwnam(self.bot["user"]).pw_uid), "BOT_GID": str(grp.getgrnam(self.bot["user"]).gr_gid),
        }  # fmt: skip
        self.host.write(target + "/.botops/compose.env", "".join("%s=%s\n" % pair for pair in sorted(env.items())), 0o644)
        if os.path.isfile(target + "/.env") and not os.path.islink(target + "/.env"):
            self.host.write(target + "/.botops/source.env", read(target + "/.env"), 0o644)

    def read(self, target):
        """The file as Compose understands it, with every variable filled."""
        what = "%s: reading %s" % (self.label, self.bot["compose_file"])
        if not os.path.isfile(os.path.join(target, self.bot["compose_file"])):
            found = sorted(name for name in os.listdir(target) if name.endswith((".yml", ".yaml")))
            raise Refused("%s failed: the release has no such file; it has %s: name it in compose_file." % (what, ", ".join(found) or "no YAML file"))
        for _attempt in range(20):
            status, out, err = self.host.run(self.compose(target, ["config", "--format", "json"], plain=True))
            missing = NO_ENV_FILE.search(err) if status else None
            path = next(filter(None, missing.groups()), "") if missing else ""
            if not (path and inside(path, target) and not os.path.lexists(path)):
                break
            # An env_file that is not in the release is what the operator declares: env and secrets, closed to everybody else.
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(self.paths["etc"] + "/compose.env", path)
        said = self.host.scrub(self.bot, err)
        if status:
            raise Refused("%s failed (%d): %s" % (what, status, "\n".join(said.strip().splitlines()[-15:])))
        unset = sorted(set(UNSET.findall(err)))
        if unset:
            raise Refused(
                "%s: %s uses %s, and nothing sets it; give it under env or secrets."
                % (self.label, self.bot["compose_file"], ", ".join("${%s}" % one for one in unset))
            )
        return json.loads(out)

    @staticmethod
    def holder(target):
        def holds(path):
            path = os.path.join(target, path)
            if os.path.isdir(path):
                return "directory" if set(os.listdir(path)) - PLACEHOLDERS else "empty"
            return "file" if os.path.lexists(path) else ""

        return holds

    def write_overlay(self, target, text):
        self.host.write(target + "/.botops/overlay.yml", text + "\n", 0o640)
        self.host.must("chgrp", ["chgrp", self.bot["user"], target + "/.botops/overlay.yml"])

    def lay(self, target):
        """The overlay as this configuration wants it, and the directories that it speaks of. Before any of it is started."""
        config = self.read(target)
        names = sorted(config["services"])
        images = dict(zip(names, self.images(os.path.basename(target), names)))
        overlay = Overlay(self.bot, config, target, self.holder(target), images)
        text = overlay.make()
        for directory, writers in sorted(overlay.directories.items()):
            self.make(directory, writers, overlay.services, images, os.path.basename(target))
        for path, name in sorted(overlay.shown.items()):
            self.show(overlay, target, path, name)
        kept = read(target + "/.botops/overlay.yml")
        self.write_overlay(target, text)
        status, _out, err = self.host.run(self.compose(target, ["config", "--quiet"]))
        if status:
            self.write_overlay(target, kept)
            said = "\n".join(err.strip().splitlines()[-15:])
            raise Refused(self.host.scrub(self.bot, "%s: laying its settings over %s failed: %s" % (self.label, self.bot["compose_file"], said)))
        self.warnings += overlay.warnings

    def images(self, release, names):
        tags = [image_tag(self.bot, release, name) for name in names]
        _status, out, _err = self.host.run(["docker", "image", "inspect"] + tags)
        found = {tag: entry["Config"] or {} for entry in json.loads(out or "[]") for tag in entry.get("RepoTags") or []}
        return [{"user": found.get(tag, {}).get("User") or "", "volumes": list(found.get(tag, {}).get("Volumes") or {})} for tag in tags]

    # --- directories

    def make(self, directory, writers, services, images, release):
        """Once: what is in it afterwards belongs to the bot."""
        if os.path.isdir(directory):
            return
        owners = {self.owner(name, services[name], images[name], release) for name in writers}
        owner = self.bot_ids() if self.bot["service"] in writers else min(owners, default=(0, 0))
        missing = [directory]
        while not os.path.isdir(os.path.dirname(missing[0])):
            missing.insert(0, os.path.dirname(missing[0]))
        for path in missing:
            os.mkdir(path, 0o750)
            os.chown(path, *self.bot_ids())
        os.chown(directory, *owner)
        # Only this bot's containers get here, since what lies above is closed to others.
        os.chmod(directory, 0o777 if len({uid for uid, _gid in owners if uid}) > 1 else 0o755)

    def show(self, overlay, target, path, name):
        """Readable for whoever the service runs as. On the host nobody else gets this far: what lies above is closed to others."""
        source = os.path.realpath(os.path.join(target, path))
        if inside(source, os.path.realpath(target)):
            self.host.must("chmod", ["chmod", "-R", "o+rX", "--", source])
        elif not (overlay.own(source) or inside(source, self.paths["etc"])):
            raise Refused(
                "%s: service %s mounts ./%s, which is a link out of the release, to %s; mount that path by its name, with `allow`, or put the file into"
                " the repository." % (self.label, name, path, source)
            )

    def bot_ids(self):
        import pwd

        entry = pwd.getpwnam(self.bot["user"])
        return entry.pw_uid, entry.pw_gid

    def owner(self, name, service, image, release):
        """(uid, gid) that the service runs as: what the file says, else its image, whose own passwd knows the names."""
        if name == self.bot["service"]:
            return self.bot_ids()
        user, _colon, group = str(service.get("user") or image["user"] or "0").partition(":")
        if user.isdigit():
            return int(user), int(group) if group.isdigit() else int(user)
        tag = image_tag(self.bot, release, name)
        created = self.host.must("docker create", ["docker", "create", "--network", "none", tag, "/none"]).strip().splitlines()[-1]
        try:
            accounts = self.host.must("docker cp", ["docker", "cp", "--follow-link", created + ":/etc/passwd", "-"])
        finally:
            self.host.run(["docker", "rm", "--force", created])
        found = re.search(r"^%s:[^:]*:(\d+):(\d+):" % re.escape(user), accounts, re.MULTILINE)
        if not found:
            raise Refused("%s: service %s runs as %s, whom its image does not know; give `user` as a number." % (self.label, name, user))
        return int(found.group(1)), int(found.group(2))

    # --- commands beside it

    def task(self, target, command):
        """In the project itself: its networks, its volumes, what it depends on. Nothing that runs is touched."""
        config = self.read(target)
        services = {name: service for name, service in config["services"].items() if self.bot["services"].get(name, {}).get("enabled", True)}
        needed = dependencies(services, self.bot["service"])
        alone = not self.project()
        try:
            if needed:
                names = [name for name, _condition in needed]
                words = ["up", "--detach", "--no-deps", "--no-build", "--no-recreate", "--pull", "never", "--no-color"]
                status, out, err = self.host.run(self.compose(target, words + names))
                if status:
                    return status, out, err
                self.wait(needed)
            words = ["run", "--rm", "--no-deps", "--no-TTY", "--volume", "%s:%s" % (self.paths["backups"], self.paths["backups"])]
            return self.host.run(self.compose(target, words + [self.bot["service"]] + command))
        finally:
            if alone:
                self.leave()

    def project(self):
        status, out, _err = self.host.run(["docker", "ps", "--quiet", "--filter", "label=com.docker.compose.project=" + self.label])
        return out.split() if status == 0 else []

    def wait(self, needed):
        deadline = time.monotonic() + self.bot["health"]["timeout_seconds"]
        for name, condition in needed:
            while True:
                state = self.state_of(name)
                if condition == "service_completed_successfully":
                    done, failed = state["Status"] == "exited" and not state["ExitCode"], state["Status"] == "exited" and state["ExitCode"]
                elif condition == "service_healthy":
                    done, failed = (state.get("Health") or {}).get("Status") == "healthy", state["Status"] == "exited"
                else:
                    done, failed = True, False
                if done:
                    break
                if failed or time.monotonic() > deadline:
                    logs = self.host.run(["docker", "logs", "--tail", "15", state["Id"]])
                    said = self.host.scrub(self.bot, "".join(logs[1:]).strip())
                    what = "ended with exit code %s" % state["ExitCode"] if failed else "is not there (%s) in time" % condition
                    raise Refused("%s: service %s, which %s depends on, %s:\n%s" % (self.label, name, self.bot["service"], what, said))
                time.sleep(0.2)

    def state_of(self, name):
        filters = ["project=" + self.label, "service=" + name, "oneoff=False"]
        words = ["docker", "ps", "--all", "--quiet", "--no-trunc"] + [word for one in filters for word in ("--filter", "label=com.docker.compose." + one)]
        identifier = self.host.must("docker ps", words).split()[0]
        return {**json.loads(self.host.must("docker inspect", ["docker", "inspect", "--format", "{{json .State}}", identifier])), "Id": identifier}

    def leave(self):
        self.host.run([PROGRAM, "down", self.bot["name"]])

    # --- what lies outside of the release's directory

    def forget(self, release):
        self.remove_images(":" + release)

    def forget_all(self):
        """Images, and volumes that are only a name for a directory of the bot. One that Docker keeps itself may hold data."""
        self.remove_images("")
        _status, out, _err = self.host.run(["docker", "volume", "ls", "--quiet", "--filter", "label=com.docker.compose.project=" + self.label])
        for volume in out.split():
            _status, options, _err = self.host.run(["docker", "volume", "inspect", "--format", "{{json .Options}}", volume])
            if inside((json.loads(options or "null") or {}).get("device", ""), self.paths["data"]):
                self.host.run(["docker", "volume", "rm", volume])

    def remove_images(self, suffix):
        status, out, _err = self.host.run(
            ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=%s/*%s" % (self.label, suffix)]
        )
        for image in sorted(set(out.split())) if status == 0 else []:
            self.host.run(["docker", "image", "rm", "--force", image])


def freshen(target):
    """BuildKit takes a file of the same path, size and time for the one that it was sent before, and builds the older release's."""
    now = time.time_ns()
    for directory, _names, files in os.walk(target):
        for name in files:
            os.utime(os.path.join(directory, name), ns=(now, now), follow_symlinks=False)
