"""What clients of the floating address see."""

import json
import ssl
import threading
import time

import pytest

from conftest import wait_for


def test_it_listens_before_the_address_is_there(proxy):
    assert f"{proxy.address}/" not in proxy.out("ip -o -4 addr show")
    assert proxy.out("systemctl is-active haproxy") == "active"
    assert f"{proxy.address}:443" in proxy.out("ss -Hltn")
    # For HAProxy's own sockets alone: nobody else on this host may bind to what is not there.
    assert proxy.out("cat /proc/sys/net/ipv4/ip_nonlocal_bind") == "0"


def test_the_address_brings_the_service(proxy):
    proxy.take_address()
    answer = proxy.get("/orders")
    assert json.loads(answer.text) == {"port": 8080, "path": "/orders"}


def test_acls(proxy):
    assert proxy.get("/private/keys").status == 403
    assert json.loads(proxy.get("/ADMIN/x").text)["port"] == 8081
    redirected = proxy.get("/anything", port=8000, address=proxy.own)
    assert redirected.status == 308 and redirected.getheader("Location").startswith("https://")


def test_tls_is_modern(proxy):
    answer = proxy.https("/orders")
    assert answer.status == 200 and answer.getheader("Strict-Transport-Security") == "max-age=600"
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        proxy.https("/orders", maximum=ssl.TLSVersion.TLSv1_2)
    assert proxy.out("stat -c '%a %U' /etc/haproxy/botops/tls/api-443.pem") == "600 root"


def test_the_backup_takes_over_and_gives_back(proxy, servers):
    assert json.loads(proxy.get("/").text)["port"] == 8080
    servers.out("echo 503 > /run/health-8080")
    try:
        begun = time.monotonic()
        wait_for(lambda: json.loads(proxy.get("/").text)["port"] == 8081, 20, "the backup server")
        print(f"\n{proxy.name}: the backup answered {time.monotonic() - begun:.1f} s after the health check turned bad")
        assert proxy.stats()[("bots", "primary")].startswith("DOWN")
    finally:
        servers.out("rm /run/health-8080")
    wait_for(lambda: json.loads(proxy.get("/").text)["port"] == 8080, 20, "the primary server")


def test_reloads_lose_nothing(proxy):
    """Three clients without a pause, one slow request across a reload, five reloads: no request may fail."""
    stop, failures, count = threading.Event(), [], [0, 0, 0]
    slow = {}

    def ask(number):
        while not stop.is_set():
            try:
                answer = proxy.get("/stream", timeout=15)
                if answer.status != 200:
                    failures.append(answer.status)
            except OSError as error:
                failures.append(repr(error))
            count[number] += 1

    def ask_slowly():
        try:
            slow["status"] = proxy.get("/slow", timeout=30).status
        except OSError as error:
            slow["status"] = repr(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    patient = threading.Thread(target=ask_slowly)
    for thread in [*threads, patient]:
        thread.start()
    before = proxy.out("pgrep -x haproxy | sort | tail -1")
    for _ in range(5):
        time.sleep(0.6)
        proxy.out("systemctl try-reload-or-restart haproxy.service")
    patient.join()
    stop.set()
    for thread in threads:
        thread.join()
    print(f"\n{proxy.name}: {sum(count)} requests during 5 reloads, {len(failures)} failed")
    assert proxy.out("pgrep -x haproxy | sort | tail -1") != before, "no new worker was started"
    assert failures == [] and sum(count) > 20
    assert slow["status"] == 200


def test_the_configuration_says_what_was_declared(proxy):
    text = proxy.out("cat /etc/haproxy/haproxy.cfg")
    for line in (
        "log /dev/log local0", "log /dev/log local1 notice", "chroot /var/lib/haproxy", "stats timeout 30s", "user haproxy",
        "stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners", "group haproxy", "daemon", "mode http",
        "option httplog", "option dontlognull", "timeout connect 1000", "timeout client 10000", "balance roundrobin", "option httpchk",
        "http-check expect status 200",
    ):  # fmt: skip
        assert f"\n    {line}\n" in text, line
    assert proxy.out("stat -c '%a %G' /run/haproxy/admin.sock") == "660 haproxy"
    assert proxy.out("haproxy -c -q -f /etc/haproxy/haproxy.cfg; echo $?") == "0"


def test_the_address_leaves(proxy):
    proxy.out(f"ip addr del {proxy.address}/{proxy.prefix} dev eth0")
    assert proxy.out("systemctl is-active haproxy") == "active"
