"""VPCs, firewalls, reserved addresses, domains and their records, certificates, load balancers."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re

from .compute import check_tags, default_vpc, numbers_of, start_action, the_droplet, the_region
from .projects import project_of
from .server import Refusal, not_found, now, number_of, route

RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT")


def prepare(emulator):
    for name in ("firewalls", "reserved_ips", "domains", "certificates", "load_balancers"):
        emulator.table(name)


def found(table, identity):
    try:
        return table[identity]
    except KeyError:
        raise not_found() from None


# --- VPCs


def check_vpc_name(emulator, name, own=None):
    if not re.match(r"^[a-zA-Z0-9\-.]+$", name):
        raise Refusal(422, "name: must only contain alphanumeric characters, dashes, and periods")
    if any(vpc["name"] == name and vpc["id"] != own for vpc in emulator.table("vpcs").values()):
        raise Refusal(422, "name: must be unique")


@route("GET", "/v2/vpcs")
def list_vpcs(emulator, request):
    return emulator.page(request, "vpcs", list(emulator.table("vpcs").values()))


@route("POST", "/v2/vpcs")
def create_vpc(emulator, request):
    name, region = request.need("name", "region")
    the_region(region)
    check_vpc_name(emulator, name)
    vpcs = emulator.table("vpcs")
    default_vpc(emulator, region)
    wanted = request.body.get("ip_range") or f"10.{200 + len(vpcs) % 50}.0.0/20"
    try:
        network = ipaddress.ip_network(wanted)
    except ValueError:
        raise Refusal(422, "ip_range: must be a valid CIDR") from None
    if not 16 <= network.prefixlen <= 28 or not network.is_private:
        raise Refusal(422, "ip_range: must be a private range between /16 and /28")
    for vpc in vpcs.values():
        if network.overlaps(ipaddress.ip_network(vpc["ip_range"])):
            raise Refusal(422, "This range/size overlaps with another VPC network in your account: " + vpc["name"])
    identity = emulator.uuid()
    vpcs[identity] = {
        "id": identity,
        "urn": f"do:vpc:{identity}",
        "name": name,
        "description": request.body.get("description", ""),
        "region": region,
        "ip_range": str(network),
        "default": False,
        "created_at": now(),
    }
    return 201, {"vpc": vpcs[identity]}


@route("GET", "/v2/vpcs/{identity}")
def get_vpc(emulator, request, identity):
    return 200, {"vpc": found(emulator.table("vpcs"), identity)}


def change_vpc(emulator, request, identity):
    vpc = found(emulator.table("vpcs"), identity)
    if "name" in request.body:
        check_vpc_name(emulator, request.body["name"], identity)
    if request.body.get("default"):
        for other in emulator.table("vpcs").values():
            if other["region"] == vpc["region"]:
                other["default"] = False
        vpc["default"] = True
    for name in ("name", "description"):
        vpc[name] = request.body.get(name, vpc[name])
    return 200, {"vpc": vpc}


route("PUT", "/v2/vpcs/{identity}")(change_vpc)
route("PATCH", "/v2/vpcs/{identity}")(change_vpc)


def leave_vpc(emulator, urn, resource):
    """What was deleted stays a member of its network for a while, as it does at the vendor's."""
    leaving = emulator.table("leaving")
    leaving[urn] = (resource["vpc_uuid"], {"urn": urn, "name": resource["name"], "created_at": resource["created_at"]})
    emulator.later(lambda: leaving.pop(urn))


def vpc_members(emulator, identity):
    yield from (member for vpc, member in emulator.table("leaving").values() if vpc == identity)
    for droplet in emulator.table("droplets").values():
        if droplet["vpc_uuid"] == identity:
            yield {"urn": f"do:droplet:{droplet['id']}", "name": droplet["name"], "created_at": droplet["created_at"]}
    for balancer in emulator.table("load_balancers").values():
        if balancer["vpc_uuid"] == identity:
            yield {
                "urn": f"do:loadbalancer:{balancer['id']}",
                "name": balancer["name"],
                "created_at": balancer["created_at"],
            }


@route("GET", "/v2/vpcs/{identity}/members")
def list_vpc_members(emulator, request, identity):
    found(emulator.table("vpcs"), identity)
    return emulator.page(request, "members", list(vpc_members(emulator, identity)))


@route("DELETE", "/v2/vpcs/{identity}")
def delete_vpc(emulator, request, identity):
    vpc = found(emulator.table("vpcs"), identity)
    if vpc["default"]:
        raise Refusal(403, "Can not delete default VPCs", "forbidden")
    if list(vpc_members(emulator, identity)):
        raise Refusal(403, "Can not delete VPC with members", "forbidden")
    del emulator.table("vpcs")[identity]
    return 204, None


# --- firewalls


def firewall_from(emulator, body, old=None):
    if not re.match(r"^[a-zA-Z0-9][a-zA-Z0-9.\-]+$", body.get("name") or ""):
        raise Refusal(422, "name may only contain letters, digits, dots and dashes")
    if any(f["name"] == body["name"] and f is not old for f in emulator.table("firewalls").values()):
        raise Refusal(409, "duplicate name")
    droplet_ids = numbers_of(body.get("droplet_ids"))
    for droplet_id in droplet_ids:
        if droplet_id not in emulator.table("droplets"):
            raise Refusal(422, f"droplet {droplet_id} does not exist")
    tags = check_tags(body.get("tags"))
    rules = {}
    for direction, end in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
        seen, rules[direction] = set(), []
        for rule in body.get(direction) or []:
            if rule.get("protocol") not in ("tcp", "udp", "icmp"):
                raise Refusal(422, "protocol must be one of tcp, udp, icmp")
            ports = "0" if rule["protocol"] == "icmp" or rule.get("ports") == "all" else rule.get("ports")
            if not re.match(r"^\d+(-\d+)?$", ports or "") or any(int(port) > 65535 for port in ports.split("-")):
                raise Refusal(422, f"ports {ports!r} are invalid")
            if not rule.get(end):
                raise Refusal(422, f"missing {end}")
            for tag in rule[end].get("tags") or []:
                if tag not in emulator.table("tags"):
                    raise Refusal(422, f"tag {tag} does not exist")
            key = (rule["protocol"], ports)
            if key in seen:
                raise Refusal(422, f"duplicate rule {key}")
            seen.add(key)
            rules[direction].append({"protocol": rule["protocol"], "ports": ports, end: rule[end]})
    for tag in tags:
        if tag not in emulator.table("tags"):
            raise Refusal(422, f"tag {tag} does not exist")
    return {"name": body["name"], "droplet_ids": droplet_ids, "tags": tags, **rules}


@route("GET", "/v2/firewalls")
def list_firewalls(emulator, request):
    return emulator.page(request, "firewalls", list(emulator.table("firewalls").values()))


@route("POST", "/v2/firewalls")
def create_firewall(emulator, request):
    firewall = {
        "id": emulator.uuid(),
        "status": "waiting",
        "created_at": now(),
        "pending_changes": [],
        **firewall_from(emulator, request.body),
    }
    emulator.table("firewalls")[firewall["id"]] = firewall
    emulator.later(lambda: firewall.update(status="succeeded"))
    return 202, {"firewall": firewall}


@route("GET", "/v2/firewalls/{identity}")
def get_firewall(emulator, request, identity):
    return 200, {"firewall": found(emulator.table("firewalls"), identity)}


@route("PUT", "/v2/firewalls/{identity}")
def replace_firewall(emulator, request, identity):
    firewall = found(emulator.table("firewalls"), identity)
    firewall.update(firewall_from(emulator, request.body, firewall), status="waiting")
    emulator.later(lambda: firewall.update(status="succeeded"))
    return 200, {"firewall": firewall}


@route("DELETE", "/v2/firewalls/{identity}")
def delete_firewall(emulator, request, identity):
    found(emulator.table("firewalls"), identity)
    del emulator.table("firewalls")[identity]
    return 204, None


# --- reserved addresses


@route("GET", "/v2/reserved_ips")
def list_reserved(emulator, request):
    return emulator.page(request, "reserved_ips", list(emulator.table("reserved_ips").values()))


@route("POST", "/v2/reserved_ips")
def reserve(emulator, request):
    droplet = None
    if request.body.get("droplet_id"):
        droplet = the_droplet(emulator, request.body["droplet_id"])
        if not droplet["networks"]["v4"]:
            raise Refusal(422, "Droplet has no public address yet.")
        holder = [r for r in emulator.table("reserved_ips").values() if r["droplet"] is droplet]
        if holder:
            raise Refusal(422, "The Droplet already has a reserved IP assigned.")
    region = droplet["region"] if droplet else the_region(request.need("region")[0])
    # Never the same twice, not even after a release: whoever remembers an address must not find another's behind it.
    serial = emulator.table("serials")
    serial["reserved_ip"] = serial.get("reserved_ip", 0) + 1
    address = str(ipaddress.ip_address("192.0.2.0") + serial["reserved_ip"])
    reserved = {
        "ip": address,
        "droplet": None,
        "region": region,
        "locked": False,
        "project_id": request.body.get("project_id") or project_of(emulator, f"do:floatingip:{address}"),
    }
    emulator.table("reserved_ips")[address] = reserved
    actions = []
    if droplet:
        actions.append(assign(emulator, reserved, droplet))
    return 202, {
        "reserved_ip": reserved,
        "links": {
            "droplets": [{"id": droplet["id"], "rel": "droplet", "href": f"{emulator.url}/v2/droplets/{droplet['id']}"}] if droplet else [],
            "actions": [{"id": a["id"], "rel": "assign_ip", "href": f"{emulator.url}/v2/actions/{a['id']}"} for a in actions],
        },
    }


def assign(emulator, reserved, droplet):
    reserved["locked"] = True

    def work(said):
        reserved.update(droplet=droplet, locked=False)

    action = start_action(emulator, "assign_ip" if droplet else "unassign_ip", None, work, "reserved_ip")
    action.update(region=reserved["region"], region_slug=reserved["region"]["slug"])
    return action


@route("GET", "/v2/reserved_ips/{address}")
def get_reserved(emulator, request, address):
    return 200, {"reserved_ip": found(emulator.table("reserved_ips"), address)}


@route("DELETE", "/v2/reserved_ips/{address}")
def release(emulator, request, address):
    found(emulator.table("reserved_ips"), address)
    del emulator.table("reserved_ips")[address]
    return 204, None


@route("POST", "/v2/reserved_ips/{address}/actions")
def act_on_reserved(emulator, request, address):
    reserved = found(emulator.table("reserved_ips"), address)
    (kind,) = request.need("type")
    if reserved["locked"]:
        raise Refusal(422, "The reserved IP already has a pending event.")
    droplet = None
    if kind == "assign":
        droplet = the_droplet(emulator, request.need("droplet_id")[0])
        if droplet["region"]["slug"] != reserved["region"]["slug"]:
            raise Refusal(422, "The Droplet is not in the reserved IP's region.")
    return 201, {"action": {**assign(emulator, reserved, droplet), "project_id": reserved["project_id"]}}


@route("GET", "/v2/reserved_ips/{address}/actions/{action_id}")
def get_reserved_action(emulator, request, address, action_id):
    reserved = found(emulator.table("reserved_ips"), address)
    action = found(emulator.table("actions"), number_of(action_id))
    return 200, {"action": {**action, "project_id": reserved["project_id"]}}


# --- domains


@route("GET", "/v2/domains")
def list_domains(emulator, request):
    return emulator.page(request, "domains", [d["view"] for d in emulator.table("domains").values()])


@route("POST", "/v2/domains")
def create_domain(emulator, request):
    (name,) = request.need("name")
    if name in emulator.table("domains"):
        raise Refusal(422, "Domain name already exists")
    domain = {"view": {"name": name, "ttl": 1800, "zone_file": f"$ORIGIN {name}.\n"}, "records": {}}
    emulator.table("domains")[name] = domain
    for number in (1, 2, 3):
        add_record(emulator, domain, {"type": "NS", "name": "@", "data": f"ns{number}.digitalocean.com."})
    return 201, {"domain": {"name": name, "ttl": 1800, "zone_file": None}}


@route("GET", "/v2/domains/{name}")
def get_domain(emulator, request, name):
    return 200, {"domain": found(emulator.table("domains"), name)["view"]}


@route("DELETE", "/v2/domains/{name}")
def delete_domain(emulator, request, name):
    found(emulator.table("domains"), name)
    del emulator.table("domains")[name]
    return 204, None


def record_from(body, old=None):
    old = old or {"name": "@", "ttl": 1800, "priority": None, "port": None, "weight": None, "flags": None, "tag": None}
    kind = body.get("type") or old.get("type")
    if kind not in RECORD_TYPES:
        raise Refusal(422, "Type is not a valid record type")
    data = body.get("data") or old.get("data")
    if not data:
        raise Refusal(422, "Data can't be blank")
    if kind in ("A", "AAAA"):
        version, sample = (4, "127.0.0.1") if kind == "A" else (6, "2001:db8::ff00:42:8329")
        try:
            fits = ipaddress.ip_address(data).version == version
        except ValueError:
            fits = False
        if not fits:
            raise Refusal(422, f"IP address did not match IPv{version} format (e.g. {sample}).")
    if kind in ("CNAME", "MX", "NS", "SRV"):
        # The vendor wants a final dot on what is no label of the zone, and gives it back without.
        if data != "@" and not data.endswith("."):
            raise Refusal(422, "Data needs to end with a dot (.)")
        data = data.rstrip(".")
    if kind == "MX" and body.get("priority", old["priority"]) is None:
        raise Refusal(422, "Priority can't be blank for MX records")
    ttl = body.get("ttl") or old["ttl"]
    if ttl < 30:
        raise Refusal(422, "TTL must be at least 30")
    return {
        "type": kind,
        "name": body.get("name") or old["name"],
        "data": data,
        "ttl": ttl,
        **{name: body.get(name, old[name]) for name in ("priority", "port", "weight", "flags", "tag")},
    }


def add_record(emulator, domain, body):
    record = {"id": emulator.number(), **record_from(body)}
    others = [r for r in domain["records"].values() if r["name"] == record["name"]]
    if record["type"] == "CNAME" and others or any(r["type"] == "CNAME" for r in others):
        raise Refusal(422, "CNAME records cannot share a name with other records")
    domain["records"][record["id"]] = record
    return record


@route("GET", "/v2/domains/{name}/records")
def list_records(emulator, request, name):
    domain = found(emulator.table("domains"), name)
    wanted, kind = request.query.get("name"), request.query.get("type")
    records = [r for r in domain["records"].values() if kind in (None, r["type"]) and wanted in (None, name if r["name"] == "@" else f"{r['name']}.{name}")]
    return emulator.page(request, "domain_records", records)


@route("POST", "/v2/domains/{name}/records")
def create_record(emulator, request, name):
    return 201, {"domain_record": add_record(emulator, found(emulator.table("domains"), name), request.body)}


@route("GET", "/v2/domains/{name}/records/{identity}")
def get_record(emulator, request, name, identity):
    return 200, {"domain_record": found(found(emulator.table("domains"), name)["records"], number_of(identity))}


def change_record(emulator, request, name, identity):
    record = found(found(emulator.table("domains"), name)["records"], number_of(identity))
    record.update(record_from(request.body, record))
    return 200, {"domain_record": record}


route("PUT", "/v2/domains/{name}/records/{identity}")(change_record)
route("PATCH", "/v2/domains/{name}/records/{identity}")(change_record)


@route("DELETE", "/v2/domains/{name}/records/{identity}")
def delete_record(emulator, request, name, identity):
    records = found(emulator.table("domains"), name)["records"]
    found(records, number_of(identity))
    del records[number_of(identity)]
    return 204, None


# --- certificates


@route("GET", "/v2/certificates")
def list_certificates(emulator, request):
    wanted = request.query.get("name")
    return emulator.page(request, "certificates", [c for c in emulator.table("certificates").values() if wanted in (None, "", c["name"])])


@route("POST", "/v2/certificates")
def create_certificate(emulator, request):
    (name,) = request.need("name")
    kind = request.body.get("type") or ("lets_encrypt" if request.body.get("dns_names") else "custom")
    if any(c["name"] == name for c in emulator.table("certificates").values()):
        raise Refusal(422, "name: must be unique")
    fingerprint, names = "", []
    if kind == "custom":
        leaf, _ = request.need("leaf_certificate", "private_key")
        pem = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", leaf, re.S)
        if not pem:
            raise Refusal(422, "leaf_certificate: not a PEM certificate")
        fingerprint = hashlib.sha1(base64.b64decode(pem.group(1)), usedforsecurity=False).hexdigest()
    else:
        (names,) = request.need("dns_names")
        for dns_name in names:
            if not any(dns_name == d or dns_name.endswith("." + d) for d in emulator.table("domains")):
                raise Refusal(422, f"dns_names: {dns_name} is not a domain of this account")
    certificate = {
        "id": emulator.uuid(),
        "name": name,
        "type": kind,
        "state": "pending",
        "dns_names": names,
        "created_at": now(),
        "not_after": "2027-02-22T00:23:00Z",
        "sha1_fingerprint": fingerprint,
    }
    emulator.table("certificates")[certificate["id"]] = certificate

    def issue():
        certificate.update(state="verified")
        if kind == "lets_encrypt":
            certificate["sha1_fingerprint"] = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()

    emulator.later(issue)
    return 201, {"certificate": certificate}


@route("GET", "/v2/certificates/{identity}")
def get_certificate(emulator, request, identity):
    return 200, {"certificate": found(emulator.table("certificates"), identity)}


@route("DELETE", "/v2/certificates/{identity}")
def delete_certificate(emulator, request, identity):
    found(emulator.table("certificates"), identity)
    for balancer in emulator.table("load_balancers").values():
        if any(rule.get("certificate_id") == identity for rule in balancer["forwarding_rules"]):
            raise Refusal(403, "Certificate is in use by load balancer " + balancer["name"], "forbidden")
    del emulator.table("certificates")[identity]
    return 204, None


# --- load balancers

HEALTH_CHECK = {
    "protocol": "http",
    "port": 80,
    "path": "/",
    "check_interval_seconds": 10,
    "response_timeout_seconds": 5,
    "healthy_threshold": 3,
    "unhealthy_threshold": 5,
}
# What a load balancer has only where it was given.
EXTRAS = ("glb_settings", "target_load_balancer_ids")
FLAGS = (
    "redirect_http_to_https",
    "enable_proxy_protocol",
    "enable_backend_keepalive",
    "disable_lets_encrypt_dns_records",
)


def balancer_from(emulator, body):
    """A load balancer from a full request: what is left out becomes the default, at replacement, too."""
    name, region, rules = body.get("name"), body.get("region"), body.get("forwarding_rules")
    if not name or not rules:
        raise Refusal(422, "name and forwarding_rules can't be blank")
    region = the_region(region or "nyc3")
    if body.get("tag") and body.get("droplet_ids"):
        raise Refusal(422, "either tag or droplet_ids may be given")
    for rule in rules:
        for end in ("entry", "target"):
            if not isinstance(rule.get(end + "_port"), int) or not 1 <= rule[end + "_port"] <= 65535:
                raise Refusal(422, f"forwarding rule: {end}_port must be between 1 and 65535")
            if rule.get(end + "_protocol") not in ("http", "https", "http2", "http3", "tcp", "udp"):
                raise Refusal(422, f"forwarding rule: {end}_protocol is invalid")
        needs = rule["entry_protocol"] in ("https", "http2", "http3") and not rule.get("tls_passthrough")
        if needs and rule.get("certificate_id") not in emulator.table("certificates"):
            raise Refusal(422, "forwarding rule: certificate_id is invalid")
    ids = numbers_of(body.get("droplet_ids"))
    for number in ids:
        if the_droplet(emulator, number)["region"]["slug"] != region["slug"]:
            raise Refusal(422, "Droplets must be in the load balancer's region")
    if body.get("tag"):
        ids = [d["id"] for d in emulator.table("droplets").values() if body["tag"] in d["tags"]]
    vpc = body.get("vpc_uuid") or default_vpc(emulator, region["slug"])["id"]
    if found(emulator.table("vpcs"), vpc)["region"] != region["slug"]:
        raise Refusal(422, "VPC is not in the load balancer's region")
    check = {**HEALTH_CHECK, **(body.get("health_check") or {})}
    if check["protocol"] == "tcp":
        check["path"] = ""
    return {
        "name": name,
        "region": region,
        "vpc_uuid": vpc,
        "tag": body.get("tag") or "",
        "droplet_ids": ids,
        "algorithm": body.get("algorithm", "round_robin"),
        "size_unit": body.get("size_unit", 1),
        "size": "lb-small",
        "type": body.get("type", "REGIONAL"),
        "network": body.get("network", "EXTERNAL"),
        "network_stack": body.get("network_stack", "IPV4"),
        "forwarding_rules": [{"certificate_id": "", "tls_passthrough": False, **{k: v for k, v in rule.items() if v is not None}} for rule in rules],
        "health_check": check,
        "sticky_sessions": body.get("sticky_sessions") or {"type": "none"},
        "firewall": body.get("firewall") or {"allow": [], "deny": []},
        "http_idle_timeout_seconds": body.get("http_idle_timeout_seconds", 60),
        "tls_cipher_policy": body.get("tls_cipher_policy", "DEFAULT"),
        "domains": body.get("domains", []),
        "project_id": body.get("project_id", ""),
        **{flag: bool(body.get(flag)) for flag in FLAGS},
        **{name: body[name] for name in EXTRAS if name in body},
    }


@route("GET", "/v2/load_balancers")
def list_balancers(emulator, request):
    return emulator.page(request, "load_balancers", list(emulator.table("load_balancers").values()))


@route("POST", "/v2/load_balancers")
def create_balancer(emulator, request):
    if any(b["name"] == request.body.get("name") for b in emulator.table("load_balancers").values()):
        raise Refusal(422, "name must be unique")
    balancer = {
        "id": emulator.uuid(),
        "ip": "",
        "status": "new",
        "created_at": now(),
        **balancer_from(emulator, request.body),
    }
    emulator.table("load_balancers")[balancer["id"]] = balancer
    number = len(emulator.table("load_balancers"))
    emulator.later(lambda: balancer.update(status="active", ip=str(ipaddress.ip_address("203.0.113.0") + number)))
    return 202, {"load_balancer": balancer}


@route("GET", "/v2/load_balancers/{identity}")
def get_balancer(emulator, request, identity):
    return 200, {"load_balancer": found(emulator.table("load_balancers"), identity)}


@route("PUT", "/v2/load_balancers/{identity}")
def replace_balancer(emulator, request, identity):
    balancer = found(emulator.table("load_balancers"), identity)
    for name in EXTRAS:
        balancer.pop(name, None)
    balancer.update(balancer_from(emulator, request.body))
    return 200, {"load_balancer": balancer}


@route("DELETE", "/v2/load_balancers/{identity}")
def delete_balancer(emulator, request, identity):
    leave_vpc(emulator, f"do:loadbalancer:{identity}", found(emulator.table("load_balancers"), identity))
    del emulator.table("load_balancers")[identity]
    return 204, None
