#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificate_set
short_description: Internal to the role nginx - certificates from an ACME server for any number of sites, in one round trip
version_added: 1.0.0
description:
  - Asks an ACME server, through C(certbot), for every declared certificate that is missing, whose names, directory, key
    type or challenge changed, or whose renewal has evidently failed; leaves the others alone without a network request.
  - Before a certificate is asked for by the V(webroot) challenge, a token is put where the challenge will be and fetched
    through each public name. What stands in the way is told in one sentence, and the ACME server is not bothered.
  - A link for each certificate, which the web server's configuration points to, is turned once the certificate is there.
  - What certbot keeps of a certificate can be incomplete (a lost renewal file, a half restored backup). It is then moved
    to C(/etc/letsencrypt/incomplete) before a new one is asked for, while the old certificate goes on being served.
  - One certificate that cannot be had does not keep the others from being asked for.
options:
  certificates:
    description: What shall exist.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: certbot's name for it, and the link's.
        type: str
        required: true
      names:
        description: DNS names.
        type: list
        elements: str
        required: true
      challenge:
        description: V(webroot) proves control by a file over HTTP, V(dns) by a TXT record that hook scripts set.
        type: str
        choices: [webroot, dns]
        default: webroot
  directory:
    description: URL of the ACME directory.
    type: str
    required: true
  email:
    description: Contact for the account. Empty registers without one.
    type: str
    default: ""
  key_type:
    description: Kind of private key.
    type: str
    choices: [ecdsa, rsa]
    default: ecdsa
  private_authority:
    description: Whether O(authority) signed the certificate of the ACME directory itself.
    type: bool
    default: false
  authority:
    description: PEM file on the host, used with O(private_authority).
    type: path
    default: /etc/nginx/botops/acme-ca.pem
  check_path:
    description: Test the challenge path first. Switch it off where this host cannot reach its own public name.
    type: bool
    default: true
  webroot:
    description: Where challenges are put.
    type: path
    default: /var/www/botops-acme
  hooks:
    description: Directory with the scripts C(auth) and C(cleanup) for the V(dns) challenge.
    type: path
    default: /etc/letsencrypt/botops-hooks
  links:
    description: Where the links live.
    type: path
    default: /etc/nginx/botops/live
  placeholders:
    description: Where M(botops.fleet.selfsigned_certificate_set) keeps what stands in for a missing certificate.
    type: path
    default: /etc/nginx/botops/selfsigned
  reload_command:
    description: Run once when any link was turned or any certificate replaced.
    type: str
    default: systemctl reload nginx.service
  renamed:
    description: Paths of an earlier version, old to new, that certbot's renewal files may still name. They are written anew.
    type: dict
    default: {}
  pending:
    description: Name of the note for what is not yet taken over, as for M(botops.fleet.file_set).
    type: str
attributes:
  check_mode:
    support: full
    description: Reports which certificates would be asked for. Nothing is fetched or asked.
  diff_mode:
    support: full
    description: One line for each certificate asked for or linked. Never a key.
  idempotent:
    support: full
    description: A certificate that is there and as declared is left alone; renewal is the timer's work.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: A certificate from the test authority
  botops.fleet.acme_certificate_set:
    directory: https://acme.example.com/directory
    email: ops@example.com
    certificates:
      - name: bot.example.com
        names: [bot.example.com, www.bot.example.com]
"""

RETURN = r"""
actions:
  description: One line for each thing that was done, or would be in check mode.
  type: list
  elements: str
  returned: always
problems:
  description: One sentence for each certificate that could not be had.
  type: list
  elements: str
  returned: always
"""

import datetime
import os
import shlex
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _takeover
from ansible_collections.botops.fleet.plugins.module_utils._certificates import (
    LETSENCRYPT,
    Problem,
    acme_reason,
    certbot_argv,
    certbot_words,
    check_path,
    incomplete,
    point,
    read_certificate,
    read_renewal,
    remnants,
    replace_text,
    set_aside,
)
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note


def issue(module, certificate, wanted):
    """Test the path, then ask, then look whether what was asked for is there."""
    params, name = module.params, certificate["name"]
    if params["check_path"] and certificate["challenge"] == "webroot":
        obstacles = check_path(certificate["names"], params["webroot"])
        if obstacles:
            raise Problem("No certificate was asked for. " + " ".join(obstacles))
    chain = "%s/live/%s/fullchain.pem" % (LETSENCRYPT, name)
    if incomplete(read_certificate(module, chain), read_renewal(name), remnants(name)):
        link, refuge = os.path.join(params["links"], name), os.path.join(params["placeholders"], name)
        module.warn("What certbot kept of %s was incomplete; it was moved to %s." % (name, set_aside(name, link, refuge)))
    environment = {"REQUESTS_CA_BUNDLE": params["authority"]} if params["private_authority"] else {}
    for wait in (5, 10, 20, 0):
        status, out, err = module.run_command(certbot_argv(certificate, params), environ_update=environment)
        # The timer may be at work at this very moment.
        if status == 0 or "Another instance of Certbot" not in out + err or not wait:
            break
        time.sleep(wait)
    if status:
        raise Problem("certbot got no certificate for %s: %s" % (name, certbot_words(err + "\n" + out)))
    now = datetime.datetime.now(datetime.timezone.utc)
    reason = acme_reason(read_certificate(module, chain), read_renewal(name), wanted, now)
    if reason:
        raise Problem("certbot reported success, but the certificate for %s is not as declared: %s" % (name, reason))


def renew_by_new_names(module):
    """The timer renews by what certbot wrote down when it was first asked. Returns a line for each file that named an old path."""
    actions, directory = [], LETSENCRYPT + "/renewal"
    for name in sorted(os.listdir(directory)) if module.params["renamed"] and os.path.isdir(directory) else []:
        with open(os.path.join(directory, name), encoding="utf-8") as stream:
            before = stream.read()
        after = _takeover.rewrite(before, module.params["renamed"])
        if after != before:
            actions.append("renew %s by the new paths" % name.replace(".conf", ""))
            if not module.check_mode:
                replace_text(os.path.join(directory, name), after)
    return actions


def converge(module):
    """Returns (actions, problems)."""
    params, actions, problems = module.params, renew_by_new_names(module), []
    now, note = datetime.datetime.now(datetime.timezone.utc), Note(params["pending"])
    for certificate in params["certificates"]:
        lineage = "%s/live/%s" % (LETSENCRYPT, certificate["name"])
        link = os.path.join(params["links"], certificate["name"])
        wanted = dict(certificate, directory=params["directory"], key_type=params["key_type"])
        found = read_certificate(module, lineage + "/fullchain.pem")
        reason = acme_reason(found, read_renewal(certificate["name"]), wanted, now)
        try:
            if reason:
                if not module.check_mode:
                    note.add(link)
                    issue(module, certificate, wanted)
                actions.append("ask for a certificate for %s: %s" % (", ".join(certificate["names"]), reason))
            if not os.path.islink(link) or os.readlink(link) != lineage:
                if not module.check_mode:
                    note.add(link)
                    point(link, lineage)
                actions.append("link %s to %s" % (link, lineage))
        except (Problem, OSError) as error:
            problems.append(str(error))
    if actions and not module.check_mode:
        status, out, err = module.run_command(shlex.split(params["reload_command"]))
        if status:
            problems.append("`%s` failed: %s" % (params["reload_command"], (err or out).strip()))
        else:
            note.clear()
    return actions, problems


def forgotten(module):
    """Lineages of this webroot that no site uses any more: their renewal fails twice a day."""
    declared = {certificate["name"] for certificate in module.params["certificates"]}
    directory = LETSENCRYPT + "/renewal"
    names = [name[:-5] for name in os.listdir(directory) if name.endswith(".conf")] if os.path.isdir(directory) else []
    ours = (module.params["webroot"], module.params["hooks"])
    return [
        name
        for name in sorted(set(names) - declared)
        if any(path in value for path in ours for value in (read_renewal(name) or {}).values())
    ]


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
                    "challenge": {"type": "str", "choices": ["webroot", "dns"], "default": "webroot"},
                },
            },
            "directory": {"type": "str", "required": True},
            "email": {"type": "str", "default": ""},
            "key_type": {"type": "str", "choices": ["ecdsa", "rsa"], "default": "ecdsa", "no_log": False},
            "private_authority": {"type": "bool", "default": False},
            "authority": {"type": "path", "default": "/etc/nginx/botops/acme-ca.pem"},
            "check_path": {"type": "bool", "default": True},
            "webroot": {"type": "path", "default": "/var/www/botops-acme"},
            "hooks": {"type": "path", "default": "/etc/letsencrypt/botops-hooks"},
            "links": {"type": "path", "default": "/etc/nginx/botops/live"},
            "placeholders": {"type": "path", "default": "/etc/nginx/botops/selfsigned"},
            "reload_command": {"type": "str", "default": "systemctl reload nginx.service"},
            "renamed": {"type": "dict", "default": {}},
            "pending": {"type": "str"},
        },
        supports_check_mode=True,
    )
    actions, problems = converge(module)
    for name in forgotten(module):
        module.warn("The certificate %s is still renewed, but no site uses it: `certbot delete --cert-name %s`." % (name, name))
    result = {"changed": bool(actions), "actions": actions, "problems": problems}
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(action + "\n" for action in actions)}
    if problems:
        module.fail_json(msg="\n".join(problems), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
