#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: selfsigned_certificate_set
short_description: Self-signed certificates for any number of names, in one round trip
version_added: 1.0.0
description:
  - Brings a directory to exactly the declared self-signed certificates (ECDSA, P-256) and keeps a link for each name
    that a web server's configuration can point to. Undeclared ones are removed.
  - A certificate is made again when its names changed or when it expires within 30 days.
  - With O(certificates[].placeholder) the certificate only stands in until a real one is there. The link is made once;
    whoever brings the real certificate turns it, and it is not turned back while what it points to exists.
options:
  certificates:
    description: What shall exist.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the directory and the link.
        type: str
        required: true
      names:
        description: DNS names, the first of which becomes the common name.
        type: list
        elements: str
        required: true
      placeholder:
        description: Whether a real certificate will take its place.
        type: bool
        default: false
  days:
    description: How long a new certificate is valid. Browsers and Mozilla's profiles accept 366 days at most.
    type: int
    default: 365
  directory:
    description: Where the certificates live, each in a directory of its own as C(fullchain.pem) and C(privkey.pem).
    type: path
    default: /etc/nginx/botops/selfsigned
  links:
    description: Where the links live.
    type: path
    default: /etc/nginx/botops/live
  renamed:
    description: Directories of an earlier version, old path to new one, moved first. As for M(botops.fleet.file_set), which removes the old name.
    type: dict
    default: {}
  pending:
    description: Name of the note for what is not yet taken over, as for M(botops.fleet.file_set).
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what would be made or removed and changes nothing.
  diff_mode:
    support: full
    description: One line for each certificate made, linked or removed. Never a key.
  idempotent:
    support: full
    description: Nothing changes until a name changes or a certificate is about to expire.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: A certificate for a back office
  botops.fleet.selfsigned_certificate_set:
    certificates:
      - name: office
        names: [office.example.com]
"""

RETURN = r"""
actions:
  description: One line for each thing that was done, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

import datetime
import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _takeover
from ansible_collections.botops.fleet.plugins.module_utils._certificates import (
    Problem,
    point,
    read_certificate,
    remove,
    selfsigned_reason,
)
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note


def make(module, certificate, target, days):
    """Key and certificate are made aside and renamed into place together."""
    workdir = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(target))
    try:
        os.chmod(workdir, 0o755)
        argv = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        argv += ["-sha256", "-days", str(days), "-keyout", workdir + "/privkey.pem", "-out", workdir + "/fullchain.pem"]
        # A common name holds 64 characters; the names that count are the alternative ones.
        argv += ["-subj", "/CN=" + certificate["names"][0][:64]]
        argv += ["-addext", "subjectAltName=" + ",".join("DNS:" + name for name in certificate["names"])]
        # Whoever decides to trust it trusts these names, and not whatever its key might sign.
        argv += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]
        status, out, err = module.run_command(argv, umask=0o077)
        if status:
            raise Problem("openssl could not make a certificate for %s: %s" % (certificate["name"], (err or out).strip()))
        os.chmod(workdir + "/fullchain.pem", 0o644)
        if os.path.isdir(target):
            for name in ("privkey.pem", "fullchain.pem"):
                os.replace(os.path.join(workdir, name), os.path.join(target, name))
        else:
            os.rename(workdir, target)
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def converge(module):
    params, actions, note = module.params, [], Note(module.params["pending"])
    now = datetime.datetime.now(datetime.timezone.utc)
    actions += ["take over %s" % path for path in _takeover.begin(params["renamed"], module.check_mode)]
    if not module.check_mode and params["certificates"]:
        for path in (params["directory"], params["links"]):
            os.makedirs(path, mode=0o755, exist_ok=True)
    for certificate in params["certificates"]:
        target = os.path.join(params["directory"], certificate["name"])
        link = os.path.join(params["links"], certificate["name"])
        replaced = certificate["placeholder"] and os.path.exists(link) and os.path.realpath(link) != os.path.realpath(target)
        if replaced:
            continue
        reason = selfsigned_reason(read_certificate(module, target + "/fullchain.pem"), certificate["names"], now)
        if reason:
            actions.append("make a self-signed certificate for %s: %s" % (", ".join(certificate["names"]), reason))
            if not module.check_mode:
                note.add(target)
                make(module, certificate, target, params["days"])
        if not os.path.islink(link) or os.readlink(link) != target:
            actions.append("link %s to %s" % (link, target))
            if not module.check_mode:
                note.add(link)
                point(link, target)
    declared = {certificate["name"] for certificate in params["certificates"]}
    for path in (params["directory"], params["links"]):
        for name in sorted(set(os.listdir(path) if os.path.isdir(path) else []) - declared):
            actions.append("remove %s" % os.path.join(path, name))
            if not module.check_mode:
                remove(os.path.join(path, name))
    return actions


def main():
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "names": {"type": "list", "elements": "str", "required": True},
                    "placeholder": {"type": "bool", "default": False},
                },
            },
            "days": {"type": "int", "default": 365},
            "directory": {"type": "path", "default": "/etc/nginx/botops/selfsigned"},
            "links": {"type": "path", "default": "/etc/nginx/botops/live"},
            "renamed": {"type": "dict", "default": {}},
            "pending": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        actions = converge(module)
    except (Problem, OSError) as error:
        module.fail_json(msg=str(error), actions=[])
    result = {"changed": bool(actions), "actions": actions}
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(action + "\n" for action in actions)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
