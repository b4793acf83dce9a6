# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Load balancers."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import shapes
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import (
    UUID,
    DigitalOcean,
    check_tags,
    one_of,
)
from ansible_collections.botops.fleet.plugins.module_utils._resource import (
    Failure,
    merged,
    not_yet,
    target_list,
    unordered,
)

BALANCER_FIELDS = (
    "size_unit",
    "algorithm",
    "redirect_http_to_https",
    "enable_proxy_protocol",
    "enable_backend_keepalive",
    "http_idle_timeout_seconds",
    "tls_cipher_policy",
)


# What a request must not repeat: the vendor sets it, or it says again what another field says.
VENDORS_OWN = ("id", "ip", "ipv6", "status", "created_at", "size")


def normal_health_check(check):
    """What was given of a health check; one of TCP has no path."""
    check = {name: value for name, value in check.items() if value is not None}
    return {**check, "path": ""} if check.get("protocol") == "tcp" else check


def normal_sticky(sticky):
    """Sticky sessions with all that belongs to them, so that what goes with their end is seen to go."""
    cookies = sticky["type"] == "cookies"
    return {
        "type": sticky["type"],
        "cookie_name": (sticky.get("cookie_name") or "") if cookies else "",
        "cookie_ttl_seconds": (sticky.get("cookie_ttl_seconds") or 0) if cookies else 0,
    }


def normal_forwarding(rules):
    """Forwarding rules as a set; each is complete, so that a certificate that goes is seen to go."""
    return unordered(
        {
            "entry_protocol": rule["entry_protocol"],
            "entry_port": int(rule["entry_port"]),
            "target_protocol": rule["target_protocol"],
            "target_port": int(rule["target_port"]),
            "certificate_id": rule.get("certificate_id") or "",
            "tls_passthrough": bool(rule.get("tls_passthrough")),
        }
        for rule in rules or []
    )


class LoadBalancer(DigitalOcean):
    kind = "load_balancer"
    goes_slowly = True
    path, many, one = "/v2/load_balancers", "load_balancers", "load_balancer"
    immutable = {
        "region": "a load balancer cannot move: create one under another name there",
        "vpc_uuid": "a load balancer stays in its VPC: create one under another name in the other",
    }

    def validate(self):
        params = self.params
        check_tags("tag", [params["tag"]] if params["tag"] else [])
        for index, rule in enumerate(params["forwarding_rules"] or []):
            encrypted = rule["entry_protocol"] in ("https", "http2", "http3")
            if encrypted and not rule["certificate"] and not rule["tls_passthrough"]:
                raise Failure("forwarding_rules[%d]: %s needs certificate, or tls_passthrough: true." % (index, rule["entry_protocol"]))
            for end in ("entry_port", "target_port"):
                if not 1 <= rule[end] <= 65535:
                    raise Failure("forwarding_rules[%d].%s: %d is not a port." % (index, end, rule[end]))
        entries = [(r["entry_port"], r["entry_protocol"] == "udp") for r in params["forwarding_rules"] or []]
        if len(set(entries)) < len(entries):
            raise Failure("forwarding_rules: two rules enter at the same port.")
        sticky = params["sticky_sessions"]
        if sticky and sticky["type"] == "cookies" and not (sticky["cookie_name"] and sticky["cookie_ttl_seconds"]):
            raise Failure("sticky_sessions: cookies need cookie_name and cookie_ttl_seconds.")

    def current(self, raw):
        firewall = raw.get("firewall") or {}
        return {
            "name": raw["name"],
            "region": shapes.slug(raw["region"]),
            "vpc_uuid": raw.get("vpc_uuid"),
            "forwarding_rules": normal_forwarding(raw["forwarding_rules"]),
            "health_check": normal_health_check(raw.get("health_check") or {}),
            "sticky_sessions": normal_sticky(raw.get("sticky_sessions") or {"type": "none"}),
            "firewall": {side: unordered(firewall.get(side)) for side in ("allow", "deny")},
            "tag": raw.get("tag") or "",
            # With a tag the vendor fills the droplets in; they are then its business, not ours.
            "droplet_ids": [] if raw.get("tag") else unordered(raw.get("droplet_ids")),
            **{name: raw.get(name) for name in BALANCER_FIELDS},
        }

    def wanted(self, raw):
        params = self.params
        vpc = self.vpc("vpc", params["vpc"]) if params["vpc"] else None
        rules = None
        if params["forwarding_rules"] is not None:
            rules = normal_forwarding(dict(rule, certificate_id=self._certificate(rule["certificate"])) for rule in params["forwarding_rules"])
        check = normal_health_check(params["health_check"] or {}) or None
        droplets = self.droplet_ids("droplets", params["droplets"])
        have = raw.get("droplet_ids") if raw and not raw.get("tag") else []
        firewall = None
        if params["firewall"]:
            firewall = {side: unordered(params["firewall"][side]) for side in ("allow", "deny") if params["firewall"][side] is not None}
        return {
            "name": params["name"],
            "region": params["region"],
            "vpc_uuid": vpc["id"] if vpc else (not_yet(params["vpc"]) if params["vpc"] else None),
            "forwarding_rules": rules,
            "health_check": check,
            "sticky_sessions": normal_sticky(params["sticky_sessions"]) if params["sticky_sessions"] else None,
            "firewall": firewall,
            # Droplets by number take the tag away, and the other way round.
            "tag": params["tag"] if params["tag"] is not None else ("" if droplets is not None else None),
            "droplet_ids": target_list(have, droplets, params["purge_droplets"]) if droplets is not None else ([] if params["tag"] else None),
            **{name: params[name] for name in BALANCER_FIELDS},
        }

    def _certificate(self, value):
        if not value:
            return None
        item = self.reference("certificate", value, "/v2/certificates", "certificates", UUID.match)
        return item["id"] if item else not_yet(value)

    def check_creation(self, wanted):
        missing = [option for option in ("region", "forwarding_rules") if not wanted[option]]
        if missing:
            raise Failure("%s does not exist; creating it needs %s." % (self.title, " and ".join(missing)))
        one_of("region", wanted["region"], {item["slug"] for item in self.client.cached("/v2/regions", "regions")})

    def body(self, raw, wanted):
        """The vendor replaces everything at once, and what is left out falls back to its default: start from all that is there."""
        have = self.seen(raw) if raw else {}
        body = {name: value for name, value in (raw or {}).items() if name not in VENDORS_OWN and value not in (None, "", [], {})}
        # As the diff shows it: what is declared, over what is there.
        body.update({name: merged(have.get(name), value) for name, value in {**have, **wanted}.items()})
        body["forwarding_rules"] = [{k: v for k, v in rule.items() if v != ""} for rule in body["forwarding_rules"]]
        for name in ("health_check", "sticky_sessions"):
            body[name] = {k: v for k, v in (body[name] or {}).items() if v not in (None, "", 0)} or None
        body.pop("droplet_ids" if body.get("tag") else "tag", None)
        if not body.get("tag"):
            body["droplet_ids"] = body.get("droplet_ids") or []
        return {name: value for name, value in body.items() if value is not None}

    def settled(self, raw):
        if raw["status"] == "active" and raw.get("ip"):
            return raw, "active"
        now = self.read(raw)
        if now["status"] == "errored":
            raise Failure("%s could not be built; the vendor reports an error." % self.title)
        return (now if now["status"] == "active" and now.get("ip") else None), now["status"]

    def shape(self, raw):
        return shapes.load_balancer(raw)
