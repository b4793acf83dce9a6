#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_release
short_description: Internal to the role bot_app - deploy, roll back, check or remove the releases of bots
version_added: 1.0.0
description:
  - The module behind the role C(bot_app), which writes the descriptions it takes. All bots of a host in one round trip.
  - A release is named after its content. It is fetched, built, and switched to with the C(current) link; the unit is
    restarted, and if it does not become healthy the release and the configuration that were healthy before are put back and
    the task fails with the last lines of the bot's journal, secrets taken out.
  - A bot that fails does not keep the others of the same host from being deployed.
options:
  action:
    description:
      - V(check) reads the host and fails with one sentence for each bot that cannot be deployed (an unknown git ref, no space).
      - V(deploy) brings each bot to its declared release and state.
      - V(remove) takes a bot off the host.
    type: str
    choices: [check, deploy, remove]
    default: deploy
  bots:
    description: Descriptions as the filter P(botops.fleet.bot_specs#filter) makes them.
    type: list
    elements: dict
    required: true
  deploy_keys:
    description: Private SSH keys for git sources, by bot name. On the host only for the length of one conversation.
    type: dict
    default: {}
  registries:
    description: Logins to registries. On the host only while this module runs.
    type: list
    elements: dict
    default: []
    suboptions:
      registry:
        description: Host name, with port when it has one, such as V(ghcr.io).
        type: str
        required: true
      username:
        description: User name.
        type: str
        required: true
      password:
        description: Password or token.
        type: str
        required: true
  resolved:
    description: What O(action=check) found each source to be, by bot name, so that both speak of the same commit.
    type: dict
    default: {}
  rollback:
    description: V(previous), or (the beginning of) a release id on the host. Holds until another version is declared.
    type: str
    default: ""
  explicit:
    description: Somebody asked for this by name. Drops the hold of a rollback, and tries a failed release again.
    type: bool
    default: false
  live_reason:
    description: Why live trading is allowed without the paper run. Logged.
    type: str
    default: ""
  min_free_mb:
    description: Free space demanded before a release is built, besides four times its size.
    type: int
    default: 500
  packages:
    description: With O(action=check), packages that shall be there, C(package=version) where the version counts. See RV(missing_packages).
    type: list
    elements: str
    default: []
  with_data:
    description: With O(action=remove), delete data, logs, backups and the account, too.
    type: bool
    default: false
  uploads:
    description: Paths on the host of archives that the action plugin sent, by bot name. Not for users.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Says what would be done.
  diff_mode:
    support: full
    description: One line for each thing done.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Deploy all bots of this host
  botops.fleet.bot_release:
    bots: "{{ bot_app_bots | botops.fleet.bot_specs({'host': inventory_hostname}) }}"

- name: Go back
  botops.fleet.bot_release:
    bots: "{{ bot_app_bots | botops.fleet.bot_specs({'host': inventory_hostname, 'only': 'paper'}) }}"
    rollback: previous
"""

RETURN = r"""
bots:
  description: For each bot its release, what was done, and whether a cluster has to restart it for the release to run.
  type: list
  elements: dict
  returned: O(action) is not V(check)
resolved:
  description: What each source is now, by bot name.
  type: dict
  returned: O(action=check)
missing_packages:
  description: Those of O(packages) that apt has to be asked for.
  type: list
  elements: str
  returned: O(action=check)
live:
  description: For each bot its release, its healthy paper seconds, and whether live trading was allowed before.
  type: dict
  returned: O(action=check)
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _packages
from ansible_collections.botops.fleet.plugins.module_utils._bot import registries
from ansible_collections.botops.fleet.plugins.module_utils._bot.deployer import Deployer, NeedsUpload
from ansible_collections.botops.fleet.plugins.module_utils._bot.host import Host
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused


def check(deployers):
    found, sentences = {}, []
    for deployer in deployers:
        try:
            found[deployer.bot["name"]] = deployer.inspect()
        except Refused as refused:
            sentences.append(str(refused))
    return {
        "resolved": {name: entry.pop("resolved") for name, entry in found.items()},
        "standby": any(entry["in_cluster"] == "standby" for entry in found.values()),
        "live": found,
        "changed": False,
    }, sentences


def each(deployers, work):
    done, sentences, missing = [], [], []
    for deployer in deployers:
        try:
            done.append(work(deployer))
        except NeedsUpload:
            missing.append(deployer.bot["name"])
        except Refused as refused:
            sentences.append(str(refused))
            deployer.did.append("failed")
    lines = ["%s: %s\n" % (deployer.label, step) for deployer in deployers for step in deployer.did]
    result = {"bots": done, "changed": bool(lines), "needs_upload": missing}
    result["diff"] = [{"before_header": "bots", "after_header": "bots", "before": "", "after": "".join(lines)}] if lines else []
    return result, sentences


def main():
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "choices": ["check", "deploy", "remove"], "default": "deploy"},
            "bots": {"type": "list", "elements": "dict", "required": True},
            "deploy_keys": {"type": "dict", "default": {}, "no_log": True},
            "registries": {
                "type": "list", "elements": "dict", "default": [],
                "options": {
                    "registry": {"type": "str", "required": True}, "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "resolved": {"type": "dict", "default": {}},
            "rollback": {"type": "str", "default": ""},
            "explicit": {"type": "bool", "default": False},
            "live_reason": {"type": "str", "default": ""},
            "min_free_mb": {"type": "int", "default": 500},
            "packages": {"type": "list", "elements": "str", "default": []},
            "with_data": {"type": "bool", "default": False},
            "uploads": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    with registries.login(module.params["registries"]):
        work(module)


def work(module):
    given, host = module.params, Host(module)
    deployers = [Deployer(host, bot, given) for bot in given["bots"]]
    if given["action"] == "check":
        result, sentences = check(deployers)
        result["missing_packages"] = _packages.missing(module.run_command, given["packages"])
    elif given["action"] == "remove":
        result, sentences = each(deployers, lambda deployer: deployer.remove(given["with_data"]))
    else:
        result, sentences = each(
            deployers,
            lambda deployer: deployer.deploy(
                given["resolved"].get(deployer.bot["name"], ""), given["uploads"].get(deployer.bot["name"], "")
            ),
        )
    for deployer in deployers:
        for warning in deployer.warnings:
            module.warn(warning)
    if sentences:
        module.fail_json(msg="\n".join(sentences), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
