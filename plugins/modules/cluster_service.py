#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_service
short_description: Internal to the role ha_cluster - start a cluster member, or make a running one agree with its configuration, with the least that is needed
version_added: 1.0.0
description:
  - Compares C(/etc/corosync/corosync.conf) with what the running corosync believes. No difference, no action; a difference that
    corosync can take in while it runs is reloaded; only what it cannot is a restart, and that needs O(allow_restart).
  - Starts and enables corosync, corosync-qdevice and pacemaker, in that order, where they do not run.
options:
  qdevice:
    description: The cluster has a witness.
    type: bool
    default: true
  restart_qdevice:
    description: The member's certificate changed. Only corosync-qdevice is restarted; the members' own votes keep the quorum.
    type: bool
    default: false
  reload:
    description: The members' key changed. Where corosync runs, it reads its configuration again.
    type: bool
    default: false
  allow_restart:
    description: Allow the restart of corosync and pacemaker. Resources keep running unmanaged meanwhile.
    type: bool
    default: false
  witness:
    description:
      - Name of the witness. Its vote is waited for each time, and the module fails when it is not given.
    type: str
    default: ""
  members:
    description: Names of the members that should be online afterwards; waited for.
    type: list
    elements: str
    default: []
  verify:
    description: Wait for the members even when nothing was changed here, because something else just was.
    type: bool
    default: false
  forget:
    description: Make the cluster forget members that are in neither the configuration nor the cluster. On one node only.
    type: bool
    default: false
  maintenance:
    description:
      - V(true) tells the cluster to leave its resources alone, V(false) to look after them again. Left out, it is not touched.
    type: bool
  pending:
    description:
      - Name of the note of M(botops.fleet.file_set) and M(botops.fleet.cluster_certificate). A certificate noted there has the
        effect of O(restart_qdevice). It is crossed out when the member runs as declared.
    type: str
  wait_seconds:
    description: How long to wait for the members.
    type: int
    default: 90
attributes:
  check_mode:
    support: full
    description: Reports what would be started, reloaded or restarted.
  diff_mode:
    support: none
    description: See RV(actions).
  idempotent:
    support: full
    description: A healthy cluster that agrees with its configuration is not touched.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Run the cluster
  botops.fleet.cluster_service:
    members: [alpha, beta]
"""

RETURN = r"""
actions:
  description: What was done, or would be.
  type: list
  elements: str
  returned: always
differences:
  description: Settings on which the running corosync and the file disagreed.
  type: list
  elements: str
  returned: always
"""

import os
import time
import xml.etree.ElementTree as ET

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import corosync
from ansible_collections.botops.fleet.plugins.module_utils._pacemaker.paths import COROSYNC_CONF
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note

DEVICE_READ = "/var/lib/botops/ha_cluster/qdevice-read"
# A witness that starts counts the members within its first heartbeats.
WITNESS_SECONDS = 30
QDEVICE = "/etc/corosync/qdevice/"


class Member:
    wanted = {}  # corosync.conf
    stale = False  # a unit's file is newer than what systemd has read

    def __init__(self, module):
        self.module, self.actions = module, []

    def command(self, *argv, ok=True):
        status, out, err = self.module.run_command(list(argv))
        if status and ok:
            self.module.fail_json(msg="`%s` failed: %s" % (" ".join(argv), (err or out).strip() or status), actions=self.actions)
        return out if status == 0 else None

    def act(self, text, *argv):
        self.actions.append(text)
        if argv and not self.module.check_mode:
            (self.systemd if argv[0] == "systemctl" else self.command)(*argv)

    def systemd(self, *argv):
        """A failed start explains itself with the end of its journal."""
        status, out, err = self.module.run_command(list(argv))
        if status:
            journal = self.command("journalctl", "--no-pager", "-n", "15", "-o", "cat", "-u", argv[-1], ok=False)
            self.module.fail_json(msg="`%s` failed: %s\n%s" % (" ".join(argv), err.strip(), (journal or "").strip()))

    def units(self, *names):
        out = self.command("systemctl", "show", "--property=Id,ActiveState,UnitFileState,NeedDaemonReload", *names) or ""
        found = {}
        for block in out.split("\n\n"):
            pairs = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            self.stale = self.stale or pairs.get("NeedDaemonReload") == "yes"
            found[pairs.get("Id", "").partition(".service")[0]] = (
                pairs.get("ActiveState") == "active", pairs.get("UnitFileState") == "enabled")
        return found

    # --- agreement of the file with the daemon

    def disagreement(self, wanted):
        out = self.command("corosync-cmapctl", ok=False)
        return [] if out is None else corosync.differences(wanted, corosync.cmap(out))

    def agree(self, wanted):
        keys = self.disagreement(wanted)
        if not keys:
            return [], False
        hard = corosync.needs_restart(keys)
        if not hard:
            self.act("corosync reloads its configuration (%s)" % ", ".join(keys[:6]), "corosync-cfgtool", "-R")
            if not self.module.check_mode:
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:
                    hard = self.disagreement(wanted)
                    if not hard:
                        return keys, False
                    time.sleep(0.5)
        if hard:
            self.restart(hard)
        return keys, bool(hard)

    def never_used(self):
        """The distribution's default, started by the package: a cluster of its own that runs nothing."""
        out = self.command("cibadmin", "--query", "--xpath", "//primitive", ok=False)
        return not out

    def restart(self, keys):
        untouched = self.never_used()
        if not (self.module.params["allow_restart"] or untouched):
            self.module.fail_json(
                msg="A running cluster cannot change %s. Set ha_cluster_allow_restart=true in a quiet moment: the resources keep "
                    "running, but nothing recovers while corosync restarts." % ", ".join(keys), differences=keys, actions=self.actions)
        self.actions.append("corosync and pacemaker restart (%s)" % ", ".join(keys[:6]))
        if self.module.check_mode:
            return
        if not untouched:
            self.command("crm_attribute", "--type", "crm_config", "--name", "maintenance-mode", "--update", "true")
        for unit in ("pacemaker.service", "corosync-qdevice.service", "corosync.service"):
            self.command("systemctl", "stop", unit, ok=False)
        if untouched:
            # The default's node would stay in the configuration as one that has to be fenced.
            for name in os.listdir("/var/lib/pacemaker/cib"):
                os.unlink(os.path.join("/var/lib/pacemaker/cib", name))
        else:
            self.maintained = True

    maintained = False

    # --- what the cluster says

    def monitor(self):
        out = self.command("crm_mon", "--one-shot", "--output-as=xml", ok=False)
        return ET.fromstring(out) if out else None

    def online(self):
        status = self.monitor()
        if status is None:
            return None, set()
        dc = status.find("summary/current_dc")
        quorate = dc is not None and dc.get("with_quorum") == "true"
        up = {n.get("name") for n in status.iter("node") if n.get("online") == "true" and n.get("pending") != "true" and n.get("type")}
        return quorate, up

    def wait(self, wanted, seconds):
        deadline = time.monotonic() + seconds
        while True:
            quorate, up = self.online()
            if quorate and wanted <= up:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if quorate is None:
            text = "Pacemaker does not answer on this host. Look at `journalctl -u pacemaker -u corosync`."
        elif not quorate:
            text = "The cluster has no quorum: members online: %s. Look at `corosync-quorumtool`." % (", ".join(sorted(up)) or "none")
        else:
            text = "Not online after %d s: %s. Look at `crm_mon -1` and at that host's `journalctl -u corosync`." % (
                seconds, ", ".join(sorted(wanted - up)))
        self.module.fail_json(msg=text, actions=self.actions)

    # --- the witness

    def outdated_device(self, unit):
        """corosync-qdevice reads the configuration once: was it started before the file was last written?

        Not by the difference with the running corosync: the other member may have made this one read the file a moment ago.
        """
        said = self.command("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit, ok=False) or "0"
        started = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + int(said.strip() or 0) / 1e6
        if os.stat(COROSYNC_CONF).st_mtime <= started:
            return False
        # Newer by another setting than those that the daemon reads is not outdated.
        try:
            with open(DEVICE_READ, encoding="utf-8") as stream:
                return stream.read() != corosync.device_settings(self.wanted)
        except OSError:
            return True

    def remember_device(self):
        """What corosync-qdevice has read; still true after a boot, when it has read the same file again."""
        with open(DEVICE_READ, "w", encoding="utf-8") as stream:
            stream.write(corosync.device_settings(self.wanted))

    def votes(self):
        """What corosync itself counts, not whether a connection is there: `0  1  Qdevice`, and `A,V` where the vote is alive and cast."""
        said = self.command("corosync-quorumtool", "-s", ok=False) or ""
        return corosync.witness_votes(said)

    def wait_for_witness(self, name, seconds):
        deadline = time.monotonic() + seconds
        while not self.votes():
            if time.monotonic() > deadline:
                said = (self.command("corosync-qdevice-tool", "-s", ok=False) or "").strip()
                self.module.fail_json(
                    msg="The witness %s does not vote on this member: after the loss of one member the other could not go on. It has to be reached "
                        "on TCP 5403, and its clock has to be right. Look at `corosync-qdevice-tool -sv` here and at `systemctl status "
                        "corosync-qnetd` there.%s" % (name, "\n" + said if said else ""), actions=self.actions)
            time.sleep(0.5)

    def strangers(self, configured):
        status = self.monitor()
        nodes = status.iter("node") if status is not None else []
        return sorted(n.get("name") for n in nodes if n.get("type") and n.get("name") not in configured and n.get("online") != "true")

    def maintenance(self, wanted):
        now = (self.command(
            "crm_attribute", "--type", "crm_config", "--name", "maintenance-mode", "--query", "--quiet", "--default", "false"
        ) or "false").strip()
        if (now == "true") != wanted:
            text = "the cluster leaves its resources alone" if wanted else "the cluster looks after its resources again"
            update = ["--update", "true"] if wanted else ["--delete"]
            self.act(text, "crm_attribute", "--type", "crm_config", "--name", "maintenance-mode", *update)


def converge(module):
    p, member = module.params, Member(module)
    names = ["corosync"] + (["corosync-qdevice"] if p["qdevice"] else []) + ["pacemaker"]
    if not module.get_bin_path("corosync-cfgtool"):
        if module.check_mode:
            module.exit_json(changed=True, actions=["%s starts" % name for name in names], differences=[])
        module.fail_json(msg="corosync is not installed on this host.")
    with open(COROSYNC_CONF, encoding="utf-8") as stream:
        wanted = member.wanted = corosync.parse(stream.read())
    units = member.units(*names)
    if member.stale:
        member.act("systemd reads its units again", "systemctl", "daemon-reload")
    note = Note(p["pending"])
    new_certificate = p["restart_qdevice"] or any(path.startswith(QDEVICE) for path in note.paths)
    keys, restarted = ([], False)
    if units["corosync"][0]:
        keys, restarted = member.agree(wanted)
        if p["reload"] and not keys:
            member.act("corosync takes the new key in", "corosync-cfgtool", "-R")
    if restarted and not module.check_mode:
        units = member.units(*names)
    for name in names:
        active, enabled = units[name]
        if not enabled:
            member.act("%s starts at boot" % name, "systemctl", "enable", "--quiet", name + ".service")
        if not active:
            member.act("%s starts" % name, "systemctl", "start", name + ".service")
        elif name == "corosync-qdevice" and (new_certificate or member.outdated_device(name + ".service")):
            member.act("corosync-qdevice restarts", "systemctl", "restart", name + ".service")
    if not module.check_mode:
        if member.actions or p["verify"]:
            member.wait(set(p["members"]), p["wait_seconds"])
        if p["witness"]:
            member.wait_for_witness(p["witness"], WITNESS_SECONDS)
        if member.maintained:
            member.maintenance(False)
    configured = {v for k, v in wanted.items() if k.startswith("nodelist.node.") and k.endswith(".name")}
    if p["forget"] and units["pacemaker"][0]:
        for name in member.strangers(configured):
            member.act("the cluster forgets %s" % name, "crm_node", "--force", "--remove", name)
    if p["maintenance"] is not None and (units["pacemaker"][0] or not module.check_mode):
        member.maintenance(p["maintenance"])
    if not module.check_mode:
        if p["qdevice"]:
            member.remember_device()
        note.clear()
    module.exit_json(changed=bool(member.actions), actions=member.actions, differences=keys)


def main():
    module = AnsibleModule(
        argument_spec={
            "qdevice": {"type": "bool", "default": True},
            "restart_qdevice": {"type": "bool", "default": False},
            "reload": {"type": "bool", "default": False},
            "allow_restart": {"type": "bool", "default": False},
            "witness": {"type": "str", "default": ""},
            "members": {"type": "list", "elements": "str", "default": []},
            "verify": {"type": "bool", "default": False},
            "forget": {"type": "bool", "default": False},
            "maintenance": {"type": "bool"},
            "pending": {"type": "str"},
            "wait_seconds": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    converge(module)


if __name__ == "__main__":
    main()
