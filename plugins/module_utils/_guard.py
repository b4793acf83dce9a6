# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lockout_guard knows without touching the host: reading process environments and writing the restore script."""

from __future__ import annotations

import shlex

HOME = "/var/lib/botops/rollback"
UNIT = "botops-rollback"

_START = "systemctl is-active --quiet ssh.socket || systemctl is-active --quiet ssh.service || systemctl restart ssh.service"

SERVICE = """\
# Written by lockout_guard and removed when a fresh connection has succeeded.
[Unit]
Description=Put back the SSH and firewall configuration that was never confirmed
ConditionPathExists=%(home)s/restore.sh
After=network.target ufw.service ssh.service

[Service]
Type=oneshot
ExecStart=/bin/sh %(home)s/restore.sh
# Whatever ends it half-way: every step may be done twice, and the script takes itself away last.
Restart=on-failure
RestartSec=1

[Install]
# A reboot before the confirmation counts as a lockout, too.
WantedBy=multi-user.target
"""

TIMER = """\
# Written by lockout_guard and removed when a fresh connection has succeeded.
[Unit]
Description=Waits for the confirmation that this host can still be reached

[Timer]
OnActiveSec=%(seconds)d
AccuracySec=1s
Unit=%(unit)s.service
"""


def environment(raw):
    """/proc/<pid>/environ as a dict."""
    pairs = [item.partition("=") for item in raw.split("\0") if "=" in item]
    return {key: value for key, _sep, value in pairs}


def connection(environments):
    """The SSH connection in use, from the environments of this process and its ancestors, nearest first.

    sudo empties the environment, but sshd's own child kept what it was started with.
    """
    for found in environments:
        words = found.get("SSH_CONNECTION", "").split()
        if len(words) == 4:
            return {
                "user": found.get("USER") or found.get("LOGNAME") or "",
                "client": words[0].split("%")[0],
                "server": words[2].split("%")[0],
                "port": int(words[3]),
            }
    return None


def restore_script(entries, firewall, home=HOME, unit=UNIT):
    """A script without any dependency but sh and coreutils: it runs when everything else may be wrong, and again from its
    beginning when it was interrupted.

    `entries` are {"path", "saved"}; saved is None for a path that did not exist. `firewall` is None where ufw was not
    installed, else whether it was enabled.
    """
    lines = ["#!/bin/sh", "# Puts back what was there before the unconfirmed change. Runs on, whatever single step fails.", "cd %s || exit 1" % home]
    for entry in entries:
        path = shlex.quote(entry["path"])
        if entry["saved"] is None:
            lines.append("rm -f -- %s" % path)
        else:
            lines.append("cp -a -- %s %s.rollback && mv -f -- %s.rollback %s" % (entry["saved"], path, path, path))
    lines.append("systemctl daemon-reload")
    lines += [
        "if systemctl is-active --quiet ssh.socket; then systemctl restart ssh.socket; fi",
        # systemd takes the directory away when sshd ends, and sshd refuses to start, or even to check itself, without it.
        "mkdir -p -m 0755 /run/sshd",
        # A sshd that failed again and again is not started any more.
        "systemctl reset-failed ssh.service 2>/dev/null",
        "/usr/sbin/sshd -t && systemctl reload ssh.service",
        # Dead: a start, whatever the check said.
        _START,
    ]
    if firewall:
        # Its files are back, so it is enabled; whatever state the chains are in, a reload makes them anew.
        lines.append("ufw reload || ufw --force enable")
    else:
        lines.append("if command -v ufw >/dev/null; then ufw disable; fi")
    lines += [
        # Or killed by what it was to reload.
        "sleep 1",
        _START,
        'logger -t %s "no fresh connection confirmed the change: the previous SSH and firewall configuration is back"' % unit,
        "mv -f restore.sh fired",
        # From here on a reboot would find nothing to do.
        "systemctl disable %s.service" % unit,
        # A timer that has elapsed stays active without its file.
        "systemctl stop %s.timer" % unit,
        "rm -f /etc/systemd/system/%s.service /etc/systemd/system/%s.timer" % (unit, unit),
        "rm -rf saved manifest.json holder",
        "systemctl daemon-reload",
        "exit 0",
    ]
    return "\n".join(lines) + "\n"
