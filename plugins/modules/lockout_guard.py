#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lockout_guard
short_description: Internal to the role hardening - put SSH and firewall configuration back unless a fresh connection confirms it
version_added: 1.0.0
description:
  - V(armed) saves copies of files and of ufw's state and starts a systemd timer that puts them back. V(disarmed) stops it.
    A task between the two may cut the host off; when nothing disarms the timer in time, or the host reboots before that,
    the host returns to what it was.
  - V(inspected) tells how the host is being reached and what a role must know before it plans such a change.
options:
  state:
    description: What to do.
    type: str
    choices: [inspected, armed, disarmed]
    default: inspected
  paths:
    description:
      - With V(armed), files to save; those that do not exist are removed by the rollback.
      - With V(inspected), paths whose existence is asked for.
    type: list
    elements: path
    default: []
  units:
    description: With V(inspected), units that shall be enabled and active.
    type: list
    elements: str
    default: []
  packages:
    description: With V(inspected), packages that shall be there, C(package=version) where the version counts. See RV(missing_packages).
    type: list
    elements: str
    default: []
  holder:
    description:
      - With V(disarmed), the RV(holder) that arming returned. Only the run that armed the guard last may disarm it, so that of two
        runs that meet neither takes the other's guard away.
    type: str
  seconds:
    description: With V(armed), how long to wait for the confirmation.
    type: int
    default: 180
attributes:
  check_mode:
    support: full
    description: Never arms or disarms in check mode.
  diff_mode:
    support: none
    description: The guard leaves nothing behind that could be compared.
  idempotent:
    support: full
    description: Arming an armed guard keeps the oldest copies, starts the time anew and makes this run the one that confirms.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Save what lets us in
  botops.fleet.lockout_guard:
    state: armed
    paths: [/etc/ssh/sshd_config.d/00-botops.conf]
  register: guard

- name: Confirm, after the connection was made anew
  botops.fleet.lockout_guard:
    state: disarmed
    holder: "{{ guard.holder }}"
"""

RETURN = r"""
armed:
  description: Whether a rollback is waiting, left by a run that died or held by one that is at work.
  type: bool
  returned: when inspected
fired:
  description: Whether the rollback has put the old files back since it was armed.
  type: bool
  returned: when disarmed
holder:
  description: Names the run that armed the guard.
  type: str
  returned: when armed
taken_over:
  description: Whether another run has armed the guard since; that run confirms for both.
  type: bool
  returned: when disarmed
connection:
  description: The SSH connection in use, or none where the host is reached in another way.
  type: dict
  returned: when inspected
  sample: {user: admin, client: 203.0.113.7, server: 198.51.100.2, port: 22}
os:
  description: C(id) and C(version) from os-release.
  type: dict
  returned: when inspected
container:
  description: Whether the host shares its kernel with others.
  type: bool
  returned: when inspected
docker:
  description: Whether a Docker engine is installed.
  type: bool
  returned: when inspected
groups:
  description: Groups of the user that is connected.
  type: list
  elements: str
  returned: when inspected
missing_packages:
  description: Those of O(packages) that apt has to be asked for.
  type: list
  elements: str
  returned: when inspected
present:
  description: Those of O(paths) that exist.
  type: list
  elements: str
  returned: when inspected
resting_units:
  description: Those of O(units) that are installed, but not enabled or not active.
  type: list
  elements: str
  returned: when inspected
short_moduli:
  description: Whether sshd's moduli file has groups below 3072 bits.
  type: bool
  returned: when inspected
was_armed:
  description: Whether a rollback was waiting.
  type: bool
  returned: when armed or disarmed
"""

import grp
import json
import os
import pwd
import shutil
import time
import uuid

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _guard, _packages, _units

SAVED = os.path.join(_guard.HOME, "saved")
MANIFEST = os.path.join(_guard.HOME, "manifest.json")
SCRIPT = os.path.join(_guard.HOME, "restore.sh")
HOLDER = os.path.join(_guard.HOME, "holder")
FIRED = os.path.join(_guard.HOME, "fired")
UNITS = "/etc/systemd/system"


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""


def ancestors():
    pid = os.getpid()
    while pid > 1:
        yield _guard.environment(read("/proc/%d/environ" % pid))
        words = _units.stat(pid)  # the parent is the second of them
        pid = int(words[1]) if len(words) > 1 else 0


def groups_of(user):
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return []
    return sorted({grp.getgrgid(gid).gr_name for gid in os.getgrouplist(user, account.pw_gid)})


def inspected(module):
    params = module.params
    os_release = {}
    for line in read("/etc/os-release").splitlines():
        key, _sep, value = line.partition("=")
        os_release[key] = value.strip("\"'")
    found = _guard.connection(ancestors())
    resting = []
    if params["units"]:
        _status, out, _err = module.run_command(["systemctl", "show", "--property=" + _units.PROPERTIES] + params["units"])
        for name, unit in _units.blocks(out).items():
            asleep = unit.get("ActiveState") != "active" or unit.get("UnitFileState") not in ("enabled", "static")
            if unit.get("LoadState") == "loaded" and asleep and not _units.at_rest(unit):
                resting.append(name)
    container, _out, _err = module.run_command(["systemd-detect-virt", "--container", "--quiet"])
    moduli = [line.split() for line in read("/etc/ssh/moduli").splitlines() if line[:1].isdigit()]
    return {
        "armed": os.path.exists(SCRIPT),
        "connection": found,
        "groups": groups_of(found["user"]) if found else [],
        "os": {"id": os_release.get("ID", ""), "version": os_release.get("VERSION_ID", "")},
        "container": container == 0,
        "docker": any(os.path.exists(path) for path in ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/snap/bin/docker")),
        "missing_packages": _packages.missing(module.run_command, params["packages"]),
        "present": [path for path in params["paths"] if os.path.lexists(path)],
        "resting_units": resting,
        "short_moduli": any(len(words) > 4 and int(words[4]) < 3071 for words in moduli),
    }


def command(module, *argv):
    status, out, err = module.run_command(list(argv))
    if status:
        module.fail_json(msg="`%s` failed, so the change was not begun: %s" % (" ".join(argv), (err or out).strip()))


def running(module):
    _status, out, _err = module.run_command(["systemctl", "is-active", _guard.UNIT + ".service"])
    return out.strip() in ("activating", "active")


def armed(module):
    # An earlier timer must not fire while the copies are renewed, and a rollback that runs clears away its units when it ends.
    module.run_command(["systemctl", "stop", _guard.UNIT + ".timer"])
    deadline = time.monotonic() + 90
    while running(module):
        if time.monotonic() > deadline:
            module.fail_json(msg="an earlier rollback is still running, so the change was not begun; look at `systemctl status %s`" % _guard.UNIT)
        time.sleep(0.5)
    os.makedirs(SAVED, mode=0o700, exist_ok=True)
    os.chmod(_guard.HOME, 0o700)
    # What an unconfirmed run before this one saved is older and therefore better.
    state = json.loads(read(MANIFEST) or '{"entries": [], "firewall": null}')
    was_armed = os.path.exists(SCRIPT)
    known = {entry["path"] for entry in state["entries"]}
    ufw = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/etc/default/ufw", "/etc/ufw/ufw.conf"]
    if not was_armed:
        state["firewall"] = "ENABLED=yes" in read("/etc/ufw/ufw.conf").replace('"', "")
    for path in module.params["paths"] + [path for path in ufw if os.path.exists(path)]:
        if path in known:
            continue
        entry = {"path": path, "saved": None}
        if os.path.isfile(path):
            entry["saved"] = "saved/%d" % len(state["entries"])
            target = os.path.join(_guard.HOME, entry["saved"])
            info = os.stat(path)
            shutil.copy2(path, target)
            os.chown(target, info.st_uid, info.st_gid)
        state["entries"].append(entry)
        known.add(path)
    holder = uuid.uuid4().hex
    texts = {
        MANIFEST: json.dumps(state, indent=1),
        HOLDER: holder,
        "%s/%s.service" % (UNITS, _guard.UNIT): _guard.SERVICE % {"home": _guard.HOME},
        "%s/%s.timer" % (UNITS, _guard.UNIT): _guard.TIMER % {"seconds": module.params["seconds"], "unit": _guard.UNIT},
        # Last: its presence says that the guard is armed.
        SCRIPT: _guard.restore_script(state["entries"], state["firewall"]),
    }
    for path, text in texts.items():
        write(path, text)
    if os.path.exists(FIRED):
        os.unlink(FIRED)
    command(module, "systemctl", "daemon-reload")
    command(module, "systemctl", "enable", "--quiet", _guard.UNIT + ".service")
    command(module, "systemctl", "restart", _guard.UNIT + ".timer")
    return {"was_armed": was_armed, "holder": holder}


def write(path, text):
    """Whole or not at all, whenever the run ends."""
    with open(path + ".new", "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(path + ".new", path)


def disarmed(module):
    holder = module.params["holder"]
    if running(module) or os.path.exists(FIRED):
        # It has fired, or has just begun; nothing may interrupt it.
        return {"was_armed": False, "fired": True, "taken_over": False}
    if holder and os.path.exists(HOLDER) and read(HOLDER) != holder:
        return {"was_armed": True, "fired": False, "taken_over": True}
    was_armed = os.path.exists(SCRIPT)
    module.run_command(["systemctl", "stop", _guard.UNIT + ".timer"])
    if running(module):
        return {"was_armed": False, "fired": True, "taken_over": False}
    if was_armed:
        # First what fires, then what it needs: ended in between, the guard is found armed by the next run.
        module.run_command(["systemctl", "disable", "--quiet", _guard.UNIT + ".service"])
        for suffix in ("service", "timer"):
            if os.path.exists("%s/%s.%s" % (UNITS, _guard.UNIT, suffix)):
                os.unlink("%s/%s.%s" % (UNITS, _guard.UNIT, suffix))
        module.run_command(["systemctl", "daemon-reload"])
    shutil.rmtree(_guard.HOME, ignore_errors=True)
    return {"was_armed": was_armed, "fired": False, "taken_over": False}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["inspected", "armed", "disarmed"], "default": "inspected"},
            "paths": {"type": "list", "elements": "path", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 180},
            "holder": {"type": "str"},
        },
        supports_check_mode=True,
    )
    state = module.params["state"]
    if state == "inspected":
        module.exit_json(changed=False, **inspected(module))
    if module.check_mode:
        module.exit_json(changed=False, was_armed=os.path.exists(SCRIPT))
    # The guard is gone again when the play is over: it is no change to the host.
    module.exit_json(changed=False, **{"armed": armed, "disarmed": disarmed}[state](module))


if __name__ == "__main__":
    main()
