# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the haproxy_vip role's variables to what its templates write. Pure: used by the filter and by the checks."""

from __future__ import annotations

import ipaddress

TLS = "/etc/haproxy/botops/tls"

GLOBAL = {
    "log": [{"address": "/dev/log", "facility": "local0"}, {"address": "/dev/log", "facility": "local1", "level": "notice"}],
    "chroot": "/var/lib/haproxy",
    "stats_socket": {"path": "/run/haproxy/admin.sock", "mode": "660", "level": "admin"},
    "stats_timeout_seconds": 30,
    "user": "haproxy",
    "group": "haproxy",
    "daemon": True,
    "maxconn": 4096,
    # Connections that outlive a reload by this are cut.
    "hard_stop_after_seconds": 300,
}
DEFAULTS = {
    "log": "global",
    "mode": "http",
    "options": ["httplog", "dontlognull"],
    "timeout_connect_ms": 5000,
    "timeout_client_ms": 50000,
    "timeout_server_ms": 50000,
    "timeout_http_request_ms": 10000,
    "timeout_queue_ms": 5000,
    "timeout_tunnel_ms": 3600000,
    "timeout_check_ms": 2000,
    "retries": 3,
}
BIND = {"address": "*", "port": 0, "tls": False, "certificate": "", "certificate_pem": "", "alpn": "h2,http/1.1"}
FRONTEND = {
    "mode": "", "options": [], "acls": [], "http_request": [], "use_backends": [], "default_backend": "", "redirect_https": False,
    "hsts_seconds": 0, "maxconn": 0,
}  # fmt: skip
BACKEND = {"mode": "", "balance": "roundrobin", "options": [], "health": None, "http_request": []}
HEALTH = {"method": "GET", "path": "/health", "host": "", "expect": "status 200"}
SERVER = {
    "check": True, "backup": False, "interval_ms": 1000, "rise": 2, "fall": 3, "weight": 0, "maxconn": 0, "tls": False, "ca_file": "",
}  # fmt: skip
KEEPALIVED = {"router_id": 51, "priority": 0, "peers": [], "source": "", "interval_seconds": 1, "stateless": False}

# Mozilla's server-side TLS 5.7, for OpenSSL 3.
PROFILES = {
    "modern": {"options": "ssl-min-ver TLSv1.3 no-tls-tickets", "ciphers": ""},
    "intermediate": {
        "options": "prefer-client-ciphers ssl-min-ver TLSv1.2 no-tls-tickets",
        "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
    },
}
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


def over(defaults, given):
    """The operator's entry over the defaults."""
    return {**defaults, **(given or {})}


def vip_of(address):
    """The bare floating address, or nothing where it is none."""
    try:
        return str(ipaddress.ip_interface(address).ip) if address else ""
    except ValueError:
        return ""


def network(fact):
    """A network as ansible_facts tells it, in one word."""
    return "%s/%s" % (fact["address"], fact["netmask"])


def for_bind(address):
    return "[%s]" % address if ":" in address else address


def pem_path(frontend, bind):
    return bind["certificate"] or "%s/%s-%s.pem" % (TLS, frontend, bind["port"])


def frontend_plan(entry, vip):
    frontend = over(FRONTEND, entry)
    frontend["binds"] = []
    for given in entry.get("binds") or []:
        bind = over(BIND, given)
        bind["tls"] = bind["tls"] or bool(bind["certificate"] or bind["certificate_pem"])
        floating = bind["address"] == "vip"
        bind["listen"] = "%s:%s" % (for_bind(vip if floating else bind["address"]), bind["port"])
        # The standby does not have the address, and shall be able to start all the same: for this socket alone.
        bind["transparent"] = floating
        bind["crt"] = pem_path(frontend["name"], bind) if bind["tls"] else ""
        frontend["binds"].append(bind)
    return frontend


def backend_plan(entry):
    backend = over(BACKEND, entry)
    if backend["health"] is not None:
        backend["health"] = over(HEALTH, backend["health"])
    backend["servers"] = [over(SERVER, server) for server in entry.get("servers") or []]
    for server in backend["servers"]:
        server["where"] = "%s:%s" % (for_bind(str(server["address"])), server["port"])
    return backend


def plan(values):
    """`values` are the typed variables without the role's prefix."""
    vip = vip_of(values["address"])
    frontends = [frontend_plan(entry, vip) for entry in values["frontends"]]
    profile = PROFILES[values["tls_profile"]]
    secrets = [
        {"path": bind["crt"], "secret_content": bind["certificate_pem"].rstrip("\n") + "\n", "mode": "0600"}
        for frontend in frontends
        for bind in frontend["binds"]
        if bind["certificate_pem"] and not bind["certificate"]
    ]
    return {
        "vip": vip,
        "global": over(GLOBAL, values["global"]),
        "defaults": over(DEFAULTS, values["defaults"]),
        "frontends": frontends,
        "backends": [backend_plan(entry) for entry in values["backends"]],
        "tls": dict(profile, suites=SUITES, used=any(bind["tls"] for frontend in frontends for bind in frontend["binds"])),
        "pem_files": secrets,
        "certificates": [bind["certificate"] for frontend in frontends for bind in frontend["binds"] if bind["certificate"]],
        "ca_files": [
            server["ca_file"] for entry in values["backends"] for server in backend_plan(entry)["servers"] if server["ca_file"]
        ],
        "keepalived": over(KEEPALIVED, values["keepalived"]),
    }


def cluster_resources(address, interface, name="haproxy"):
    """What ha_cluster_resources needs for the address and the proxy, in the order of their group."""
    found = ipaddress.ip_interface(address)
    return [
        {
            "id": name + "-address",
            "agent": "ocf:heartbeat:IPaddr2",
            # The agent announces the address to the neighbours when it takes it: without that they would go on for minutes.
            "options": {"ip": str(found.ip), "cidr_netmask": str(found.network.prefixlen), "nic": interface, "arp_count": "5", "arp_interval": "100"},
        },
        {"id": name, "agent": "systemd:haproxy"},
    ]
