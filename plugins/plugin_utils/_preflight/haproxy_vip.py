# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the haproxy_vip role's variables cannot mean. No sentence repeats a certificate."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._haproxy import BIND, KEEPALIVED, SERVER, network, over
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

IDENTIFIER = re.compile(r"^[A-Za-z0-9_.:-]+$")
HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
BALANCE = ("roundrobin", "static-rr", "leastconn", "first", "source", "random")
WORD = re.compile(r"^[^\s\"'\\#]+$")
MULTILINE = ("haproxy_vip_frontends.binds.certificate_pem", "haproxy_vip_extra")
EXPECT = re.compile(r"^(! ?)?(status|rstatus|string|rstring) \S.*$")

LISTENS_BY = ("haproxy_vip_frontends", "haproxy_vip_address")


def listens(values):
    floating = values["haproxy_vip_address"].partition("/")[0]
    return [
        ("haproxy_vip_frontends[%d].binds[%d].port" % (index, number), floating if bind["address"] == "vip" else bind["address"], bind["port"])
        for index, frontend in enumerate(values["haproxy_vip_frontends"]) for number, bind in enumerate(frontend["binds"])
    ]


def check(values):
    own, interfaces = addresses(values)
    found = check_address(values, own, interfaces) + check_manager(values, own)
    backends = [entry["name"] for entry in values["haproxy_vip_backends"]]
    frontends = [entry["name"] for entry in values["haproxy_vip_frontends"]]
    if not frontends:
        found.append("haproxy_vip_frontends is empty; a proxy that listens nowhere is of no use")
    for what, names in (("haproxy_vip_backends", backends), ("haproxy_vip_frontends", frontends)):
        found += twice(what, names)
    taken = {}
    for index, frontend in enumerate(values["haproxy_vip_frontends"]):
        found += check_frontend("haproxy_vip_frontends[%d]" % index, frontend, backends, values, taken)
    for index, backend in enumerate(values["haproxy_vip_backends"]):
        found += check_backend("haproxy_vip_backends[%d]" % index, backend)
    for key, value in values["haproxy_vip_defaults"].items():
        if key.startswith("timeout_") and value < 1:
            found.append("haproxy_vip_defaults.%s: %s is no time; write milliseconds, such as 5000" % (key, value))
    return found + check_words(values)


def check_words(values):
    """Values that are one word of a line: with white space in them they would be more than one."""
    found = []
    told = values["haproxy_vip_global"]
    words = [("haproxy_vip_global." + key, told.get(key) or "none") for key in ("chroot", "user", "group")]
    for index, log in enumerate(told.get("log") or []):
        words += [("haproxy_vip_global.log[%d].%s" % (index, key), log[key]) for key in ("address", "facility")]
    for key, text in sorted((told.get("stats_socket") or {}).items()):
        words.append(("haproxy_vip_global.stats_socket." + key, text))
    for index, frontend in enumerate(values["haproxy_vip_frontends"]):
        for number, bind in enumerate(frontend["binds"]):
            where = "haproxy_vip_frontends[%d].binds[%d]." % (index, number)
            words += [(where + key, bind[key]) for key in ("certificate", "alpn") if bind.get(key)]
        for number, acl in enumerate(frontend.get("acls") or []):
            words.append(("haproxy_vip_frontends[%d].acls[%d].name" % (index, number), acl["name"]))
    for index, backend in enumerate(values["haproxy_vip_backends"]):
        for number, server in enumerate(backend["servers"]):
            words.append(("haproxy_vip_backends[%d].servers[%d].ca_file" % (index, number), server.get("ca_file") or "none"))
        for key, text in (backend.get("health") or {}).items():
            if key in ("method", "host"):
                words.append(("haproxy_vip_backends[%d].health.%s" % (index, key), text or "none"))
    for where, text in words:
        if not WORD.match(text):
            found.append("%s: %r is not one word; write it without white space, quotes and #" % (where, text))
    return found


def addresses(values):
    """(this host's own address, the networks of its interfaces) as the facts tell them."""
    facts, interface = values["facts"], values["haproxy_vip_interface"] or ""
    link = (facts.get(interface.replace("-", "_")) or {}).get("ipv4")
    interfaces = {name: [] for name in facts.get("interfaces") or []}
    if link and interface in interfaces:
        interfaces[interface] = [network(link)]
    return (link or {}).get("address", ""), interfaces


def check_address(values, own, interfaces):
    address, interface = values["haproxy_vip_address"], values["haproxy_vip_interface"]
    if not address:
        if values["haproxy_vip_managed_by"] == "keepalived":
            return ["haproxy_vip_address is required with haproxy_vip_managed_by: keepalived; write it with its prefix, such as 10.0.0.10/24"]
        return []
    if "/" not in address:
        return ["haproxy_vip_address: %s has no prefix length; write the subnet's too, such as %s/24" % (address, address)]
    try:
        wanted = ipaddress.ip_interface(address)
    except ValueError:
        return ["haproxy_vip_address: %s is not an IP address with a prefix length, such as 10.0.0.10/24" % address]
    if interface not in interfaces:
        known = ", ".join(sorted(interfaces)) or "none"
        return ["haproxy_vip_interface: this host has no interface %s; it has %s" % (interface or "(empty)", known)]
    networks = [ipaddress.ip_network(network, strict=False) for network in interfaces[interface]]
    if not networks:  # facts without addresses: the host's own check has the last word
        return []
    if not any(wanted.ip in network for network in networks if network.version == wanted.version):
        told = ", ".join(map(str, networks))
        return ["haproxy_vip_address: %s is outside the subnet of %s, which is %s; its neighbours would never ask for it" % (wanted.ip, interface, told)]
    if wanted.ip in (wanted.network.network_address, wanted.network.broadcast_address) and wanted.network.prefixlen < 31:
        return ["haproxy_vip_address: %s is the network's own address, no host's" % wanted.ip]
    if str(wanted.ip) == own:
        return ["haproxy_vip_address: %s is this host's own address; a floating address belongs to none" % wanted.ip]
    return []


def check_manager(values, own):
    if values["haproxy_vip_managed_by"] != "keepalived":
        return []
    told = over(KEEPALIVED, values["haproxy_vip_keepalived"])
    groups = sorted(set(values.get("group_names") or ()) & {"bot_hosts", "cluster_nodes"})
    if groups:
        return [
            "haproxy_vip_managed_by: keepalived moves an address without switching the other host off, so in front of a bot two copies could "
            "trade; %s is in %s, use haproxy_vip_managed_by: cluster" % (values["inventory_hostname"], " and ".join(groups))
        ]
    if not told["stateless"]:
        return ["haproxy_vip_keepalived.stateless has to be true: keepalived may have the address on both hosts at once, so nothing behind it may keep state"]
    found = []
    if not told["peers"]:
        found.append("haproxy_vip_keepalived.peers is empty; name the other hosts' addresses, for VRRP is sent to them alone")
    for index, peer in enumerate(told["peers"]):
        try:
            if str(ipaddress.ip_address(peer)) == own:
                found.append("haproxy_vip_keepalived.peers[%d]: %s is this host itself" % (index, peer))
        except ValueError:
            found.append("haproxy_vip_keepalived.peers[%d]: %s is not an IP address" % (index, peer))
    if not 1 <= told["router_id"] <= 255:
        found.append("haproxy_vip_keepalived.router_id: %s is outside 1 to 255" % told["router_id"])
    if not 0 <= told["priority"] <= 254:
        found.append("haproxy_vip_keepalived.priority: %s is outside 1 to 254" % told["priority"])
    return found


def check_port(where, port):
    if 1 <= port <= 65535:
        return []
    return ["%s: port %s does not exist; ports go from 1 to 65535" % (where, port)]


def check_name(where, name):
    return [] if IDENTIFIER.match(name) else ["%s.name: %r is not a name; use letters, digits, . : _ and -" % (where, name)]


def check_frontend(where, frontend, backends, values, taken):
    found = check_name(where, frontend["name"])
    binds = frontend.get("binds") or []
    if not binds:
        found.append("%s.binds is empty; give an address and a port" % where)
    for index, given in enumerate(binds):
        here, bind = "%s.binds[%d]" % (where, index), over(BIND, given)
        found += check_port(here + ".port", bind["port"])
        if bind["address"] == "vip" and not values["haproxy_vip_address"]:
            found.append("%s.address: vip stands for haproxy_vip_address, which is empty" % here)
        elif bind["address"] not in ("vip", "*"):
            try:
                ipaddress.ip_address(bind["address"])
            except ValueError:
                found.append("%s.address: %s is not an IP address; write one, * for all, or vip" % (here, bind["address"]))
        if bind["tls"] and not (bind["certificate"] or bind["certificate_pem"]):
            found.append("%s: TLS needs a certificate; give certificate (a path on the host) or certificate_pem" % here)
        if bind["certificate"] and not bind["certificate"].startswith("/"):
            found.append("%s.certificate: %s is not an absolute path" % (here, bind["certificate"]))
        if bind["certificate_pem"] and "PRIVATE KEY" not in bind["certificate_pem"]:
            found.append("%s.certificate_pem: there is no private key in it; HAProxy wants certificate, chain and key in one file" % here)
        place = (bind["address"], bind["port"])
        if place in taken:
            found.append("%s: %s port %s is bound by %s already" % (here, place[0], place[1], taken[place]))
        taken[place] = here
    wanted = [("default_backend", frontend.get("default_backend"))]
    wanted += [("use_backends[%d].backend" % i, use["backend"]) for i, use in enumerate(frontend.get("use_backends") or [])]
    for key, name in wanted:
        if name and name not in backends:
            found.append("%s.%s: there is no backend %s; haproxy_vip_backends has %s" % (where, key, name, ", ".join(backends) or "none"))
    if not frontend.get("default_backend") and not frontend.get("use_backends") and not frontend.get("redirect_https"):
        found.append("%s: requests lead nowhere; give default_backend, use_backends or redirect_https" % where)
    acls = {acl["name"] for acl in frontend.get("acls") or []}
    for index, use in enumerate(frontend.get("use_backends") or []):
        for word in re.sub(r"\{[^}]*\}", " ", use["if"]).split():
            name = word.lstrip("!")
            if name and name not in ("or", "||") and name.upper() == name.lower():
                continue
            if name not in acls and name not in ("or", "||", "TRUE", "FALSE", "HTTP", "LOCALHOST", "METH_GET", "METH_POST"):
                found.append("%s.use_backends[%d].if: there is no acl %s here" % (where, index, name))
    return found


def check_backend(where, backend):
    found = check_name(where, backend["name"])
    servers = [over(SERVER, server) for server in backend.get("servers") or []]
    if not servers:
        found.append("%s.servers is empty; %s has nobody to send requests to" % (where, backend["name"]))
    elif all(server["backup"] for server in servers):
        found.append("%s.servers: all are backups; one at least has to be there for normal times" % where)
    balance = (backend.get("balance") or "roundrobin").split("(")[0].split(" ")[0]
    if balance not in BALANCE:
        found.append("%s.balance: %s is unknown; use %s" % (where, backend["balance"], ", ".join(BALANCE)))
    found += twice(where + ".servers", [server["name"] for server in servers])
    for index, server in enumerate(servers):
        here = "%s.servers[%d]" % (where, index)
        found += check_name(here, server["name"]) + check_port(here + ".port", server["port"])
        try:
            ipaddress.ip_address(str(server["address"]))
        except ValueError:
            if not HOST.match(str(server["address"])):
                found.append("%s.address: %s is neither an IP address nor a host name" % (here, server["address"]))
        if server["tls"] and not server["ca_file"]:
            found.append("%s.ca_file is required with tls: without it any certificate would be believed" % here)
        for key in ("interval_ms", "rise", "fall"):
            if server[key] < 1:
                found.append("%s.%s: %s is too small; the least is 1" % (here, key, server[key]))
    health = backend.get("health") or {}
    if health.get("path") is not None and (not health["path"].startswith("/") or " " in health["path"]):
        found.append("%s.health.path: %s is not a path; begin it with / and leave out spaces" % (where, health["path"]))
    if health.get("expect") is not None and not EXPECT.match(health["expect"]):
        found.append("%s.health.expect: %s is unknown; write `status 200`, `rstatus ^2`, `string ok` or `rstring ^ok`" % (where, health["expect"]))
    return found
