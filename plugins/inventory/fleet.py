# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Every host of the fleet, whoever runs it, out of one file
version_added: 1.0.0
description:
  - Finds droplets, EC2 instances and machines that are written down, and describes them all in one schema, so that a
    playbook need not know where a bot runs.
  - The file's name ends in C(fleet.yml) or C(fleet.yaml).
  - Each host gets C(ansible_host) and C(fleet_host), a mapping with C(provider), C(source), C(account), C(id), C(name),
    C(region), C(zone), C(size), C(image), C(state) (V(pending), V(running), V(stopping), V(stopped), V(archived)),
    C(addresses) (C(public), C(private), C(public_ipv6)), C(tags) (a mapping), C(labels) (the tags as C(key:value)),
    C(roles), C(bots), C(envs) with their first entries C(role), C(bot), C(env), C(vpc) and C(created).
  - Roles come from tags. On DigitalOcean a tag is V(role:primary), on EC2 it is the key C(role) with the value V(primary).
    A value may name several, as in V(primary,web).
  - A host without an address of the wanted kind keeps its place and gets an address that cannot exist, so that Ansible
    reports it as unreachable and never connects to whatever else its name resolves to.
  - Text that comes from an API is never rendered as a template.
  - Ansible goes on without the hosts of a file that could not be read, unless C(any_unparsed_is_failed) in the section
    C([inventory]) of its configuration is true. Set it, or a wrong token looks like an empty fleet.
requirements:
  - boto3 (only for sources of type V(aws))
author:
  - botops.fleet contributors (@botops)
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: This plugin's name.
    type: str
    required: true
    choices: [botops.fleet.fleet]
  sources:
    description: Where hosts come from. All sources, accounts, regions and pages are asked at the same time.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description: The kind of source.
        type: str
        required: true
        choices: [digitalocean, aws, static]
      name:
        description: Lower-case name; the source's hosts are in the group C(source_NAME). The type, when left out.
        type: str
      address:
        description:
          - Which address Ansible connects to.
          - V(auto) is the public one, or the private one if there is no public one. With O(sources[].jump_host) it is the other way round.
        type: str
        choices: [private, public, auto]
        default: auto
      jump_host:
        description:
          - C([USER@]HOST[:PORT]) through which hosts are reached by their private address.
          - HOST may be the name of a host in this inventory; its public address is used then, and it is itself reached directly.
        type: str
      user:
        description: The user that Ansible logs in as.
        type: str
      vars:
        description: Variables of the group C(source_NAME).
        type: dict
        default: {}
      tags:
        description:
          - >-
            Only hosts that carry all of these tags. A mapping such as C({bot: polymarket, env: [prod, staging]}), or a list
            such as C(['bot:polymarket']). Several values mean any of them, an empty one means that the tag is there.
          - AWS filters on its side. DigitalOcean filters by one tag on its side, the others are compared here.
        type: raw
      states:
        description: Only hosts in these states. All but terminated ones, when left out.
        type: list
        elements: str
        choices: [pending, running, stopping, stopped, archived]
      regions:
        description: Only hosts in these regions. Required for V(aws), where V([all]) stands for every region of the account.
        type: list
        elements: str
      on_error:
        description:
          - What happens when the source, or one region or account of it, cannot be read.
          - V(fail) refuses the whole inventory. V(warn) goes on without these hosts. V(stale) uses the last answer, if it is
            not older than O(cache_timeout) and O(stale_if_error) together, and fails otherwise.
        type: str
        choices: [fail, warn, stale]
        default: fail
      accounts:
        description:
          - Several accounts, each with a C(name) and its own credentials (C(token), C(token_env), C(token_file) for DigitalOcean;
            C(profile), or C(role_arn) with C(external_id), for AWS).
        type: list
        elements: dict
      endpoint:
        description:
          - Address of the API, for tests and proxies. Plain C(http) is refused for public addresses of DigitalOcean sources.
          - Taken from the environment variable C(DIGITALOCEAN_API_ENDPOINT), or for AWS C(AWS_ENDPOINT_URL) or C(AWS_URL), when left
            out, as the modules do.
        type: str
      timeout:
        description: Seconds to wait for one answer. 30 for DigitalOcean, 60 for AWS.
        type: int
      token:
        description: DigitalOcean token, vaulted (C(!vault)) or a look-up. Plain text is refused.
        type: raw
      token_env:
        description:
          - Name of the environment variable with the token. C(DIGITALOCEAN_TOKEN) and its alias C(DIGITALOCEAN_ACCESS_TOKEN) are
            tried, in this order, when no token is named at all.
        type: str
      token_file:
        description: File with the token; relative to the inventory file.
        type: path
      profile:
        description: AWS profile. Without it and without a role, the environment's credentials are used.
        type: str
      role_arn:
        description: AWS role to assume with the environment's credentials.
        type: str
      external_id:
        description: External id that the role demands.
        type: str
      filters:
        description: Further filters of C(DescribeInstances), a mapping of names to values.
        type: dict
        default: {}
      hosts:
        description:
          - The hosts of a V(static) source, by name. Each may have C(public), C(private), C(public_ipv6), C(region), C(zone),
            C(size), C(image), C(state), C(tags) and C(vars).
        type: dict
  group_by:
    description: What hosts are grouped by, as in C(region_nyc3), C(tag_bot_polymarket), C(role_primary).
    type: list
    elements: str
    default: [provider, region, tag, role, env, bot]
    choices: [provider, region, zone, account, state, size, image, vpc, tag, role, env, bot]
  map_groups:
    description:
      - Which hosts are in the groups that the collection's playbooks address. A mapping of group names to selectors
        C(KEY:PATTERN) with a key of O(group_by); a host that matches one of them is in the group.
      - Groups of the default that are not mentioned keep their selectors; an empty list leaves a group empty.
      - The default puts hosts with a bot or one of the roles bot, primary, standby into C(bot_hosts), role docker into
        C(docker_hosts), web into C(web_hosts), cloudwatch into C(cloudwatch_hosts), primary and standby into C(cluster_nodes), witness into
        C(cluster_witness).
    type: dict
    default: {}
  tag_keys:
    description: The tag keys that carry the meanings C(role), C(env) and C(bot), where they have other names.
    type: dict
    default: {}
  collision:
    description:
      - When several hosts have one name, V(suffix) calls each of them NAME-ID and says so, V(fail) refuses the inventory.
      - The same happens to a host whose name Ansible or a group uses.
    type: str
    choices: [suffix, fail]
    default: suffix
  workers:
    description: How many requests may be under way at the same time.
    type: int
    default: 16
  cache:
    description:
      - Keep the normalised hosts in a file that only its owner can read. While it is fresh, no API is called at all.
      - Answers belong to the token, key or profile that got them. With another one everything is read anew, whatever is kept.
      - C(--flush-cache) reads anew.
    type: bool
    default: false
    env: [{name: ANSIBLE_INVENTORY_CACHE}]
    ini: [{section: inventory, key: cache}]
  cache_timeout:
    description: Seconds for which an answer is fresh.
    type: int
    default: 300
    env: [{name: ANSIBLE_INVENTORY_CACHE_TIMEOUT}]
    ini: [{section: inventory, key: cache_timeout}]
  cache_connection:
    description: Directory of the cache.
    type: str
    default: ~/.cache/botops-fleet
    env: [{name: ANSIBLE_INVENTORY_CACHE_CONNECTION}]
    ini: [{section: inventory, key: cache_connection}]
  stale_if_error:
    description: Seconds beyond O(cache_timeout) for which an answer may stand in for a source with V(stale).
    type: int
    default: 86400
notes:
  - The cache is this plugin's own, because Ansible's cache plugins forget what is past its time, which is what V(stale) needs.
"""

EXAMPLES = r"""
# fleet.yml: droplets of one bot, an EC2 outpost reached through a bastion, and two machines in a rack
plugin: botops.fleet.fleet
cache: true
sources:
  - type: digitalocean
    tags: {bot: polymarket, env: prod}
    user: admin
    on_error: stale
  - type: aws
    profile: trading
    regions: [us-east-1, eu-central-1]
    tags: {env: prod}
    address: private
    jump_host: admin@bastion.example.com
  - type: static
    name: rack
    user: admin
    hosts:
      bot-a: {private: 192.168.1.100, tags: {role: primary, bot: polymarket, env: prod}}
      bot-b: {private: 192.168.1.101, tags: {role: standby, bot: polymarket, env: prod}}

# Groups by an expression of your own; only then is Jinja used for each host
# keyed_groups:
#   - key: fleet_host.tags.team
#     prefix: team
"""

import os

import ansible.template
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.cache import Cache
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.gather import Gatherer
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.groups import DEFAULT_MAP, Grouping
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import NO_ADDRESS, choose_address, unique_names
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.options import make_sources, refuse_literals
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.secret import is_template, is_vaulted
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Context

# ansible-core 2.19 and later render only what is marked as trusted; before, whatever is not marked as unsafe.
TRUST_IS_MARKED = hasattr(ansible.template, "trust_as_template")


def unsafe(value):
    return value if TRUST_IS_MARKED else wrap_var(value)


class InventoryModule(BaseInventoryPlugin, Constructable):
    NAME = "botops.fleet.fleet"

    def verify_file(self, path):
        return super().verify_file(path) and path.endswith(("fleet.yml", "fleet.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        self._read(path)
        try:
            self._populate(*self._gather(path, cache))
        except InventoryError as error:
            raise AnsibleParserError("%s: %s" % (path, error)) from None  # the sentence says it all, once

    # --- reading

    def _read(self, path):
        """As the base class reads a file, but without one of Ansible's own cache plugins behind the option `cache`."""
        trusted = {"trusted_as_template": True} if TRUST_IS_MARKED else {}
        config = self.loader.load_from_file(path, cache="none", **trusted)
        if not isinstance(config, dict) or config.get("plugin") != self.NAME:
            raise AnsibleParserError("%s: its first line must be `plugin: %s`" % (path, self.NAME))
        unknown = set(config) - set(self.option_definitions)
        if unknown:
            raise AnsibleParserError("%s: there is no option %s" % (path, ", ".join(sorted(unknown))))
        self.set_options(direct=config, var_options=self._vars)

    def _gather(self, path, read_cache):
        """(hosts, {source name: options})"""
        use_cache = self.get_option("cache")
        unknown = set(self.get_option("tag_keys")) - {"role", "env", "bot"}
        if unknown:
            raise InventoryError("tag_keys: %s is not one of role, env, bot" % ", ".join(sorted(unknown)))
        given = self.get_option("sources")
        refuse_literals(given)
        store = Cache(self.get_option("cache_connection"), path, self.display.warning) if use_cache else None
        context = Context(
            base_dir=os.path.dirname(os.path.abspath(path)), tag_keys=self.get_option("tag_keys"), cache=store,
            workers=self.get_option("workers"),
        )
        sources = make_sources([self._rendered(entry) for entry in given], context)
        gatherer = Gatherer(
            store, self.display.warning, max_age=self.get_option("cache_timeout"), stale_age=self.get_option("stale_if_error"),
            workers=self.get_option("workers"), read_cache=read_cache,
        )
        asked = [(source, part) for source in sources for part in source.discovery()]
        discovered = {}
        for (source, _unused), value in zip(asked, gatherer.run([part for _unused, part in asked]), strict=True):
            discovered.setdefault(source.name, []).append(value)
        parts = [(source, part) for source in sources for part in source.parts(discovered.get(source.name, []))]
        hosts = []
        for (source, part), found in zip(parts, gatherer.run([part for _unused, part in parts]), strict=True):
            found = found or []
            hosts += [dict(host if not part.cacheable else unsafe(host), source=source.name) for host in found]
        gatherer.finish()
        return hosts, {source.name: source.options for source in sources}

    def _rendered(self, entry):
        """A source's options with their templates rendered, except what belongs to hosts: Ansible renders that when it uses it."""
        if not isinstance(entry, dict):
            return entry

        def render(value):
            if is_vaulted(value):
                return str(value)
            if isinstance(value, dict):
                return {key: render(one) for key, one in value.items()}
            if isinstance(value, list):
                return [render(one) for one in value]
            if is_template(value):
                self.templar.available_variables = self._vars or {}
                return self.templar.template(value)
            return value

        try:
            return {key: value if key in ("hosts", "vars") else render(value) for key, value in entry.items()}
        except Exception as error:
            raise InventoryError("source %s: %s" % (entry.get("name") or entry.get("type"), error)) from error

    # --- handing over

    def _populate(self, hosts, sources):
        grouping = Grouping(self.get_option("group_by"), {**DEFAULT_MAP, **self.get_option("map_groups")})
        inventory = self.inventory
        placed = [["source_" + host["source"]] + grouping.groups(host) for host in hosts]
        # Mapped groups exist even when they are empty: a play over them then says so, and does not warn of a wrong name.
        wanted = {group: None for groups in [["source_" + name for name in sources], grouping.mapped, *placed] for group in groups}
        for group in wanted:
            inventory.add_group(group)
        names, said = unique_names(hosts, self.get_option("collision"), wanted)
        self._set_source_vars(sources)
        by_name = dict(zip(names, hosts, strict=True))
        without = []
        mixed = []
        for name, host, groups in zip(names, hosts, placed, strict=True):
            inventory.add_host(name)
            target = inventory.get_host(name)
            variables = self._variables(name, host, sources[host["source"]], by_name, sources)
            if variables["ansible_host"].endswith(".invalid"):
                without.append(name)
            if len(host["envs"]) > 1:
                mixed.append("%s (%s)" % (name, ", ".join(host["envs"])))
            for key, value in variables.items():
                target.set_variable(key, value)
            for group in groups:
                inventory.groups[group].add_host(target)
        self._construct(names)
        if without:
            said.append("without an address of the wanted kind, and so out of reach: %s" % shortened(without))
        if mixed:
            said.append("in more than one environment: %s" % shortened(mixed))
        for sentence in said:
            self.display.warning(sentence)

    def _set_source_vars(self, sources):
        for name, options in sources.items():
            if options["user"]:
                self.inventory.set_variable("source_" + name, "ansible_user", options["user"])
            for key, value in options["vars"].items():
                self.inventory.set_variable("source_" + name, key, value)

    @staticmethod
    def _variables(name, host, options, by_name, sources):
        jump = options["jump_host"]
        user, at, rest = jump.rpartition("@") if jump else ("", "", "")
        bastion = by_name.get(rest) if jump else None
        is_bastion = bool(jump) and (bastion is host or host["addresses"]["public"] in (rest, rest.rpartition(":")[0]))
        mode = "public" if is_bastion else options["address"]
        address = choose_address(host["addresses"], mode, through_jump=bool(jump) and not is_bastion)
        own = host.pop("vars", {})
        host.pop("fixed", None)
        found = {"ansible_host": address or NO_ADDRESS % (mode if mode != "auto" else "known"), "fleet_host": host}
        if jump and not is_bastion:
            if bastion:
                user = user or sources[bastion["source"]]["user"]
                rest = choose_address(bastion["addresses"], "public") or NO_ADDRESS % "public"
                rest = "[%s]" % rest if ":" in rest else rest
            found["ansible_ssh_common_args"] = "-o ProxyJump=%s" % (user + "@" + rest if user else rest)
        found.update(own)
        return found

    def _construct(self, names):
        compose, groups, keyed = (self.get_option(name) for name in ("compose", "groups", "keyed_groups"))
        if not (compose or groups or keyed):
            return
        strict = self.get_option("strict")
        for name in names:
            variables = self.inventory.get_host(name).get_vars()
            self._set_composite_vars(compose, variables, name, strict)
            self._add_host_to_composed_groups(groups, variables, name, strict)
            self._add_host_to_keyed_groups(keyed, variables, name, strict)


def shortened(names, limit=10):
    return ", ".join(names[:limit]) + (" and %d more" % (len(names) - limit) if len(names) > limit else "")
