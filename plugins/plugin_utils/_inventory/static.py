# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that no API knows: the bare-metal pair, written down in the inventory file itself."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import STATES, carries, make_host, safe_name, tag_filter
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Source

HOST = {
    "public": {"type": "str"},
    "private": {"type": "str"},
    "public_ipv6": {"type": "str"},
    "region": {"type": "str", "default": ""},
    "zone": {"type": "str", "default": ""},
    "size": {"type": "str", "default": ""},
    "image": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": list(STATES), "default": "running"},
    "tags": {"type": "raw"},
    "vars": {"type": "dict", "default": {}},
}


class StaticSource(Source):
    TYPE = "static"
    SPEC = {"hosts": {"type": "dict", "required": True}}

    @staticmethod
    def check(options):
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        said = []
        validator = ArgumentSpecValidator(HOST)
        for name, given in options["hosts"].items():
            if safe_name(str(name)) != name:
                said.append("hosts: %s is not a host name; use letters, digits, dots, dashes and underscores" % name)
            if given is not None and not isinstance(given, dict):
                said.append("hosts.%s must be a mapping such as {private: 192.168.1.100}" % name)
                continue
            checked = validator.validate(dict(given or {}))
            said += ["hosts.%s: %s" % (name, message) for message in checked.error_messages]
            options["hosts"][name] = checked.validated_parameters
            if not checked.error_messages:
                options["hosts"][name]["tags"] = tag_filter(checked.validated_parameters["tags"])
        return said

    def parts(self, discovered):
        return [self.part("", self.fetch, cacheable=False)]

    def fetch(self):
        found = []
        for name, about in self.options["hosts"].items():
            labels = [key if not values else "%s:%s" % (key, value) for key, values in about["tags"] for value in values or [""]]
            if not carries(labels, self.options["tags"]) or about["state"] not in (self.options["states"] or STATES):
                continue
            if self.options["regions"] and about["region"] not in self.options["regions"]:
                continue
            host = make_host(
                self.TYPE, name, name=name, account=self.name, region=about["region"], zone=about["zone"], size=about["size"],
                image=about["image"], state=about["state"], addresses=about, labels=labels, tag_keys=self.context.tag_keys,
            )
            found.append(dict(host, fixed=True, vars=about["vars"]))
        return found
