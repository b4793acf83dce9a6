"""Ports that two parts of a host would both listen on, and those that only look so."""

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight._across import DECLARED_BY, conflicts
from preflight_harness import listens

SITE = {"name": "a.example.com", "certificate": {"type": "none"}, "locations": [{"path": "/", "respond": {"body": "x"}}]}
TLS = {**SITE, "certificate": {"type": "selfsigned"}}
GIT = {"type": "git", "url": "https://example.com/bot.git", "version": "v1"}


def bot(**changes):
    return {"bot_app_bots": [{"name": "paper", "module": "paper_bot", "source": GIT, **changes}]}


def bind(**changes):
    return {"haproxy_vip_frontends": [{"name": "api", "binds": [{"port": 443, **changes}]}]}


@pytest.mark.parametrize("role, variables, other, its_variables, sentence", [
    ("hardening", {"hardening_ssh_ports": [22, 443]}, "nginx", {"nginx_sites": [TLS]}, "hardening_ssh_ports[1]: port 443 is taken by nginx_sites"),
    ("nginx", {"nginx_sites": [TLS]}, "hardening", {"hardening_ssh_ports": [22, 443]}, "nginx_sites: port 443 is taken by hardening_ssh_ports[1]"),
    ("nginx", {"nginx_sites": [SITE], "nginx_status_port": 22}, "hardening", {}, "nginx_status_port: port 22 is taken by hardening_ssh_ports[0]"),
    ("nginx", {"nginx_sites": [SITE], "nginx_status_port": 8080}, "bot_app", bot(),
     "nginx_status_port: port 8080 is taken by bot_app_bots[0].health.url"),
    ("bot_app", bot(mode="compose", ports=["127.0.0.1:8089:80"]), "nginx", {"nginx_sites": [SITE]},
     "bot_app_bots[0].ports[0]: port 8089 is taken by nginx_status_port"),
    ("haproxy_vip", bind(), "nginx", {"nginx_sites": [TLS]}, "haproxy_vip_frontends[0].binds[0].port: port 443 is taken by nginx_sites"),
    ("rsync_ha", {"rsync_ha_daemon": {"user": "sync", "password": "x" * 16, "port": 22}}, "hardening", {},
     "rsync_ha_daemon.port: port 22 is taken by hardening_ssh_ports[0]"),
])
def test_a_port_that_is_wanted_twice(role, variables, other, its_variables, sentence):
    (said,) = conflicts(listens(role, **variables), listens(other, **its_variables))
    assert said.startswith(sentence), said


@pytest.mark.parametrize("role, variables, other, its_variables", [
    ("hardening", {"hardening_ssh_ports": [22, 443]}, "nginx", {"nginx_sites": [SITE]}),
    ("hardening", {}, "nginx", {"nginx_sites": [TLS], "nginx_status_port": 0}),
    ("hardening", {"hardening_ssh_ports": [8089], "hardening_ssh_listen_addresses": ["10.0.0.5"]}, "nginx", {"nginx_sites": [SITE]}),
    ("haproxy_vip", {**bind(address="vip", port=8080), "haproxy_vip_address": "10.0.0.10/24"}, "bot_app", bot()),
    ("bot_app", bot(health={"url": "https://bot.example.com/health"}), "nginx", {"nginx_sites": [TLS]}),
    ("rsync_ha", {}, "hardening", {"hardening_ssh_ports": [22, 873]}),
])
def test_ports_that_do_not_meet(role, variables, other, its_variables):
    assert conflicts(listens(role, **variables), listens(other, **its_variables)) == []


def test_all_parts_that_listen_are_compared():
    assert {role for role in DECLARED_BY if listens(role) is not None} == set(DECLARED_BY)
