# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host as the deployer needs it: commands, systemd, small files."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import tempfile
import time

from ansible_collections.botops.fleet.plugins.module_utils._bot import redaction
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused

NOTIFY = "/usr/local/sbin/botops-notify"
DEPLOYING = "/run/botops/deploying"
SHOWN = "Id,ActiveState,SubState,UnitFileState,NeedDaemonReload,InvocationID,Result"


class Host:
    def __init__(self, module):
        self.module = module
        self.check_mode = module.check_mode

    # --- commands

    def run(self, argv, cwd=None, env=None):
        # As it is: a dollar or a tilde in an operator's command is not root's to fill.
        return self.module.run_command(argv, cwd=cwd, environ_update=env or {}, handle_exceptions=True, expand_user_and_vars=False)

    def must(self, what, argv, cwd=None, env=None):
        """Run; a failure is told with the command's last lines."""
        status, out, err = self.run(argv, cwd=cwd, env=env)
        if status:
            tail = "\n".join((err.strip() or out.strip()).splitlines()[-15:])
            raise Refused("%s failed (%s): %s" % (what, status, tail))
        return out

    def has(self, program):
        return shutil.which(program) is not None

    def tell(self, severity, subject, body, key):
        """A message to whoever the role notify knows; without that role nobody is told, and nothing waits or fails for it."""
        if not self.check_mode and os.access(NOTIFY, os.X_OK):
            argv = [NOTIFY, severity, subject, "--key", key, "--body", "-"]
            self.module.run_command(argv, data=body, handle_exceptions=True, expand_user_and_vars=False)

    def deploying(self, unit, seconds):
        """While a deployment tries this unit, the deployment tells how that went. Nothing for `seconds` is the end of it."""
        path = "%s/%s" % (DEPLOYING, unit)
        if not seconds:
            if os.path.exists(path):
                os.unlink(path)
        elif os.access(NOTIFY, os.X_OK):
            os.makedirs(DEPLOYING, mode=0o755, exist_ok=True)
            self.write(path, "%d\n" % (time.time() + seconds))

    # --- files

    @staticmethod
    def read_json(path):
        try:
            with open(path, encoding="utf-8") as handle:
                return json.load(handle)
        except FileNotFoundError:
            return {}
        except ValueError:
            raise Refused("%s is not JSON any more: look at it, and delete it if it cannot be saved." % path) from None

    @staticmethod
    def write(path, text, mode=0o600):
        """Whole or not at all, and on disk before anything relies on it."""
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)

    def write_json(self, path, value):
        self.write(path, json.dumps(value, indent=1, sort_keys=True) + "\n")

    @staticmethod
    def point(link, target):
        temporary = link + ".new"
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink(target, temporary)
        os.replace(temporary, link)

    @staticmethod
    def digest_files(paths):
        whole = hashlib.sha256()
        for path in sorted(paths):
            try:
                with open(path, "rb") as handle:
                    whole.update(path.encode() + b"\0" + hashlib.sha256(handle.read()).digest())
            except FileNotFoundError:
                whole.update(path.encode() + b"\0-")
        return whole.hexdigest()

    @staticmethod
    def free_mb(path):
        while not os.path.isdir(path):
            path = os.path.dirname(path)
        info = os.statvfs(path)
        return info.f_bavail * info.f_frsize // (1 << 20)

    # --- secrets

    @staticmethod
    def scrub(bot, text):
        """Without the bot's secrets. Read where the host keeps them, so that they need not be sent again."""
        etc = bot["paths"]["etc"]
        values = [read("%s/credentials/%s" % (etc, name)) for name in bot["secret_names"]]
        values += redaction.read_environment(read(etc + "/secrets.env")).values()
        override = json.loads(read(etc + "/compose.override.yml") or "{}")
        for name, service in override.get("services", {}).items():
            given = service.get("environment", {})
            secret = bot["secret_names"] if name == bot["service"] else bot["services"].get(name, {}).get("secret_names", [])
            values += [given[key].replace("$$", "$") for key in secret if key in given]
        return redaction.scrub(text, values)

    # --- systemd

    def units(self, names):
        """Properties by unit, in one call."""
        status, out, err = self.run(["systemctl", "show", "--property", SHOWN] + list(names))
        if status:
            raise Refused("systemd does not answer: %s" % err.strip())
        found = {}
        for block in out.strip().split("\n\n"):
            pairs = dict(line.split("=", 1) for line in block.splitlines())
            found[pairs["Id"]] = pairs
        return found

    def unit(self, name):
        return self.units([name])[name]

    def restart(self, name, seconds):
        """Restart and wait until the unit is active, which its ExecStartPost makes mean healthy. True if it is."""
        before = self.unit(name)["InvocationID"]
        self.must("starting %s" % name, ["systemctl", "--no-block", "restart", name])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            now = self.unit(name)
            fresh = now["InvocationID"] not in ("", before)
            if fresh and now["ActiveState"] == "active":
                return True
            # Its first attempt is the verdict; what Restart= does afterwards is not waited for.
            if fresh and (now["ActiveState"] == "failed" or now["SubState"] == "auto-restart"):
                return False
            time.sleep(0.2)
        return False

    def journal(self, name, invocation, lines=15):
        selector = ["_SYSTEMD_INVOCATION_ID=" + invocation] if invocation else ["--unit", name]
        for chosen in (selector, ["--unit", name]):
            status, out, _err = self.run(["journalctl", "--quiet", "--no-pager", "--output", "cat", "--lines", str(lines)] + chosen)
            if status == 0 and out.strip():
                return out.strip()
        return "(the journal has nothing about it)"

    # --- accounts

    def as_user(self, user, command, cwd, env=None):
        """Argument list that runs a command line as the bot's user, without a login and without root's environment."""
        keep = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key.startswith("PIP_")}
        keep.update({"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}, **(env or {}))
        words = command if isinstance(command, list) else shlex.split(command)
        assignments = ["%s=%s" % pair for pair in sorted(keep.items())]
        return ["runuser", "-u", user, "--", "env", "-i", "-C", cwd] + assignments + words


def read(path):
    """Text with its line ends as they are, or nothing where there is no such file."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""
