# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Droplets, by the modules' own client: 200 a page, all pages at once, the tag filter on the server's side."""

from __future__ import annotations

from ansible.module_utils.basic import env_fallback

from ansible_collections.botops.fleet.plugins.module_utils._cloud import (
    DIGITALOCEAN_API,
    DIGITALOCEAN_ENDPOINT,
    DIGITALOCEAN_TOKEN,
    endpoint_problem,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import carries, make_host
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.secret import resolve
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Source

STATE = {"new": "pending", "active": "running", "off": "stopped", "archive": "archived"}
CREDENTIAL_SPEC = {
    "token": {"type": "raw", "no_log": True},
    "token_env": {"type": "str", "no_log": False},
    "token_file": {"type": "path", "no_log": False},
}
EXCLUSIVE = [("token", "token_env", "token_file")]


def normalise(droplet, account="", tag_keys=None):
    """The schema's host out of the vendor's droplet."""
    networks = droplet.get("networks") or {}
    addresses = {}
    for entry in networks.get("v4") or []:
        addresses.setdefault(entry.get("type"), entry.get("ip_address"))
    for entry in networks.get("v6") or []:
        if entry.get("type") == "public":
            addresses.setdefault("public_ipv6", entry.get("ip_address"))
    image = droplet.get("image") or {}
    return make_host(
        "digitalocean", droplet["id"], name=droplet.get("name") or "", account=account,
        region=(droplet.get("region") or {}).get("slug") or "", size=droplet.get("size_slug") or "",
        image=str(image.get("slug") or image.get("id") or ""), state=STATE.get(droplet.get("status"), "pending"),
        addresses=addresses, labels=droplet.get("tags") or [], vpc=droplet.get("vpc_uuid") or "",
        created=droplet.get("created_at") or "", tag_keys=tag_keys,
    )


class DigitalOceanSource(Source):
    TYPE = "digitalocean"
    SPEC = {
        "endpoint": {"type": "str", "default": DIGITALOCEAN_API, "fallback": (env_fallback, DIGITALOCEAN_ENDPOINT)},
        "timeout": {"type": "int", "default": 30},
        "accounts": {
            "type": "list", "elements": "dict", "mutually_exclusive": EXCLUSIVE,
            "options": {"name": {"type": "str", "required": True}, **CREDENTIAL_SPEC},
        },
        **CREDENTIAL_SPEC,
    }
    RULES = {"mutually_exclusive": EXCLUSIVE + [("accounts", "token"), ("accounts", "token_env"), ("accounts", "token_file")]}

    @staticmethod
    def check(options):
        said = []
        problem = endpoint_problem(options["endpoint"])
        if problem:
            said.append("endpoint %s" % problem)
        names = [account["name"] for account in options["accounts"] or []]
        said += ["accounts: %s is there twice" % name for name in sorted({name for name in names if names.count(name) > 1})]
        return said

    def parts(self, discovered):
        if self.options["accounts"]:
            return [self._part(account, account["name"]) for account in self.options["accounts"]]
        return [self._part(self.options, "")]

    def _part(self, credentials, account):
        def fetch():
            return self.fetch(credentials, account or self.name)

        try:
            whose = self.context.fingerprint(self._token(credentials)[0])
        except InventoryError:
            whose = None  # nobody's hosts; `fetch` says why, under the source's own policy
        return self.part("account %s" % account if account else "", fetch, self.options["endpoint"], whose)

    def _token(self, credentials):
        return resolve(credentials, "token", DIGITALOCEAN_TOKEN, self.context.base_dir)

    def fetch(self, credentials, account):
        # Here, because pydo takes half a second to load, and a cached answer does without it.
        from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.client import Client

        token, came_from = self._token(credentials)
        try:
            api = Client(token, self.options["endpoint"], self.options["timeout"], parallel=self.context.workers, options=(came_from, "endpoint"))
            return self._found(api, account)
        except Failure as failure:
            raise InventoryError(str(failure).rstrip(".")) from failure

    def _found(self, api, account):
        droplets = {}
        for query in self.queries():
            droplets.update((droplet["id"], droplet) for droplet in api.listing("/v2/droplets", "droplets", insist=True, **query))
        found = []
        regions = set()
        for droplet in droplets.values():
            host = normalise(droplet, account, self.context.tag_keys)
            if not carries(host["labels"], self.options["tags"], bare_is_whole=True):
                continue
            if self.options["states"] and host["state"] not in self.options["states"]:
                continue
            regions.add(host["region"])
            if not self.options["regions"] or host["region"] in self.options["regions"]:
                found.append(host)
        self._check_regions(api, regions)
        return sorted(found, key=lambda host: int(host["id"]))

    def queries(self):
        """The API takes one tag: send the pair with the fewest values, one listing each, and check the rest here."""
        pairs = [(key, values) for key, values in self.options["tags"] if values]
        bare = [key for key, values in self.options["tags"] if not values]
        if pairs:
            key, values = min(pairs, key=lambda pair: len(pair[1]))
            tags = ["%s:%s" % (key, value) for value in values]
        else:
            tags = bare[:1]
        if not tags:
            return [{}]
        return [{"tag_name": tag} for tag in tags]

    def _check_regions(self, api, seen):
        """Only a region without hosts can be a mistake: then it is worth a request."""
        unknown = set(self.options["regions"] or ()) - seen
        if not unknown:
            return
        known = {region["slug"] for region in api.listing("/v2/regions", "regions", insist=True)}
        wrong = sorted(unknown - known)
        if wrong:
            raise InventoryError("%s is not a region of DigitalOcean; it has %s" % (", ".join(wrong), ", ".join(sorted(known))))
