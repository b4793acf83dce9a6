#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_load_balancer
short_description: Keep a DigitalOcean load balancer as declared
version_added: 1.0.0
description:
  - Creates a regional load balancer, corrects what differs, and waits for its address.
  - What is left out keeps its value. The vendor replaces a load balancer as a whole, so the module sends what is there together with
    what shall change.
options:
  name:
    description: The load balancer's name.
    type: str
    required: true
  region:
    description: Slug of the region. Required to create.
    type: str
  vpc:
    description: Name or UUID of the VPC network. The region's default network when left out.
    type: str
  forwarding_rules:
    description: What enters where and leaves where; a set. Required to create.
    type: list
    elements: dict
    suboptions:
      entry_protocol:
        description: Protocol towards the clients.
        type: str
        choices: [http, https, http2, http3, tcp, udp]
        required: true
      entry_port:
        description: Port towards the clients.
        type: int
        required: true
      target_protocol:
        description: Protocol towards the droplets.
        type: str
        choices: [http, https, http2, tcp, udp]
        required: true
      target_port:
        description: Port on the droplets.
        type: int
        required: true
      certificate:
        description: Name or UUID of the certificate, where TLS ends at the load balancer.
        type: str
      tls_passthrough:
        description: Let the droplets end TLS.
        type: bool
        default: false
  health_check:
    description: How it is decided which droplets get traffic. Details that are left out keep their values.
    type: dict
    suboptions:
      protocol:
        description: Protocol of the check.
        type: str
        choices: [http, https, tcp]
      port:
        description: Port of the check.
        type: int
      path:
        description: Path of the check; has no meaning for V(tcp).
        type: str
      check_interval_seconds:
        description: Seconds between checks.
        type: int
      response_timeout_seconds:
        description: Seconds that an answer may take.
        type: int
      healthy_threshold:
        description: Good answers after which a droplet gets traffic again.
        type: int
      unhealthy_threshold:
        description: Bad answers after which it gets none.
        type: int
  sticky_sessions:
    description: Whether a client stays with one droplet.
    type: dict
    suboptions:
      type:
        description: How clients are recognised.
        type: str
        choices: [none, cookies]
        required: true
      cookie_name:
        description: Name of the cookie.
        type: str
      cookie_ttl_seconds:
        description: Seconds that the cookie lives.
        type: int
  droplets:
    description: Names or numbers of the droplets that serve. Excludes O(tag).
    type: list
    elements: str
  purge_droplets:
    description: Take away droplets that are not in O(droplets).
    type: bool
    default: true
  tag:
    description: All droplets with this tag serve. Excludes O(droplets).
    type: str
  size_unit:
    description: Number of nodes, 1 to 100.
    type: int
  algorithm:
    description: How traffic is spread.
    type: str
    choices: [round_robin, least_connections]
  redirect_http_to_https:
    description: Answer HTTP with a redirect.
    type: bool
  enable_proxy_protocol:
    description: Tell the droplets the client's address with the PROXY protocol.
    type: bool
  enable_backend_keepalive:
    description: Keep connections to the droplets open.
    type: bool
  http_idle_timeout_seconds:
    description: Seconds after which an idle connection is closed, 30 to 600. Raise it for websockets.
    type: int
  tls_cipher_policy:
    description: Which ciphers are offered.
    type: str
    choices: [DEFAULT, STRONG]
  firewall:
    description: Who may connect, each as C(ip:address) or C(cidr:network). A side that is left out keeps its value.
    type: dict
    suboptions:
      allow:
        description: Who may, when not everybody.
        type: list
        elements: str
      deny:
        description: Who may not.
        type: list
        elements: str
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: HTTPS in front of the bots' status pages
  botops.fleet.do_load_balancer:
    name: status
    region: nyc3
    vpc: bots-nyc3
    tag: role:primary
    forwarding_rules:
      - entry_protocol: https
        entry_port: 443
        target_protocol: http
        target_port: 8080
        certificate: bot-example-com
    redirect_http_to_https: true
    health_check:
      protocol: http
      port: 8080
      path: /healthz
"""

RETURN = r"""
load_balancer:
  description: The load balancer as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 4de7ac8b-495b-4884-9a69-1050c6793cd6
    name: status
    ip: 203.0.113.60
    status: active
    region: nyc3
    size_unit: 1
    droplet_ids: [3164444]
    tag: "role:primary"
    urn: "do:loadbalancer:4de7ac8b-495b-4884-9a69-1050c6793cd6"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.load_balancer import LoadBalancer
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec

RULE = {
    "entry_protocol": {"type": "str", "choices": ["http", "https", "http2", "http3", "tcp", "udp"], "required": True},
    "entry_port": {"type": "int", "required": True},
    "target_protocol": {"type": "str", "choices": ["http", "https", "http2", "tcp", "udp"], "required": True},
    "target_port": {"type": "int", "required": True},
    "certificate": {"type": "str"},
    "tls_passthrough": {"type": "bool", "default": False},
}
HEALTH_CHECK = {
    "protocol": {"type": "str", "choices": ["http", "https", "tcp"]},
    "port": {"type": "int"},
    "path": {"type": "str"},
    "check_interval_seconds": {"type": "int"},
    "response_timeout_seconds": {"type": "int"},
    "healthy_threshold": {"type": "int"},
    "unhealthy_threshold": {"type": "int"},
}
STICKY = {
    "type": {"type": "str", "choices": ["none", "cookies"], "required": True},
    "cookie_name": {"type": "str"},
    "cookie_ttl_seconds": {"type": "int"},
}


def main():
    run(
        LoadBalancer,
        spec(
            name={"type": "str", "required": True},
            region={"type": "str"},
            vpc={"type": "str"},
            forwarding_rules={"type": "list", "elements": "dict", "options": RULE},
            health_check={"type": "dict", "options": HEALTH_CHECK},
            sticky_sessions={"type": "dict", "options": STICKY},
            droplets={"type": "list", "elements": "str"},
            purge_droplets={"type": "bool", "default": True},
            tag={"type": "str"},
            size_unit={"type": "int"},
            algorithm={"type": "str", "choices": ["round_robin", "least_connections"]},
            redirect_http_to_https={"type": "bool"},
            enable_proxy_protocol={"type": "bool"},
            enable_backend_keepalive={"type": "bool"},
            http_idle_timeout_seconds={"type": "int"},
            tls_cipher_policy={"type": "str", "choices": ["DEFAULT", "STRONG"]},
            firewall={
                "type": "dict",
                "options": {"allow": {"type": "list", "elements": "str"}, "deny": {"type": "list", "elements": "str"}},
            },
        ),
        mutually_exclusive=[("droplets", "tag")],
    )


if __name__ == "__main__":
    main()
