"""When a certificate is asked for again, and what the operator is told when it cannot be."""

import datetime
import http.server
import os
import threading

import pytest

from ansible_collections.botops.fleet.plugins.module_utils import _certificates as c

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
WANTED = {"names": ["b.example.com", "A.example.com"], "directory": "https://acme/dir", "key_type": "ecdsa", "challenge": "webroot"}
FOUND = {"names": ["a.example.com", "b.example.com"], "not_before": NOW - 30 * DAY, "not_after": NOW + 60 * DAY, "serial": "1"}
RENEWAL = {"server": "https://acme/dir", "key_type": "ecdsa", "authenticator": "webroot", "fullchain": "/x"}


def test_parse_x509():
    text = (
        "notBefore=Nov 21 08:22:16 2026 GMT\nnotAfter=Feb  9 08:22:15 2027 GMT\nserial=6F4A\n"
        "X509v3 Subject Alternative Name: \n    DNS:www.example.com, DNS:Bot.example.com\n"
    )
    parsed = c.parse_x509(text)
    assert parsed["names"] == ["bot.example.com", "www.example.com"] and parsed["serial"] == "6F4A"
    assert parsed["not_after"] == datetime.datetime(2027, 2, 9, 8, 22, 15, tzinfo=datetime.UTC)


def test_parse_renewal():
    text = "# renew_before_expiry = 30 days\nversion = 2.1.0\n[renewalparams]\nserver = https://a/dir\n[[webroot_map]]\na.b = /w\n"
    assert c.parse_renewal(text)["server"] == "https://a/dir"
    assert c.parse_renewal("") == {}


@pytest.mark.parametrize(
    ("found", "renewal", "expect"),
    [
        (FOUND, RENEWAL, None),
        (None, RENEWAL, "there is none"),
        (FOUND, None, "there is none"),
        ({**FOUND, "names": ["a.example.com"]}, RENEWAL, "names differ"),
        (FOUND, {**RENEWAL, "server": "https://staging/dir"}, "another directory, https://staging/dir"),
        (FOUND, {**RENEWAL, "key_type": "rsa"}, "key type"),
        (FOUND, {**RENEWAL, "authenticator": "manual"}, "another challenge"),
        # certbot renews at 30 of 90 days: 16 left is late but its business, 14 is not.
        ({**FOUND, "not_before": NOW - 74 * DAY, "not_after": NOW + 16 * DAY}, RENEWAL, None),
        ({**FOUND, "not_before": NOW - 76 * DAY, "not_after": NOW + 14 * DAY}, RENEWAL, "renewed long ago"),
        # Short-lived certificates are not overdue all their life.
        ({**FOUND, "not_before": NOW - 4 * DAY, "not_after": NOW + 2 * DAY}, RENEWAL, None),
    ],
)
def test_acme_reason(found, renewal, expect):
    reason = c.acme_reason(found, renewal, WANTED, NOW)
    assert reason is None if expect is None else expect in reason


def test_selfsigned_reason():
    assert c.selfsigned_reason(FOUND, WANTED["names"], NOW) is None
    assert c.selfsigned_reason(None, [], NOW) == "there is none"
    assert c.selfsigned_reason(FOUND, ["a.example.com"], NOW) == "its names differ"
    assert "30 days" in c.selfsigned_reason({**FOUND, "not_after": NOW + 29 * DAY}, WANTED["names"], NOW)


def test_certbot_argv():
    params = {"directory": "https://a/dir", "email": "", "key_type": "ecdsa", "webroot": "/w", "hooks": "/h"}
    argv = c.certbot_argv({"name": "n", "names": ["a", "b"], "challenge": "webroot"}, params)
    assert argv[-4:] == ["--domain", "a", "--domain", "b"]
    assert "--register-unsafely-without-email" in argv and argv[argv.index("--webroot-path") + 1] == "/w"
    argv = c.certbot_argv({"name": "n", "names": ["*.a"], "challenge": "dns"}, {**params, "email": "x@y.z"})
    assert argv[argv.index("--manual-auth-hook") + 1] == "/h/auth" and argv[argv.index("--email") + 1] == "x@y.z"


def test_certbot_words():
    output = "Saving debug log to /x\n- - - -\nCertbot failed to authenticate\n  Detail: no such name\nAsk for help or search\n"
    assert c.certbot_words(output) == "Certbot failed to authenticate Detail: no such name"
    assert c.certbot_words("") == "it said nothing"


@pytest.mark.parametrize(
    ("local", "outcome", "expect", "never"),
    [
        (True, ConnectionRefusedError(), "an address of this host, but a connection to its port 80 was refused", "DNS record"),
        (False, ConnectionRefusedError(), "not an address of this host, but a connection", "\n"),
        (False, TimeoutError(), "did not answer: open port 80", "\n"),
        (False, (200, "apache", None, "hello"), "status 200 and other content (server: apache)", "\n"),
        (False, (404, None, None, ""), "answers with status 404 (server: unnamed)", "and other content"),
        (True, (301, "x", "https://cdn/", ""), "redirects to https://cdn/", "DNS record"),
    ],
)
def test_judge(local, outcome, expect, never):
    sentence = c.judge("bot.example.com", "192.0.2.1", local, outcome, "token")
    assert sentence.startswith("bot.example.com resolves to 192.0.2.1, ")
    assert expect in sentence and never not in sentence
    assert ("correct the DNS record" in sentence) is not local


def test_the_path_is_fetched_as_the_server_would(tmp_path, monkeypatch):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *args):
            asked.append((self.headers["Host"], self.path))

    asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    original = c.http.client.HTTPConnection
    monkeypatch.setattr(c.http.client, "HTTPConnection", lambda host, port, timeout: original(host, server.server_port, timeout=timeout))
    monkeypatch.setattr(c, "addresses_of", lambda name: {"good.example.com": ["127.0.0.1"]}.get(name, []))
    try:
        sentences = c.check_path(["good.example.com", "lost.example.com"], str(tmp_path))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(sentences) == 1 and sentences[0].startswith("lost.example.com does not resolve: add an A or AAAA record")
    assert asked[0][0] == "good.example.com" and asked[0][1].startswith("/.well-known/acme-challenge/botops-")
    assert os.listdir(tmp_path / ".well-known/acme-challenge") == [], "the token is taken away again"


def test_is_local():
    assert c.is_local("127.0.0.1") and not c.is_local("192.0.2.1")


@pytest.mark.parametrize(
    ("found", "renewal", "parts", "expected"),
    [
        (None, None, [], False),
        (FOUND, RENEWAL, ["renewal", "live", "archive"], False),
        (FOUND, None, ["live", "archive"], True),
        (FOUND, {}, ["renewal", "live", "archive"], True),
        (None, RENEWAL, ["renewal", "live", "archive"], True),
    ],
)
def test_incomplete(found, renewal, parts, expected):
    assert c.incomplete(found, renewal, parts) is expected


def test_set_aside_keeps_what_is_served(tmp_path):
    root, links, refuge = tmp_path / "le", tmp_path / "live", tmp_path / "selfsigned" / "n"
    (root / "live/n").mkdir(parents=True)
    (root / "archive/n").mkdir(parents=True)
    links.mkdir()
    for part in ("fullchain.pem", "privkey.pem"):
        (root / "archive/n" / part).write_text(part)
        (root / "live/n" / part).symlink_to(f"../../archive/n/{part}")
    (links / "n").symlink_to(root / "live/n")
    aside = c.set_aside("n", str(links / "n"), str(refuge), str(root))
    assert sorted(os.listdir(aside)) == ["archive", "live"] and c.remnants("n", str(root)) == []
    assert os.readlink(links / "n") == str(refuge)
    assert (links / "n/privkey.pem").read_text() == "privkey.pem"
    assert (refuge / "privkey.pem").stat().st_mode & 0o077 == 0


def test_point_turns_a_link_once(tmp_path):
    link = str(tmp_path / "link")
    assert c.point(link, "/a") and not c.point(link, "/a") and c.point(link, "/b")
    assert os.readlink(link) == "/b"
