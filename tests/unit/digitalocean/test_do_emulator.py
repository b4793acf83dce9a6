"""The emulator itself: the size of a big account, the vendor's limits, real hosts behind droplets."""

import json
import os
import subprocess
import sys
import time

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
            client.post("/_emulator/faults", {"path": "/v2/account", "status": 404}, "fault")
            with pytest.raises(util("_resource").Gone):
                client.get("/v2/account")
        finally:
            server.terminate()
            warned = server.stderr.read()
    assert "are not judged" in warned


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
