"""What a pair does with its data. The tests of one pair build on each other: first A is active, then B, then A again."""

import json
import os
import re
import subprocess
import time

import pytest
from sandbox import assert_sandboxed

from conftest import SELECT, wait_for

# Test figures are printed: run with -s, or read the verifier's log.



def replicates(host):
    """What the agent of this era says about the database, once it has sent something."""

    def entry():
        found = ((host.status()["replication"] or {}).get("databases") or {}).get("trades.db")
        return found if found and found["replicated_txid"] else None

    return wait_for(entry, 60, f"replication from {host.name}")


def test_nothing_active_starts_by_itself(pair):
    for host in (pair.a, pair.b):
        assert host.out("systemctl is-active bot-paper botops-rsync-ha@paper botops-promote@paper || true").split() == ["inactive"] * 3
        assert host.out("systemctl is-enabled botops-rsync-ha@paper botops-promote@paper || true").split() == ["static"] * 2
        assert host.out("systemctl is-active botops-rsync-ha-settle.timer") == "active"


def test_its_units_are_sandboxed(pair):
    replication = ["@paper", "-settle", "-standby", "-offsite", "-daemon"]
    units = ["botops-promote@paper", *("botops-rsync-ha" + part for part in replication)]
    assert_sandboxed(pair.a.out, [unit + ".service" for unit in units])


def test_sshd_offers_the_classical_key_exchange_only_where_nothing_else_is_left(pair):
    if pair.release != "12":
        pytest.skip("this pair is not hardened")
    # That the pair replicates this way is what the other tests show.
    assert pair.a.out("sshd -T | sed -n 's/^kexalgorithms //p'").split(",") == ["sntrup761x25519-sha512@openssh.com", "curve25519-sha256"]


def test_a_replica_needs_a_promotion_first(pair):
    refused = pair.a.run("botops-rsync-ha run paper", check=False)
    assert refused.returncode == 1
    assert "is not active on this host: start botops-promote@paper.service first" in refused.stderr


def test_the_replica_follows(pair):
    pair.a.promote()
    wait_for(lambda: (pair.b.status()["peer_said"] or {}).get("databases", {}).get("trades.db", {}).get("replicated_txid"), 30)
    lags = []
    for _ in range(10):
        time.sleep(1)
        lags.append(pair.a.status()["replication"]["databases"]["trades.db"]["lag_seconds"])
    print(f"\n{pair.release}: lag at 100 writes a second: median {sorted(lags)[5]:.2f} s, highest {max(lags):.2f} s")
    assert sorted(lags)[2] < 2
    wait_for(lambda: not pair.a.status()["replication"]["errors"], 30, "an agent without complaints")
    status = pair.a.status()["replication"]
    assert status["errors"] == {} and status["unreplicated"] == {}


def test_metrics_and_json(pair):
    metrics = pair.a.out("cat /var/lib/textfile/rsync_ha_paper.prom")
    assert 'rsync_ha_active{bot="paper"} 1' in metrics
    lag = float(re.search(r'rsync_ha_database_lag_seconds\{bot="paper",database="trades.db"\} (\S+)', metrics).group(1))
    assert 0 <= lag < 60
    assert json.loads(pair.a.out("cat /var/lib/botops/rsync_ha/paper.json"))["replication"]["databases"]["trades.db"]["txid"] > 0
    wait_for(lambda: 'rsync_ha_active{bot="paper"} 0' in pair.b.out("cat /var/lib/textfile/rsync_ha_paper.prom"), 40)
    # The standby publishes every 15 s; the first time may be before it heard of the active host.
    wait_for(lambda: 'rsync_ha_heartbeat_age_seconds{bot="paper"}' in pair.b.out("cat /var/lib/textfile/rsync_ha_paper.prom"), 40)


def test_files_arrive_within_the_interval(pair):
    text = f"written at {time.time()}"
    pair.a.run("cd /var/lib/bot-paper; mkdir -p state/deep; printf %s \"$1\" > state/deep/file.json; echo x > no.tmp", text)
    begun = time.monotonic()
    received = "/var/lib/botops/rsync_ha/incoming/paper/files"
    wait_for(lambda: pair.b.out(f"cat {received}/state/deep/file.json 2>/dev/null || true") == text, 30, "the file")
    print(f"\n{pair.release}: a file arrived after {time.monotonic() - begun:.1f} s, the interval is 2 s")
    assert pair.b.out(f"find {received} -name '*.tmp' -o -name '*.db*'") == ""


def test_no_database_travels_as_a_file(pair):
    """Neither one that nobody declared nor one without WAL; both are reported."""
    make = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma journal_mode=' + sys.argv[2]); c.execute('create table t(x)')"
    pair.a.run('cd /var/lib/bot-paper; python3 -c "$1" cache.bin wal; python3 -c "$1" old.db delete; chown bot-paper: *', make)
    problems = wait_for(lambda: len(seen := pair.a.status()["replication"]["unreplicated"]) == 2 and seen, 30)
    assert "no pattern of `find` matches" in problems["cache.bin"]
    assert "is not in WAL mode" in problems["old.db"]
    time.sleep(5)
    assert pair.b.out("cd /var/lib/botops/rsync_ha/incoming/paper/files; ls") == "state"
    pair.a.run("rm /var/lib/bot-paper/cache.bin /var/lib/bot-paper/old.db")


def test_the_keys_serve_one_purpose(pair):
    """A shell, reading, another directory, forwarding: all refused; from elsewhere the key is no key."""
    ssh = (
        "timeout 20 ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/botops/rsync_ha/known_hosts "
        "-i /etc/botops/rsync_ha/id_ed25519 "
    )
    to = pair.b.address
    for user in ("botops-sftp", "botops-rsync"):
        for command in ("id", "sh -c id", "cat /etc/passwd", "rsync --server --sender . /etc/", ""):
            done = pair.a.run(f"{ssh} {user}@{to} '{command}' </dev/null", check=False)
            assert done.returncode != 0, (user, command, done.stdout)
            assert "uid=" not in done.stdout and "root:" not in done.stdout
        forwarded = pair.a.run(f"{ssh} -o ExitOnForwardFailure=yes -N -R 2222:127.0.0.1:22 {user}@{to} </dev/null", check=False)
        assert forwarded.returncode not in (0, 124)
    wrong = pair.a.run(f"rsync -e '{ssh}' /etc/hostname botops-rsync@{to}:../../../../tmp/x", check=False)
    assert wrong.returncode != 0 or pair.b.out("ls /tmp/x 2>/dev/null || true") == ""
    batch = pair.a.run(f"echo 'get /etc/passwd /tmp/stolen' | {ssh.replace('ssh -F', 'sftp -q -b - -F')} botops-sftp@{to}", check=False)
    assert batch.returncode != 0 and pair.a.run("test -e /tmp/stolen", check=False).returncode != 0
    # The same key from the host itself, which is not the address it is bound to.
    pair.b.run("ssh-keygen -lf /etc/botops/rsync_ha/authorized_keys.rsync")
    assert pair.b.out(f"grep -c 'from=\"{pair.a.address}\"' /etc/botops/rsync_ha/authorized_keys.*").count(":1") == 2
    assert pair.a.out("stat -c '%a %U' /etc/botops/rsync_ha/id_ed25519") == "600 root"


# What a bad release does.
NONSENSE = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=10)
c.execute("update orders set host = 'nonsense' where id % 2 = 0")
c.commit()
"""


def restorable(host):
    return (host.status()["restorable"] or {}).get("databases", {}).get("trades.db", {})


def test_what_arrives_is_restored_all_the_time(pair):
    wait_for(lambda: restorable(pair.b).get("lag_seconds") is not None, 30, "a restored replica")
    lags = []
    for _ in range(10):
        time.sleep(1)
        seen = restorable(pair.b)
        assert seen["unrestorable_seconds"] < 10, seen["reason"]
        lags.append(seen["lag_seconds"])
    print(f"\n{pair.release}: restorable lag at 100 writes a second: median {sorted(lags)[5]:.2f} s, highest {max(lags):.2f} s")
    assert sorted(lags)[5] < 10


# Writes as a bot does, and leaves checkpoints to SQLite at ever changing sizes of the log. A log that starts over has new salts.
RESTARTS = """
import os, random, sqlite3, sys, time
path = '/var/lib/bot-paper/trades.db'
c = sqlite3.connect(path, isolation_level=None, timeout=5)
end, salts, number = time.time() + float(sys.argv[1]), None, 0
while time.time() < end:
    c.execute(f'pragma wal_autocheckpoint={random.randint(1, 80)}')
    for _ in range(random.randint(1, 40)):
        c.execute('insert into orders(host, at) values(?, ?)', (os.uname().nodename, time.time()))
        time.sleep(random.uniform(0, 0.02))
    now = open(path + '-wal', 'rb').read(24)[16:]
    number, salts = number + (salts is not None and now != salts), now
print(number)
"""


def test_restarts_of_the_log_leave_a_replica_that_restores(pair):
    """SQLite starts the write-ahead log over at random moments, some of them between two of Litestream's looks."""
    seconds = int(os.environ.get("BOTOPS_WAL_RESTART_SECONDS", "60"))
    worst, before = 0.0, replicates(pair.a)["segment"]
    argv = ["docker", "exec", pair.a.container, "runuser", "-u", "bot-paper", "--", "python3", "-c", RESTARTS, str(seconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as restarts:
        while restarts.poll() is None:
            worst = max(worst, restorable(pair.b).get("unrestorable_seconds", 0.0))
            time.sleep(0.5)
        number = int(restarts.stdout.read())
    renewed = replicates(pair.a)["segment"] - before
    print(f"\n{pair.release}: {number} restarts of the log in {seconds} s: at worst {worst:.1f} s without a replica that restores, {renewed} new segments")
    assert number >= 5 and worst <= 10


def test_a_damaged_replica_is_replaced(pair):
    segment = replicates(pair.a)["segment"]
    wait_for(lambda: restorable(pair.b).get("unrestorable_seconds") == 0, 30, "a replica that restores")
    top = f"/var/lib/botops/rsync_ha/replicas/paper/{pair.a.status()['own_era']}/{segment:04d}/trades.db/ltx"
    begun = time.monotonic()
    # Every file of the segment, snapshots included, loses its second half.
    pair.b.run(f"find {top} -name '*.ltx' -size +1k | while read -r f; do truncate -s $(( $(stat -c %s \"$f\") / 2 )) \"$f\"; done")
    wait_for(lambda: replicates(pair.a)["segment"] > segment, 60, "a new segment")
    wait_for(lambda: restorable(pair.b).get("unrestorable_seconds") == 0 and restorable(pair.b)["position"][0] > segment, 60, "a replica that restores")
    took = time.monotonic() - begun
    print(f"\n{pair.release}: a damaged replica was replaced within {took:.1f} s")
    assert took <= 60
    assert "cannot be restored" in pair.b.out("journalctl -q -o cat -p crit -u botops-rsync-ha-standby")


def test_failover_after_a_hard_kill(pair):
    """The host dies under 100 writes a second; the other one goes on with all but the last moment."""
    # A machine that runs many things at once may stand still for seconds; what is asserted is the replica's own loss.
    wait_for(lambda: pair.a.status()["replication"]["databases"]["trades.db"]["lag_seconds"] < 0.7, 60, "a small lag")
    pair.a.kill()
    seconds = pair.b.promote()
    rows, last = pair.b.select("select count(*), max(at) from orders where host = '%s'" % pair.a.name)[0]
    report = json.loads(pair.b.out("cat $(ls -t /var/lib/botops/rsync_ha/reports/paper-promotion-*.json | head -1)"))
    assert report["action"] == f"took over from {pair.a.name}" and report["handover"] is False
    assert pair.b.select("pragma integrity_check") == [["ok"]]
    assert pair.b.out("cat /var/lib/bot-paper/state/deep/file.json").startswith("written at")
    assert pair.b.out("stat -c %U /var/lib/bot-paper/trades.db /var/lib/bot-paper/state/deep/file.json").split() == ["bot-paper"] * 2
    pair.rows, pair.last = rows, last
    print(f"\n{pair.release}: promoted in {seconds:.2f} s (restore and check {report['seconds']} s), {rows} rows")


def test_the_old_host_comes_back_and_keeps_its_tail_aside(pair):
    pair.a.boot()
    wait_for(lambda: pair.a.status()["diverged"], 90, "the diverged copy")
    status = pair.a.status()
    assert status["active"] is False
    assert pair.a.out("systemctl is-active bot-paper botops-rsync-ha@paper botops-promote@paper || true").split() == ["inactive"] * 3
    (kept,) = status["diverged"]
    assert re.search(r"/trades\.db\.diverged-\d{8}T\d{6}Z$", kept)
    assert pair.a.run("test -e /var/lib/bot-paper/trades.db", check=False).returncode != 0
    rows, last = pair.a.select("select count(*), max(at) from orders", kept)[0]
    lost = pair.a.select("select max(at) from orders", kept)[0][0] - pair.last
    print(f"\n{pair.release}: {rows - pair.rows} rows of the last {lost:.2f} s were lost to the survivor and are kept in {kept}")
    assert rows > pair.rows or lost == 0
    assert lost <= 2
    report = json.loads(pair.a.out(f"cat {kept}.json"))
    assert report["continued_by"] == pair.b.name
    orders = report["tables"]["orders"]
    assert orders["only_here"] + orders["changed_here"] == rows - pair.rows
    assert len(orders["examples"]) == min(20, rows - pair.rows) and orders["examples"][0]["host"] == pair.a.name


def test_the_survivor_replicates_to_the_returned_host(pair):
    wait_for(lambda: pair.a.status()["received_era"].endswith(pair.b.name), 60)
    wait_for(lambda: pair.b.status()["replication"]["databases"]["trades.db"]["lag_seconds"] < 2, 60, "a small lag")


def test_a_switchover_loses_nothing(pair):
    begun = time.monotonic()
    pair.b.demote()
    handed = time.monotonic() - begun
    before = pair.b.select("select count(*), max(id), max(at) from orders")
    pair.a.start("botops-promote@paper")
    after = pair.a.select("select count(*), max(id), max(at) from orders")
    total = time.monotonic() - begun
    assert after == before
    report = json.loads(pair.a.out("cat $(ls -t /var/lib/botops/rsync_ha/reports/paper-promotion-*.json | head -1)"))
    assert report["handover"] is True
    pair.a.start("botops-rsync-ha@paper", "bot-paper")
    print(f"\n{pair.release}: stopped and handed over in {handed:.2f} s, the other host ready after {total:.2f} s, {after[0][0]} rows on both")


def test_writes_after_the_handover_are_noticed(pair):
    """The promise of a handover that no longer holds is refused, and nothing is changed."""
    replicates(pair.a)
    pair.a.demote()
    record = pair.b.out("ls -t /var/lib/botops/rsync_ha/incoming/paper/records/*.json | head -1")
    pair.b.run(f"sed -i 's/\"orders\": [0-9]*/\"orders\": 1/' {record}")
    before = pair.b.select("select count(*), max(at) from orders")
    refused = pair.b.run("botops-rsync-ha promote paper", check=False)
    assert refused.returncode == 1 and "Nothing was changed" in refused.stderr
    assert pair.b.select("select count(*), max(at) from orders") == before
    assert pair.b.status()["active"] is False
    pair.a.promote()
    replicates(pair.a)


def test_litestream_dies_while_the_bot_writes(pair):
    """What was written meanwhile is in no log that Litestream reads: the next segment begins with a snapshot."""
    segment = replicates(pair.a)["segment"]
    pair.a.run("kill -9 $(pgrep -x litestream)")
    wait_for(lambda: pair.a.status()["replication"]["databases"]["trades.db"]["segment"] > segment, 60, "a new segment")
    wait_for(lambda: pair.a.status()["replication"]["databases"]["trades.db"]["replicated_txid"], 60, "its replication")
    pair.a.demote()
    before = pair.a.select("select count(*), max(at) from orders")
    pair.b.start("botops-promote@paper")
    assert pair.b.select("select count(*), max(at) from orders") == before


def test_nobody_deletes(pair):
    """After all of it every copy that ever was set aside is still there."""
    for host in (pair.a, pair.b):
        status = host.status()
        for path in status["diverged"] + status["superseded"]:
            assert host.select("pragma integrity_check", path) == [["ok"]]
    assert len(pair.a.status()["diverged"]) == 1
    pair.b.stop("botops-promote@paper")


def test_the_second_copy_can_be_restored(pair):
    """Restored by Litestream from the object storage alone, as after the loss of both hosts."""
    pair.a.start("botops-promote@paper", "botops-rsync-ha@paper", "bot-paper")
    replicates(pair.a)
    time.sleep(8)
    era = pair.a.status()["own_era"]
    wait_for(lambda: (pair.b.status()["offsite"] or {}).get("era") == era, 60, "a copy of this era in the object storage")
    pair.b.run("systemctl start botops-rsync-ha-offsite.service")
    prefix = f"offsite:fleet-test/offsite/{pair.b.name}/paper"
    pair.a.run(f"rm -rf /tmp/offsite; rclone --config /etc/botops/rsync_ha/rclone.conf copy {prefix}/replicas/{era} /tmp/offsite")
    segment = pair.a.out("ls /tmp/offsite | sort | tail -1")
    restore = f"/usr/local/lib/botops/litestream restore -integrity-check full -o /tmp/restored.db file:///tmp/offsite/{segment}/trades.db"
    pair.a.run(f"rm -f /tmp/restored.db*; {restore}; chmod 644 /tmp/restored.db")
    rows = json.loads(pair.a.out('python3 -c "$1" "$2" "$3"', SELECT, "/tmp/restored.db", "select count(*) from orders"))[0][0]
    total = pair.a.select("select count(*) from orders")[0][0]
    print(f"\n{pair.release}: {rows} of {total} rows were in the object storage, copied every 5 s")
    assert total - 3000 < rows <= total
    assert pair.b.out("stat -c '%a %U' /etc/botops/rsync_ha/rclone.conf") == "600 root"
    pair.a.demote()


def test_the_rsync_daemon_is_the_peer_s_alone(pair):
    daemon = f"rsync://paper_sync@{pair.b.address}/paper/"
    password = "RSYNC_PASSWORD=canary-rsyncd-password"
    pair.b.run("echo fine > /var/lib/bot-paper/hello.txt; chown bot-paper: /var/lib/bot-paper/hello.txt")
    listed = pair.a.out(f"{password} rsync {daemon}")
    assert "hello.txt" in listed and ".db" not in listed
    assert pair.a.run(f"RSYNC_PASSWORD=wrong rsync {daemon}", check=False).returncode == 5
    assert pair.a.run(f"{password} rsync /etc/hostname {daemon}", check=False).returncode != 0, "it is read only"
    assert pair.a.run(f"{password} rsync {daemon}trades.db /tmp/stolen.db", check=False).returncode != 0
    assert pair.a.run(f"rsync rsync://{pair.b.address}/", check=False).stdout == "", "modules are not listed"
    from_itself = f"{password} rsync {daemon}"
    assert pair.b.run(from_itself, check=False).returncode != 0, "only the peer's address is let in"
    assert pair.b.out("stat -c '%a %U' /etc/botops/rsync_ha/rsyncd.secrets") == "600 root"
    listening = pair.b.out("ss -Hltn 'sport = :873'")
    assert f"{pair.b.address}:873" in listening and "0.0.0.0:873" not in listening


def test_back_to_the_moment_before_a_program_wrote_nonsense(pair):
    """On the standby, out of the replica's history, with nothing lost: what the other host wrote since is kept there."""
    earlier = set(pair.a.status()["diverged"])
    pair.a.promote()
    replicates(pair.a)
    wait_for(lambda: pair.a.status()["replication"]["databases"]["trades.db"]["lag_seconds"] < 0.7, 60, "a small lag")
    at = float(pair.a.out("date +%s.%N"))
    moment = pair.a.out(f"date -u -d @{at} +%Y-%m-%dT%H:%M:%S.%6NZ")
    time.sleep(2)
    pair.a.run('runuser -u bot-paper -- python3 -c "$1" /var/lib/bot-paper/trades.db', NONSENSE)
    replicates(pair.a)
    assert "s before the moment" in pair.b.out(f"botops-rsync-ha rewind paper --at {moment} --plan")
    refused = pair.b.run(f"botops-rsync-ha rewind paper --at {moment}", check=False)
    assert refused.returncode == 1 and "stop paper there first" in refused.stderr
    pair.a.demote()
    begun = time.monotonic()
    pair.b.run(f"botops-rsync-ha rewind paper --at {moment}")
    took = time.monotonic() - begun
    newest = pair.b.select("select max(at) from orders")[0][0]
    print(f"\n{pair.release}: back {at - newest:.2f} s before the moment, in {took:.2f} s")
    assert 0 <= at - newest < 2 and pair.b.select("pragma integrity_check") == [["ok"]]
    assert pair.b.select("select count(*) from orders where host = 'nonsense'") == [[0]]
    pair.b.promote()
    wait_for(lambda: pair.b.select("select max(at) from orders")[0][0] > at + 2, 30, "orders on the survivor")
    (kept,) = wait_for(lambda: set(pair.a.status()["diverged"]) - earlier, 90, "what A wrote since, kept aside")
    assert pair.a.select("select count(*) from orders where host = 'nonsense'", kept)[0][0] > 0
    pair.b.demote()
