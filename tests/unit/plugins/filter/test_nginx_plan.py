"""The plan and what the templates make of it, for every release, without a host."""

import pathlib
import re

import jinja2
import pytest
import yaml

from ansible_collections.botops.fleet.plugins.filter.nginx_plan import FilterModule
from preflight_harness import typed_values

ROOT = pathlib.Path(__file__).resolve().parents[4]
ROLE = ROOT / "roles/nginx"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
VARS = yaml.safe_load((ROLE / "vars/main.yml").read_text())
SPECS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
SYNTAX = VARS["_nginx_syntax_by_release"]
BOT = {"name": "bot", "servers": [{"address": "127.0.0.1:8080"}], "keepalive": 32}
plan, quoted = FilterModule().filters()["nginx_plan"], FilterModule().filters()["nginx_quoted"]


class Environment(jinja2.Environment):
    """Filters of a collection have dots in their names; Ansible trims blocks."""

    def __init__(self):
        super().__init__(loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True, undefined=jinja2.StrictUndefined)
        self.filters["botops.fleet.nginx_quoted"] = quoted


def made(release="trixie", **variables):
    values = typed_values("nginx", **{"nginx_upstreams": [BOT], **variables})
    return {**plan(values, SYNTAX[release]), "values": values}


def rendered(found, path):
    entry = next(entry for entry in found["files"] if entry["path"].endswith(path))
    return Environment().get_template(entry["template"]).render(entry["vars"], _nginx_vars=found["values"])


def site(name="a.example.com", **changes):
    return {"name": name, "locations": [{"path": "/", "upstream": "bot"}], **changes}


def of_site(release="trixie", **changes):
    return rendered(made(release, nginx_sites=[site(**changes)]), "sites/a.example.com.conf")


def test_every_variable_is_documented():
    assert set(SPECS) == set(DEFAULTS)
    for name, option in SPECS.items():
        if "default" in option:
            assert option["default"] == DEFAULTS[name], name


@pytest.mark.parametrize("release", SYNTAX)
def test_syntax_by_release(release):
    found = made(release, nginx_sites=[site(), site("b.example.com", http2="no")])
    main, first, second = (rendered(found, path) for path in ("nginx.conf", "a.example.com.conf", "b.example.com.conf"))
    if SYNTAX[release]["http2"] == "directive":
        assert "http2 on;" in first and "http2 off;" in second and "ssl http2" not in main + first
    else:
        assert "http2 on;" not in first and all("listen 443 ssl http2" in text for text in (main, first, second))
    catch_all = [entry for entry in found["selfsigned"] if entry["name"] == "_catch_all"]
    assert ("ssl_reject_handshake on;" in main) is SYNTAX[release]["reject_handshake"] is not bool(catch_all)


def test_without_tls_nothing_listens_on_443():
    found = made(nginx_sites=[site(certificate={"type": "none"})])
    text = rendered(found, "nginx.conf") + rendered(found, "a.example.com.conf")
    assert "443" not in text and "Strict-Transport-Security" not in text
    assert found["packages"] == ["nginx", "openssl"]


def test_certificates_by_type():
    sites = [
        site(),
        site("b.example.com", certificate={"type": "selfsigned"}),
        site("c.example.com", certificate={"type": "provided", "certificate": "C", "key": "K"}),
        site("d.example.com", certificate={"type": "files", "certificate_path": "/d.crt", "key_path": "/d.key"}),
        site("*.e.example.com", certificate={"challenge": "dns"}),
    ]
    found = made(nginx_sites=sites, nginx_acme_dns_hook={"auth": "#!/bin/sh"})
    assert [entry["name"] for entry in found["acme"]] == ["a.example.com", "_wildcard.e.example.com"]
    assert [(e["name"], e["placeholder"]) for e in found["selfsigned"]] == [
        ("a.example.com", True),
        ("b.example.com", False),
        ("_wildcard.e.example.com", True),
    ]
    files = {entry["path"]: entry for entry in found["files"]}
    assert files["/etc/nginx/botops/tls/c.example.com.key"] == {
        "path": "/etc/nginx/botops/tls/c.example.com.key", "secret_content": "K\n", "mode": "0600",
    }  # fmt: skip
    assert "ssl_certificate /d.crt;" in rendered(found, "d.example.com.conf")
    assert files["/etc/letsencrypt/botops-hooks/auth"]["mode"] == "0700"
    assert files["/etc/letsencrypt/botops-hooks/cleanup"]["state"] == "absent"
    assert "certbot" in found["packages"]


def test_nothing_of_acme_is_left_when_no_site_uses_it():
    files = {entry["path"]: entry for entry in made(nginx_acme_ca_certificate="X")["files"]}
    for path in ("/etc/systemd/system/certbot.service.d/botops.conf", "/etc/nginx/botops/acme-ca.pem"):
        assert files[path]["state"] == "absent"
    assert files["/etc/letsencrypt/renewal-hooks/deploy/botops-nginx"]["state"] == "absent"


def test_hsts():
    assert 'Strict-Transport-Security "max-age=63072000" always' in of_site()
    assert "Strict-Transport-Security" not in of_site(certificate={"type": "selfsigned"})
    assert "Strict-Transport-Security" not in of_site(redirect_http="false")
    long = of_site(hsts={"max_age": "600", "include_subdomains": True, "preload": "yes"})
    assert '"max-age=600; includeSubDomains; preload"' in long


def test_a_location_s_header_repeats_the_site_s():
    text = of_site(locations=[{"path": "/", "upstream": "bot", "headers": {"X-A": "1"}}])
    assert text.count("X-Frame-Options") == 2 and text.count("Strict-Transport-Security") == 2


def test_a_declared_request_header_replaces_ours():
    text = of_site(locations=[{"path": "/", "upstream": "bot", "proxy_headers": {"host": "inner", "X-Real-IP": ""}}])
    assert 'proxy_set_header host "inner";' in text and "proxy_set_header Host " not in text
    assert text.count("X-Real-IP") == 1


def test_forwarded_for_is_believed_from_trusted_proxies_only():
    assert 'X-Forwarded-For "$remote_addr"' in of_site()
    found = made(nginx_sites=[site()], nginx_trusted_proxies=["10.0.0.0/8"])
    assert 'X-Forwarded-For "$proxy_add_x_forwarded_for"' in rendered(found, "a.example.com.conf")
    assert "set_real_ip_from 10.0.0.0/8;" in rendered(found, "nginx.conf")


def test_values_cannot_leave_their_token():
    text = of_site(locations=[{"path": '/a"; deny all; #', "upstream": "bot", "headers": {"X-A": 'b"; } server { \\'}}])
    assert 'location "/a\\"; deny all; #" {' in text
    assert 'add_header X-A "b\\"; } server { \\\\" always;' in text


def test_upstreams_zones_and_profiles():
    servers = [{"address": "a:1", "max_conns": "5"}, {"address": "b:1", "backup": "yes"}, {"address": "c:1", "down": "no"}]
    zones = [{"name": "api", "rate": "10r/s"}, {"name": "key", "rate": "30r/m", "size": "1m", "key": "$http_x_key"}]
    upstream = {"name": "u", "method": "least_conn", "servers": servers}
    text = rendered(made(nginx_upstreams=[upstream], nginx_rate_limits=zones, nginx_profile="small"), "nginx.conf")
    assert "server a:1 weight=1 max_fails=3 fail_timeout=30s max_conns=5;" in text
    assert "server b:1 weight=1 max_fails=3 fail_timeout=30s backup;" in text
    assert "server c:1 weight=1 max_fails=3 fail_timeout=30s;" in text and "least_conn;" in text and "keepalive 0" not in text
    assert "limit_req_zone $binary_remote_addr zone=api:10m rate=10r/s;" in text
    assert "limit_req_zone $http_x_key zone=key:1m rate=30r/m;" in text
    assert "worker_processes 1;" in text and "worker_connections 512;" in text and "keepalive_timeout 30s;" in text


def test_basic_auth_files_belong_to_their_scope():
    users = [{"name": "ops", "hash": "$6$a$b"}]
    found = made(nginx_sites=[site(basic_auth={"users": users}, locations=[
        {"path": "/", "upstream": "bot"}, {"path": "/health", "upstream": "bot", "basic_auth": {"users": []}}])])  # fmt: skip
    text = rendered(found, "a.example.com.conf")
    assert "auth_basic_user_file /etc/nginx/botops/htpasswd/a.example.com;" in text and text.count("auth_basic off;") == 2
    passwords = next(entry for entry in found["files"] if entry["path"] == "/etc/nginx/botops/htpasswd/a.example.com")
    assert (passwords["secret_content"], passwords["mode"], passwords["group"]) == ("ops:$6$a$b\n", "0640", "www-data")


@pytest.mark.parametrize("release", SYNTAX)
def test_braces_balance(release):
    found = made(release, nginx_sites=[site(), site("b.example.com", certificate={"type": "none"})])
    for path in ("nginx.conf", "a.example.com.conf", "b.example.com.conf"):
        text = re.sub(r"#.*", "", rendered(found, path))
        assert text.count("{") == text.count("}") > 0
