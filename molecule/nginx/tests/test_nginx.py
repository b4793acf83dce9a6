"""What clients see: real TLS, real limits, real refusals, real renewal."""

import base64
import contextlib
import http.client
import socket
import ssl
import subprocess
import threading
import time

import pytest
from sandbox import assert_sandboxed

from conftest import ROOT, SCRATCH

testinfra_hosts = ["ansible://nginx-debian12", "ansible://nginx-debian13"]


# --- TLS and names ------------------------------------------------------------------------------------------


def test_https_answers_with_the_authority_s_chain(web):
    for site in ("bot", "www"):
        answer = web.https(web.name(site), "/health")
        assert answer.status == 200 and answer.json["path"] == "/health"
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "nginx", "the version is nobody's business"


def test_wildcard_certificate_came_by_the_dns_challenge(web):
    name = f"any.wild-{web.release}.lab.test"
    assert web.https(name).status == 200
    with web.tls(name) as connection:
        assert ("DNS", f"*.wild-{web.release}.lab.test") in connection.getpeercert()["subjectAltName"]


def test_provided_and_selfsigned_certificates(web, host, tmp_path):
    assert web.https(web.name("given"), authority=SCRATCH / "given.crt").status == 200
    own = tmp_path / "self.pem"
    own.write_text(host.file(f"/etc/nginx/botops/live/{web.name('self')}/fullchain.pem").content_string)
    answer = web.https(web.name("self"), authority=own)
    assert answer.status == 200
    assert "Strict-Transport-Security" not in answer.headers
    with pytest.raises(ssl.SSLCertVerificationError):
        web.https(web.name("self"))


def test_what_an_earlier_version_left_was_taken_over(web, host):
    """Debian 13 had a directory under the old name: the certificate that clients trust by now is the one that is served."""
    assert not host.file("/etc/nginx/fleet").exists
    if web.release == "debian13":
        chain = f"/etc/nginx/botops/live/{web.name('self')}/fullchain.pem"
        assert host.check_output(f"openssl x509 -noout -serial -in {chain}") == f"serial={4711:X}"


def sslyze(web, site):
    argv = ["sslyze", "--mozilla_config=intermediate", f"--certinfo_ca_file={ROOT}", f"--sni={web.name(site)}"]
    return subprocess.run([*argv, f"{web.address}:443"], text=True, capture_output=True)


def test_mozilla_intermediate(web):
    done = sslyze(web, "bot")
    assert "OK - Compliant" in done.stdout, done.stdout[-1500:]
    assert done.returncode == 0


def test_mozilla_intermediate_but_for_trust(web):
    """Nobody vouches for a self-signed certificate; nothing else may be wrong with it."""
    verdict = sslyze(web, "self").stdout.partition("FAILED - Not compliant.")[2]
    issues = [line.strip() for line in verdict.splitlines() if line.strip().startswith("*")]
    assert len(issues) == 1 and issues[0].startswith("* certificate_path_validation:"), verdict


def test_http2(web):
    with web.tls(web.name("bot"), alpn=["h2", "http/1.1"]) as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_http2_can_be_refused_by_one_site_where_nginx_can(web):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection((web.address, 443)), server_hostname=web.name("self")) as connection:
        # Until 1.25.1 HTTP/2 belongs to the socket, which other sites share.
        assert connection.selected_alpn_protocol() == ("h2" if web.release == "debian12" else "http/1.1")


def test_an_unknown_name_gets_no_answer_and_no_certificate(web):
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        web.http("unknown.example.com")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name in ("unknown.example.com", None):
        with pytest.raises(ssl.SSLError), socket.create_connection((web.address, 443)) as plain:
            context.wrap_socket(plain, server_hostname=name)


def test_a_known_handshake_does_not_open_another_name(web):
    with (
        contextlib.closing(web.connection(web.name("bot"))) as connection,
        pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)),
    ):
        web.ask(connection, "/", {"Host": "unknown.example.com"})


# --- what is served -------------------------------------------------------------------------------------------


def test_http_is_redirected_but_the_challenge_is_not(web):
    answer = web.http(web.name("bot"), "/a?b=c")
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{web.name('bot')}/a?b=c")
    assert web.http(web.name("bot"), "/.well-known/acme-challenge/none").status == 404
    assert web.http(web.name("given"), "/").status == 200, "redirect_http: false serves both"


def test_a_burst_is_answered_429_on_its_path_only(web):
    time.sleep(2)  # let the bucket of an earlier test run empty
    with contextlib.closing(web.connection(web.name("bot"))) as connection:
        statuses = [web.ask(connection, "/api/x").status for _ in range(30)]
        elsewhere = {web.ask(connection, "/other").status for _ in range(30)}
    assert statuses[:6] == [200] * 6, "one by the rate and five by the burst"
    assert 10 < statuses.count(429) < 25
    assert set(statuses) == {200, 429}
    assert elsewhere == {200}


def test_websocket_passes_through(web):
    request = f"GET /ws/feed HTTP/1.1\r\nHost: {web.name('bot')}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with web.tls(web.name("bot")) as connection:
        connection.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 ")
        for message in (b"tick 1", b"\x82\x02\x00\xff"):
            connection.sendall(message)
            assert connection.recv(4096) == message


def test_an_upgrade_elsewhere_does_not(web):
    answer = web.https(web.name("bot"), "/plain", {"Upgrade": "websocket", "Connection": "Upgrade"})
    assert answer.status == 200 and "Upgrade" not in answer.json["headers"]


def test_single_page_application(web):
    assert "the application" in web.http(web.name("spa"), "/deep/link").body
    script = web.http(web.name("spa"), "/app.js")
    assert script.body == "// script\n" and script.headers["Cache-Control"] == "max-age=3600"
    assert "Strict-Transport-Security" not in script.headers


def test_a_dead_server_is_passed_over_and_the_path_is_replaced(web):
    answer = web.https(web.name("bot"), "/ccxt/tickers?x=1")
    assert answer.status == 200
    assert (answer.json["port"], answer.json["path"]) == (8081, "/tickers?x=1")


def test_the_upstream_is_told_the_truth(web):
    seen = web.https(web.name("bot"), "/api/y", {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7"}).json["headers"]
    gateway = web.address.rpartition(".")[0] + ".1"
    assert (seen["X-Forwarded-For"], seen["X-Real-IP"], seen["X-Forwarded-Proto"]) == (gateway, gateway, "https")
    assert seen["Host"] == web.name("bot")
    replaced = {key.lower(): value for key, value in web.https(web.name("bot"), "/").json["headers"].items()}
    assert replaced["host"] == "bot.internal"


def test_redirects_fixed_answers_and_their_headers(web):
    moved = web.https(web.name("bot"), "/old")
    assert moved.status == 308 and moved.headers["Location"].endswith("/new")
    pong = web.https(web.name("bot"), "/ping")
    assert (pong.status, pong.body, pong.headers["Cache-Control"]) == (200, "pong", "no-store")
    assert pong.headers["X-Frame-Options"] == "SAMEORIGIN", "a location's own header must not cost it the site's"
    assert pong.headers["Strict-Transport-Security"]


def test_networks_and_passwords(web):
    assert web.https(web.name("bot"), "/office/").status == 403
    assert web.https(web.name("bot"), "/private/").status == 401
    token = base64.b64encode(b"ops:s3same").decode()
    assert web.https(web.name("bot"), "/private/", {"Authorization": f"Basic {token}"}).status == 200
    wrong = base64.b64encode(b"ops:guess").decode()
    assert web.https(web.name("bot"), "/private/", {"Authorization": f"Basic {wrong}"}).status == 401


def test_a_large_body_is_refused(web):
    answer = web.https(web.name("bot"), "/", method="POST", body=b"x" * 2_000_000)
    assert answer.status == 413


def test_status_is_for_loopback_only(web, host):
    fetch = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8089/nginx_status').read().decode())"
    assert "Active connections" in host.check_output("python3 -c %s", fetch)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((web.address, 8089), 5)
    assert web.https(web.name("bot"), "/nginx_status").json["path"] == "/nginx_status", "it reaches the bot, not nginx"


def test_its_units_are_sandboxed(host):
    with host.sudo():
        assert_sandboxed(host.check_output, ["nginx.service", "certbot.service"])


def test_small_profile(web, host):
    workers = host.check_output("pgrep -c -f '^nginx: worker process$'")
    limit = host.check_output("systemctl show -p MemoryMax --value nginx")
    if web.release == "debian12":
        assert (workers, limit) == ("1", str(128 * 1024 * 1024))
    else:
        assert limit == "infinity"


def test_keys_are_roots_alone(host, web):
    loose = host.check_output(
        "sudo find -L /etc/nginx/botops /etc/letsencrypt/archive /etc/letsencrypt/botops-hooks -type f"
        " \\( -name '*key*' -o -name auth -o -name cleanup \\) -perm /077"
    )
    assert loose == ""
    passwords = host.file("/etc/nginx/botops/htpasswd")
    assert (passwords.mode, passwords.group) == (0o750, "www-data")


# --- certificates over time -------------------------------------------------------------------------------------


def serial(web, name):
    with web.tls(name) as connection:
        return connection.getpeercert()["serialNumber"]


class Traffic(threading.Thread):
    """New connections as fast as they are answered, one slow request and one websocket, all across a renewal."""

    def __init__(self, web):
        super().__init__(daemon=True)
        self.web, self.stop, self.errors, self.answered = web, threading.Event(), [], 0

    def run(self):
        while not self.stop.is_set():
            try:
                assert self.web.https(self.web.name("bot"), "/tick").status == 200
                self.answered += 1
            except Exception as error:  # whatever it is, a client has seen it
                self.errors.append(repr(error))
            time.sleep(0.02)


def test_forced_renewal_changes_the_serial_and_drops_nobody(web, host):
    name = web.name("bot")
    before = serial(web, name)
    traffic = Traffic(web)
    slow = []
    waiting = threading.Thread(target=lambda: slow.append(web.https(name, "/slow/6").status), daemon=True)
    with web.tls(name) as socket_across:
        socket_across.sendall(f"GET /ws/ HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode())
        assert b"101" in socket_across.recv(4096)
        traffic.start()
        waiting.start()
        with host.sudo():
            renewal = host.run(
                "REQUESTS_CA_BUNDLE=/etc/nginx/botops/acme-ca.pem certbot renew --no-random-sleep-on-renew --force-renewal --cert-name %s", name
            )
        assert renewal.rc == 0, renewal.stdout + renewal.stderr
        deadline = time.monotonic() + 10
        while serial(web, name) == before and time.monotonic() < deadline:
            time.sleep(0.2)
        assert serial(web, name) != before, "nginx goes on with the old certificate"
        waiting.join()
        traffic.stop.set()
        traffic.join()
        socket_across.sendall(b"still here")
        assert socket_across.recv(4096) == b"still here"
    assert slow == [200]
    assert traffic.errors == [] and traffic.answered > 20


def test_the_timer_renews(web, host):
    name = web.name("bot")
    with host.sudo():
        assert host.service("certbot.timer").is_enabled and host.service("certbot.timer").is_running
        before = serial(web, name)
        conf = f"/etc/letsencrypt/renewal/{name}.conf"
        host.check_output("cp -p %s /root/renewal.conf", conf)
        host.check_output("sed -i '1i renew_before_expiry = 100 days' %s", conf)
        # The timer comes twice a day: what the server puts off once, the next run takes up.
        for _attempt in range(2):
            done = host.run("systemctl start certbot.service")
            deadline = time.monotonic() + 10
            while done.rc == 0 and serial(web, name) == before and time.monotonic() < deadline:
                time.sleep(0.2)
            if serial(web, name) != before:
                break
        said = host.check_output("journalctl -u certbot.service -n 20 --no-pager; tail -n 40 /var/log/letsencrypt/letsencrypt.log")
        host.check_output("sed -i '/^renew_before_expiry = 100 days/d' %s", conf)
    assert done.rc == 0, said
    assert serial(web, name) != before, said


# --- the role again -----------------------------------------------------------------------------------------------


def test_budget_of_a_run_that_changes_nothing(web, play):
    started = time.monotonic()
    run = play()
    counts = run.recap(web.inventory_name)
    # One of them gathers facts, which the site's playbook does once for all roles.
    print(f"nginx on {web.release}: {counts['ok']} tasks, {time.monotonic() - started:.1f} s")
    assert run.code == 0 and counts["changed"] == 0, run.output[-3000:]
    assert counts["ok"] <= 10


def test_refused_configuration_leaves_the_old_one(web, play, host):
    before = host.check_output("sudo sh -c 'find /etc/nginx -type f | sort | xargs sha256sum'")
    run = play(nginx_http_extra="frobnicate on;", nginx_gzip=False)
    assert run.code != 0
    assert 'unknown directive "frobnicate"' in run.output and "the old ones were put back" in run.output
    assert host.check_output("sudo sh -c 'find /etc/nginx -type f | sort | xargs sha256sum'") == before
    assert web.https(web.name("bot")).status == 200
    assert play().recap(web.inventory_name)["changed"] == 0


# From here on each test plays other variables. What the role decides does not depend on the release, so one host is enough.


@pytest.fixture
def on_debian13(web):
    if web.release != "debian13":
        pytest.skip("shown on Debian 13; the code is the same")


def extra_site(name):
    return {"name": name, "locations": [{"path": "/", "upstream": "bot"}]}


def test_the_challenge_path_is_tested_first(on_debian13, web, play, host):
    """Each obstacle has its own sentence, and the ACME server has not been asked."""
    other = {"debian12": "debian13", "debian13": "debian12"}[web.release]
    upstreams = [{"name": "bot", "servers": [{"address": "127.0.0.1:8080"}]}]
    names = ["nowhere.lab.test", "acme.lab.test", f"spa-{other}.lab.test"]
    run = play(
        nginx_upstreams=upstreams, nginx_rate_limits=[], nginx_sites=[extra_site(name) for name in [web.name("bot"), *names]]
    )
    assert run.code != 0
    said = run.output
    assert "nowhere.lab.test does not resolve: add an A or AAAA record" in said
    assert "acme.lab.test resolves to" in said and "which is not an address of this host" in said
    assert "a connection to its port 80 was refused: open port 80" in said
    assert f"spa-{other}.lab.test resolves to" in said and "answers with status 200 and other content" in said
    assert said.count("No certificate was asked for.") >= 3
    log = host.check_output("sudo sh -c 'cat /var/log/letsencrypt/letsencrypt.log*'")
    assert "nowhere.lab.test" not in log and f"spa-{other}" not in log
    # The site that could be served is served, with the certificate for the one name that is left.
    assert web.https(web.name("bot")).status == 200
    with pytest.raises(ssl.SSLError):
        web.https(web.name("www"))


def test_a_shut_port_is_told_from_a_wrong_address(on_debian13, web, play, host):
    """A name of this host whose port 80 is shut: the sentence must not send the operator to the DNS provider."""
    with host.sudo():
        host.check_output("iptables -V >/dev/null 2>&1 || apt-get install -y iptables >/dev/null")
        host.check_output("iptables -I INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    try:
        run = play(nginx_acme_key_type="rsa")
    finally:
        with host.sudo():
            host.check_output("iptables -D INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    assert run.code != 0
    assert f"{web.name('bot')} resolves to {web.address}, an address of this host, but a connection to its port 80" in run.output
    assert "correct the DNS record" not in run.output
    assert web.https(web.name("bot")).status == 200, "the certificate that is there goes on being used"


def test_an_incomplete_lineage_is_replaced_and_kept_aside(web, play, host):
    """certbot itself would store the new certificate as NAME-0001, where nobody looks, at every run."""
    name = web.name("bot")
    before = serial(web, name)
    with host.sudo():
        host.check_output("rm /etc/letsencrypt/renewal/%s.conf", name)
    assert play().code == 0
    assert serial(web, name) != before
    with host.sudo():
        assert host.file(f"/etc/nginx/botops/live/{name}").linked_to == f"/etc/letsencrypt/archive/{name}".replace("archive", "live")
        assert name + "-0001" not in host.check_output("ls /etc/letsencrypt/live")
        assert host.check_output("ls /etc/letsencrypt/incomplete/%s-*/archive", name)
        host.check_output("rm -r /etc/letsencrypt/incomplete")
    assert play().recap(web.inventory_name)["changed"] == 0


def test_syntax_of_older_releases(web, play, restored):
    """nginx 1.18 refuses no handshake: whoever asks for another name sees a certificate for none of ours."""
    if web.release == "debian13":
        pytest.skip("nginx 1.26 has its own syntax; the older one is what Debian 12 can run")
    assert play(_nginx_syntax={"http2": "listen", "reject_handshake": False}).code == 0
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((web.address, 443))
    with context.wrap_socket(plain, server_hostname="unknown.example.com") as connection:
        certificate = connection.getpeercert(binary_form=True)
        assert b"invalid" in certificate and b"lab.test" not in certificate
        connection.sendall(b"GET / HTTP/1.1\r\nHost: unknown.example.com\r\n\r\n")
        assert connection.recv(100) == b""
    assert web.https(web.name("bot")).status == 200


def test_what_is_no_longer_declared_is_gone(on_debian13, web, play, host):
    upstreams = [{"name": "bot", "servers": [{"address": "127.0.0.1:8080"}]}]
    run = play(nginx_upstreams=upstreams, nginx_rate_limits=[], nginx_sites=[extra_site(web.name("bot"))], nginx_acme_dns_hook={})
    assert run.recap(web.inventory_name)["failed"] == 0, run.output[-3000:]
    left = host.check_output("sudo find /etc/nginx/botops /etc/letsencrypt/botops-hooks -type f -o -type l")
    assert not any(word in left for word in ("spa-", "given", "self-", "htpasswd/", "auth", "cleanup")), left
    assert f"certbot delete --cert-name _wildcard.wild-{web.release}.lab.test" in run.output
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        web.http(web.name("spa"))


def test_secrets_stay_secret(on_debian13, web, play, host):
    """The declared state comes back, everything is shown: but no secret is."""
    key = (SCRATCH / "given.key").read_text().splitlines()[1]
    with host.sudo():
        host.check_output("rm -rf /etc/nginx/botops/tls /etc/nginx/botops/htpasswd /etc/letsencrypt/botops-hooks")
    run = play("-vvv", "--diff")
    assert run.code == 0, run.output[-3000:]
    assert run.recap(web.inventory_name)["changed"] >= 1
    assert web.https(web.name("given"), authority=SCRATCH / "given.crt").status == 200
    for canary in (key, "LtV4mzbLhc22rAznE7kTsoFOrRea1omj0", "canary-dns-token"):
        assert canary not in run.output
