#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_database
short_description: Keep a managed database cluster of DigitalOcean with its users, databases, pools and trusted sources
version_added: 1.0.0
description:
  - Creates a cluster, waits until it is online, resizes and upgrades it, and keeps what is in it as declared.
  - Parts that are left out are left alone. Users and databases are only removed when purging is asked for; the vendor's own user and
    database always stay.
options:
  name:
    description: The cluster's name.
    type: str
    required: true
  owner_tag:
    description: Tag that marks what belongs to this fleet. It is added to a new cluster, and clusters without it are not seen.
    type: str
  engine:
    description: The engine. Required to create.
    type: str
    choices: [pg, mysql, redis, valkey, mongodb]
  version:
    description: Major version, for example V("16"). The vendor's newest, for new clusters, when left out.
    type: str
  allow_upgrade:
    description: Allow the upgrade to a newer O(version). It cannot be undone.
    type: bool
    default: false
  region:
    description: Slug of the region. Required to create.
    type: str
  size:
    description: Slug of the size, for example V(db-s-1vcpu-1gb). Required to create.
    type: str
  num_nodes:
    description: Number of nodes; more than one survives the loss of one. One, for new clusters, when left out.
    type: int
  storage_size_mib:
    description: Disk in MiB; it only grows. The size's own when left out.
    type: int
  vpc:
    description: Name or UUID of the VPC network. The region's default network when left out.
    type: str
  tags:
    description: Tags of the cluster. Used at creation only, the vendor's API cannot change them later.
    type: list
    elements: str
  maintenance_window:
    description: When the vendor may update the cluster.
    type: dict
    suboptions:
      day:
        description: Day of the week.
        type: str
        choices: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]
        required: true
      hour:
        description: Time of day in UTC, for example V("04:00").
        type: str
        required: true
  databases:
    description: Names of databases in the cluster (PostgreSQL and MySQL).
    type: list
    elements: str
  purge_databases:
    description: Remove databases that are not in O(databases), B(with their data).
    type: bool
    default: false
  users:
    description: Names of users (PostgreSQL and MySQL). The vendor makes their passwords, see O(return_secrets).
    type: list
    elements: str
  purge_users:
    description: Remove users that are not in O(users).
    type: bool
    default: false
  pools:
    description: Connection pools (PostgreSQL).
    type: list
    elements: dict
    suboptions:
      name:
        description: The pool's name.
        type: str
        required: true
      db:
        description: Its database.
        type: str
        required: true
      user:
        description: Its user.
        type: str
        required: true
      mode:
        description: For how long a client keeps a connection.
        type: str
        choices: [transaction, session, statement]
        default: transaction
      size:
        description: Number of connections.
        type: int
        required: true
  purge_pools:
    description: Remove pools that are not in O(pools).
    type: bool
    default: true
  trusted_sources:
    description: Who may connect. With an empty list everybody may, so give at least one.
    type: list
    elements: dict
    suboptions:
      type:
        description: Kind of source.
        type: str
        choices: [droplet, tag, ip_addr, k8s, app]
        required: true
      value:
        description: Name or number of the droplet, the tag, the address or network, the UUID of the cluster, or name or UUID of the app.
        type: str
        required: true
  purge_trusted_sources:
    description: Remove sources that are not in O(trusted_sources).
    type: bool
    default: true
  eviction_policy:
    description: What goes when the memory is full (Redis and Valkey).
    type: str
    choices: [noeviction, allkeys_lru, allkeys_random, volatile_lru, volatile_random, volatile_ttl]
  return_secrets:
    description:
      - Return connection details, passwords and the CA certificate in RV(database.secrets).
      - Set C(no_log=true) on a task that asks for them.
    type: bool
    default: false
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: PostgreSQL for the bots, reachable by them alone
  botops.fleet.do_database:
    name: bots-db
    engine: pg
    version: "16"
    region: nyc3
    size: db-s-1vcpu-1gb
    vpc: bots-nyc3
    databases: [trading]
    users: [bot]
    pools:
      - name: bot
        db: trading
        user: bot
        size: 10
    trusted_sources:
      - type: tag
        value: fleet:prod
    maintenance_window:
      day: saturday
      hour: "04:00"
    return_secrets: true
  register: db
  no_log: true
"""

RETURN = r"""
database:
  description: The cluster as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  contains:
    id:
      description: UUID of the cluster.
      type: str
      returned: when there is a cluster
    host:
      description: Public host name; C(private_host) is the one inside the VPC network.
      type: str
      returned: when there is a cluster
    port:
      description: Port of both.
      type: int
      returned: when there is a cluster
    status:
      description: What the vendor says of it, V(online) when it can be used.
      type: str
      returned: when there is a cluster
    secrets:
      description:
        - C(connection) and C(private_connection) (C(uri), C(host), C(port), C(user), C(password), C(database), C(ssl)),
          C(ca_certificate) in PEM, C(passwords) by user, C(pools) with the connections of each.
      type: dict
      returned: with O(return_secrets=true)
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.database import Database
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
EVICTION = ["noeviction", "allkeys_lru", "allkeys_random", "volatile_lru", "volatile_random", "volatile_ttl"]
REQUIRED = {"type": "str", "required": True}


def main():
    run(
        Database,
        spec(
            name=REQUIRED,
            owner_tag={"type": "str"},
            engine={"type": "str", "choices": ["pg", "mysql", "redis", "valkey", "mongodb"]},
            version={"type": "str"},
            allow_upgrade={"type": "bool", "default": False},
            region={"type": "str"},
            size={"type": "str"},
            num_nodes={"type": "int"},
            storage_size_mib={"type": "int"},
            vpc={"type": "str"},
            tags={"type": "list", "elements": "str"},
            maintenance_window={"type": "dict", "options": {"day": dict(REQUIRED, choices=DAYS), "hour": REQUIRED}},
            databases={"type": "list", "elements": "str"},
            purge_databases={"type": "bool", "default": False},
            users={"type": "list", "elements": "str"},
            purge_users={"type": "bool", "default": False},
            pools={
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": REQUIRED,
                    "db": REQUIRED,
                    "user": REQUIRED,
                    "mode": {"type": "str", "choices": ["transaction", "session", "statement"], "default": "transaction"},
                    "size": {"type": "int", "required": True},
                },
            },
            purge_pools={"type": "bool", "default": True},
            trusted_sources={
                "type": "list",
                "elements": "dict",
                "options": {"type": dict(REQUIRED, choices=["droplet", "tag", "ip_addr", "k8s", "app"]), "value": REQUIRED},
            },
            purge_trusted_sources={"type": "bool", "default": True},
            eviction_policy={"type": "str", "choices": EVICTION},
            return_secrets={"type": "bool", "default": False, "no_log": False},
        ),
    )


if __name__ == "__main__":
    main()
