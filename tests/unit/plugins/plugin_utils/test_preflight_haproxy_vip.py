"""Every sentence of the haproxy_vip role's checks, and what its plan makes of sensible variables."""

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils import _haproxy
from preflight_harness import refusals, typed_values

SERVER = {"name": "one", "address": "10.0.0.11", "port": 8080}


def values(**changes):
    good = {
        "haproxy_vip_address": "10.0.0.10/24",
        "haproxy_vip_interface": "eth0",
        "haproxy_vip_managed_by": "cluster",
        "haproxy_vip_global": {},
        "haproxy_vip_defaults": {},
        "haproxy_vip_frontends": [{"name": "api", "binds": [{"address": "vip", "port": 80}], "default_backend": "bots"}],
        "haproxy_vip_backends": [{"name": "bots", "servers": [dict(SERVER)]}],
        "haproxy_vip_tls_profile": "modern",
        "haproxy_vip_keepalived": {},
    }
    return {**good, **changes}


def check(variables):
    link = {"ipv4": {"address": "10.0.0.11", "netmask": "255.255.255.0"}}
    context = {"inventory_hostname": "primary", "group_names": variables.pop("group_names", []), "facts": {"interfaces": ["eth0", "lo"], "eth0": link}}
    return refusals("haproxy_vip", context=context, **variables)


def frontend(**keys):
    return {"haproxy_vip_frontends": [{"name": "api", "binds": [{"port": 80}], "default_backend": "bots", **keys}]}


def backend(**keys):
    return {"haproxy_vip_backends": [{"name": "bots", "servers": [dict(SERVER)], **keys}]}


def keepalived(**keys):
    return {"haproxy_vip_managed_by": "keepalived", "haproxy_vip_keepalived": {"stateless": True, "peers": ["10.0.0.12"], **keys}}


def test_good_values_pass():
    assert check(values()) == []
    assert check(values(haproxy_vip_address="", **frontend())) == []
    assert check(values(**keepalived())) == []
    use = [{"backend": "bots", "if": "is_api !is_bad or METH_GET"}]
    acls = [{"name": "is_api", "criterion": "path_beg", "values": ["/api"]}, {"name": "is_bad", "criterion": "src", "values": ["10.9.0.0/16"]}]
    assert check(values(**frontend(acls=acls, use_backends=use))) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"haproxy_vip_address": "10.0.0.10"}, "has no prefix length"),
        ({"haproxy_vip_address": "10.0.0.300/24"}, "is not an IP address with a prefix length"),
        ({"haproxy_vip_address": "10.0.1.10/24"}, "10.0.1.10 is outside the subnet of eth0, which is 10.0.0.0/24"),
        ({"haproxy_vip_address": "10.0.0.255/24"}, "is the network's own address"),
        ({"haproxy_vip_address": "10.0.0.11/24"}, "is this host's own address"),
        ({"haproxy_vip_interface": "eth7"}, "this host has no interface eth7; it has eth0, lo"),
        (frontend(binds=[]), "haproxy_vip_frontends[0].binds is empty"),
        (frontend(binds=[{"port": 70000}]), "haproxy_vip_frontends[0].binds[0].port: port 70000 does not exist"),
        (frontend(binds=[{"port": 80}, {"port": 80}]), "* port 80 is bound by haproxy_vip_frontends[0].binds[0] already"),
        (frontend(binds=[{"address": "web", "port": 80}]), "web is not an IP address; write one, * for all, or vip"),
        (frontend(binds=[{"port": 443, "tls": True}]), "TLS needs a certificate"),
        (frontend(binds=[{"port": 443, "certificate": "vip.pem"}]), "vip.pem is not an absolute path"),
        (frontend(binds=[{"port": 443, "certificate_pem": "-----BEGIN CERTIFICATE-----"}]), "there is no private key in it"),
        (frontend(default_backend="bot"), "there is no backend bot; haproxy_vip_backends has bots"),
        (frontend(default_backend=""), "requests lead nowhere"),
        (frontend(use_backends=[{"backend": "bots", "if": "is_api"}]), "use_backends[0].if: there is no acl is_api here"),
        (frontend(http_request=["deny\n  bind :99"]), "http_request[0]: holds a line break"),
        (frontend(name="a b"), "'a b' is not a name"),
        (frontend(binds=[{"port": 443, "certificate": "/etc/a b.pem"}]), "certificate: '/etc/a b.pem' is not one word"),
        (frontend(binds=[{"port": "https"}]), "haproxy_vip_frontends[0].binds[0].port: must be one whole number"),
        (frontend(binds={"port": 80}), "haproxy_vip_frontends[0].binds: must be a list"),
        ({"haproxy_vip_global": {"user": "haproxy\n daemon"}}, "haproxy_vip_global.user: holds a line break"),
        ({"haproxy_vip_global": {"chroot": None}}, "haproxy_vip_global.chroot: has no value"),
        ({"haproxy_vip_frontends": []}, "haproxy_vip_frontends is empty"),
        (backend(servers=[]), "haproxy_vip_backends[0].servers is empty; bots has nobody"),
        (backend(servers=[{**SERVER, "backup": True}]), "all are backups"),
        (backend(servers=[dict(SERVER), dict(SERVER)]), "the name one is used more than once"),
        (backend(servers=[{**SERVER, "port": 0}]), "servers[0].port: port 0 does not exist"),
        (backend(servers=[{**SERVER, "address": "a b"}]), "neither an IP address nor a host name"),
        (backend(servers=[{**SERVER, "tls": True}]), "ca_file is required with tls"),
        (backend(servers=[{**SERVER, "interval_ms": 0}]), "interval_ms: 0 is too small"),
        (backend(balance="fairest"), "balance: fairest is unknown; use roundrobin, static-rr, leastconn"),
        (backend(health={"path": "health"}), "health.path: health is not a path"),
        (backend(health={"expect": "all well"}), "health.expect: all well is unknown"),
        ({"haproxy_vip_defaults": {"timeout_client_ms": 0}}, "timeout_client_ms: 0 is no time"),
        ({**keepalived(), "haproxy_vip_address": ""}, "haproxy_vip_address is required with haproxy_vip_managed_by: keepalived"),
        ({**keepalived(), "group_names": ["bot_hosts"]}, "two copies could trade; primary is in bot_hosts, use haproxy_vip_managed_by: cluster"),
        (keepalived(stateless=False), "haproxy_vip_keepalived.stateless has to be true"),
        (keepalived(peers=[]), "haproxy_vip_keepalived.peers is empty"),
        (keepalived(peers=["10.0.0.11"]), "peers[0]: 10.0.0.11 is this host itself"),
        (keepalived(router_id=256), "router_id: 256 is outside 1 to 255"),
        (keepalived(priority=300), "priority: 300 is outside 1 to 254"),
    ],
)
def test_one_sentence(changes, sentence):
    base = values(**changes)
    if base["haproxy_vip_address"] == "" and base["haproxy_vip_managed_by"] == "keepalived":
        base.update(frontend())
    found = check(base)
    assert len(found) == 1, found
    assert sentence in found[0]


def test_plan():
    binds = [{"address": "vip", "port": 443, "certificate_pem": "PEM"}, {"address": "::1", "port": 80}]
    plan = _haproxy.plan(typed_values("haproxy_vip", **values(
        haproxy_vip_frontends=[{"name": "api", "binds": binds, "default_backend": "bots"}], haproxy_vip_global={"daemon": "no"},
    )))
    assert plan["global"]["daemon"] is False
    floating, plain = plan["frontends"][0]["binds"]
    assert floating["listen"] == "10.0.0.10:443" and floating["transparent"] and floating["crt"] == "/etc/haproxy/botops/tls/api-443.pem"
    assert plain["listen"] == "[::1]:80" and not plain["transparent"] and not plain["tls"]
    assert plan["pem_files"] == [{"path": "/etc/haproxy/botops/tls/api-443.pem", "secret_content": "PEM\n", "mode": "0600"}]
    assert plan["defaults"]["timeout_connect_ms"] == 5000 and plan["global"]["stats_socket"]["level"] == "admin"
    assert plan["tls"]["used"] and "TLSv1.3" in plan["tls"]["options"]


def test_cluster_resources():
    address, proxy = _haproxy.cluster_resources("10.0.0.10/24", "eth1")
    assert address["agent"] == "ocf:heartbeat:IPaddr2"
    assert address["options"]["ip"] == "10.0.0.10" and address["options"]["cidr_netmask"] == "24" and address["options"]["nic"] == "eth1"
    assert proxy == {"id": "haproxy", "agent": "systemd:haproxy"}
