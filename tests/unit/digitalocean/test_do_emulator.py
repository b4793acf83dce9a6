"""The emulator itself: the size of a big account, the vendor's limits, real hosts behind droplets."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from do_harness import ROOT, TOKEN, util
from emulators.digitalocean import Emulator
from emulators.digitalocean.compute import populate

SERVER = ROOT / "tests/emulators/digitalocean/server.py"


def test_ten_thousand_droplets_are_listed_completely_in_fifty_requests():
    with Emulator(token=TOKEN) as cloud:
        populate(cloud, 10_000, duplicates=3)
        droplets = util("_digitalocean.client").Client(TOKEN, cloud.url).listing("/v2/droplets", "droplets")
        assert len(cloud.log) == 50 and len({droplet["id"] for droplet in droplets}) == 10_000
        assert len({droplet["name"] for droplet in droplets}) == 9_997
        tagged = util("_digitalocean.client").Client(TOKEN, cloud.url).listing("/v2/droplets", "droplets", tag_name="bot:kalshi")
        assert 3000 < len(tagged) < 3700


def test_it_starts_as_a_script_from_anywhere(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "BOTOPS_DIGITALOCEAN_OPENAPI"}
    command = [sys.executable, str(SERVER), "--port", "0", "--droplets", "3", "--token", TOKEN, "--latency-ms", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            url = server.stdout.readline().split()[2]
            client = util("_digitalocean.client").Client(TOKEN, url)
            assert len(client.listing("/v2/droplets", "droplets")) == 3
            log = json.loads(client._request("GET", "/_emulator/log", "log").content)
            assert [entry["path"] for entry in log] == ["/v2/droplets?per_page=200&page=1"]
            client._request("POST", "/_emulator/faults", "fault", body={"path": "/v2/account", "status": 404})
            with pytest.raises(util("_resource").Gone):
                client.get("/v2/account")
        finally:
            server.terminate()
            warned = server.stderr.read()
    assert "are not judged" in warned


@pytest.fixture
def ask(cloud):
    """`ask("POST", "/v2/droplets", {…})` as a foreign client would: (status, JSON)."""

    def call(method, path, body=None, **headers):
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json", **headers}
        request = urllib.request.Request(cloud.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.status, json.loads(answer.read())

    return call


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/cdn/endpoints"), ("POST", "/v2/volumes/actions"), ("GET", "/v2/actions"), ("POST", "/v2/firewalls/x/rules"),
        ("DELETE", "/v2/firewalls/x/tags"), ("GET", "/v2/kubernetes/clusters"), ("GET", "/v2/droplets/1/neighbors"), ("PATCH", "/v2/droplets/1"),
        ("GET", "/v2/1-clicks"),
    ],
)
def test_what_it_lacks_is_501_and_not_gone(ask, method, path):
    """404 looked as if the resource had been deleted."""
    status, said = ask(method, path, {} if method == "POST" else None)
    assert status == 501 and said["id"] == "not_implemented" and f"{method} {path}" in said["message"]


DROPLET = {"name": "bot-1", "region": "nyc3", "size": "c-2", "image": "debian-13-x64"}


def test_actions_and_engines_that_it_lacks_are_501(ask, cloud):
    number = ask("POST", "/v2/droplets", DROPLET)[1]["droplet"]["id"]
    time.sleep(0.01)
    assert ask("POST", f"/v2/droplets/{number}/actions", {"type": "rebuild", "image": "debian-13-x64"})[0] == 501
    assert ask("POST", f"/v2/droplets/{number}/actions", {"type": "dance"})[0] == 422
    cluster = {"name": "log", "engine": "kafka", "size": "db-s-1vcpu-1gb", "region": "nyc3", "num_nodes": 3}
    assert ask("POST", "/v2/databases", cluster)[0] == 501


def test_what_is_gone_is_404(ask):
    for path in ("/v2/droplets/1", "/v2/droplets/x", "/v2/vpcs/x", "/v2/actions/x", "/v2/reserved_ips/192.0.2.9", "/v2/domains/x.org/records/y"):
        assert ask("GET", path)[0] == 404, path
    ask("POST", "/v2/domains", {"name": "example.com"})
    assert ask("DELETE", "/v2/domains/example.com/records/y")[0] == 404


def test_an_address_is_reserved_once_and_never_again(ask):
    """Reserving A and B, releasing A, reserving C gave C the address of B."""
    addresses = [ask("POST", "/v2/reserved_ips", {"region": "nyc3"})[1]["reserved_ip"]["ip"] for _ in range(2)]
    ask("DELETE", f"/v2/reserved_ips/{addresses[0]}")
    addresses.append(ask("POST", "/v2/reserved_ips", {"region": "nyc3"})[1]["reserved_ip"]["ip"])
    assert len(set(addresses)) == 3
    assert {one["ip"] for one in ask("GET", "/v2/reserved_ips")[1]["reserved_ips"]} == set(addresses[1:])


WALL = {"name": "wall", "outbound_rules": [], "tags": []}
TCP = {"entry_protocol": "tcp", "entry_port": 80, "target_protocol": "tcp", "target_port": 80}
CLUSTER = {"name": "state", "engine": "pg", "size": "db-s-1vcpu-1gb", "region": "nyc3", "num_nodes": 1}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v2/firewalls", {**WALL, "inbound_rules": [{"ports": "22", "sources": {"addresses": ["10.0.0.1"]}}]}, "protocol must be"),
        ("/v2/firewalls", {**WALL, "inbound_rules": [{"protocol": "tcp", "ports": "99999", "sources": {"addresses": ["10.0.0.1"]}}]}, "are invalid"),
        ("/v2/domains/example.com/records", {"type": "AAAA", "name": "@", "data": "192.0.2.1"}, "did not match IPv6 format"),
        ("/v2/domains/example.com/records", {"type": "A", "name": "@", "data": "2001:db8::1"}, "did not match IPv4 format"),
        ("/v2/databases", {**CLUSTER, "version": "99"}, "invalid version"),
        ("/v2/load_balancers", {"name": "front", "region": "nyc3", "forwarding_rules": [{**TCP, "entry_port": 99999}]}, "between 1 and 65535"),
        ("/v2/load_balancers", {"name": "front", "region": "nyc3", "forwarding_rules": [{"entry_port": 80, "target_port": 80}]}, "protocol is invalid"),
    ],
)
def test_what_the_vendor_refuses_is_refused(ask, path, body, said):
    ask("POST", "/v2/domains", {"name": "example.com"})
    status, answer = ask("POST", path, body)
    assert status == 422 and said in answer["message"]


def test_a_trusted_source_that_is_none_is_refused(ask):
    identity = ask("POST", "/v2/databases", CLUSTER)[1]["database"]["id"]
    for rule in ({"type": "ip_addr", "value": "office"}, {"type": "droplet", "value": "x"}, {"type": "planet", "value": "x"}, {"type": "tag"}):
        assert ask("PUT", f"/v2/databases/{identity}/firewall", {"rules": [rule]})[0] == 422, rule


def test_what_the_vendors_clients_send_is_taken(ask, cloud):
    cloud.judge = None  # the document is stricter than the service
    number = ask("POST", "/v2/droplets", DROPLET)[1]["droplet"]["id"]
    time.sleep(0.01)
    assert ask("POST", f"/v2/droplets/{number}/actions", {"type": "power_on"})[0] == 201, "it is on already"
    rule = {"protocol": "icmp", "sources": {"addresses": ["10.0.0.1"]}}
    status, answer = ask("POST", "/v2/firewalls", {**WALL, "inbound_rules": [rule], "droplet_ids": [str(number)]})
    assert status == 202 and answer["firewall"]["droplet_ids"] == [number]
    assert ask("GET", "/v2/droplets/")[1]["meta"]["total"] == 1


@pytest.mark.parametrize("body", [[], "x", 5])
def test_a_body_that_is_no_object_is_refused(ask, body):
    assert ask("POST", "/v2/vpcs", body)[0] == 400


def test_a_bug_of_its_own_is_an_answer_and_fails_the_test(judge, monkeypatch):
    """The connection was dropped, which looked like a lost answer."""
    with Emulator(token=TOKEN, judge=judge) as cloud:
        before = len(cloud.violations)
        monkeypatch.setattr(cloud, "page", lambda *_: 1 / 0)
        request = urllib.request.Request(cloud.url + "/v2/vpcs", headers={"Authorization": "Bearer " + TOKEN})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        with caught.value as answer:
            assert answer.code == 500 and "the emulator has a bug: ZeroDivisionError" in json.loads(answer.read())["message"]
        assert len(cloud.violations) == before + 1 and "GET /v2/vpcs" in cloud.violations[-1]


def test_it_listens_where_it_is_told_and_links_name_the_host_that_was_asked():
    with Emulator(token=TOKEN, bind="0.0.0.0") as cloud:
        populate(cloud, 3)
        assert cloud.url.startswith("http://127.0.0.1:")
        asked = cloud.url.replace("127.0.0.1", "127.0.0.2")
        request = urllib.request.Request(asked + "/v2/droplets?per_page=1", headers={"Authorization": "Bearer " + TOKEN})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.loads(answer.read())["links"]["pages"]["next"].startswith(asked + "/v2/droplets?page=2")
    with Emulator(token=TOKEN) as cloud, pytest.raises(OSError):
        urllib.request.urlopen(cloud.url.replace("127.0.0.1", "127.0.0.2"), timeout=5)


def test_limits_are_the_vendors_when_enforced():
    with Emulator(token=TOKEN, burst=3) as cloud:
        client = util("_digitalocean.client").Client(TOKEN, cloud.url, sleep=lambda seconds: slept.append(seconds))
        slept = []
        with pytest.raises(util("_resource").Failure, match="rate limit is used up"):
            for _ in range(5):
                client.get("/v2/account")
        assert [entry["status"] for entry in cloud.log][:4] == [200, 200, 200, 429] and slept[0] == 1.0


def test_a_real_host_can_stand_behind_a_droplet(tmp_path, judge):
    """The hook is told of every event, and its answer becomes the droplet's address."""
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(
        "#!/usr/bin/env python3\nimport json, sys\ndroplet = json.load(sys.stdin)\n"
        f"open({str(told)!r}, 'a').write(sys.argv[1] + ' ' + droplet['name'] + ' ' + str(droplet['private']['user_data']) + '\\n')\n"
        "print(json.dumps({'public': '10.77.30.9', 'private': '10.77.31.9'}))\n"
    )
    hook.chmod(0o755)
    with Emulator(token=TOKEN, hook=str(hook), judge=judge) as cloud:
        client = util("_digitalocean.client").Client(TOKEN, cloud.url)
        body = {"name": "bot-1", "region": "nyc3", "size": "c-2", "image": "debian-13-x64", "user_data": "hello"}
        droplet = client.post("/v2/droplets", body, "creating")["droplet"]

        def until(status):
            for _ in range(400):
                now = client.get("/v2/droplets/%d" % droplet["id"])["droplet"]
                if now["status"] == status and not now["locked"]:
                    return now
                time.sleep(0.01)
            raise AssertionError(now["status"])

        assert util("_digitalocean.shapes").droplet(until("active"))["public_ipv4"] == "10.77.30.9"
        client.post("/v2/droplets/%d/actions" % droplet["id"], {"type": "power_off"}, "off")
        until("off")
        client.delete("/v2/droplets/%d" % droplet["id"], "deleting")
        for _ in range(400):
            if "delete" in told.read_text():
                break
            time.sleep(0.01)
    assert told.read_text().splitlines() == ["create bot-1 hello", "power_off bot-1 hello", "delete bot-1 hello"]
