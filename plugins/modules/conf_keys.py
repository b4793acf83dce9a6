#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: conf_keys
short_description: Set keys in files that know no drop-in directory, and put the old values back when asked
version_added: 1.0.0
description:
  - Sets keys of several files, such as C(/etc/login.defs), in one round trip.
  - What a key was before is remembered under C(/var/lib/botops). A key that is no longer declared gets its old line back; an empty
    O(files[].settings) therefore undoes everything in that file.
options:
  files:
    description: The files. One that does not exist is skipped and reported.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      separator:
        description: What stands between key and value.
        type: str
        default: ' '
      settings:
        description: Keys and their values. A key may consist of two words, as in sshd's C(Subsystem sftp).
        type: dict
        default: {}
      validate:
        description: Command that must accept the candidate; C(%s) is its path.
        type: str
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing.
  diff_mode:
    support: full
    description: One diff a file.
  idempotent:
    support: full
    description: A second run changes nothing.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: New accounts get private files
  botops.fleet.conf_keys:
    files:
      - path: /etc/login.defs
        settings: {UMASK: "027"}
"""

RETURN = r"""
changed_paths:
  description: Files that were changed, or would be in check mode.
  type: list
  elements: str
  returned: always
missing:
  description: Files that do not exist.
  type: list
  elements: str
  returned: always
"""

import json
import os
import shlex
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _conf_keys

MEMORY = "/var/lib/botops/conf_keys.json"


def replace(path, text, like=None):
    handle, temporary = tempfile.mkstemp(prefix=".conf_keys-", dir=os.path.dirname(path))
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    if like is not None:
        os.chown(temporary, like.st_uid, like.st_gid)
        os.chmod(temporary, like.st_mode & 0o7777)
    os.replace(temporary, path)


def refused(module, spec, text):
    """What the checker says against the candidate, or None."""
    handle, candidate = tempfile.mkstemp(prefix="conf_keys-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        argv = [word.replace("%s", candidate) for word in shlex.split(spec["validate"])]
        status, out, err = module.run_command(argv)
    finally:
        os.unlink(candidate)
    return (err or out).replace(candidate, spec["path"]).strip() if status else None


def main():
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "separator": {"type": "str", "default": " "},
                    "settings": {"type": "dict", "default": {}},
                    "validate": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    memory = {}
    if os.path.exists(MEMORY):
        with open(MEMORY, encoding="utf-8") as handle:
            memory = json.load(handle)
    changed, missing, diffs = [], [], []
    for spec in module.params["files"]:
        path = spec["path"]
        if not os.path.exists(path):
            missing.append(path)
            continue
        with open(path, encoding="utf-8") as handle:
            before = handle.read()
        after, remembered = _conf_keys.converge(before, spec["settings"], spec["separator"], memory.get(path, {}))
        if after == before:
            continue
        if spec["validate"] and not module.check_mode:
            said = refused(module, spec, after)
            if said is not None:
                module.fail_json(msg="%s was refused by `%s`: %s" % (path, spec["validate"], said), changed_paths=changed)
        changed.append(path)
        diffs.append({"before_header": path, "after_header": path, "before": before, "after": after})
        if module.check_mode:
            continue
        # What was there is remembered first: a run that dies in between can still be undone.
        memory[path] = remembered
        if not remembered:
            del memory[path]
        os.makedirs(os.path.dirname(MEMORY), mode=0o755, exist_ok=True)
        replace(MEMORY, json.dumps(memory, indent=1, sort_keys=True) + "\n")
        replace(path, after, os.stat(path))
    result = {"changed": bool(changed), "changed_paths": changed, "missing": missing}
    if module._diff:
        result["diff"] = diffs
    module.exit_json(**result)


if __name__ == "__main__":
    main()
