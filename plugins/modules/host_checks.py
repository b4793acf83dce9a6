#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_checks
short_description: Internal to the roles - look at a host and say, point by point, what was expected and what is there
version_added: 1.0.0
description:
  - Runs a list of read-only checks in one round trip. Nothing is ever changed.
  - A check that fails does not fail the task, so that the whole list is seen; ask for RV(failed_checks).
options:
  checks:
    description: What to look at. Exactly one of the keys beside O(checks[].id) and O(checks[].title) says how.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Short stable name of the check.
        type: str
        required: true
      title:
        description: What the check shows, as a sentence an operator understands.
        type: str
        required: true
      unit:
        description: systemd units and the ActiveState each must have, for example V(active).
        type: dict
      current:
        description:
          - Units and the files or directories that each reads. A unit that runs must have been started or reloaded after the newest
            of them was written, or else works with something older than what lies there.
        type: dict
      workers:
        description: Units of O(checks[].current) that answer a reload with new worker processes; the workers' age counts then.
        type: list
        elements: str
        default: []
      pending:
        description: Names of notes of M(botops.fleet.file_set) that must be empty.
        type: list
        elements: str
      sshd:
        description: Keywords of C(sshd -T) and the value each must have. Lower case.
        type: dict
      listening:
        description: The only TCP and UDP ports that may be bound to an address other than loopback, as C(tcp/22).
        type: list
        elements: str
      url:
        description: Address that must answer 200 within O(checks[].timeout).
        type: str
      timeout:
        description: Seconds that O(checks[].url) may take.
        type: int
        default: 5
      certificate:
        description: PEM file whose first certificate must stay valid for O(checks[].days).
        type: path
      days:
        description: Days that O(checks[].certificate) must stay valid.
        type: int
        default: 14
      mode:
        description: Paths and the permissions that each must have at most, such as V('0600').
        type: dict
      command:
        description: Command (no shell) that must succeed.
        type: list
        elements: str
      match:
        description: Regular expression that the standard output of O(checks[].command) must contain.
        type: str
        default: ""
attributes:
  check_mode:
    support: full
    description: Looks and changes nothing, in check mode and outside it.
  diff_mode:
    support: none
    description: There is nothing to show.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Look at the firewall and at sshd
  botops.fleet.host_checks:
    checks:
      - id: firewall
        title: The firewall is on
        command: [ufw, status]
        match: "Status: active"
      - id: sshd-root
        title: Root cannot log in over SSH
        sshd: {permitrootlogin: "no"}
  register: seen
"""

RETURN = r"""
results:
  description: One entry a check, in the order given.
  type: list
  elements: dict
  returned: always
  contains:
    id:
      description: Name of the check.
      type: str
    title:
      description: What it shows.
      type: str
    passed:
      description: Whether what was expected is there.
      type: bool
    expected:
      description: What was expected.
      type: str
    actual:
      description: What is there.
      type: str
failed_checks:
  description: The ids of the checks that did not pass.
  type: list
  elements: str
  returned: always
"""

import os
import re
import socket
import ssl
import time
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.botops.fleet.plugins.module_utils import _units
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note

KINDS = ("unit", "current", "pending", "sshd", "listening", "url", "certificate", "mode", "command")
# States in /proc/net/tcp and /proc/net/udp.
TCP_LISTEN = "0A"
UDP_OPEN = "07"


def run(module, *argv):
    # A program that is missing is an answer, too.
    try:
        status, out, err = module.run_command(list(argv), handle_exceptions=False)
    except OSError as error:
        status, out, err = 127, "", "%s: %s" % (argv[0], error.strerror)
    return status, out, (err or out).strip().splitlines()[-1:] or [""]


def unit(module, wanted, spec):
    found = {name: run(module, "systemctl", "show", "-P", "ActiveState", name)[1].strip() or "unknown" for name in wanted}
    return compare(wanted, found)


def current(module, wanted, spec):
    old = []
    for name, paths in sorted(wanted.items()):
        written, path = _units.newest(paths)
        _status, out, _last = run(module, "systemctl", "show", "--property=ActiveState,MainPID", name)
        now = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        if now.get("ActiveState") != "active":
            continue  # will read them when it starts
        pid = int(now.get("MainPID") or 0)
        if name in spec["workers"]:
            taken = max(_units.children(pid).values(), default=0) + _units.boot_time()
        else:
            _status, out, _last = run(module, "journalctl", "-q", "-n", "1", "-o", "json", "-u", name, _units.RELOADED)
            started = _units.started(pid) + _units.boot_time()
            taken = max(started, _units.noted_reload(name), _units.journal_time(out))
        # The clocks of files and of processes tick in hundredths.
        if written > taken + 0.02:
            old.append("%s still works with what was there before %s was written" % (name, path))
    expected = "started or reloaded since the newest file of each: %s" % ", ".join(sorted(wanted))
    return not old, expected, "; ".join(old) or "so they are"


def pending(module, wanted, spec):
    left = ["%s: %s" % (name, ", ".join(Note(name).paths)) for name in wanted if Note(name).paths]
    return not left, "nothing that was changed waits to be taken over", "; ".join(left) or "nothing waits"


def sshd(module, wanted, spec):
    status, out, last = run(module, "sshd", "-T")
    if status:
        return False, describe(wanted), "sshd -T: " + last[0]
    effective = {}
    for line in out.splitlines():
        keyword, _unused, value = line.partition(" ")
        effective.setdefault(keyword, value)
    return compare(wanted, {keyword: effective.get(keyword, "not known") for keyword in wanted})


def compare(wanted, found):
    wrong = {name: value for name, value in found.items() if str(value).lower() != str(wanted[name]).lower()}
    return not wrong, describe(wanted), describe(wrong or found)


def describe(pairs):
    return ", ".join("%s=%s" % pair for pair in sorted(pairs.items()))


def is_loopback(address):
    """`address` as in /proc/net/*: hexadecimal, each 32-bit word in host order."""
    packed = b"".join(bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8))
    if len(packed) == 4:
        return packed[0] == 127
    return packed in (socket.inet_pton(socket.AF_INET6, "::1"),) or (packed[:12] == b"\0" * 10 + b"\xff\xff" and packed[12] == 127)


def bound(table, protocol, state):
    with open(table) as handle:
        for line in handle.readlines()[1:]:
            fields = line.split()
            address, _unused, port = fields[1].partition(":")
            if fields[3] == state and not is_loopback(address):
                yield "%s/%d" % (protocol, int(port, 16))


def listening(module, wanted, spec):
    found = set()
    for suffix in ("", "6"):
        for protocol, state in (("tcp", TCP_LISTEN), ("udp", UDP_OPEN)):
            table = "/proc/net/" + protocol + suffix
            if os.path.exists(table):
                found.update(bound(table, protocol, state))
    return found <= set(wanted), "at most " + ", ".join(wanted), ", ".join(sorted(found)) or "nothing"


def url(module, wanted, spec):
    started = time.monotonic()
    try:
        # The name and the issuer are the certificate check's business; this asks whether the address answers.
        with open_url(wanted, timeout=spec["timeout"], validate_certs=False, use_proxy=False) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (OSError, ValueError) as error:
        return False, "200 from " + wanted, str(getattr(error, "reason", error))
    return status == 200, "200 from " + wanted, "%d in %d ms" % (status, (time.monotonic() - started) * 1000)


def certificate(module, wanted, spec):
    expected = "%s valid for %d days or more" % (wanted, spec["days"])
    status, out, last = run(module, "openssl", "x509", "-noout", "-enddate", "-in", wanted)
    if status:
        return False, expected, last[0]
    end = ssl.cert_time_to_seconds(out.strip().partition("=")[2])
    left = (end - time.time()) / 86400
    return left >= spec["days"], expected, "%.1f days left" % left


def mode(module, wanted, spec):
    found = {}
    for path in wanted:
        found[path] = "%04o" % (os.stat(path).st_mode & 0o7777) if os.path.exists(path) else "missing"
    passed = all(value != "missing" and not int(value, 8) & ~int(str(wanted[path]), 8) for path, value in found.items())
    return passed, "at most " + describe(wanted), describe(found)


def command(module, wanted, spec):
    expected = "`%s` succeeds" % " ".join(wanted) + (" and says %s" % spec["match"] if spec["match"] else "")
    status, out, last = run(module, *wanted)
    if status:
        return False, expected, "it ended with %d: %s" % (status, last[0])
    found = re.search(spec["match"], out, re.MULTILINE)
    return bool(found), expected, found.group(0) if found and found.group(0) else (out.strip().splitlines() or ["it said nothing"])[0]


def main():
    module = AnsibleModule(
        argument_spec={
            "checks": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "id": {"type": "str", "required": True},
                    "title": {"type": "str", "required": True},
                    "unit": {"type": "dict"},
                    "current": {"type": "dict"},
                    "workers": {"type": "list", "elements": "str", "default": []},
                    "pending": {"type": "list", "elements": "str"},
                    "sshd": {"type": "dict"},
                    "listening": {"type": "list", "elements": "str"},
                    "url": {"type": "str"},
                    "timeout": {"type": "int", "default": 5},
                    "certificate": {"type": "path"},
                    "days": {"type": "int", "default": 14},
                    "mode": {"type": "dict"},
                    "command": {"type": "list", "elements": "str"},
                    "match": {"type": "str", "default": ""},
                },
                "mutually_exclusive": [KINDS],
                "required_one_of": [KINDS],
            },
        },
        supports_check_mode=True,
    )
    results = []
    for spec in module.params["checks"]:
        kind = next(name for name in KINDS if spec[name] is not None)
        try:
            passed, expected, actual = globals()[kind](module, spec[kind], spec)
        except (OSError, ValueError, KeyError) as error:
            passed, expected, actual = False, kind, "could not be looked at: %s" % error
        results.append({"id": spec["id"], "title": spec["title"], "passed": passed, "expected": expected, "actual": actual})
    module.exit_json(changed=False, results=results, failed_checks=[result["id"] for result in results if not result["passed"]])


if __name__ == "__main__":
    main()
