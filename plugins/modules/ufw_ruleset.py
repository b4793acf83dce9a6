#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ufw_ruleset
short_description: Bring ufw to a declared rule set in one round trip
version_added: 1.0.0
description:
  - Compares the whole declared rule set with ufw's rule files and, if they differ, replaces the rules in one atomic
    C(iptables-restore) for each address family. The candidate is tested by C(iptables-restore --test) first, and everything
    is put back when a step fails.
  - Rules that this module added carry O(owner) in their comment. Those that are no longer declared are removed; rules of others are left
    alone unless O(purge) is set.
  - ufw itself is not installed by this module. In check mode on a host without ufw it tells what it would do.
options:
  rules:
    description: The rules, in the order in which they shall match; the first match wins.
    type: list
    elements: dict
    default: []
    suboptions:
      action:
        description: What happens to matching packets. V(limit) drops a source after six new connections in 30 seconds.
        type: str
        choices: [allow, deny, reject, limit]
        default: allow
      direction:
        description: Seen from the host. Not used for routed rules.
        type: str
        choices: [in, out]
        default: in
      route:
        description: Match forwarded packets instead of the host's own.
        type: bool
        default: false
      proto:
        description: Protocol. Lists and ranges of ports need V(tcp) or V(udp).
        type: str
        choices: [any, tcp, udp, ah, esp, gre, vrrp, igmp, ipv6]
        default: any
      port:
        description: Destination ports and ranges such as V(6000:6010).
        type: list
        elements: str
        default: []
      from:
        description: Source addresses and networks, IPv4 and IPv6. Empty means any.
        type: list
        elements: str
        default: []
      from_port:
        description: Source ports and ranges.
        type: list
        elements: str
        default: []
      to:
        description: Destination addresses and networks. Empty means any.
        type: list
        elements: str
        default: []
      interface_in:
        description: Interface on which packets arrive.
        type: str
      interface_out:
        description: Interface on which packets leave.
        type: str
      log:
        description: Log new connections, or every packet.
        type: str
        choices: [none, new, all]
        default: none
      family:
        description: Restrict the rule to one address family.
        type: str
        choices: [both, ipv4, ipv6]
        default: both
      comment:
        description: Shown by C(ufw status) after the owner.
        type: str
        default: ''
  owner:
    description: Whose rules these are. Rule sets of different owners do not touch each other.
    type: str
    default: fleet
  purge:
    description: Remove the rules of everyone else, too.
    type: bool
    default: false
  default_incoming:
    description: Policy for packets to the host that no rule matches. Left as it is when not given.
    type: str
    choices: [allow, deny, reject]
  default_outgoing:
    description: Policy for packets from the host that no rule matches. Left as it is when not given.
    type: str
    choices: [allow, deny, reject]
  default_routed:
    description: Policy for forwarded packets that no rule matches. Left as it is when not given.
    type: str
    choices: [allow, deny, reject]
  logging:
    description: ufw's log level. Left as it is when not given.
    type: str
    choices: ['off', low, medium, high, full]
  ipv6:
    description: Whether ufw filters IPv6 by these rules, too. When V(false), ufw drops all IPv6 except on loopback.
    type: bool
  sysctl_file:
    description:
      - File of kernel settings that ufw applies whenever it starts, after those of C(/etc/sysctl.d). An empty string makes
        ufw leave the kernel settings alone.
    type: str
  enabled:
    description: Whether the firewall is on, now and at boot. Left as it is when not given.
    type: bool
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing, also where ufw is not installed yet.
  diff_mode:
    support: full
    description: Rules and settings before and after, one line each.
  idempotent:
    support: full
    description: A second run changes nothing. Rules that were lost in the kernel are loaded again.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: SSH from the office at any rate and from elsewhere at a limited one, HTTPS for all
  botops.fleet.ufw_ruleset:
    enabled: true
    default_incoming: deny
    default_outgoing: allow
    rules:
      - {port: ["22"], proto: tcp, from: [203.0.113.0/24, "2001:db8:1::/48"], comment: ssh from the office}
      - {port: ["22"], proto: tcp, action: limit, comment: ssh}
      - {port: ["80", "443"], proto: tcp, comment: web}
"""

RETURN = r"""
added:
  description: Rules that were added, or would be in check mode.
  type: list
  elements: str
  returned: always
removed:
  description: Rules that were removed, or would be in check mode.
  type: list
  elements: str
  returned: always
reordered:
  description: The rules are the same in another order.
  type: bool
  returned: always
settings:
  description: Names of settings that were changed, or would be in check mode. V(loaded) means that the kernel had lost the rules.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _ufw
from ansible_collections.botops.fleet.plugins.module_utils._ufw_host import Firewall, HostError

RULE = {
    "action": {"type": "str", "choices": ["allow", "deny", "reject", "limit"], "default": "allow"},
    "direction": {"type": "str", "choices": ["in", "out"], "default": "in"},
    "route": {"type": "bool", "default": False},
    "proto": {"type": "str", "choices": list(_ufw.PROTOCOLS), "default": "any"},
    "port": {"type": "list", "elements": "str", "default": []},
    "from": {"type": "list", "elements": "str", "default": []},
    "from_port": {"type": "list", "elements": "str", "default": []},
    "to": {"type": "list", "elements": "str", "default": []},
    "interface_in": {"type": "str"},
    "interface_out": {"type": "str"},
    "log": {"type": "str", "choices": ["none", "new", "all"], "default": "none"},
    "family": {"type": "str", "choices": ["both", "ipv4", "ipv6"], "default": "both"},
    "comment": {"type": "str", "default": ""},
}
POLICY = {"type": "str", "choices": ["allow", "deny", "reject"]}


def main():
    module = AnsibleModule(
        argument_spec={
            "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
            "owner": {"type": "str", "default": "fleet"},
            "purge": {"type": "bool", "default": False},
            "default_incoming": POLICY,
            "default_outgoing": POLICY,
            "default_routed": POLICY,
            "logging": {"type": "str", "choices": ["off", "low", "medium", "high", "full"]},
            "ipv6": {"type": "bool"},
            "sysctl_file": {"type": "str"},
            "enabled": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    wrong = [
        "rules[%d].%s." % (index, said) for index, rule in enumerate(module.params["rules"]) for said in _ufw.check_rule(rule)
    ]
    if wrong:
        module.fail_json(msg="\n".join(wrong))
    firewall = Firewall(module)
    try:
        result = firewall.converge(module.params, module.check_mode)
    except (HostError, _ufw.RuleError, OSError) as error:
        module.fail_json(msg=str(error))
    if not module._diff:
        result.pop("diff")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
