# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all do_* modules share: the options of the connection, names for ids, and the way out."""

from __future__ import annotations

import contextlib
import difflib
import re

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.botops.fleet.plugins.module_utils._cloud import DIGITALOCEAN_API, DIGITALOCEAN_ENDPOINT, DIGITALOCEAN_TOKEN
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.client import Client
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    LIFE_CYCLE,
    Adapter,
    Failure,
    Gone,
    converge_and_leave,
    is_not_yet,
    not_yet,
    several,
    wait_for,
)

TAG = re.compile(r"^[a-zA-Z0-9_\-:]{1,255}$")
UUID = re.compile(r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")

CONNECTION = {
    "api_token": {"type": "str", "no_log": True, "fallback": (env_fallback, DIGITALOCEAN_TOKEN)},
    "api_endpoint": {
        "type": "str",
        "default": DIGITALOCEAN_API,
        "fallback": (env_fallback, DIGITALOCEAN_ENDPOINT),
    },
    "api_timeout": {"type": "int", "default": 30},
}


def spec(**own):
    """The options of a module: the connection's, the life cycle's, its own."""
    return {
        **CONNECTION,
        **LIFE_CYCLE,
        **own,
    }


def client_of(module):
    return Client(module.params["api_token"], module.params["api_endpoint"], module.params["api_timeout"], log=module.debug)


class Module(AnsibleModule):
    """A module that keeps what its adapter calls secret out of the journal, of results and of messages."""

    def __init__(self, adapter_class, **kwargs):
        self.adapter_class = adapter_class
        super().__init__(**kwargs)
        self._hide()

    def _hide(self):
        self.no_log_values.update(self.adapter_class.secret_values(self.params))

    def _log_invocation(self):
        self._hide()  # the arguments go to the journal before anybody else has seen them
        super()._log_invocation()


def run(adapter_class, argument_spec, **constraints):
    """`main()` of every module."""
    module = Module(adapter_class, argument_spec=argument_spec, supports_check_mode=True, **constraints)

    def begin():
        if module.params["wait_timeout"] < 1 or module.params["api_timeout"] < 1:
            raise Failure("wait_timeout and api_timeout are seconds and must be at least 1.")
        return adapter_class(client_of(module), module.params, module.check_mode, module.log)

    converge_and_leave(module, begin, module.warn)


def check_tags(option, tags):
    """Tags as the vendor allows them, or a sentence."""
    for tag in tags or []:
        if not TAG.match(tag):
            raise Failure(
                "%s: %r is not a tag: only letters, digits, colon, dash and underscore, at most 255 characters. %s"
                % (
                    option,
                    tag,
                    "Write for example %r." % re.sub(r"[^a-zA-Z0-9_\-:]+", "-", tag.strip()) if tag.strip() else "",
                )
            )


def one_of(option, value, known):
    """Refuse a value that the API does not offer, with what was probably meant."""
    if value in known:
        return
    close = difflib.get_close_matches(str(value), [str(k) for k in known], 3, 0.5)
    raise Failure(
        "%s: %r is not offered. %s"
        % (
            option,
            value,
            "Did you mean %s?" % " or ".join(close) if close else "There are: %s." % ", ".join(sorted(known)),
        )
    )


class DigitalOcean(Adapter):
    """An adapter whose resource is a plain collection of the API: list, create, get, replace, delete."""

    path = None  # "/v2/vpcs"
    many = None  # "vpcs", the listing's key
    one = None  # "vpc", the key of a single one
    goes_slowly = False  # whether one that was deleted can still be seen for a while
    _target = None

    @staticmethod
    def secret_values(params):
        """Values inside of free-form options that must appear nowhere."""
        return ()

    # --- the common case of the life cycle

    def find(self):
        return [raw for raw in self.client.listing(self.path, self.many) if raw["name"] == self.params["name"]]

    def describe(self, raw):
        region = raw.get("region")
        region = region["slug"] if isinstance(region, dict) else region
        parts = ["id %s" % raw.get("id"), region, raw.get("created_at")]
        return ", ".join(str(part) for part in parts if part)

    def create(self, wanted):
        body = self.body(None, wanted)
        return self.client.post(self.path, body, "creating %s" % self.title)[self.one]

    def update(self, raw, changes, wanted):
        done = self.client.put("%s/%s" % (self.path, raw["id"]), self.body(raw, wanted), "changing %s" % self.title)
        self.did("changed %s" % ", ".join(sorted(changes)))
        return done.get(self.one) or self.read(raw)

    def delete(self, raw):
        self.client.delete("%s/%s" % (self.path, raw["id"]), "deleting %s" % self.title)

    def body(self, raw, wanted):
        """What is sent to create (`raw` is None) or replace; by default what is wanted over what is there."""
        have = self.seen(raw) if raw else {}
        return {
            **{k: v for k, v in have.items() if v is not None},
            **{k: v for k, v in wanted.items() if v is not None},
        }

    def vanished(self, raw):
        if not self.goes_slowly:
            return super().vanished(raw)
        try:
            self.read(raw)
        except Gone:
            return True, "gone"
        return None, "still there"

    def follow(self, action, path, what, advice):
        """Wait for the end of an action, which is asked for under `path`; `advice` is for one that failed."""

        def probe():
            now = self.client.get("%s/%d" % (path, action["id"]), "following the %s" % what)["action"]
            if now["status"] == "errored":
                raise Failure("The %s failed on the vendor's side (action %d). %s" % (what, action["id"], advice))
            return (now if now["status"] == "completed" else None), now["status"]

        return wait_for(probe, what, self.params["wait_timeout"], self.log)

    # --- whose it is, by the tag of the option owner_tag

    def owned(self, named):
        """Those of the name that bear the tag; all of them without one."""
        owner = self.params["owner_tag"]
        if not owner:
            return named
        owned = [raw for raw in named if owner in (raw["tags"] or [])]
        if named and not owned and self.params["state"] == "present":
            raise Failure(
                "%s exists (%s) but does not carry the tag %s, so it is not this fleet's. Tag it to adopt it, or choose another name."
                % (self.title, "; ".join(self.describe(raw) for raw in named), owner)
            )
        return owned

    def tags_with_owner(self, raw):
        """The declared tags and the owner's; None where neither is."""
        tags = self.params["tags"]
        if self.params["owner_tag"]:
            tags = list(tags if tags is not None else (raw["tags"] or [] if raw else [])) + [self.params["owner_tag"]]
        return tags

    def read(self, raw):
        return self.client.get("%s/%s" % (self.path, raw["id"]), "reading %s" % self.title)[self.one]

    # --- names for ids

    def reference(self, option, value, path, many, is_id, **query):
        """The item that `value` (an id or a name) means. In check mode something that is not there yet is None."""
        if self.check_mode and is_not_yet(value):
            return None
        items = self.client.cached(path, many, **query)
        matches = [item for item in items if str(item["id"]) == str(value)] if is_id(str(value)) else []
        matches = matches or [item for item in items if item["name"] == value]
        if len(matches) > 1:
            raise Failure("%s: %s" % (option, several("the name %s" % value, [self.describe(item) for item in matches], True)))
        if matches:
            return matches[0]
        if self.check_mode:
            self.warnings.append("%s: %s does not exist yet; an earlier task may create it." % (option, value))
            return None
        raise Failure("%s: there is no %s with the name or id %r in this account." % (option, many.replace("_", " ")[:-1], value))

    def droplet(self, option, value):
        if str(value).isdigit() or is_not_yet(value):
            return self.reference(option, value, "/v2/droplets", "droplets", str.isdigit)
        return self.reference(option, value, "/v2/droplets", "droplets", str.isdigit, name=value)

    def target(self):
        """The droplet of the option `droplet`, or None."""
        if self._target is None and self.params["droplet"]:
            self._target = self.droplet("droplet", self.params["droplet"])
        return self._target

    def droplet_ids(self, option, values):
        """Ids for names or ids of droplets; None stays None."""
        if values is None:
            return None
        found = [(value, self.droplet(option, value)) for value in values]
        return sorted({item["id"] if item else not_yet(value) for value, item in found}, key=str)

    def vpc(self, option, value):
        return self.reference(option, value, "/v2/vpcs", "vpcs", UUID.match)

    def ensure_tags(self, tags):
        """Tags that rules point to have to exist before."""
        known = {tag["name"] for tag in self.client.cached("/v2/tags", "tags")}
        for tag in tags or []:
            if tag not in known:
                self.client.post("/v2/tags", {"name": tag}, "creating the tag %s" % tag)
                known.add(tag)

    def retag(self, identity, added, removed):
        """Put tags on a droplet or a volume, and take them off."""
        resources = {"resources": [{"resource_id": str(identity), "resource_type": self.kind}]}
        self.ensure_tags(added)
        for tag in added:
            self.client.post("/v2/tags/%s/resources" % tag, resources, "tagging %s with %s" % (self.title, tag))
            self.did("added the tag %s" % tag)
        for tag in removed:
            with contextlib.suppress(Gone):  # the whole tag was removed meanwhile
                self.client.delete("/v2/tags/%s/resources" % tag, "removing the tag %s from %s" % (tag, self.title), body=resources)
            self.did("removed the tag %s" % tag)
