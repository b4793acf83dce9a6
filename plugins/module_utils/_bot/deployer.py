# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One bot on one host: fetch, build, back up, migrate, switch, health gate; and back again when the gate says no."""

from __future__ import annotations

import json
import os
import shutil
import syslog
import time

from ansible_collections.botops.fleet.plugins.module_utils._bot import cluster, releases
from ansible_collections.botops.fleet.plugins.module_utils._bot.compose_build import Compose
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused, Unreachable
from ansible_collections.botops.fleet.plugins.module_utils._bot.shared import share
from ansible_collections.botops.fleet.plugins.module_utils._bot.sources import KINDS
from ansible_collections.botops.fleet.plugins.module_utils._bot.venv import Venv
from ansible_collections.botops.fleet.plugins.module_utils._bot.web import Web


class NeedsUpload(Exception):
    """The release is not here and its source is on the control node."""


class Deployer:
    def __init__(self, host, bot, options):
        self.host, self.bot, self.options = host, bot, options
        self.paths, self.label, self.unit = bot["paths"], bot["label"], bot["unit"]
        self.source = KINDS[bot["source"]["type"]](host, bot, options["deploy_keys"].get(bot["name"], ""))
        self.kind = (Compose if bot["mode"] == "compose" else Venv)(host, bot)
        self.web = Web(host, bot)
        self.did, self.warnings = [], self.kind.warnings
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
        self.kind.demand()
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
        before = self.current()
        try:
            result = self._deploy(resolved, upload)
        except Refused as error:
            self.host.tell("critical", "the deployment of %s failed" % self.label, self.for_the_phone(str(error)), "deploy:" + self.bot["name"])
            # What is on disk must be what runs: a bot that crashes tonight must not come back with half of this.
            if not self.host.check_mode and self.state.get("running") == self.current():
                self.restore_config()
            raise
        if before != self.current():
            what = "rolled back" if self.options["rollback"] else "deployed"
            body = "bot: %s\nwhat: release %s took the place of %s" % (self.bot["name"], self.current(), before or "none")
            self.host.tell("info", "%s was %s" % (self.label, what), body, "deployed:%s:%s" % (self.bot["name"], self.current()))
        return result

    def for_the_phone(self, sentence):
        lines = sentence.splitlines()
        advice = ["journalctl -u %s -n 50" % self.unit, "cat %s/.botops/release.json" % self.paths["current"]]
        return "\n".join(
            ["bot: " + self.bot["name"], "what: " + " ".join(lines[:1])]
            + (["last lines:"] + ["  " + line[:160] for line in lines[-5:]] if len(lines) > 1 else [])
            + ["type:"] + ["  sudo " + line for line in advice]
            + ["  ansible-playbook playbooks/deploy.yml -e bot=%s -e version=THE_LAST_GOOD_ONE" % self.bot["name"]]
        )  # fmt: skip

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
        # What a release's file becomes follows the configuration, too.
        if (target, config) != tuple(self.state.get("laid") or ()):
            self.kind.lay(os.path.join(self.paths["releases"], target))
            self.save(laid=[target, config])
        before = self.current()
        if before != target:
            # A rollback goes to what ran before on the same data: migrations are not undone, and not run again.
            if not self.options["rollback"]:
                self.prepare_data(target)
            self.switch(target)
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
        if reason:
            self.host.tell("warning", "%s goes live by override" % self.label, "bot: %s\nwhat: %s" % (self.bot["name"], line), "live:" + self.bot["name"])
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
            share(self.host, self.bot, target)
            self.kind.build(target)
            self.web.build(target)
            self.seal(target)
            about = {
                "id": release, "resolved": resolved, "source": self.origin()[0], "version": self.origin()[1],
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }  # fmt: skip
            self.host.write(self.marker(release), json.dumps(about, indent=1, sort_keys=True) + "\n", 0o644)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            self.forget(release)
            raise
        self.did.append("built " + release)

    def switch(self, release):
        self.host.point(self.paths["current"], "releases/" + release)
        self.web.point(release)

    def forget(self, release):
        self.kind.forget(release)
        self.web.forget(release)

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
        """Run with the bot's own user, environment and secrets."""
        status, out, err = self.kind.task(target, command)
        if status:
            said = "\n".join(self.host.scrub(self.bot, out + err).strip().splitlines()[-15:])
            raise Refused("%s: %s failed (%d) before anything was switched: %s" % (self.label, what, status, said))

    def drop_stale_secrets(self):
        """Secrets that are no longer declared do not stay on the host."""
        etc, wanted = self.paths["etc"], set(self.bot["config_paths"])
        for directory in (etc, etc + "/credentials"):
            for name in os.listdir(directory) if os.path.isdir(directory) else []:
                path = os.path.join(directory, name)
                ours = directory != etc or name in ("env", "secrets.env", "compose.env", "compose.override.yml")
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
        if self.state.get("good") != self.host.digest_files(self.good_paths(target)):
            self.keep_good(target)

    def seconds(self):
        return self.bot["health"]["timeout_seconds"] + 2 * self.bot["stop_seconds"] + 60

    def gate(self, before, target, config):
        self.host.deploying(self.unit, 2 * self.seconds())
        try:
            self._gate(before, target, config)
        finally:
            self.host.deploying(self.unit, 0)

    def _gate(self, before, target, config):
        if self.host.restart(self.unit, self.seconds()):
            self.did.append("started")
            self.keep_good(target)
            self.save(running=target, config=config, failed=None)
            return
        invocation = self.host.unit(self.unit)["InvocationID"]
        said = self.host.scrub(self.bot, self.host.journal(self.unit, invocation))
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        self.save(failed={"release": target, "config": config, "at": at})
        outcome = self.go_back(target)
        raise Refused(
            "%s: release %s did not become healthy within %d s. %s\nLast lines of its journal:\n%s"
            % (self.label, target, self.bot["health"]["timeout_seconds"], outcome, said)
        )

    def good(self):
        return self.paths["state"] + "/good"

    def good_paths(self, release):
        """The configuration, and what of the release follows it."""
        return self.bot["config_paths"] + ["%s/%s%s" % (self.paths["releases"], release, path) for path in self.kind.laid]

    def keep_good(self, release):
        """The configuration that is known to work, to be put back with its release when a later one does not."""
        fresh = self.good() + ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        os.mkdir(fresh, 0o700)
        for number, path in enumerate(self.good_paths(release)):
            shutil.copy2(path, "%s/%d" % (fresh, number))
            info = os.stat(path)
            os.chown("%s/%d" % (fresh, number), info.st_uid, info.st_gid)
        self.host.write_json(fresh + "/paths.json", {"paths": self.good_paths(release)})
        shutil.rmtree(self.good(), ignore_errors=True)
        os.rename(fresh, self.good())
        self.save(good=self.host.digest_files(self.good_paths(release)))

    def restore_config(self):
        if self.state.get("good") == self.host.digest_files(self.good_paths(self.state.get("running") or "")):
            return
        self.save(laid=None)
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
        self.switch(earlier)
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
            Compose(self.host, self.bot).forget_all()
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
        mine += ["/etc/logrotate.d/" + self.label, self.paths["etc"], self.paths["home"], self.paths["state"], self.paths["web"]]
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
            self.forget(release)
            self.did.append("deleted release " + release)
        gone = set(self.state["history"]) - set(self.known())
        if gone:
            self.save(history=[entry for entry in self.state["history"] if entry not in gone])
