"""What goes wrong at night. Each fault is real, ends with a sentence, and the next run is whole."""

import concurrent.futures
import contextlib
import json
import time

import pytest


def fails(host):
    """A run that must fail: what its evidence says, and that the alarm rang."""
    host.run("rm -f /var/log/alarms")
    assert host.run("systemctl start botops-backup.service", check=False).returncode != 0
    said = host.evidence("backup")
    assert said["verdict"] == "failed" and said["problems"], said
    assert "botops-backup.service" in host.out("for i in $(seq 20); do cat /var/log/alarms 2>/dev/null && break; sleep 0.2; done")
    return said


def recovers(host):
    host.run("systemctl start botops-backup.service")
    said = host.evidence("backup")
    assert said["verdict"] == "ok", said


def fails_here(host):
    """The same with one repository: what it said."""
    return host.refused("botops-backup run paper --wait 60 --repository local")


def recovers_here(host, repository="local"):
    host.run(f"botops-backup run paper --wait 60 --repository {repository}")


def test_a_source_that_cannot_be_read_is_named_and_the_others_are_saved(host):
    host.run("systemctl stop redis-server")
    try:
        said = fails(host)
    finally:
        host.run("systemctl start redis-server")
    assert len(said["problems"]) == 1 and said["problems"][0].startswith("paper: Redis cache: "), said
    assert [entry["repository"] for entry in said["snapshots"] if entry["what"] == "paper"] == ["local", "sftp", "s3", "rest", "vault"]
    [line] = [line for line in json.loads(host.out("botops-backup list paper --json")) if line["snapshot"] == said["snapshots"][0]["snapshot"]]
    assert line["incomplete"] and line["rows"] > 1000
    recovers_here(host)


def test_a_locked_database_is_named(host):
    lock = "import sqlite3, time; c = sqlite3.connect('/var/lib/bot-paper/locked.db'); c.execute('CREATE TABLE IF NOT EXISTS t (x)'); c.commit(); "
    lock += "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(300)"
    host.run("sed -i 's/\"sqlite_busy_seconds\": 30/\"sqlite_busy_seconds\": 2/' /etc/botops/backups/config.json")
    host.run("systemd-run --collect --unit=locker -p User=bot-paper python3 -c \"$1\"; sleep 1", lock)
    try:
        said = fails_here(host)
    finally:
        host.run("systemctl stop locker; rm -f /var/lib/bot-paper/locked.db*")
    assert "paper: SQLite /var/lib/bot-paper/locked.db could not be saved: database is locked" in said
    recovers_here(host)


def test_a_table_renamed_since_the_query_was_written(host):
    host.psql("ALTER TABLE orders RENAME TO trades")
    try:
        said = fails_here(host)
    finally:
        host.psql("ALTER TABLE trades RENAME TO orders")
    assert 'relation "orders" does not exist' in said
    recovers_here(host)


def test_a_disk_full_in_the_middle_of_a_dump(host):
    """The dump does not fit; everything else is saved, and nothing is left over."""
    host.run("runuser -u bot-paper -- python3 -c \"import sqlite3; c = sqlite3.connect('/var/lib/bot-paper/large.db'); "
             "c.execute('CREATE TABLE IF NOT EXISTS t (x)'); c.execute('INSERT INTO t VALUES (randomblob(30000000))'); c.commit()\"")
    host.run("mkdir -p /var/lib/botops/backups/staging; mount -t tmpfs -o size=16m,mode=0711 tmpfs /var/lib/botops/backups/staging")
    host.run("sed -i 's/\"min_free_mb\": 50/\"min_free_mb\": 1/' /etc/botops/backups/config.json")
    try:
        said = fails_here(host)
    finally:
        host.run("umount /var/lib/botops/backups/staging; rm -f /var/lib/bot-paper/large.db")
        host.run("sed -i 's/\"min_free_mb\": 1$/\"min_free_mb\": 50/; s/\"min_free_mb\": 1,/\"min_free_mb\": 50,/' /etc/botops/backups/config.json")
    assert "paper: SQLite /var/lib/bot-paper/large.db could not be saved: database or disk is full" in said
    manifest = json.loads(host.out("botops-backup restic local dump latest --tag bot=paper /var/lib/botops/backups/staging/paper/manifest.json"))
    assert [entry["name"] for entry in manifest["sources"] if entry["type"] == "sqlite"] == ["trades.db"], "the other one is saved"
    recovers_here(host)


def test_a_disk_without_room_is_refused_at_once(host):
    host.run("sed -i 's/\"min_free_mb\": 50/\"min_free_mb\": 900000000/' /etc/botops/backups/config.json")
    said = host.refused("botops-backup run")
    host.run("sed -i 's/\"min_free_mb\": 900000000/\"min_free_mb\": 50/' /etc/botops/backups/config.json")
    assert "free and backups_min_free_mb asks for 900000000 MB: make room" in said


def test_a_restic_that_was_killed_leaves_no_lock_that_stops_the_next_run(host):
    host.run("dd if=/dev/urandom of=/var/lib/bot-paper/blob bs=1M count=60 status=none")
    host.run("systemd-run --collect --unit=killed botops-backup run paper --repository local")
    # While it uploads, and not while it asks.
    look = "for i in $(seq 600); do pid=$(pgrep -f '^restic .* backup ' || pgrep -f '^restic backup '); [ -n \"$pid\" ] && break; sleep 0.05; done; "
    host.run(look + "sleep 0.3; kill -9 $pid")
    host.run("while systemctl is-active -q killed; do sleep 0.3; done")
    recovers_here(host)
    assert host.out("botops-backup restic local list locks") == ""
    host.run("rm /var/lib/bot-paper/blob")


@contextlib.contextmanager
def refusing(store, port, *answer):
    """Somebody at the store's port who answers every request with the same refusal."""
    unit = f"refusal-{port}"
    store.run('unit=$1 port=$2; shift 2; systemd-run --quiet --collect --unit="$unit" python3 /usr/local/lib/refusal.py "$port" "$@"; '
              'for i in $(seq 50); do ss -Hltn "sport = :$port" | grep -q . && exit; sleep 0.1; done; exit 1', unit, port, *answer)  # fmt: skip
    try:
        yield
    finally:
        store.run(f"systemctl stop {unit}")


@contextlib.contextmanager
def away(host, store, how):
    """The store's REST server is gone: nobody is at its port, or a proxy in front of it says 503."""
    store.run(f"systemctl stop {host.rest_unit}")
    try:
        with refusing(store, host.rest_port, "503") if how == "503" else contextlib.nullcontext():
            yield
    finally:
        store.run(f"systemctl start {host.rest_unit}")


@pytest.mark.parametrize("how", ["nobody", "503"])
def test_a_store_that_is_away_for_a_while_is_waited_for(host, store, how):
    """For twenty seconds; the run waits and is whole."""
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with away(host, store, how):
            run = pool.submit(recovers_here, host, "rest")
            time.sleep(20)
            assert not run.done(), "it did not wait"
        run.result()
    print(f"\n{host.name}: with a store that was away for 20 s ({how}) the run took {time.monotonic() - begun:.1f} s")


@pytest.mark.parametrize("how", ["nobody", "503"])
def test_a_store_that_stays_away_fails_the_run_and_the_others_have_it(host, store, how):
    """For longer than a run asks again, an hour or a day: each run says so and rings, and the first one after it catches up."""
    host.run("sed -i 's/\"retry_minutes\": 2/\"retry_minutes\": 0/' /etc/botops/backups/config.json")
    try:
        with away(host, store, how):
            runs = [fails(host) for _run in range(2)]
    finally:
        host.run("sed -i 's/\"retry_minutes\": 0/\"retry_minutes\": 2/' /etc/botops/backups/config.json")
    for said in runs:
        assert len(said["problems"]) == 1 and said["problems"][0].startswith("Repository rest: ") and "the next run catches up" in said["problems"][0], said
        assert {entry["repository"] for entry in said["snapshots"]} == {"local", "sftp", "s3", "vault"}
    recovers(host)
    assert {entry["repository"] for entry in host.evidence("backup")["snapshots"]} == {"local", "sftp", "s3", "rest", "vault"}


@pytest.mark.parametrize(("ahead", "sentence"), [(3600, "60 minutes behind"), (-3600, "60 minutes ahead"), (0, "the store refuses the key")])
def test_a_clock_that_is_an_hour_off_is_told_from_a_key(host, store, ahead, sentence):
    """S3 answers both alike, 403: what differs is the time that stands in the answer."""
    port = f"51{host.name.removeprefix('bk')}"
    host.run("cp -p /etc/botops/backups/secrets.json /root/secrets.json; rm -rf /var/lib/botops/backups/cache")
    host.run(f"sed -i 's,:5000/,:{port}/,' /etc/botops/backups/secrets.json")
    try:
        with refusing(store, port, "403", str(ahead)):
            said = host.refused("botops-backup run paper --wait 60 --repository s3")
    finally:
        host.run("mv /root/secrets.json /etc/botops/backups/secrets.json")
    assert sentence in said and ("`timedatectl`" in said) == bool(ahead), said
    recovers_here(host, "s3")


@pytest.mark.parametrize(
    ("repository", "key", "was", "now", "expected"),
    [
        ("local", "password", "canary-repository-password-1", "canary-wrong-password-000", "the password is not one of this repository's"),
        ("s3", "repository", "fleet-backups", "no-such-bucket", "the bucket does not exist"),
        ("rest", "repository", "canary-rest", "canary-wrong", "the store refuses the key"),
        # As the store answers to one that was taken away or has expired.
        ("s3", "AWS_ACCESS_KEY_ID", "AKIA", "AKIB", "the store refuses the key"),
    ],
)
def test_credentials_that_do_not_fit_are_said_at_once(host, repository, key, was, now, expected):
    """By the role's own step, and by a run."""
    host.run("cp -p /etc/botops/backups/secrets.json /root/secrets.json; rm -rf /var/lib/botops/backups/cache")
    change = "import json, sys; p = '/etc/botops/backups/secrets.json'; s = json.load(open(p)); e = s['repositories'][sys.argv[1]]; "
    change += "e = e if sys.argv[2] in e else e['environment']; e[sys.argv[2]] = e[sys.argv[2]].replace(*sys.argv[3:]); json.dump(s, open(p, 'w'))"
    host.run('python3 -c "$@"', change, repository, key, was, now)
    try:
        begun = time.monotonic()
        said = host.refused("botops-backup init")
        assert expected in said and "canary-" not in said, said
        assert time.monotonic() - begun < 60
        said = host.refused(f"botops-backup run paper --wait 60 --repository {repository}")
        assert expected in said and "canary-" not in said, said
    finally:
        host.run("mv /root/secrets.json /etc/botops/backups/secrets.json")
    host.run("botops-backup init")


def test_packs_that_were_cut_short_or_changed_are_found_by_the_drill_and_reported(host, store):
    """In the local repository every larger pack lacks its end, in another one a single byte is another. The newest snapshot need not use either."""
    theirs = f"/home/keeper/{host.name}/sftp"
    host.run("cp -a /srv/backups /root/whole")
    host.run("cd /srv/backups/data; for f in $(find . -type f -size +20k); do truncate -s -4000 $f; done")
    store.run(f"cp -a {theirs} {theirs}.whole")
    store.run(f"chmod -R u+w {theirs}; f=$(find {theirs}/data -type f -size +20k | sort | head -1); "
              "python3 -c 'import sys; f = open(sys.argv[1], \"r+b\"); f.seek(1000); b = f.read(1); f.seek(1000); f.write(bytes([b[0] ^ 1]))' $f")
    host.run("rm -f /var/log/alarms")
    begun = time.monotonic()
    try:
        assert host.run("systemctl start botops-restore-drill.service", check=False).returncode != 0
    finally:
        host.run("rm -rf /srv/backups && mv /root/whole /srv/backups")
        store.run(f"rm -rf {theirs} && mv {theirs}.whole {theirs}")
    said = host.evidence("drill")
    print(f"\n{host.name}: a drill that found damage took {time.monotonic() - begun:.1f} s: {said['problems']}")
    assert {line["repository"]: line["verdict"] for line in said["repositories"]} == {
        "local": "damaged", "sftp": "damaged", "s3": "ok", "rest": "ok", "vault": "ok"}, said
    verdicts = {line["repository"]: line["verdict"] for line in said["restored"]}
    assert said["verdict"] == "failed" and verdicts == {"local": "failed", "sftp": "failed", "s3": "ok", "rest": "ok", "vault": "ok"}, said
    for name in ("local", "sftp"):
        assert [line for line in said["problems"] if line.startswith(f"Repository {name} is damaged: ") and "pack" in line.lower()], said["problems"]
    assert "botops-restore-drill.service" in host.out("for i in $(seq 20); do cat /var/log/alarms 2>/dev/null && break; sleep 0.2; done")


def test_nothing_ran_is_noticed(host):
    host.run("python3 -c \"import json; p = '/var/lib/botops/evidence/backup.json'; s = json.load(open(p)); "
             "s['last_good']['paper'] = '2026-01-01T00:00:00Z'; json.dump(s, open(p, 'w'))\"")
    host.run("rm -f /var/log/alarms")
    assert host.run("systemctl start botops-backup-check.service", check=False).returncode != 0
    assert "botops-backup-check.service" in host.out("for i in $(seq 20); do cat /var/log/alarms 2>/dev/null && break; sleep 0.2; done")
    assert "a complete backup of paper is " in host.out("journalctl -u botops-backup-check -n 5 --no-pager -o cat")


def test_the_dead_mans_switch_was_asked(host, store):
    address = host.out("hostname -I").split()[0]
    asked = store.out(f"journalctl -u ping --no-pager -o cat | grep '^{address} ' | grep -o 'GET [^ ]*' | sort -u").splitlines()
    assert asked == ["GET /canary-ping-token", "GET /canary-ping-token/fail"]
