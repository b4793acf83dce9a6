# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the nginx role's variables to what shall be on the host: pure, so that all of it can be tested without a host."""

from __future__ import annotations

HOME = "/etc/nginx/botops"
SITES = HOME + "/sites"
PROVIDED = HOME + "/tls"
PASSWORDS = HOME + "/htpasswd"
LIVE = HOME + "/live"
WEBROOT = "/var/www/botops-acme"
HOOKS = "/etc/letsencrypt/botops-hooks"
DEPLOY_HOOK = "/etc/letsencrypt/renewal-hooks/deploy/botops-nginx"
AUTHORITY = HOME + "/acme-ca.pem"
UNIT_DROPIN = "/etc/systemd/system/nginx.service.d/botops.conf"
CERTBOT_DROPIN = "/etc/systemd/system/certbot.service.d/botops.conf"
# Names of an earlier version: directories are moved, files give way to their successors.
RENAMED = {"/etc/nginx/fleet": HOME, "/var/www/fleet-acme": WEBROOT, "/etc/letsencrypt/fleet-hooks": HOOKS}
FORMER = [
    "/etc/letsencrypt/renewal-hooks/deploy/fleet-nginx",
    "/etc/systemd/system/nginx.service.d/fleet.conf",
    "/etc/systemd/system/certbot.service.d/fleet.conf",
]
# Server names cannot begin with an underscore, so this cannot be a site's.
CATCH_ALL = "_catch_all"

PROFILES = {
    "standard": {
        "worker_processes": "auto",
        "worker_connections": 1024,
        "keepalive_timeout": 65,
        "session_cache": "10m",
        "gzip_comp_level": 5,
        "log_options": "",
        "tls_buffer": "16k",
        "memory_max": "",
    },
    # One worker and small buffers, in a cage that lets the kernel sacrifice nginx before the bot.
    "small": {
        "worker_processes": "1",
        "worker_connections": 512,
        "keepalive_timeout": 30,
        "session_cache": "1m",
        "gzip_comp_level": 2,
        "log_options": " buffer=16k flush=5s",
        "tls_buffer": "4k",
        "memory_max": "128M",
    },
}

LOCATION = {
    "match": "prefix",
    "upstream": None,
    "upstream_path": None,
    "upstream_scheme": "http",
    "root": None,
    "fallback": None,
    "expires": None,
    "redirect": None,
    "respond": None,
    "websocket": False,
    "buffering": True,
    "rate_limit": None,
    "timeouts": {},
    "headers": {},
    "proxy_headers": {},
    "allow": [],
    "deny": [],
    "basic_auth": None,
    "client_max_body_size": None,
    "access_log": True,
    "extra": "",
}
SITE = {
    "aliases": [],
    "http2": True,
    "redirect_http": True,
    "hsts": {},
    "security_headers": True,
    "headers": {},
    "client_max_body_size": None,
    "rate_limit": None,
    "allow": [],
    "deny": [],
    "basic_auth": None,
    "extra": "",
}
MODIFIERS = {"prefix": "", "prefix_final": "^~ ", "exact": "= ", "regex": "~ ", "regex_nocase": "~* "}
REDIRECTS = {"to": None, "code": 301}


def quoted(value):
    """A value as one nginx token. Variables ($name) keep their meaning; quotes and backslashes lose theirs."""
    return '"%s"' % str(value).replace("\\", "\\\\").replace('"', '\\"')


def without_none(values):
    return {key: value for key, value in (values or {}).items() if value is not None}


def file_name(name):
    """`*.example.com` is a server name, but not a file name."""
    return name.replace("*", "_wildcard")


def tls_paths(site):
    """Where nginx finds the certificate of a site: (chain, key), or None without TLS."""
    certificate = site["certificate"]
    name = file_name(site["name"])
    if certificate["type"] == "none":
        return None
    if certificate["type"] == "files":
        return certificate["certificate_path"], certificate["key_path"]
    if certificate["type"] == "provided":
        return "%s/%s.crt" % (PROVIDED, name), "%s/%s.key" % (PROVIDED, name)
    return "%s/%s/fullchain.pem" % (LIVE, name), "%s/%s/privkey.pem" % (LIVE, name)


def hsts_value(site):
    wanted = dict({"enabled": None, "max_age": 63072000, "include_subdomains": False, "preload": False})
    wanted.update(without_none(site["hsts"]))
    if wanted["enabled"] is None:
        # A browser that has once seen the header refuses a self-signed certificate without appeal.
        wanted["enabled"] = site["redirect_http"] and site["certificate"]["type"] in ("acme", "provided", "files")
    if not wanted["enabled"]:
        return None
    parts = ["max-age=%d" % wanted["max_age"]]
    parts += ["includeSubDomains"] if wanted["include_subdomains"] else []
    parts += ["preload"] if wanted["preload"] else []
    return "; ".join(parts)


def password_file(site, index=None):
    name = file_name(site["name"])
    return "%s/%s" % (PASSWORDS, name if index is None else "%s.%d" % (name, index))


def normal_location(location, site, index, values):
    result = dict(LOCATION, **without_none(location))
    result["modifier"] = MODIFIERS[result["match"]]
    result["pattern"] = quoted(result["path"])
    if result["upstream"]:
        target = "%s://%s%s" % (result["upstream_scheme"], result["upstream"], result["upstream_path"] or "")
        result["proxy_pass"] = target
        result["proxy_headers"] = proxy_headers(result, values)
    if result["redirect"]:
        result["redirect"] = dict(REDIRECTS, **without_none(result["redirect"]))
    if result["respond"]:
        result["respond"] = dict({"status": 200, "body": "", "content_type": "text/plain"}, **without_none(result["respond"]))
    # A websocket may be silent for long between two messages.
    timeouts = {"connect": 5, "send": 60, "read": 3600 if result["websocket"] else 60}
    timeouts.update(without_none(result["timeouts"]))
    result["timeouts"] = timeouts
    # nginx forgets every inherited header as soon as a location adds one: say them all again there.
    result["all_headers"] = dict(site["all_headers"], **result["headers"]) if result["headers"] else {}
    if result["basic_auth"]:
        result["basic_auth"] = normal_auth(result["basic_auth"], password_file(site, index))
    return result


def proxy_headers(location, values):
    """Request headers for the upstream. A declared one replaces ours of the same name, however it is written."""
    found = {
        "Host": "$host",
        "X-Real-IP": "$remote_addr",
        # At the edge a client's own X-Forwarded-For is a lie; behind a trusted proxy it is the truth.
        "X-Forwarded-For": "$proxy_add_x_forwarded_for" if values["trusted_proxies"] else "$remote_addr",
        "X-Forwarded-Proto": "$scheme",
        "X-Request-ID": "$request_id",
        "Connection": "$botops_connection" if location["websocket"] else "",
    }
    if location["websocket"]:
        found["Upgrade"] = "$http_upgrade"
    declared = {name.lower() for name in location["proxy_headers"]}
    found = {name: value for name, value in found.items() if name.lower() not in declared}
    return dict(found, **location["proxy_headers"])


def normal_auth(auth, path):
    wanted = dict({"realm": "restricted", "users": []}, **without_none(auth))
    wanted["path"] = path
    return wanted


def normal_site(site, values):
    result = dict(SITE, **without_none(site))
    result["certificate"] = dict({"type": "acme", "challenge": "webroot"}, **without_none(result.get("certificate")))
    result["tls"] = tls_paths(result)
    if result["tls"] is None:
        result["redirect_http"] = False
    result["names"] = [result["name"]] + list(result["aliases"])
    result["client_max_body_size"] = result["client_max_body_size"] or values["client_max_body_size"]
    headers = dict(values["security_headers"]) if result["security_headers"] else {}
    hsts = hsts_value(result) if result["tls"] else None
    if hsts:
        headers["Strict-Transport-Security"] = hsts
    headers.update(result["headers"])
    result["all_headers"] = headers
    if result["basic_auth"]:
        result["basic_auth"] = normal_auth(result["basic_auth"], password_file(result))
    result["locations"] = [
        normal_location(location, result, index, values) for index, location in enumerate(site.get("locations") or [])
    ]
    result["acme_webroot"] = result["certificate"]["type"] == "acme" and result["certificate"]["challenge"] == "webroot"
    return result


def normal_upstream(upstream):
    result = dict({"method": "round_robin", "keepalive": 0, "servers": []}, **without_none(upstream))
    result["servers"] = [
        dict({"weight": 1, "max_fails": 3, "fail_timeout": 30, "max_conns": 0, "backup": False, "down": False},
             **without_none(server))
        for server in result["servers"]
    ]
    return result


def password_files(sites):
    """The htpasswd files of all sites. The workers read them, so they belong to nginx's group."""
    found = []
    for site in sites:
        for auth in [site["basic_auth"]] + [location["basic_auth"] for location in site["locations"]]:
            if auth and auth["users"]:
                lines = "".join("%s:%s\n" % (user["name"], user["hash"]) for user in auth["users"])
                found.append({"path": auth["path"], "secret_content": lines, "mode": "0640", "group": "www-data"})
    return found


def provided_files(sites):
    found = []
    for site in sites:
        if site["certificate"]["type"] == "provided":
            chain, key = tls_paths(site)
            found.append({"path": chain, "content": site["certificate"]["certificate"].strip() + "\n", "mode": "0644"})
            found.append({"path": key, "secret_content": site["certificate"]["key"].strip() + "\n", "mode": "0600"})
    return found


def acme_files(values, sites):
    """What renewal needs. Declared absent when no site asks for it, so that nothing stale is left to run."""
    used = any(site["certificate"]["type"] == "acme" for site in sites)
    hooks = used and any(site["certificate"]["challenge"] == "dns" for site in sites)
    private = used and bool(values["acme_ca_certificate"])
    found = []
    if used:
        found.append({"path": WEBROOT, "state": "directory", "mode": "0755"})
        found.append({"path": "/etc/letsencrypt/renewal-hooks/deploy", "state": "directory"})
        found.append({"path": DEPLOY_HOOK, "template": "deploy-hook.sh.j2", "mode": "0755"})
        found.append({"path": CERTBOT_DROPIN.rpartition("/")[0], "state": "directory"})
        found.append({"path": CERTBOT_DROPIN, "template": "certbot-dropin.conf.j2", "mode": "0644",
                      "vars": {"authority": AUTHORITY if private else ""}})
    else:
        found += [{"path": DEPLOY_HOOK, "state": "absent"}, {"path": CERTBOT_DROPIN, "state": "absent"}]
    if private:
        found.append({"path": AUTHORITY, "content": values["acme_ca_certificate"].strip() + "\n", "mode": "0644"})
    else:
        found.append({"path": AUTHORITY, "state": "absent"})
    if hooks:
        found.append({"path": HOOKS, "state": "directory", "mode": "0700"})
    for kind in ("auth", "cleanup"):
        path = "%s/%s" % (HOOKS, kind)
        script = values["acme_dns_hook"].get(kind) if hooks else None
        if script:
            found.append({"path": path, "secret_content": script.strip() + "\n", "mode": "0700"})
        else:
            found.append({"path": path, "state": "absent"})
    return found


def plan(values, syntax):
    """Everything the role's tasks need: packages, file_set entries, and the two lists of certificates.

    `values` are the typed variables without the role's prefix.
    """
    sites = [normal_site(site, values) for site in values["sites"]]
    upstreams = [normal_upstream(upstream) for upstream in values["upstreams"]]
    profile = PROFILES[values["profile"]]
    # Given to each site's template, so nothing here may grow with the number of sites.
    shared = {
        "syntax": syntax,
        "paths": {"sites": SITES, "live": LIVE, "webroot": WEBROOT, "authority": AUTHORITY, "catch_all": CATCH_ALL},
        # Before 1.25.1 HTTP/2 belongs to the socket: one site that wants it switches it on for all of them.
        "http2_socket": syntax["http2"] == "listen" and any(site["http2"] and site["tls"] for site in sites),
        "has_tls": any(site["tls"] for site in sites),
    }
    files = [
        {"path": HOME, "state": "directory", "mode": "0755"},
        {"path": SITES, "state": "directory", "mode": "0755", "purge": True},
        {"path": PROVIDED, "state": "directory", "mode": "0700", "purge": True},
        {"path": PASSWORDS, "state": "directory", "mode": "0750", "group": "www-data", "purge": True},
        {"path": UNIT_DROPIN.rpartition("/")[0], "state": "directory"},
        {"path": UNIT_DROPIN, "template": "nginx-dropin.conf.j2", "mode": "0644", "vars": {"profile": profile}},
    ]
    files += provided_files(sites) + password_files(sites) + acme_files(values, sites)
    for site in sites:
        path = "%s/%s.conf" % (SITES, file_name(site["name"]))
        files.append({"path": path, "template": "site.conf.j2", "mode": "0644", "vars": dict(shared, site=site)})
    files.append({"path": "/etc/nginx/nginx.conf", "template": "nginx.conf.j2", "mode": "0644",
                  "vars": dict(shared, profile=profile, upstreams=upstreams)})
    files += [{"path": path, "state": "absent"} for path in FORMER]
    for entry in files:
        if "template" in entry:
            entry.setdefault("vars", shared)

    own = [site for site in sites if site["certificate"]["type"] in ("acme", "selfsigned")]
    selfsigned = [
        {"name": file_name(site["name"]), "names": site["names"], "placeholder": site["certificate"]["type"] == "acme"}
        for site in own
    ]
    if shared["has_tls"] and not syntax["reject_handshake"]:
        selfsigned.append({"name": CATCH_ALL, "names": ["invalid"], "placeholder": False})
    acme = [
        {"name": file_name(site["name"]), "names": site["names"], "challenge": site["certificate"]["challenge"]}
        for site in own
        if site["certificate"]["type"] == "acme"
    ]
    return {
        "packages": ["nginx", "openssl"] + (["certbot"] if acme else []),
        "files": files,
        "renamed": RENAMED,
        "selfsigned": selfsigned,
        "acme": acme,
        "checks": [
            {
                "id": f"certificate-{certificate['name']}",
                "title": f"The certificate of {certificate['name']} is valid for two more weeks",
                "certificate": f"/etc/letsencrypt/live/{certificate['name']}/fullchain.pem",
            }
            for certificate in acme
        ],
    }
