# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ufw on a host: reads its files, decides with _ufw what they shall be, and swaps them in or puts everything back."""

from __future__ import annotations

import os

from ansible_collections.botops.fleet.plugins.module_utils import _ufw
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note

CHAINS = ("input", "output", "forward")
FILES = {
    "rules4": "/etc/ufw/user.rules",
    "rules6": "/etc/ufw/user6.rules",
    "defaults": "/etc/default/ufw",
    "conf": "/etc/ufw/ufw.conf",
}
DIRECTIONS = {"default_incoming": "INPUT", "default_outgoing": "OUTPUT", "default_routed": "FORWARD"}


NOTHING = {"rules4": _ufw.EMPTY, "rules6": _ufw.EMPTY, "defaults": "", "conf": ""}


class HostError(Exception):
    """The host refused; the text is a sentence for the operator."""


class Firewall:
    def __init__(self, module):
        self.module = module
        self.stubs = []
        self.note = Note("ufw")
        self.installed = os.path.exists(FILES["conf"]) and os.path.exists(FILES["rules4"])

    # --- the host as it is

    def read(self):
        if not self.installed:
            return dict(NOTHING)
        texts = {}
        for key, path in FILES.items():
            with open(path, encoding="utf-8") as handle:
                texts[key] = handle.read()
        # The package ships stubs, which ufw itself replaces when it first writes a rule.
        self.stubs = [key for key in ("rules4", "rules6") if _ufw.END not in texts[key]]
        for key in self.stubs:
            texts[key] = _ufw.EMPTY
        return texts

    def loaded(self, texts, family):
        """Whether the kernel holds as many rules as the file appends; a flushed chain is found this way."""
        prefix, tool = ("ufw", "iptables") if family == 4 else ("ufw6", "ip6tables")
        wanted = _ufw.appended(texts["rules%d" % family], ["%s-user-%s" % (prefix, chain) for chain in CHAINS])
        status, out, _err = self.run([tool, "-S"], fail=False)
        return not status and _ufw.appended(out, wanted) == wanted

    def run(self, argv, data=None, fail=True):
        status, out, err = self.module.run_command(argv, data=data, environ_update={"LC_ALL": "C"})
        if status and fail:
            raise HostError("`%s` failed: %s" % (" ".join(argv), (err or out).strip()))
        return status, out, err

    # --- the host as it shall be

    @staticmethod
    def wanted(texts, params):
        items = [item for rule in params["rules"] for item in _ufw.expand(rule, params["owner"])]
        want = dict(texts)
        ipv6 = params["ipv6"]
        if ipv6 is None:
            ipv6 = _ufw.setting(texts["defaults"], "IPV6") != "no"
        want["rules4"] = _ufw.merged(texts["rules4"], [i for i in items if i["family"] == 4], params["owner"], params["purge"])
        six = [i for i in items if i["family"] == 6] if ipv6 else []
        want["rules6"] = _ufw.merged(texts["rules6"], six, params["owner"], params["purge"])
        if params["ipv6"] is not None:
            want["defaults"] = _ufw.with_setting(want["defaults"], "IPV6", "yes" if ipv6 else "no")
        if params["sysctl_file"] is not None:
            want["defaults"] = _ufw.with_setting(want["defaults"], "IPT_SYSCTL", params["sysctl_file"])
        for option, name in DIRECTIONS.items():
            if params[option]:
                key = "DEFAULT_%s_POLICY" % name
                want["defaults"] = _ufw.with_setting(want["defaults"], key, _ufw.POLICIES[params[option]])
        if params["logging"]:
            want["conf"] = _ufw.with_setting(want["conf"], "LOGLEVEL", params["logging"])
        if params["enabled"] is not None:
            want["conf"] = _ufw.with_setting(want["conf"], "ENABLED", "yes" if params["enabled"] else "no")
        return want

    @staticmethod
    def settings(texts):
        found = {}
        for key in ["DEFAULT_%s_POLICY" % name for name in DIRECTIONS.values()] + ["IPV6", "IPT_SYSCTL"]:
            found[key] = _ufw.setting(texts["defaults"], key)
        for key in ("ENABLED", "LOGLEVEL"):
            found[key] = _ufw.setting(texts["conf"], key)
        return found

    def converge(self, params, check_mode):
        now = self.read()
        if not self.installed and params["enabled"] is False:
            want = now  # nothing to switch off
        else:
            want = self.wanted(now, params)
        before, after = self.settings(now), self.settings(want)
        changed = [key for key in sorted(after) if before[key] != after[key]]
        enabled = after["ENABLED"] == "yes"
        ipv6 = after["IPV6"] != "no"
        stale = []
        if self.installed and enabled and before["ENABLED"] == "yes" and "IPV6" not in changed:
            stale = [family for family in (4, 6) if (family == 4 or ipv6) and (self.note.paths or not self.loaded(now, family))]
        result = self.told(now, want, before, after)
        # A run that died may have left files behind that the kernel never saw.
        result["settings"] = changed + (["loaded"] if stale or self.note.paths else [])
        result["changed"] = now != want or bool(stale or self.note.paths)
        result["reordered"] = now != want and not (result["settings"] or result["added"] or result["removed"])
        if result["changed"] and not check_mode:
            if not self.installed:
                raise HostError("ufw is not installed on this host; install the package ufw first")
            if self.stubs:
                # Any `ufw logging` writes both files out in full.
                self.run(["ufw", "logging", before["LOGLEVEL"] or "low"])
                now = self.read()
                if self.stubs:
                    raise HostError("ufw did not write %s; run `ufw reset`" % FILES[self.stubs[0]])
                want = self.wanted(now, params)
            self.apply(now, want, before, after, stale)
        return result

    @staticmethod
    def told(now, want, before, after):
        lists = {}
        for name, texts, settings in (("before", now, before), ("after", want, after)):
            lines = ["%s=%s" % (key, value or "") for key, value in sorted(settings.items())]
            for family in (4, 6):
                lines.append("[IPv%d]" % family)
                lines += _ufw.describe(texts["rules%d" % family])
            lists[name] = lines
        old = [line for key in ("rules4", "rules6") for line in _ufw.describe(now[key])]
        new = [line for key in ("rules4", "rules6") for line in _ufw.describe(want[key])]
        return {
            "added": [line for line in new if line not in old],
            "removed": [line for line in old if line not in new],
            "diff": {
                "before_header": "ufw", "after_header": "ufw",
                "before": "\n".join(lists["before"]) + "\n", "after": "\n".join(lists["after"]) + "\n",
            },
        }

    # --- from one to the other

    def apply(self, now, want, before, after, stale):
        on, was_on = after["ENABLED"] == "yes", before["ENABLED"] == "yes"
        ipv6 = after["IPV6"] != "no"
        for family, tool in ((4, "iptables-restore"), (6, "ip6tables-restore")):
            if now["rules%d" % family] != want["rules%d" % family] and (family == 4 or ipv6):
                self.run([tool, "--test", "--noflush"], data=want["rules%d" % family])
        noted = list(self.note.paths)
        self.note.add(*sorted(FILES.values()))
        try:
            self.step(now, want, before, after, stale, on, was_on, ipv6)
        except BaseException:
            for key, text in now.items():
                self.write(key, text)
            # What was loaded before is loaded again, whatever state the failed step left behind.
            self.run(["ufw", "--force", "enable"] if was_on else ["ufw", "disable"], fail=False)
            if was_on:
                self.run(["ufw", "reload"], fail=False)
            self.note.write(noted)
            raise
        self.note.clear()

    def step(self, now, want, before, after, stale, on, was_on, ipv6):
        # The rules go in first: whatever the policies become, those who shall get in are let in already.
        for key in ("rules4", "rules6"):
            if now[key] != want[key]:
                self.write(key, want[key])
        if on and was_on:
            for family, tool in ((4, "iptables-restore"), (6, "ip6tables-restore")):
                if family in stale:
                    continue
                if now["rules%d" % family] != want["rules%d" % family] and (family == 4 or ipv6):
                    self.run([tool, "--noflush"], data=want["rules%d" % family])
        if before["LOGLEVEL"] != after["LOGLEVEL"]:
            self.run(["ufw", "logging", after["LOGLEVEL"]])
        reload = bool(stale)
        if now["defaults"] != want["defaults"]:
            self.write("defaults", want["defaults"])
            reload = True
        if on and not was_on:
            self.run(["ufw", "--force", "enable"])
        elif not on and (was_on or self.note.paths):
            self.run(["ufw", "disable"])
        elif on and reload:
            self.run(["ufw", "reload"])
        if on and not all(self.loaded(want, family) for family in (4, 6) if family == 4 or ipv6):
            raise HostError("ufw reports success, but the kernel does not hold the rules; look at `iptables -S` and `ufw status`")

    @staticmethod
    def write(key, text):
        """Beside the target, then rename: ufw never reads half a file."""
        path = FILES[key]
        info = os.stat(path)
        temporary = "%s.new" % path
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.chown(temporary, info.st_uid, info.st_gid)
        os.chmod(temporary, info.st_mode & 0o7777)
        os.replace(temporary, path)
