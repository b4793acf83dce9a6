#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_certificate
short_description: Internal to the role ha_cluster - TLS between the members and their witness, without pcsd and without SSH between hosts
version_added: 1.0.0
description:
  - A member makes its own key and a request (O(role=member)); the witness, which is its own authority, signs the requests
    (O(role=witness) with O(requests)); a member takes the answer in (O(role=member) with O(certificate) and O(authority)).
    A private key never leaves the host it was made on.
  - Works on the NSS databases that corosync-qdevice and corosync-qnetd read.
options:
  role:
    description: What this host is.
    type: str
    choices: [member, witness]
    required: true
  cluster:
    description: Name of the cluster; the witness compares it with the certificate's.
    type: str
    required: true
  requests:
    description: For a witness, the requests to sign, by the member's name.
    type: dict
    default: {}
  certificate:
    description: For a member, the signed certificate (PEM).
    type: str
  authority:
    description: For a member, the witness's own certificate (PEM).
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what is missing. Nothing can be signed before the packages are installed.
  diff_mode:
    support: none
    description: There is nothing readable to compare.
  idempotent:
    support: full
    description: A member whose certificate is the witness's own and valid for 30 days more is left alone.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Make a key and a request on each member
  botops.fleet.cluster_certificate:
    role: member
    cluster: trading
  register: member
"""

RETURN = r"""
request:
  description: A member's request (PEM).
  type: str
  returned: for a member
authority:
  description: For the witness its own certificate (PEM).
  type: str
  returned: for a witness
authority_digest:
  description: SHA-256 of the witness's certificate; of the one that a member trusts, empty unless its own certificate is valid.
  type: str
  returned: always
certificates:
  description: Signed certificates (PEM) by the member's name.
  type: dict
  returned: for a witness
"""

import glob
import grp
import hashlib
import os
import secrets
import shutil
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker.certificates import der, fields, pem
from ansible_collections.botops.fleet.plugins.module_utils._pacemaker.paths import NODE_DB, WITNESS_DB
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note

AUTHORITY = "QNet CA"
SERVER = "QNetd Cert"
MEMBER = "Cluster Cert"
MONTHS = "120"
RENEW_SECONDS = 30 * 86400


class Database:
    """One NSS database, through certutil. Its password file is empty, as the daemons expect."""

    def __init__(self, module, path, group):
        self.module, self.path, self.group = module, path, group

    def certutil(self, *argv, ok=(0,)):
        status, out, err = self.module.run_command(
            ["certutil", "-d", self.path, "-f", os.path.join(self.path, "pwdfile.txt")] + list(argv)
        )
        if status not in ok:
            self.module.fail_json(msg="certutil %s in %s failed: %s" % (argv[0], self.path, (err or out).strip()))
        return out if status == 0 else ""

    def exists(self):
        return os.path.exists(os.path.join(self.path, "cert9.db"))

    def create(self):
        os.makedirs(self.path, mode=0o750, exist_ok=True)
        with open(os.path.join(self.path, "pwdfile.txt"), "w", encoding="utf-8"):
            pass
        self.certutil("-N")
        self.tidy()

    def tidy(self):
        gid = grp.getgrnam(self.group).gr_gid
        for path in [self.path] + glob.glob(os.path.join(self.path, "*")):
            os.chown(path, 0, gid)
            os.chmod(path, 0o750 if os.path.isdir(path) else 0o640)

    def certificate(self, nickname):
        return self.certutil("-L", "-n", nickname, "-a", ok=(0, 255))

    def noise(self):
        handle, path = tempfile.mkstemp()
        os.write(handle, secrets.token_bytes(64))
        os.close(handle)
        return path


def digest(text):
    return hashlib.sha256(der(text)).hexdigest() if text.strip() else ""


def valid(text, cluster):
    if not text.strip():
        return False
    name, not_after = fields(der(text))
    return name == cluster and not_after - time.time() > RENEW_SECONDS


def request(database, cluster, renew):
    """The request is kept beside the database: asking twice makes neither a second key nor a second request."""
    path = os.path.join(database.path, "qdevice-net-node.pem")
    if os.path.exists(path) and not renew:
        with open(path, encoding="utf-8") as stream:
            return stream.read(), False
    noise = database.noise()
    try:
        database.certutil("-R", "-s", "CN=%s" % cluster, "-a", "-g", "3072", "-z", noise, "-o", path)
    finally:
        os.unlink(noise)
    database.tidy()
    with open(path, encoding="utf-8") as stream:
        return stream.read(), True


def member(module):
    database = Database(module, NODE_DB, "root")
    cluster, signed = module.params["cluster"], module.params["certificate"]
    if not module.get_bin_path("certutil"):
        module.exit_json(changed=True, request="", authority_digest="")
    if signed:
        authority = module.params["authority"]
        now = database.certificate(AUTHORITY)
        if digest(now) == digest(authority) and digest(database.certificate(MEMBER)) == digest(signed):
            module.exit_json(changed=False, authority_digest=digest(now), request="")
        if not module.check_mode:
            Note("ha_cluster").add(NODE_DB)  # corosync-qdevice has yet to read it
            with tempfile.TemporaryDirectory() as directory:
                for nickname, trust, text in ((AUTHORITY, "CT,c,c", authority), (MEMBER, "u,u,u", signed)):
                    path = os.path.join(directory, "certificate.pem")
                    with open(path, "w", encoding="utf-8") as stream:
                        stream.write(text)
                    while database.certificate(nickname):
                        database.certutil("-D", "-n", nickname)
                    database.certutil("-A", "-n", nickname, "-t", trust, "-a", "-i", path)
            database.tidy()
        module.exit_json(changed=True, authority_digest=digest(authority), request="")
    if module.check_mode and not database.exists():
        module.exit_json(changed=True, request="", authority_digest="")
    created = not database.exists()
    if created:
        shutil.rmtree(database.path, ignore_errors=True)
        database.create()
    own = database.certificate(MEMBER)
    usable = valid(own, cluster)
    if module.check_mode:
        module.exit_json(changed=not usable, request="", authority_digest=digest(database.certificate(AUTHORITY)) if usable else "")
    renamed = bool(own.strip()) and fields(der(own))[0] != cluster
    text, made = request(database, cluster, renew=renamed)
    trusted = digest(database.certificate(AUTHORITY)) if usable else ""
    module.exit_json(changed=created or made, request=text, authority_digest=trusted)


def witness(module):
    database = Database(module, WITNESS_DB, "coroqnetd")
    if not module.get_bin_path("certutil"):
        module.exit_json(changed=True, authority="", authority_digest="", certificates={})
    changed = False
    if not database.exists() or not database.certificate(SERVER):
        # The package does this when it is installed; only a database that was deleted is made here.
        changed = True
        if not module.check_mode:
            shutil.rmtree(database.path, ignore_errors=True)
            status, out, err = module.run_command(["corosync-qnetd-certutil", "-i", "-G"])
            if status:
                module.fail_json(msg="corosync-qnetd-certutil -i failed: %s" % (err or out).strip())
            database.tidy()
    authority = database.certificate(AUTHORITY)
    certificates = {}
    for name, text in sorted(module.params["requests"].items()):
        changed = True
        if module.check_mode:
            continue
        with tempfile.TemporaryDirectory() as directory:
            asked, answer = os.path.join(directory, "request"), os.path.join(directory, "certificate")
            with open(asked, "w", encoding="utf-8") as stream:
                stream.write(text)
            serial = str(secrets.randbits(31) | 1)
            database.certutil("-C", "-c", AUTHORITY, "-m", serial, "-v", MONTHS, "-a", "-i", asked, "-o", answer)
            with open(answer, encoding="utf-8") as stream:
                certificates[name] = pem(stream.read())
    module.exit_json(changed=changed, authority=pem(authority), authority_digest=digest(authority), certificates=certificates)


def main():
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "choices": ["member", "witness"], "required": True},
            "cluster": {"type": "str", "required": True},
            "requests": {"type": "dict", "default": {}},
            "certificate": {"type": "str"},
            "authority": {"type": "str"},
        },
        required_together=[("certificate", "authority")],
        supports_check_mode=True,
    )
    (member if module.params["role"] == "member" else witness)(module)


if __name__ == "__main__":
    main()
