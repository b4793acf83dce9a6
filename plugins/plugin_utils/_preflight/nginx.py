# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the nginx role's variables cannot mean. No sentence repeats a value that may be secret."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.botops.fleet.plugins.plugin_utils import _pem
from ansible_collections.botops.fleet.plugins.plugin_utils._nginx import LOCATION, MODIFIERS, REDIRECTS
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._twice import twice

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
SERVER_NAME = re.compile(r"^(\*\.)?%s(\.%s)*$" % (LABEL, LABEL), re.IGNORECASE)
IDENTIFIER = re.compile(r"^[a-z][a-z0-9_-]*$", re.IGNORECASE)
HEADER = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
SIZE = re.compile(r"^[1-9][0-9]*[kmg]?$", re.IGNORECASE)
ZONE_SIZE = re.compile(r"^[1-9][0-9]*[km]$", re.IGNORECASE)
RATE = re.compile(r"^[1-9][0-9]*r/[sm]$")
EXPIRES = re.compile(r"^(-?[0-9]+(ms|[smhdwMy])?|epoch|max|off)$")
EMAIL = re.compile(r"^[^@\s,]+@[^@\s,]+\.[^@\s,]+$")
ADDRESS = re.compile(r"^(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?)(:(?P<port>[0-9]+))?$", re.IGNORECASE)
HASH = re.compile(r"^\$(6|5|2[aby]|y|apr1|1)\$")
# Texts that may hold line breaks: directives taken as they are, PEM, scripts, and what nginx_quoted wraps.
MULTILINE = (
    "nginx_sites.certificate.certificate", "nginx_sites.certificate.key", "nginx_sites.extra", "nginx_sites.locations.extra",
    "nginx_sites.locations.respond.body", "nginx_http_extra", "nginx_acme_ca_certificate", "nginx_acme_dns_hook.auth", "nginx_acme_dns_hook.cleanup",
)
# Names that no public authority signs.
PRIVATE_NAMES = (".test", ".local", ".localhost", ".internal", ".lan", ".home", ".example", ".invalid", ".home.arpa")
LETSENCRYPT = "api.letsencrypt.org"
ANSWERS = ("upstream", "root", "redirect", "respond")
# Options that mean nothing without another one.
DEPENDENT = {
    "upstream_path": "upstream",
    "upstream_scheme": "upstream",
    "websocket": "upstream",
    "timeouts": "upstream",
    "proxy_headers": "upstream",
    "fallback": "root",
}

LISTENS_BY = ("nginx_sites", "nginx_status_port")


def listens(values):
    ports = [80] + ([443] if any((site.get("certificate") or {}).get("type") != "none" for site in values["nginx_sites"]) else [])
    found = [("nginx_sites", "", port) for port in ports]
    return found + ([("nginx_status_port", "127.0.0.1", values["nginx_status_port"])] if values["nginx_status_port"] else [])


def check(values):
    upstreams = {upstream.get("name") for upstream in values["nginx_upstreams"]}
    zones = {zone.get("name") for zone in values["nginx_rate_limits"]}
    found = []
    for index, upstream in enumerate(values["nginx_upstreams"]):
        found += check_upstream("nginx_upstreams[%d]" % index, upstream)
    for index, zone in enumerate(values["nginx_rate_limits"]):
        found += check_zone("nginx_rate_limits[%d]" % index, zone)
    found += twice("nginx_upstreams", [upstream.get("name") for upstream in values["nginx_upstreams"]])
    found += twice("nginx_rate_limits", [zone.get("name") for zone in values["nginx_rate_limits"]])
    for index, site in enumerate(values["nginx_sites"]):
        found += check_site("nginx_sites[%d]" % index, site, values, upstreams, zones)
    names = [name for site in values["nginx_sites"] for name in [site["name"]] + (site.get("aliases") or [])]
    found += circles(values, {name.lower() for name in names})
    found += twice("nginx_sites", [name.lower() for name in names])
    return found + check_globals(values)


HERE = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0")


def circles(values, names):
    """Upstreams that are this nginx: a request would come back to it until the connections run out."""
    found = []
    for number, upstream in enumerate(values["nginx_upstreams"]):
        for index, server in enumerate(upstream["servers"]):
            match = ADDRESS.match(server["address"])
            host, port = (match.group(1).lower(), int(match.group("port") or 80)) if match else ("", 0)
            if port in (80, 443) and (host in HERE or host in names):
                found.append(
                    "nginx_upstreams[%d].servers[%d].address: %s is this nginx itself, so requests would go round in a circle; "
                    "write where the program behind it listens, such as 127.0.0.1:8080" % (number, index, server["address"])
                )
    return found


def check_network(where, text):
    if text in ("unix:", "all"):
        return []
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return ["%s: %s is not an address or network; write one such as 203.0.113.0/24" % (where, text)]
        return ["%s: %s has bits set beyond its prefix length; write %s" % (where, text, network)]
    return []


def check_headers(where, headers):
    found = []
    for name, value in (headers or {}).items():
        if not HEADER.match(str(name)):
            found.append("%s: %r is not a header name" % (where, name))
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            found.append("%s.%s: must be one text; put it in quotes" % (where, name))
    return found


def check_size(where, value):
    if value is None or SIZE.match(str(value)):
        return []
    return ["%s: %s is not a size; write a number with k, m or g, such as 10m" % (where, value)]


def check_absolute(where, path):
    if path is None or path.startswith("/"):
        return []
    return ["%s: %s is not an absolute path; begin it with /" % (where, path)]


def check_port(where, port):
    if 1 <= port <= 65535:
        return []
    return ["%s: port %d does not exist; ports go from 1 to 65535" % (where, port)]


# --- upstreams and zones -----------------------------------------------------------------------------------


def check_upstream(where, upstream):
    found = []
    if not IDENTIFIER.match(upstream["name"]):
        found.append("%s.name: %r is not a name; use letters, digits, - and _" % (where, upstream["name"]))
    servers = upstream["servers"]
    if all(server.get("backup") or server.get("down") for server in servers):
        found.append("%s.servers: no server is left to take requests; give one that is neither backup nor down" % where)
    method = upstream.get("method") or "round_robin"
    for index, server in enumerate(servers):
        here = "%s.servers[%d]" % (where, index)
        found += check_server(here + ".address", server["address"])
        if server.get("backup") and method in ("ip_hash", "random"):
            found.append("%s.backup: nginx knows no backup servers with method %s; use least_conn or round_robin" % (here, method))
        for key, least in (("weight", 1), ("max_fails", 0), ("fail_timeout", 1), ("max_conns", 0)):
            if server.get(key) is not None and server[key] < least:
                found.append("%s.%s: %d is too small; the least is %d" % (here, key, server[key], least))
    if (upstream.get("keepalive") or 0) < 0:
        found.append("%s.keepalive: a number of connections is not negative; 0 keeps none" % where)
    return found


def check_server(where, address):
    if address.startswith("unix:"):
        return check_absolute(where, address[5:])
    match = ADDRESS.match(address)
    if not match:
        return ["%s: %s is not an address; write HOST:PORT or unix:/path, without http://" % (where, address)]
    return check_port(where, int(match.group("port"))) if match.group("port") else []


def check_zone(where, zone):
    found = []
    if not IDENTIFIER.match(zone["name"]):
        found.append("%s.name: %r is not a name; use letters, digits, - and _" % (where, zone["name"]))
    if not RATE.match(zone["rate"]):
        found.append("%s.rate: %s is not a rate; write 10r/s (a second) or 30r/m (a minute)" % (where, zone["rate"]))
    size = zone.get("size")
    if size is not None and not ZONE_SIZE.match(size):
        found.append("%s.size: %s is not a size; write a number with k or m, such as 10m" % (where, size))
    elif size is not None and size[-1] in "kK" and int(size[:-1]) < 32:
        found.append("%s.size: %s is too small for nginx; the least is 32k" % (where, size))
    key = zone.get("key")
    if key is not None and not re.match(r"^[\w$.:/-]*\$[\w$.:/-]+$", key):
        found.append("%s.key: %s counts nothing; name a variable such as $binary_remote_addr" % (where, key))
    return found


# --- sites ---------------------------------------------------------------------------------------------------


def check_site(where, site, values, upstreams, zones):
    found = []
    names = [(where + ".name", site["name"])]
    names += [("%s.aliases[%d]" % (where, index), name) for index, name in enumerate(site.get("aliases") or [])]
    for here, name in names:
        if not SERVER_NAME.match(name) or len(name) > 253:
            found.append("%s: %r is not a DNS name; write one such as bot.example.com" % (here, name))
    found += check_certificate(where, site, names, values)
    found += check_scope(where, site, zones)
    found += check_size(where + ".client_max_body_size", site.get("client_max_body_size"))
    if not site.get("locations"):
        found.append("%s.locations: nothing would be served; give a location, such as {path: /, upstream: NAME}" % where)
    seen = []
    for index, location in enumerate(site.get("locations") or []):
        found += check_location("%s.locations[%d]" % (where, index), location, upstreams, zones)
        seen.append("%s%s" % (MODIFIERS[location.get("match") or "prefix"], location["path"]))
    return found + twice(where + ".locations", seen)


def check_certificate(where, site, names, values):
    certificate = site.get("certificate") or {}
    kind = certificate.get("type") or "acme"
    here = where + ".certificate"
    needed = {"provided": ["certificate", "key"], "files": ["certificate_path", "key_path"]}.get(kind, [])
    found = []
    for key in ("certificate", "key", "certificate_path", "key_path"):
        given = bool(certificate.get(key))
        if key in needed and not given:
            found.append("%s.%s: missing; a certificate of type %s needs it" % (here, key, kind))
        if given and key not in needed:
            found.append("%s.%s: belongs to another type than %s; set the type that is meant" % (here, key, kind))
    if kind == "files":
        for key in needed:
            found += check_absolute("%s.%s" % (here, key), certificate.get(key))
    if kind == "provided" and not found:
        found += _pem.check_pair(here, certificate["certificate"], certificate["key"], [name for _unused, name in names])
    if kind == "acme":
        found += check_acme(here, certificate, names, values)
    redirect, hsts = site.get("redirect_http"), site.get("hsts") or {}
    if kind == "none" and redirect:
        found.append("%s.redirect_http: there is no HTTPS to redirect to without a certificate; choose its type" % where)
    if hsts.get("enabled") and (kind == "none" or redirect is False):
        found.append("%s.hsts: needs HTTPS and redirect_http, or browsers are told two different things" % where)
    if hsts.get("max_age") is not None and hsts["max_age"] < 0:
        found.append("%s.hsts.max_age: a number of seconds is not negative; 0 makes browsers forget it" % where)
    return found


def check_acme(here, certificate, names, values):
    found = []
    challenge = certificate.get("challenge") or "webroot"
    if challenge == "dns" and not values["nginx_acme_dns_hook"].get("auth"):
        found.append("%s.challenge: dns needs a script in nginx_acme_dns_hook.auth that sets the TXT record" % here)
    public = LETSENCRYPT in values["nginx_acme_directory"]
    for where, name in names:
        if name.startswith("*.") and challenge != "dns":
            found.append("%s: an ACME server signs %s only by the dns challenge; set certificate.challenge: dns" % (where, name))
        if public and ("." not in name or name.lower().endswith(PRIVATE_NAMES) or re.match(r"^[\d.]+$", name)):
            found.append(
                "%s: Let's Encrypt signs public DNS names only, and %s is none;"
                " use certificate.type selfsigned, or another nginx_acme_directory" % (where, name)
            )
    return found


def check_scope(where, scope, zones):
    """What a site and a location have in common."""
    found = []
    for key in ("allow", "deny"):
        for index, network in enumerate(scope.get(key) or []):
            found += check_network("%s.%s[%d]" % (where, key, index), network)
    found += check_headers(where + ".headers", scope.get("headers"))
    limit = scope.get("rate_limit")
    if limit:
        here = where + ".rate_limit"
        if limit["zone"] not in zones:
            known = ", ".join(sorted(zones)) or "none is declared"
            found.append("%s.zone: %s is not in nginx_rate_limits (%s)" % (here, limit["zone"], known))
        if (limit.get("burst") or 0) < 0:
            found.append("%s.burst: a number of requests is not negative" % here)
        if limit.get("nodelay") and not limit.get("burst"):
            found.append("%s.nodelay: means nothing without a burst; give one, such as burst: 10" % here)
    auth = scope.get("basic_auth")
    if auth:
        for index, user in enumerate(auth.get("users") or []):
            here = "%s.basic_auth.users[%d]" % (where, index)
            if not user["name"] or ":" in user["name"]:
                found.append("%s.name: a user's name has no colon and is not empty" % here)
            if not HASH.match(user["hash"]) or ":" in user["hash"]:
                found.append("%s.hash: is not a hashed password; make one with `openssl passwd -6`" % here)
    return found


def check_location(where, location, upstreams, zones):
    found = check_scope(where, location, zones)
    match = location.get("match") or "prefix"
    regex = match.startswith("regex")
    if not location["path"] or (not regex and not location["path"].startswith("/")):
        found.append("%s.path: %r is not a path; begin it with /, or set match: regex" % (where, location["path"]))
    given = [key for key in ANSWERS if location.get(key)]
    if len(given) != 1:
        said = "none of them is given" if not given else "%s are given" % " and ".join(given)
        found.append("%s: give exactly one of %s; %s" % (where, ", ".join(ANSWERS), said))
    for key, master in DEPENDENT.items():
        if location.get(key) not in (None, LOCATION[key]) and not location.get(master):
            found.append("%s.%s: means nothing without %s" % (where, key, master))
    upstream = location.get("upstream")
    if upstream and upstream not in upstreams:
        known = ", ".join(sorted(upstreams)) or "none is declared"
        found.append("%s.upstream: %s is not in nginx_upstreams (%s)" % (where, upstream, known))
    path = location.get("upstream_path")
    if path is not None and not re.match(r"^/[^\s;{}\"']*$", path):
        found.append("%s.upstream_path: %r is not a path; begin it with /" % (where, path))
    if path and regex:
        found.append("%s.upstream_path: nginx cannot replace what an expression matched; use match: prefix" % where)
    found += check_absolute(where + ".root", location.get("root"))
    found += check_absolute(where + ".fallback", location.get("fallback"))
    found += check_size(where + ".client_max_body_size", location.get("client_max_body_size"))
    found += check_headers(where + ".proxy_headers", location.get("proxy_headers"))
    if location.get("expires") is not None and not EXPIRES.match(location["expires"]):
        found.append("%s.expires: %s is not a time; write 1h, 30d, max or off" % (where, location["expires"]))
    for key, seconds in (location.get("timeouts") or {}).items():
        if seconds is not None and seconds < 1:
            found.append("%s.timeouts.%s: %d is too short; the least is 1 second" % (where, key, seconds))
    redirect = dict(REDIRECTS, **(location.get("redirect") or {}))
    if location.get("redirect") and (not redirect["to"] or re.search(r"\s", redirect["to"])):
        found.append("%s.redirect.to: %r is not an address to go to" % (where, redirect["to"]))
    respond = location.get("respond") or {}
    if not 200 <= (respond.get("status") or 200) <= 599:
        found.append("%s.respond.status: %d is not a final HTTP status; use 200 to 599" % (where, respond["status"]))
    if not re.match(r"^[\w.+-]+/[\w.+-]+$", respond.get("content_type") or "text/plain"):
        found.append("%s.respond.content_type: %r is not a type such as text/plain" % (where, respond["content_type"]))
    return found


# --- the rest ------------------------------------------------------------------------------------------------


def check_globals(values):
    found = check_size("nginx_client_max_body_size", values["nginx_client_max_body_size"])
    found += check_headers("nginx_security_headers", values["nginx_security_headers"])
    for index, network in enumerate(values["nginx_trusted_proxies"]):
        found += check_network("nginx_trusted_proxies[%d]" % index, network)
    if not HEADER.match(values["nginx_real_ip_header"]):
        found.append("nginx_real_ip_header: %r is not a header name" % values["nginx_real_ip_header"])
    port = values["nginx_status_port"]
    if port:
        found += check_port("nginx_status_port", port)
        if port in (80, 443):
            found.append("nginx_status_port: %d serves the sites; choose another, or 0 to switch it off" % port)
        taken = ("127.0.0.1:%d" % port, "localhost:%d" % port)
        for upstream in values["nginx_upstreams"]:
            if any(server["address"] in taken for server in upstream["servers"]):
                found.append("nginx_status_port: the upstream %s listens on port %d; choose another" % (upstream["name"], port))
    if not 1 <= values["nginx_selfsigned_days"] <= 366:
        found.append("nginx_selfsigned_days: browsers refuse certificates for %d days; use 1 to 366" % values["nginx_selfsigned_days"])
    if values["nginx_worker_shutdown_timeout"] < 1:
        found.append("nginx_worker_shutdown_timeout: the least is 1 second")
    if not re.match(r"^https://[^\s/]+/\S*$", values["nginx_acme_directory"]):
        found.append("nginx_acme_directory: %r is not an https:// address" % values["nginx_acme_directory"])
    if values["nginx_acme_email"] and not EMAIL.match(values["nginx_acme_email"]):
        found.append("nginx_acme_email: %r is not an e-mail address; leave it empty to register without one" % values["nginx_acme_email"])
    authority = values["nginx_acme_ca_certificate"]
    if authority and not _pem.is_certificate(authority):
        found.append("nginx_acme_ca_certificate: is not a PEM certificate; it begins with -----BEGIN CERTIFICATE-----")
    for key, script in sorted((values["nginx_acme_dns_hook"] or {}).items()):
        if script and not script.lstrip().startswith("#!"):
            found.append("nginx_acme_dns_hook.%s: is not a script; begin it with #! and its interpreter" % key)
    return found
