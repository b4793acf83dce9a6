"""A host that was taken over: with what lies on it, an append-only store loses nothing, and the restore still works."""

import json

import pytest

# The name of one pack file of a repository, from the store's own disk.
PACK = "find /home/vault/{place}/data -type f | sort | head -1"
PLACES = {"rest": "rest/{host}", "vault": "{host}"}


@pytest.fixture(params=["rest", "vault"])
def repository(request, host, store):
    host.trade(0.3)
    host.rest()
    host.run(f"botops-backup run paper --wait 60 --repository {request.param}")
    return request.param, "/home/vault/" + PLACES[request.param].format(host=host.name)


def inventory(store, place):
    return store.out(f"cd {place} && find . -type f ! -path './locks/*' -exec sha256sum {{}} + | sort")


def test_the_hosts_own_credentials_can_neither_delete_nor_overwrite_nor_shorten(host, store, repository):
    name, place = repository
    before, rows = inventory(store, place), host.select("SELECT count(*), max(id) FROM orders")
    assert len(before.splitlines()) > 5
    other_key = next(key["id"] for key in json.loads(host.out(f"botops-backup restic {name} key list --json")) if not key["current"])
    for attempt in ("forget latest --prune", "forget --keep-last 1 --prune --group-by host", f"key remove {other_key}", "prune --max-unused 0"):
        # restic tries each refused file again for minutes; what it could do it has done by then.
        host.run(f"timeout 15 botops-backup restic {name} {attempt}", check=False)
        after = inventory(store, place).splitlines()
        missing = [line for line in before.splitlines() if line not in after]
        assert missing == [], f"`{attempt}` took away {missing}"
    host.run("rm -rf /var/lib/bot-paper")
    host.run(f"botops-backup restore paper --repository {name}")
    assert host.select("SELECT count(*), max(id) FROM orders") == rows


def test_a_rest_store_refuses_raw_requests(host, store):
    place = f"/home/vault/rest/{host.name}"
    pack = store.out(PACK.format(place=f"rest/{host.name}")).rpartition("/")[2]
    before = inventory(store, place)
    request = (
        "import base64, sys, urllib.request as r\n"
        "q = r.Request(sys.argv[2], method=sys.argv[1], data=b'x' if sys.argv[1] == 'POST' else None)\n"
        "q.add_header('Authorization', 'Basic ' + base64.b64encode(b'bots:canary-rest-password').decode())\n"
        "try: print(r.urlopen(q).status)\n"
        "except r.HTTPError as e: print(e.code)\n"
    )
    address = json.loads(host.out("cat /etc/botops/backups/secrets.json"))["repositories"]["rest"]["repository"].partition("@")[2]
    codes = [host.out('python3 -c "$1" "$2" "$3"', request, method, f"http://{address}/{what}")
             for method, what in (("DELETE", f"data/{pack}"), ("POST", f"data/{pack}"), ("DELETE", "config"), ("POST", "config"), ("DELETE", ""))]
    print(f"\n{host.name}: DELETE and POST on what is there: {codes}")
    assert all(code.startswith(("4", "5")) for code in codes), codes
    assert inventory(store, place) == before


def test_an_ssh_store_speaks_nothing_else(host, store):
    """Neither a shell, nor SFTP, nor an upload over what is there."""
    address = json.loads(host.out("cat /etc/botops/backups/config.json"))["repositories"][-1]["ssh"]["host"]
    keys = "-i /etc/botops/backups/ssh/vault.key -o UserKnownHostsFile=/etc/botops/backups/ssh/vault.known_hosts -o BatchMode=yes -o IdentitiesOnly=yes"
    before = inventory(store, f"/home/vault/{host.name}")
    host.run(f"timeout 5 ssh {keys} vault@{address} 'rm -rf /home/vault/{host.name}' < /dev/null", check=False)
    host.run(f"echo 'rm /home/vault/{host.name}/config' | timeout 5 sftp {keys} -b - vault@{address}", check=False)
    assert inventory(store, f"/home/vault/{host.name}") == before


def test_the_host_forgets_nothing_and_the_control_nodes_credentials_do(host, store, repository):
    """On the store's own disk, by the account that may: the very command of playbooks/prune.yml."""
    name, place = repository
    host.run(f"botops-backup run paper --wait 60 --repository {name}")
    count = len(json.loads(host.out(f"botops-backup restic {name} snapshots --json --tag bot=paper")))
    assert count >= 2
    secret = {"RESTIC_PASSWORD": json.loads(host.out("cat /etc/botops/backups/secrets.json"))["repositories"][name]["password"]}
    words = f"forget --prune --tag botops --host {host.name} --group-by host,tags --keep-daily 1"
    store.run(f"runuser -u vault -- env RESTIC_PASSWORD=\"$1\" restic --no-cache -r {place} {words}", secret["RESTIC_PASSWORD"])
    assert len(json.loads(host.out(f"botops-backup restic {name} snapshots --json --tag bot=paper"))) < count
    rows = host.select("SELECT count(*), max(id) FROM orders")
    host.run(f"botops-backup restore paper --repository {name}")
    assert host.select("SELECT count(*), max(id) FROM orders") == rows
