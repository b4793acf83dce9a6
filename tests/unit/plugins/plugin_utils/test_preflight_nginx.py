"""Every sentence names the variable and what to write instead; sound variables give none."""

import datetime
import pathlib
import re

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.botops.fleet.plugins.plugin_utils._pem import covers
from preflight_harness import refusals

ROOT = pathlib.Path(__file__).resolve().parents[4]
CASES = yaml.safe_load((ROOT / "tests/integration/bad_input/nginx.yml").read_text())
LEFT_OUT = "left out"
BOT = {"name": "bot", "servers": [{"address": "127.0.0.1:8080"}]}


def said(**variables):
    return refusals("nginx", **variables)


def site(**changes):
    return {"name": "a.example.com", "certificate": {"type": "selfsigned"}, "locations": [{"path": "/", "upstream": "bot"}], **changes}


def of_site(**changes):
    return said(nginx_sites=[site(**changes)], nginx_upstreams=[BOT], nginx_rate_limits=[{"name": "api", "rate": "5r/s"}])


def of_location(**changes):
    location = {"path": "/", "upstream": "bot", **changes}
    return of_site(locations=[{key: value for key, value in location.items() if key not in changes or value != LEFT_OUT}])


def test_defaults_and_a_sound_site_are_accepted():
    assert said() == []
    assert of_location(rate_limit={"zone": "api", "burst": "20", "nodelay": "yes"}, timeouts={"connect": 5}, allow=["10.0.0.0/8"]) == []


# Across parts is judged by the action plugin: test_preflight_across.py.
@pytest.mark.parametrize("case", [case for case in CASES if "is taken by" not in case["expect"]], ids=lambda case: case["name"])
def test_the_documented_bad_input(case):
    sentences = refusals("nginx", **case["vars"])
    assert any(re.search(case["expect"], sentence) for sentence in sentences), sentences


@pytest.mark.parametrize(
    ("changes", "expect"),
    [
        ({"path": "api"}, r"locations\[0\].path: 'api' is not a path"),
        ({"upstream_path": "/", "match": "regex"}, "cannot replace what an expression matched"),
        ({"upstream": LEFT_OUT, "root": "srv"}, "root: srv is not an absolute path"),
        ({"upstream": LEFT_OUT, "respond": {"body": "x"}, "websocket": True}, "websocket: means nothing without upstream"),
        ({"fallback": "/index.html"}, "fallback: means nothing without root"),
        ({"headers": {"Bad Name": "x"}}, "'Bad Name' is not a header name"),
        ({"headers": {"X-A": "one\ntwo"}}, "headers.X-A: holds a line break"),
        ({"proxy_headers": {"X-A": "one\r\ntwo"}}, "proxy_headers.X-A: holds a line break"),
        ({"timeouts": {"read": 0}}, "timeouts.read: 0 is too short"),
        ({"expires": "soon"}, "expires: soon is not a time"),
        ({"client_max_body_size": "lots"}, "lots is not a size"),
        ({"rate_limit": {"zone": "api", "nodelay": True}}, "nodelay: means nothing without a burst"),
        ({"rate_limit": {"zone": "api", "burst": -1}}, "burst: a number of requests is not negative"),
        ({"deny": ["nonsense"]}, r"deny\[0\]: nonsense is not an address or network"),
        ({"upstream": LEFT_OUT, "respond": {"status": 99}}, "respond.status: 99 is not a final HTTP status"),
        ({"upstream": LEFT_OUT, "redirect": {"to": "a b"}}, "redirect.to: 'a b' is not an address to go to"),
        ({"upstream": LEFT_OUT}, "none of them is given"),
        ({"basic_auth": {"users": [{"name": "a:b", "hash": "$6$x$y"}]}}, "name: a user's name has no colon"),
    ],
)
def test_locations(changes, expect):
    sentences = of_location(**changes)
    assert len(sentences) == 1 and re.search(expect, sentences[0]), sentences


@pytest.mark.parametrize(
    ("changes", "expect"),
    [
        ({"locations": []}, "nothing would be served"),
        ({"locations": [{"path": "/", "upstream": "bot"}] * 2}, "the name / is used more than once"),
        ({"certificate": {"type": "files", "certificate_path": "/a"}}, "certificate.key_path: missing"),
        ({"certificate": {"type": "files", "certificate_path": "a", "key_path": "/b"}}, "certificate_path: a is not an absolute path"),
        ({"certificate": {"type": "acme", "key": "x"}}, "certificate.key: belongs to another type than acme"),
        ({"certificate": {"type": "acme", "challenge": "dns"}}, "dns needs a script in nginx_acme_dns_hook.auth"),
        ({"certificate": {"type": "none"}, "redirect_http": True}, "there is no HTTPS to redirect to"),
        ({"redirect_http": "no", "hsts": {"enabled": "yes"}}, "hsts: needs HTTPS and redirect_http"),
        ({"hsts": {"max_age": -1}}, "hsts.max_age: a number of seconds is not negative"),
    ],
)
def test_sites(changes, expect):
    sentences = of_site(**changes)
    assert len(sentences) == 1 and re.search(expect, sentences[0]), sentences


@pytest.mark.parametrize(
    ("variables", "expect"),
    [
        ({"nginx_upstreams": [{**BOT, "servers": [{"address": "http://a:1"}]}]}, "without http://"),
        ({"nginx_upstreams": [{**BOT, "servers": [{"address": "unix:run/a"}]}]}, "is not an absolute path"),
        ({"nginx_upstreams": [{**BOT, "servers": [{"address": "a:1", "down": True}]}]}, "no server is left"),
        (
            {"nginx_upstreams": [{**BOT, "method": "ip_hash", "servers": [{"address": "a:1"}, {"address": "b:1", "backup": True}]}]},
            "no backup servers with method ip_hash",
        ),
        ({"nginx_upstreams": [{**BOT, "servers": [{"address": "a:1", "weight": 0}]}]}, "weight: 0 is too small"),
        ({"nginx_upstreams": [{**BOT, "name": "a b"}]}, "'a b' is not a name"),
        ({"nginx_upstreams": [BOT, BOT]}, "nginx_upstreams: the name bot is used more than once"),
        ({"nginx_rate_limits": [{"name": "a", "rate": "1r/s", "size": "10"}]}, "size: 10 is not a size"),
        ({"nginx_rate_limits": [{"name": "a", "rate": "1r/s", "size": "8k"}]}, "the least is 32k"),
        ({"nginx_rate_limits": [{"name": "a", "rate": "1r/s", "key": "x; deny"}]}, "name a variable such as"),
        ({"nginx_status_port": 443}, "443 serves the sites"),
        ({"nginx_selfsigned_days": 3650}, "use 1 to 366"),
        ({"nginx_acme_directory": "http://acme.example.com/dir"}, "is not an https:// address"),
        ({"nginx_acme_email": "ops"}, "is not an e-mail address"),
        ({"nginx_acme_ca_certificate": "/etc/ca.pem"}, "is not a PEM certificate"),
        ({"nginx_acme_dns_hook": {"auth": "curl token"}}, "nginx_acme_dns_hook.auth: is not a script"),
        ({"nginx_real_ip_header": "X Y"}, "is not a header name"),
        ({"nginx_trusted_proxies": ["10.0.0.1/8"]}, "write 10.0.0.0/8"),
        ({"nginx_worker_shutdown_timeout": 0}, "the least is 1 second"),
    ],
)
def test_globals(variables, expect):
    sentences = said(**variables)
    assert len(sentences) == 1 and expect in sentences[0], sentences


# --- certificates that were pasted ---------------------------------------------------------------------------


def pair(names, days=30):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return certificate.public_bytes(encoding).decode(), key, lambda lock: key.private_bytes(encoding, form, lock).decode()


def provided(certificate, key):
    return of_site(certificate={"type": "provided", "certificate": certificate, "key": key})


def test_a_provided_pair():
    certificate, _, private = pair(["*.example.com"])
    key = private(serialization.NoEncryption())
    assert provided(certificate, key) == []
    assert "was it pasted whole" in provided(certificate, key[:80])[0]
    assert "is not a PEM certificate" in provided("nonsense", key)[0]
    locked = private(serialization.BestAvailableEncryption(b"secret"))
    assert "is encrypted" in provided(certificate, locked)[0]
    other = pair(["*.example.com"])[2](serialization.NoEncryption())
    assert "does not belong to the certificate" in provided(certificate, other)[0]
    for sentence in provided(certificate, other) + provided(certificate, locked):
        assert not any(line in sentence for line in (other + locked).splitlines()[1:2])


def test_a_provided_certificate_that_is_over_or_for_others():
    certificate, _, private = pair(["b.example.com"], days=-1)
    sentences = provided(certificate, private(serialization.NoEncryption()))
    assert "expired on" in sentences[0] and "does not cover a.example.com" in sentences[1]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", "*.example.com", True),
        ("A.example.com", "a.EXAMPLE.com", True),
    ],
)
def test_covers(pattern, name, expected):
    assert covers(pattern, name) is expected
