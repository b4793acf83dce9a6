"""The status site of two hosts, as it is served: pages behind a password, what is wrong on them, and nothing that should not be."""

import json
import os
import re
import subprocess
import time

import pytest
from sandbox import assert_sandboxed

from conftest import LEFT, NAMES, PAGES, PASSWORD, PROJECT, eventually

BUDGET = 10
EVERYTHING = (*PAGES, "/metrics", "/state.json", "/style.css")


@pytest.mark.parametrize("user, password", [("", ""), ("ops", "wrong"), ("nobody", PASSWORD)])
def test_nobody_is_let_in_without_the_password(host, user, password):
    for path in EVERYTHING:
        status, headers, body = host.get(path, user, password)
        assert status == 401 and "Basic" in headers["WWW-Authenticate"] and "botops" not in body and "paper" not in body, path


def test_who_has_it_reads_every_page(host):
    for path in EVERYTHING:
        status, headers, body = host.get(path)
        kind = "text/html" if path.endswith("/") else {"/metrics": "text/plain", "/style.css": "text/css", "/state.json": "application/json"}[path]
        assert status == 200 and headers["Content-Type"].startswith(kind) and "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "<script" not in body and "[an error occurred" not in body and "<!--#" not in body, path
    status, headers, _body = host.get("/system")
    assert status == 301 and headers["Location"].endswith("/system/")
    assert host.get("/memory.json")[0] == 404 and host.get("/../memory.json")[0] in (400, 404)


@pytest.mark.parametrize("canary", [*LEFT["CANARIES"], PASSWORD])
def test_no_secret_is_in_anything_that_is_served_or_logged(host, canary):
    for path in EVERYTHING:
        assert canary not in host.get(path)[2], path
    assert canary not in host.out("journalctl --no-pager -q -u botops-status; cat /var/lib/node-exporter/botops_status.prom")
    # Where it may be: root alone reads it.
    assert host.out("stat -c %a /etc/botops/status_site/peers.json /etc/botops/status_site/config.json").split() == ["600", "600"]


def test_what_is_there_is_on_the_pages(host):
    state = host.look()
    found = {entry["id"]: entry for entry in state["checks"]}
    wanted = {"backup:paper", "drill", "compliance", "audit", "notify", "bot:paper", "orders:paper"}
    wanted |= {"cluster", "node:beta", "witness", "fence_test:beta", "replication:paper"} if host.name == NAMES[1] else set()
    assert {name: found.get(name, {}).get("level") for name in wanted} == dict.fromkeys(wanted, "ok")
    releases = host.get("/releases/")[2]
    assert LEFT["RELEASES"][1] in releases and "v1.1" in releases and "74.0 h" in releases
    assert state["bots"][0]["orders_total"] > 0 and state["system"]["memory_bytes"] > 0 and state["system"]["disks"][0]["used_ratio"] > 0
    assert any(entry["name"] == f"{host.site}.crt" for entry in state["system"]["certificates"]), state["system"]["certificates"]
    assert "paper" in json.loads(host.out("cat /var/lib/botops/status_site/memory.json"))["releases"]


def test_the_timer_looks_by_itself(host):
    before = json.loads(host.get("/state.json")[2])["epoch"]
    assert eventually(lambda: json.loads(host.get("/state.json")[2])["epoch"] > before, 25)
    assert host.out("systemctl show -P Result botops-status.service") == "success"
    assert host.out("cat /var/lib/node-exporter/botops_status.prom").splitlines()[0].startswith("# HELP botops_")


def test_the_unit_is_sandboxed_and_short(host):
    assert_sandboxed(host.out, ["botops-status.service"])
    began = time.monotonic()
    host.look()
    print(f"\n{host.name}: a look takes {time.monotonic() - began:.1f} s; the processor {host.out('systemctl show -P CPUUsageNSec botops-status.service')} ns")
    assert "Permission denied" not in host.out("journalctl --no-pager -q -u botops-status") and "not permitted" not in host.out(
        "journalctl -q -u botops-status"
    )


def test_each_host_tells_of_the_other_one(both):
    for host, other in (both, both[::-1]):
        page = host.get("/")[2]
        assert "other</a>" in page and "Not known" not in page, page
        other.run("systemctl stop nginx")
        try:
            host.look()
            heard = json.loads(host.out("cat /var/lib/botops/status_site/peers/other.json"))
            assert heard["error"] and heard["state"]["line"]
            # As if it had been silent for long: its last word stays, and is called old.
            host.run("""python3 - <<'END'
import json
path = "/var/lib/botops/status_site/peers/other.json"
entry = json.load(open(path)); entry["state"]["epoch"] -= 1000; json.dump(entry, open(path, "w"))
END""")
            host.look()
            page = host.get("/")[2]
            assert re.search(r"Not heard for 1[67] min; before that: ", page) and 'class="hero failed"' in page
        finally:
            other.run("systemctl start nginx")
        host.look()
        assert "Not heard" not in host.get("/")[2]


def test_a_wrong_password_for_a_peer_is_said(both):
    host = both[0]
    host.run(
        "cd /etc/botops/status_site; cp -p peers.json kept; sed -i 's/canary-status-password/canary-other-password/' peers.json"
        "; rm -f /var/lib/botops/status_site/peers/*"
    )
    try:
        host.look()
        assert "Not known: status 401" in host.get("/")[2]
    finally:
        host.run("cd /etc/botops/status_site; mv kept peers.json; systemctl start botops-status")


@pytest.mark.parametrize(
    "break_it, repair, words",
    [
        ("systemctl stop bot-paper", "systemctl start bot-paper", "Bot paper"),
        ("sed -i 's/20[0-9][0-9]-/2020-/' /var/lib/botops/evidence/backup.json", "python3 /root/left_behind.py /", "Backup of paper"),
        (
            "rm /var/lib/botops/evidence/drill.json; touch /usr/local/sbin/botops-backup",
            "rm /usr/local/sbin/botops-backup; python3 /root/left_behind.py /",
            "Verified restore",
        ),
        ("systemctl reset-failed; systemd-run -q --unit=botops-broken false; sleep 0.5", "systemctl reset-failed", "Units"),
    ],
)
def test_what_breaks_is_on_the_first_page_with_what_to_type(both, break_it, repair, words):
    host = both[0]
    subprocess.run(
        ["docker", "cp", str(PROJECT / "molecule/status_site/files/left_behind.py"), f"{host.container}:/root/left_behind.py"], check=True, capture_output=True
    )
    host.run(break_it)
    try:
        state = host.look()
        wrong = [entry for entry in state["checks"] if entry["level"] == "failed"]
        page = host.get("/")[2]
        assert any(entry["title"] == words for entry in wrong) and state["verdict"] == "failed", wrong
        assert 'class="hero failed"' in page and f">{words}</a>" in page and all(entry["advice"].split("'")[0] in page for entry in wrong)
        assert host.run("botops-status show", check=False).returncode == 1
    finally:
        host.run(repair)
    assert not any(entry["title"] == words and entry["level"] == "failed" for entry in host.look()["checks"])


def test_a_page_that_nobody_makes_any_more_says_so(host):
    assert "OLD:" not in host.get("/")[2]
    host.run("systemctl stop botops-status.timer")
    try:
        # As a page of another year: the minutes that it names are over.
        host.run("sed -i -E '/date_gmt/s/20[0-9]{2}-/2020-/g' /var/lib/botops/status_site/www/index.html")
        assert re.search(r"<div class=old role=alert>OLD: this page was made \d+ \w+ \d\d:\d\d UTC", host.get("/")[2])
        host.run('sed -i -E \'s/"epoch": [0-9.]+/"epoch": 1600000000/\' /var/lib/botops/status_site/www/state.json')
        done = host.run("botops-status show", check=False)
        assert done.returncode == 2 and "OLD: that was" in done.stderr
    finally:
        host.run("systemctl start botops-status.timer; systemctl start botops-status")
    assert "OLD:" not in host.get("/")[2]


def test_a_full_disk_leaves_the_pages_of_before(both):
    host = both[1]
    before = host.get("/style.css")[2]
    host.run(
        "systemctl stop botops-status.timer; mount -t tmpfs -o size=16k none /var/lib/botops/status_site/peers"
        "; head -c 16k /dev/zero > /var/lib/botops/status_site/peers/full || true"
    )
    try:
        done = host.run("botops-status run", check=False)
        assert done.returncode == 2 and re.fullmatch(
            r"/var/lib/botops/status_site/peers/other.json could not be written \(No space left on device\); make room in .*\n", done.stderr
        )
        assert host.get("/style.css")[2] == before and host.get("/")[0] == 200
    finally:
        host.run("umount /var/lib/botops/status_site/peers; systemctl start botops-status.timer")


def play(tmp_path, *arguments):
    (tmp_path / "again.yml").write_text("[{hosts: all, become: true, roles: [{role: botops.fleet.status_site}]}]\n")
    argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(tmp_path / "again.yml"), *arguments]
    extra = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "COLUMNS": "500", "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections")}
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PROJECT, env={**os.environ, **extra})


def test_a_run_that_changes_nothing_is_cheap(both, tmp_path):
    done = play(tmp_path)
    # Facts and Ansible's own look at the specification are not the role's.
    tasks = [int(number) - 2 for number in re.findall(r"ok=(\d+) +changed=0 ", done.stdout)]
    print(f"\nstatus_site: {tasks} tasks on a run that changes nothing (budget {BUDGET})")
    assert done.returncode == 0 and len(tasks) == 2 and max(tasks) <= BUDGET, done.stdout


def test_a_new_password_is_in_no_diff(both, tmp_path):
    peers = json.dumps({"status_site_peers": [{"name": "other", "url": "https://b.example.com/", "user": "ops", "password": "canary-new-password"}]})
    done = play(tmp_path, "--check", "--diff", "-vvv", "-e", peers)
    assert done.returncode == 0 and "peers.json" in done.stdout and "changed=1" in done.stdout
    assert "canary" not in re.sub(r"canary-new-password(?=[^\n]*ansible-playbook)", "", done.stdout)
