# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One bot on one host: fetch, build, back up, migrate, switch, health gate; and back again when the gate says no."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import syslog
import time

from ansible_collections.botops.fleet.plugins.module_utils._bot import cluster, redaction, releases
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused, Unreachable
from ansible_collections.botops.fleet.plugins.module_utils._bot.sources import KINDS, image_tag


class NeedsUpload(Exception):
    """The release is not here and its source is on the control node."""


class Deployer:
    def __init__(self, host, bot, options):
        self.host, self.bot, self.options = host, bot, options
        self.paths, self.label, self.unit = bot["paths"], bot["label"], bot["unit"]
        self.source = KINDS[bot["source"]["type"]](host, bot, options["deploy_keys"].get(bot["name"], ""))
        self.did, self.warnings = [], []
        self._state = None
        self._in_cluster = None

    # --- what is here

    @property
    def state(self):
        if self._state is None:
            self._state = self.host.read_json(self.paths["state"] + "/state.json")
        return self._state

    def save(self, **changes):
        updated = dict(self.state, **changes)
        if updated != self.state:
            self._state = updated
            self.host.write_json(self.paths["state"] + "/state.json", updated)

    def known(self):
        """Complete releases, oldest first; a half-built one has no release.json."""
        found = []
        if os.path.isdir(self.paths["releases"]):
            for entry in os.listdir(self.paths["releases"]):
                made = self.marker(entry)
                if os.path.exists(made):
                    found.append((os.stat(made).st_mtime, entry))
        return [entry for _made, entry in sorted(found)]

    def marker(self, release):
        return os.path.join(self.paths["releases"], release, ".botops", "release.json")

    def current(self):
        link = self.paths["current"]
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None

    def runs_here(self):
        return self.in_cluster() == "active" or self.bot["managed_by"] == "systemd" and self.bot["state"] == "started"

    def in_cluster(self):
        """active where the cluster runs the bot on this host, standby where it does not, and nothing for a bot of systemd."""
        if self.bot["managed_by"] != "cluster":
            return ""
        if self._in_cluster is None:
            unit = self.host.unit(self.unit)
            self._in_cluster = "active" if unit["ActiveState"] in ("active", "activating", "reloading") else "standby"
        return self._in_cluster

    # --- check: nothing is changed

    def inspect(self):
        """What the source resolves to and what is on record, or one sentence about what cannot work."""
        bot = self.bot
        if bot["mode"] == "compose" and not self.host.check_mode:
            if not self.host.has("docker"):
                raise Refused("%s: mode compose needs Docker, which is not installed; apply the role docker_host first." % self.label)
            if self.host.run(["docker", "compose", "version"])[0]:
                raise Refused("%s: mode compose needs Docker Compose v2, which is not installed; apply the role docker_host first." % self.label)
        if bot["mode"] == "systemd" and bot["python"] != "python3" and not self.host.has(bot["python"]):
            raise Refused("%s: %s is not installed on this host; install it or use python3." % (self.label, bot["python"]))
        resolved = self.resolve()
        target = releases.release_id(bot, resolved) if resolved else ""
        if self.options["rollback"]:
            target = releases.find(bot, self.options["rollback"], self.known(), self.state)
        if target not in self.known():
            self.demand_space()
        record = self.host.read_json(self.paths["state"] + "/paper.json").get(target) or {}
        return {
            "resolved": resolved,
            "release": target,
            "paper_seconds": record.get("seconds", 0),
            "live_allowed": target in self.state.get("live_allowed", []),
            "in_cluster": self.in_cluster(),
        }

    def resolve(self):
        """What the declared version is now. When nobody answers, what it was when the running release was built."""
        try:
            return self.source.resolve()
        except Unreachable as error:
            about = self.host.read_json(self.marker(self.current() or "none"))
            if not about or (about["source"], about["version"]) != self.origin():
                raise
            self.warnings.append("%s The running release is kept." % error)
            return about["resolved"]

    def origin(self):
        source = self.bot["source"]
        return (source["url"] or source["path"] or source["image"], source["version"])

    def demand_space(self):
        wanted = self.options["min_free_mb"] + 4 * self.bot["source"].get("megabytes", 0)
        for path in (self.paths["releases"], self.paths["data"]):
            free = self.host.free_mb(path)
            if free < wanted:
                raise Refused(
                    "%s: %d MB are free for %s and %d are needed; make room, or lower bot_app_min_free_mb."
                    % (self.label, free, path, wanted)
                )

    # --- deploy

    def deploy(self, resolved, upload):
        try:
            return self._deploy(resolved, upload)
        except Refused:
            # What is on disk must be what runs: a bot that crashes tonight must not come back with half of this.
            if not self.host.check_mode and self.state.get("running") == self.current():
                self.restore_config()
            raise

    def _deploy(self, resolved, upload):
        resolved = resolved or self.resolve()
        if not resolved:  # check mode on a host that has no git or docker yet
            self.did.append("would deploy")
            return self.result("")
        desired = releases.release_id(self.bot, resolved)
        config = self.host.digest_files(self.bot["restart_paths"])
        target, pin, warnings = releases.choose(
            self.bot, desired, self.known(), self.state, config, self.options["rollback"], self.options["explicit"]
        )
        self.warnings += warnings
        suffixes = ("-retention.timer", "-health.timer", "-retention.service", "-health.service")
        units = self.host.units([self.unit] + [self.label + suffix for suffix in suffixes])
        build = target not in self.known()
        if build and self.bot["source"].get("local") and not upload and not self.host.check_mode:
            raise NeedsUpload
        if self.host.check_mode:
            self.plan(build, target, config, units)
            return self.result(target)
        self.drop_stale_secrets()
        self.allow_live(target)
        if build:
            self.build(target, resolved, upload)
        if any(unit["NeedDaemonReload"] == "yes" for unit in units.values()) or units[self.unit]["UnitFileState"] == "":
            self.host.must("systemctl daemon-reload", ["systemctl", "daemon-reload"])
            self.did.append("daemon-reload")
        before = self.current()
        if before != target:
            # A rollback goes to what ran before on the same data: migrations are not undone, and not run again.
            if not self.options["rollback"]:
                self.prepare_data(target)
            self.host.point(self.paths["current"], "releases/" + target)
            self.did.append("switched from %s to %s" % (before or "nothing", target))
        self.settle(units, before, target, config)
        self.save(current=target, pin=pin, history=releases.remember(self.state.get("history", []), target))
        self.expire(target)
        return self.result(target)

    def plan(self, build, target, config, units):
        if build:
            self.did.append("build")
        if self.current() != target:
            self.did.append("switch to " + target)
        if self.runs_here() and self.must_start(units, config, target):
            self.did.append("start")

    def result(self, release):
        return {"name": self.bot["name"], "release": release, "did": self.did, "in_cluster": self.in_cluster()}

    # --- live trading

    def allow_live(self, target):
        """Remember that this release may trade live, and why. The judgement was made before anything was changed."""
        allowed = self.state.get("live_allowed", [])
        if self.bot["trading_mode"] != "live" or target in allowed:
            return
        reason = self.options["live_reason"]
        record = self.host.read_json(self.paths["state"] + "/paper.json").get(target) or {}
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "release": target,
            "paper_hours_here": round(record.get("seconds", 0) / 3600, 2),
            "override_reason": reason or None,
            "by": os.environ.get("SUDO_USER") or "root",
        }
        line = json.dumps(entry, sort_keys=True)
        path = self.paths["state"] + "/live.log"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as handle:
            handle.write(line + "\n")
        syslog.openlog("botops", syslog.LOG_PID, syslog.LOG_AUTH)
        syslog.syslog(syslog.LOG_WARNING, "%s goes live: %s" % (self.label, line))
        self.did.append("live trading allowed" + (" by override" if reason else ""))
        self.save(live_allowed=allowed + [target])

    # --- building

    def build(self, release, resolved, upload):
        target = os.path.join(self.paths["releases"], release)
        if os.path.isdir(target):  # of an attempt that was interrupted
            shutil.rmtree(target)
        self.demand_space()
        os.mkdir(target, 0o750)
        try:
            self.source.fetch(resolved, target, upload)
            os.makedirs(target + "/.botops", exist_ok=True)
            (self.build_compose if self.bot["mode"] == "compose" else self.build_venv)(target, release)
            self.seal(target)
            about = {
                "id": release, "resolved": resolved, "source": self.origin()[0], "version": self.origin()[1],
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }  # fmt: skip
            self.host.write(self.marker(release), json.dumps(about, indent=1, sort_keys=True) + "\n", 0o644)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        self.did.append("built " + release)

    def build_venv(self, target, _release):
        """As the bot's user: what a package's build step may do is then no more than what the bot may do."""
        user = self.bot["user"]
        cache = target + "/.botops/home"
        os.mkdir(cache)
        self.host.must("chown", ["chown", "-R", "%s:%s" % (user, user), target])

        def step(what, words, **env):
            env = dict({"HOME": cache, "PATH": "%s/.venv/bin:/usr/local/bin:/usr/bin:/bin" % target}, **env)
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
            step("the build command", shlex.split(self.bot["build_command"]))
        shutil.rmtree(cache)

    def build_compose(self, target, release):
        import grp
        import pwd

        env = {
            "BOT_IMAGE": image_tag(self.bot, release), "BOT_RELEASE": release, "BOT_NAME": self.bot["name"],
            "BOT_UID": str(pwd.getpwnam(self.bot["user"]).pw_uid), "BOT_GID": str(grp.getgrnam(self.bot["user"]).gr_gid),
        }  # fmt: skip
        self.host.write(target + "/.botops/compose.env", "".join("%s=%s\n" % pair for pair in sorted(env.items())), 0o644)
        compose = ["docker", "compose", "--project-name", self.label, "--file", self.bot["compose_file"]]
        what = "%s: reading %s" % (self.label, self.bot["compose_file"])
        services = json.loads(self.host.must(what, compose + ["config", "--format", "json"], cwd=target, env=env))["services"]
        self.host.write(target + "/.botops/overlay.yml", json.dumps(self.overlay(services)) + "\n", 0o644)
        override = ["--file", ".botops/overlay.yml", "--file", self.paths["etc"] + "/compose.override.yml"]
        what = "%s: laying its settings over %s" % (self.label, self.bot["compose_file"])
        try:
            self.host.must(what, compose + override + ["config", "--quiet"], cwd=target, env=env)
        except Refused as refused:  # the override holds the secrets
            raise Refused(redaction.scrub(str(refused), self.secret_values())) from None
        if any("build" in service for service in services.values()):
            self.host.must("%s: building the image" % self.label, compose + ["build", "--quiet"], cwd=target, env=env)
        for name, service in sorted(services.items()):
            image = service.get("image", "")
            if "build" not in service and self.host.run(["docker", "image", "inspect", image])[0]:
                self.host.must("%s: pulling the image of %s" % (self.label, name), ["docker", "pull", "--quiet", image])

    def overlay(self, services):
        """What depends on the compose file itself: no restart policy, which would bring a bot back behind the unit's, or the
        cluster's, back; and privileges dropped where the file says nothing, since lists are joined and not replaced."""
        if self.bot["service"] not in services:
            raise Refused(
                "%s: %s has no service %r; it has %s: name the bot's one in `service`."
                % (self.label, self.bot["compose_file"], self.bot["service"], ", ".join(sorted(services)))
            )
        changed = {}
        for name, service in sorted(services.items()):
            if (service.get("deploy") or {}).get("restart_policy"):
                raise Refused("%s: service %s sets deploy.restart_policy; remove it, the unit restarts the bot." % (self.label, name))
            policy = service.get("restart", "no")
            if policy in ("no", ""):
                continue
            if self.bot["ha"]:
                raise Refused(
                    "%s: service %s sets restart: %s, which would restart it behind the cluster's back; remove it from %s."
                    % (self.label, name, policy, self.bot["compose_file"])
                )
            self.warnings.append("%s: restart: %s of service %s is overridden; the unit restarts the bot." % (self.label, policy, name))
            changed[name] = {"restart": "no"}
        mine = changed.setdefault(self.bot["service"], {"restart": "no"})
        for key, value in (("cap_drop", ["ALL"]), ("security_opt", ["no-new-privileges:true"])):
            if key not in services[self.bot["service"]]:
                mine[key] = value
        return {"services": changed}

    def seal(self, target):
        """Read-only for the bot: what was built is what runs."""
        self.host.must("chown", ["chown", "-R", "--no-dereference", "root:" + self.bot["user"], target])
        self.host.must("chmod", ["chmod", "-R", "u+rwX,g+rX,g-w,o-rwx", target])

    # --- data

    def prepare_data(self, release):
        target = os.path.join(self.paths["releases"], release)
        if not self.runs_here():  # a standby's data is a replica
            return
        if self.bot["backup_command"]:
            self.in_bot(target, "the backup command", self.bot["backup_command"])
            self.did.append("backup")
        if self.bot["migrate_command"]:
            self.in_bot(target, "the migration", self.bot["migrate_command"])
            self.did.append("migrated")

    def in_bot(self, target, what, command):
        """Run with the bot's own user, environment and secrets; systemd reads them, so none is on a command line."""
        etc = self.paths["etc"]
        if self.bot["mode"] == "compose":
            env = dict(line.split("=", 1) for line in _read(target + "/.botops/compose.env").splitlines())
            argv = [
                "docker", "compose", "--project-name", self.label + "-task", "--project-directory", target,
                "--file", os.path.join(target, self.bot["compose_file"]), "--file", target + "/.botops/overlay.yml",
                "--file", etc + "/compose.override.yml", "run", "--rm", "--no-deps", "--no-TTY", self.bot["service"],
            ]  # fmt: skip
            status, out, err = self.host.run(argv + shlex.split(command), cwd=target, env=env)
        else:
            settings = ["User=" + self.bot["user"], "Group=" + self.bot["user"], "WorkingDirectory=" + target,
                        "EnvironmentFile=%s/env" % etc, "UMask=0027", "NoNewPrivileges=yes", "ProtectSystem=strict",
                        "PrivateTmp=yes", "ReadWritePaths=" + " ".join(self.bot["read_write_paths"] + [self.paths["backups"]])]  # fmt: skip
            if self.bot["secrets_via"] == "credentials":
                settings += ["LoadCredential=%s:%s/credentials/%s" % (name, etc, name) for name in self.bot["secret_names"]]
            else:
                settings.append("EnvironmentFile=%s/secrets.env" % etc)
            argv = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe"]
            for setting in settings:
                argv += ["--property", setting]
            words = shlex.split(command)
            if not words[0].startswith("/"):
                words[0] = os.path.join(target, words[0] if "/" in words[0] else ".venv/bin/" + words[0])
            status, out, err = self.host.run(argv + words)
        if status:
            said = redaction.scrub(out + err, self.secret_values()).strip()
            said = "\n".join(said.splitlines()[-15:])
            raise Refused("%s: %s failed (%d) before anything was switched: %s" % (self.label, what, status, said))

    def secret_values(self):
        """To take them out of what is shown. Read where the host keeps them, so that they need not be sent again."""
        etc = self.paths["etc"]
        values = [_read("%s/credentials/%s" % (etc, name)) for name in self.bot["secret_names"]]
        values += redaction.read_environment(_read(etc + "/secrets.env")).values()
        override = json.loads(_read(etc + "/compose.override.yml") or "{}")
        given = override.get("services", {}).get(self.bot["service"], {}).get("environment", {})
        return values + [given[key].replace("$$", "$") for key in self.bot["secret_names"] if key in given]

    def drop_stale_secrets(self):
        """Secrets that are no longer declared do not stay on the host."""
        etc, wanted = self.paths["etc"], set(self.bot["config_paths"])
        for directory in (etc, etc + "/credentials"):
            for name in os.listdir(directory) if os.path.isdir(directory) else []:
                path = os.path.join(directory, name)
                ours = directory != etc or name in ("env", "secrets.env", "compose.override.yml")
                if ours and path not in wanted:
                    os.unlink(path)
                    self.did.append("removed " + path)

    # --- the unit

    def must_start(self, units, config, target):
        running = (self.state.get("running"), self.state.get("config"))
        return units[self.unit]["ActiveState"] != "active" or running != (target, config)

    def settle(self, units, before, target, config):
        """Bring the unit to its declared state; under a cluster it is restarted where it runs, and nowhere started or stopped."""
        timer = self.label + "-retention.timer"
        if units[timer]["UnitFileState"] != "enabled" or units[timer]["ActiveState"] != "active":
            self.host.must("enabling " + timer, ["systemctl", "enable", "--now", timer])
            self.did.append("enabled " + timer)
        if self.in_cluster():
            # On a standby: what would be started here, should the other host be lost.
            first = self.state.get("running") in (None, target) and self.state.get("config") is None
            if self.in_cluster() == "standby" or first:
                self.save(running=target, config=config, failed=None)
            elif self.must_start(units, config, target):
                # The gate and the way back are one: in between, the cluster would try the broken release by itself.
                with cluster.unwatched(self.host, self.label):
                    self.gate(before, target, config)
            return
        enabled = units[self.unit]["UnitFileState"] == "enabled"
        if enabled != self.bot["enabled"]:
            verb = "enable" if self.bot["enabled"] else "disable"
            self.host.must("systemctl " + verb, ["systemctl", verb, self.unit])
            self.did.append(verb + "d")
        if self.bot["state"] == "stopped":
            if units[self.unit]["ActiveState"] != "inactive":
                self.host.must("stopping " + self.unit, ["systemctl", "stop", self.unit])
                # An old failure would stand in the way of telling a new one.
                self.host.run(["systemctl", "reset-failed", self.unit])
                self.did.append("stopped")
            return
        if self.must_start(units, config, target):
            self.gate(before, target, config)
            return
        if "daemon-reload" in self.did:
            self.host.must("restarting the health timer", ["systemctl", "restart", self.label + "-health.timer"])
        if self.state.get("good") != self.host.digest_files(self.bot["config_paths"]):
            self.keep_good()

    def seconds(self):
        return self.bot["health"]["timeout_seconds"] + 2 * self.bot["stop_seconds"] + 60

    def gate(self, before, target, config):
        if self.host.restart(self.unit, self.seconds()):
            self.did.append("started")
            self.keep_good()
            self.save(running=target, config=config, failed=None)
            return
        invocation = self.host.unit(self.unit)["InvocationID"]
        said = redaction.scrub(self.host.journal(self.unit, invocation), self.secret_values())
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        self.save(failed={"release": target, "config": config, "at": at})
        outcome = self.go_back(target)
        raise Refused(
            "%s: release %s did not become healthy within %d s. %s\nLast lines of its journal:\n%s"
            % (self.label, target, self.bot["health"]["timeout_seconds"], outcome, said)
        )

    def good(self):
        return self.paths["state"] + "/good"

    def keep_good(self):
        """The configuration that is known to work, to be put back with its release when a later one does not."""
        fresh = self.good() + ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        os.mkdir(fresh, 0o700)
        for number, path in enumerate(self.bot["config_paths"]):
            shutil.copy2(path, "%s/%d" % (fresh, number))
            info = os.stat(path)
            os.chown("%s/%d" % (fresh, number), info.st_uid, info.st_gid)
        self.host.write_json(fresh + "/paths.json", {"paths": self.bot["config_paths"]})
        shutil.rmtree(self.good(), ignore_errors=True)
        os.rename(fresh, self.good())
        self.save(good=self.host.digest_files(self.bot["config_paths"]))

    def restore_config(self):
        if self.state.get("good") == self.host.digest_files(self.bot["config_paths"]):
            return
        for number, path in enumerate(self.host.read_json(self.good() + "/paths.json").get("paths", [])):
            saved = "%s/%d" % (self.good(), number)
            info = os.stat(saved)
            shutil.copy2(saved, path + ".back")
            os.chown(path + ".back", info.st_uid, info.st_gid)
            os.replace(path + ".back", path)
        self.host.must("systemctl daemon-reload", ["systemctl", "daemon-reload"])

    def go_back(self, target):
        """Put back the release and the configuration that were healthy last; say how that went."""
        earlier = self.state.get("running")
        if not earlier or earlier not in self.known():
            self.host.run(["systemctl", "stop", self.unit])
            if self.current() == target:
                os.unlink(self.paths["current"])
            return "There is no earlier release to put back, so it was stopped."
        self.host.point(self.paths["current"], "releases/" + earlier)
        self.restore_config()
        if self.host.restart(self.unit, self.seconds()):
            return "Release %s was put back with its configuration and is healthy." % earlier
        return "Release %s was put back, but IT IS NOT HEALTHY EITHER: look at journalctl -u %s." % (earlier, self.unit)

    # --- removal

    def remove(self, with_data):
        """Everything the role made for this bot; its data only when asked. True to what is there, so it can be repeated."""
        present = [path for path in self.belongings(with_data) if os.path.lexists(path)]
        unit = self.host.unit(self.unit)
        running = unit["ActiveState"] not in ("inactive", "failed")
        if running and self.bot["managed_by"] == "cluster":
            raise Refused("%s runs under the cluster: take it out of the cluster first." % self.label)
        if not (present or running):
            return self.result("")
        self.did += ["stopped"] * running + ["removed " + path for path in present]
        if self.host.check_mode:
            return self.result("")
        suffixes = ("-retention.timer", "-health.timer")
        if unit["UnitFileState"]:
            timers = [self.label + suffix for suffix in suffixes]
            self.host.run(["systemctl", "disable", "--now", self.unit] + timers)
        if self.host.has("docker"):
            status, out, _err = self.host.run(["docker", "image", "ls", "--quiet", self.label])
            for image in sorted(set(out.split())) if status == 0 else []:
                self.host.run(["docker", "image", "rm", "--force", image])
        for path in present:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        self.host.must("systemctl daemon-reload", ["systemctl", "daemon-reload"])
        self.host.run(["systemctl", "reset-failed", self.unit])
        if with_data and self.bot["user"] == self.label:
            self.host.run(["userdel", self.bot["user"]])
        return self.result("")

    def belongings(self, with_data):
        suffixes = (".service", "-health.service", "-health.timer", "-retention.service", "-retention.timer")
        mine = ["/etc/systemd/system/" + self.label + suffix for suffix in suffixes]
        mine += ["/etc/logrotate.d/" + self.label, self.paths["etc"], self.paths["home"], self.paths["state"]]
        mine.append("/run/botops/%s.json" % self.bot["name"])
        if with_data:
            mine += [self.paths["data"], self.paths["logs"], self.paths["backups"]]
        return mine

    # --- old releases

    def expire(self, target):
        pin = self.state.get("pin") or {}
        protected = {target, self.state.get("running"), pin.get("release")}
        for release in releases.expired(self.known(), self.state["history"], self.bot["keep_releases"], protected):
            shutil.rmtree(os.path.join(self.paths["releases"], release))
            if self.bot["mode"] == "compose":
                self.host.run(["docker", "image", "rm", image_tag(self.bot, release)])
            self.did.append("deleted release " + release)
        gone = set(self.state["history"]) - set(self.known())
        if gone:
            self.save(history=[entry for entry in self.state["history"] if entry not in gone])


def _read(path):
    """Text with its line ends as they are, or nothing where there is no such file."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def _requirement_lines(path):
    try:
        with open(path, encoding="utf-8") as handle:
            return [line for line in handle if line.strip() and not line.lstrip().startswith("#")]
    except OSError:
        return []
