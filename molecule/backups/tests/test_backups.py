"""Every test restores for real. The tests of one host build on each other."""

import json
import time

import pytest
from sandbox import assert_sandboxed

from conftest import REPOSITORIES, TRADES


def quick(host, repository="local"):
    """One bot, one repository."""
    host.run(f"botops-backup run paper --wait 60 --repository {repository}")


def backup(host):
    begun = time.monotonic()
    host.run("systemctl start botops-backup.service")
    print(f"\n{host.name}: a backup into {len(REPOSITORIES)} repositories took {time.monotonic() - begun:.1f} s")
    return host.evidence("backup")


def facts(host):
    """Asked of the databases themselves."""
    ledger = host.psql("SELECT count(*), max(id), md5(string_agg(\"the note\", ',' ORDER BY id)) FROM orders")
    return {
        "sqlite": host.select("SELECT count(*), max(id) FROM orders"), "postgresql": ledger,
        "redis": sorted(host.redis("KEYS", "*").split()), "position": host.redis("GET", "position"),
        "file": host.out("cat /var/lib/bot-paper/state/position.json"), "release": host.out("readlink /opt/bot-paper/current"),
    }  # fmt: skip


def test_timers_are_set_and_units_sandboxed(host):
    assert_sandboxed(host.out, ["botops-backup.service", "botops-restore-drill.service", "botops-backup-check.service"])
    for timer in ("botops-backup", "botops-restore-drill", "botops-backup-check"):
        assert host.out(f"systemctl is-active {timer}.timer") == "active"
    shown = host.out("systemctl show -p Persistent,RandomizedDelayUSec botops-backup.timer")
    assert "Persistent=yes" in shown
    # SCHED_IDLE: whatever trades takes the processor from it at once.
    for unit in ("botops-backup.service", "botops-restore-drill.service"):
        assert host.out(f"systemctl show -P CPUSchedulingPolicy {unit}") == "5"


def test_secrets_are_closed_and_nowhere_else(host):
    assert host.out("stat -c %a /etc/botops/backups /etc/botops/backups/secrets.json /etc/botops/backups/ssh/sftp.key").split() == ["700", "600", "600"]
    found = host.out("grep -rl canary- /etc /usr/local /var/lib/botops /var/log 2>/dev/null | grep -v '^/etc/redis/\\|^/etc/bot-paper/' || true")
    assert found.split() == ["/etc/botops/backups/secrets.json"]
    assert host.out("journalctl --no-pager | grep -c 'canary-' || true") == "0"
    # The store's own word, which bears no mark.
    [secret] = [entry["environment"]["AWS_SECRET_ACCESS_KEY"] for entry in
                json.loads(host.out("cat /etc/botops/backups/secrets.json"))["repositories"].values() if entry["environment"]]
    found = host.out('grep -rlF -- "$1" /etc /usr/local /var/lib/botops /var/log /tmp 2>/dev/null || true', secret)
    assert len(secret) > 30 and found.split() == ["/etc/botops/backups/secrets.json"]


def test_one_run_saves_everything_into_every_repository_while_the_bot_writes(host):
    host.trade(1)
    said = backup(host)
    host.rest()
    assert said["verdict"] == "ok" and said["problems"] == [], said
    assert sorted({entry["repository"] for entry in said["snapshots"] if entry["what"] == "paper"}) == sorted(REPOSITORIES)
    assert "canary-" not in json.dumps(said)
    for repository in REPOSITORIES:
        lines = host.out(f"botops-backup restic {repository} ls latest --tag bot=paper").splitlines()
        assert "/var/lib/bot-paper/state/position.json" in lines
        live = [line for line in lines if line.startswith(("/var/lib/bot-paper/", "/etc/bot-paper/"))]
        assert not [line for line in live if line.endswith((".tmp", ".db", ".db-wal", "secrets.env"))], "a live database or a secret travels as a file"
        assert "/opt/bot-paper/releases/r1/bot.py" in lines


def test_the_manifest_says_what_is_in_the_databases(host):
    expected = facts(host)
    quick(host)
    manifest = json.loads(host.out("botops-backup restic local dump latest --tag bot=paper /var/lib/botops/backups/staging/paper/manifest.json"))
    sources = {entry["type"]: entry for entry in manifest["sources"]}
    assert sources["sqlite"]["tables"] == {"orders": expected["sqlite"][0][0]}
    assert sources["sqlite"]["orders"]["SELECT max(id), max(placed_at) FROM orders"][0] == expected["sqlite"][0][1]
    assert sources["postgresql"]["tables"] == {"public.orders": 1000}
    assert sources["postgresql"]["orders"] == {"SELECT max(id) AS id FROM orders": [1000]}
    assert sources["redis"]["keys"] == len(expected["redis"]) == 11
    assert manifest["release"]["id"] == "r1" and manifest["versions"]["restic"]


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_everything_lost_comes_back_from_each_repository(host, repository):
    host.trade(0.5)
    host.rest()
    expected = facts(host)
    quick(host, repository)
    host.run("rm -rf /var/lib/bot-paper /opt/bot-paper/current")
    host.psql("DROP DATABASE ledger", "postgres")
    host.redis("FLUSHALL")
    host.redis("SET", "strange", "1")
    begun = time.monotonic()
    print(host.out(f"botops-backup restore paper --repository {repository}"))
    print(f"{host.name}: a restore from {repository} took {time.monotonic() - begun:.1f} s")
    assert facts(host) == expected
    assert host.select("PRAGMA integrity_check") == [["ok"]] and host.select("PRAGMA journal_mode") == [["wal"]]
    assert host.out("stat -c '%U %a' /var/lib/bot-paper " + TRADES).split() == ["bot-paper", "750", "bot-paper", host.out(f"stat -c %a {TRADES}")]
    host.trade(0.5)
    host.rest()
    assert host.select("SELECT count(*) FROM orders")[0][0] > expected["sqlite"][0][0], "the bot goes on where it was"


def test_what_is_replaced_is_kept_aside_with_a_name_and_a_date(host):
    host.run("rm -rf /var/lib/bot-paper.replaced-*")
    quick(host)
    before = facts(host)
    host.trade(0.5)
    host.rest()
    later = facts(host)["sqlite"]
    host.psql("DELETE FROM orders WHERE id > 10")
    said = host.out("botops-backup restore paper --repository local")
    assert facts(host) == before
    aside = host.out("ls -d /var/lib/bot-paper.replaced-*Z")
    assert host.select("SELECT count(*), max(id) FROM orders", aside + "/trades.db") == later
    database = host.psql("SELECT datname FROM pg_database WHERE datname LIKE 'ledger_replaced_%' ORDER BY datname DESC LIMIT 1", "postgres")
    assert host.psql("SELECT count(*) FROM orders", database) == "10"
    assert aside in said and database in said


def test_point_in_time_by_snapshot(host):
    quick(host)
    moment, rows = host.out("date -u +%Y-%m-%dT%H:%M:%SZ"), facts(host)["sqlite"]
    time.sleep(1.1)
    host.trade(0.5)
    host.rest()
    quick(host)
    assert facts(host)["sqlite"] != rows
    host.run(f"botops-backup restore paper --at {moment} --source sqlite")
    assert facts(host)["sqlite"] == rows
    assert host.out(f"ls {TRADES}.replaced-*Z").count("\n") == 0, "the one that was there is kept"
    host.run(f"rm {TRADES}.replaced-*")


def test_retention_keeps_what_is_young_and_the_last_of_each_older_day(host):
    """Snapshots of three earlier days, two of each: restic is told their time. The run after them forgets one of each pair, and none of today's."""
    for day, hour in ((5, 1), (5, 2), (6, 1), (6, 2), (30, 1), (30, 2)):
        host.run(f"cd /; botops-backup restic local backup --quiet --host {host.name} --tag botops --tag bot=paper "
                 f"--time \"$(date -u -d '{day} days ago' +%Y-%m-%d) 0{hour}:00:00\" /etc/hostname")
    young = len(snapshots(host, 2))
    quick(host)
    assert len(snapshots(host, 2)) == young + 1
    older = [when[11:13] for when in snapshots(host) if when not in snapshots(host, 2)]
    # Newer versions of restic keep the very oldest, too, as long as there are fewer months than are to be kept.
    assert older[-3:] == ["02"] * 3 and older[:-3] in ([], ["01"])
    host.run("botops-backup restic local forget $(botops-backup restic local snapshots --json --tag bot=paper --path /etc/hostname | "
             "python3 -c 'import json,sys; print(*[s[\"short_id\"] for s in json.load(sys.stdin)])')")


def snapshots(host, days=0):
    """Times of this bot's snapshots in the local repository, oldest first; of the last `days` only."""
    found = sorted(entry["time"] for entry in json.loads(host.out("botops-backup restic local snapshots --json --tag bot=paper")))
    since = host.out(f"date -u -d '{days} days ago' +%Y-%m-%dT%H:%M:%S") if days else ""
    return [when for when in found if when >= since]


def test_one_file_back(host):
    quick(host)
    host.run("echo wrong > /var/lib/bot-paper/state/position.json")
    host.run("botops-backup restore paper --path /var/lib/bot-paper/state/position.json")
    assert host.out("cat /var/lib/bot-paper/state/position.json") == "one"
    assert host.out("cat /var/lib/bot-paper/state/position.json.replaced-*Z") == "wrong"
    assert host.out("stat -c %U /var/lib/bot-paper/state/position.json") == "bot-paper"
    host.run("rm /var/lib/bot-paper/state/*replaced*")


def test_a_release_comes_back_with_its_data(host):
    quick(host)
    host.run("mkdir -p /opt/bot-paper/releases/r2; ln -sfn /opt/bot-paper/releases/r2 /opt/bot-paper/current; rm -r /opt/bot-paper/releases/r1")
    said = host.out("botops-backup restore paper")
    assert host.out("readlink /opt/bot-paper/current") == "/opt/bot-paper/releases/r1" and "r1 is current again instead of r2" in said
    assert host.out("cat /opt/bot-paper/releases/r1/bot.py") == "print('r1')"


def test_refusals_change_nothing(host):
    host.trade(0.3)
    assert "is not restored while it runs: bot-paper.service is active on this host" in host.refused("botops-backup restore paper")
    host.rest()
    before = facts(host)
    unknown = host.refused("botops-backup restore paper --at 2001-01-01T00:00Z")
    assert "there is no snapshot of paper from 2001-01-01T00:00Z or before; the oldest is of " in unknown
    assert "is no time; write it like" in host.refused("botops-backup restore paper --at yesterday")
    own = json.loads(host.out("botops-backup restic local snapshots --tag what=host --json"))[-1]["short_id"]
    assert f"snapshot: {own} is one of the host's own files, not of paper" in host.refused(f"botops-backup restore paper --repository local --snapshot {own}")
    assert "/etc/shadow is not below /var/lib/bot-paper" in host.refused("botops-backup restore paper --path /etc/shadow")
    assert "There is no repository 'nowhere'; backups_repositories names: local, " in host.refused("botops-backup restore paper --repository nowhere")
    assert facts(host) == before


def test_a_disk_too_small_is_refused_before_anything(host):
    host.run("dd if=/dev/urandom of=/var/lib/bot-paper/big bs=1M count=30 status=none; chown bot-paper: /var/lib/bot-paper/big")
    quick(host)
    host.run("mkdir -p /var/lib/bot-paper; mount -t tmpfs -o size=20m tmpfs /var/lib/bot-paper")
    try:
        assert "free, and the snapshot needs" in host.refused("botops-backup restore paper --source data")
        assert host.out("ls -A /var/lib/bot-paper") == ""
    finally:
        host.run("umount /var/lib/bot-paper; rm /var/lib/bot-paper/big")


def test_a_data_volume_of_its_own_is_exchanged_within(host):
    quick(host)
    expected = facts(host)
    host.run("mount -t tmpfs -o size=200m tmpfs /var/lib/bot-paper && echo old > /var/lib/bot-paper/old && chown bot-paper: /var/lib/bot-paper")
    try:
        host.run("botops-backup restore paper --source data")
        assert host.select("SELECT count(*), max(id) FROM orders") == expected["sqlite"]
        assert host.out("cat /var/lib/bot-paper/.replaced-*Z/old") == "old"
    finally:
        host.run("umount /var/lib/bot-paper")


def test_two_runs_never_meet(host):
    done = host.run("flock /var/lib/botops/backups/lock sleep 3 & sleep 0.5; botops-backup run", check=False)
    assert done.returncode == 1 and "is at work; wait until it has ended" in done.stderr


def test_the_drill_restores_with_the_recovery_key_and_signs(host):
    backup(host)
    host.run("systemctl start botops-restore-drill.service")
    said = host.evidence("drill")
    assert said["verdict"] == "ok" and said["key"] == "recovery", said
    assert sorted(line["repository"] for line in said["restored"]) == sorted(REPOSITORIES)
    rows = facts(host)["sqlite"][0][0] + 1000 + 11
    assert [line["rows_restored"] for line in said["restored"]] == [rows] * len(REPOSITORIES)
    how = {line["how"] for entry in said["restored"] for line in entry["sources"] if line["type"] == "postgresql"}
    assert how == {"loaded into a server and counted there"}
    assert "verified restores are younger" in host.out("botops-backup check --repositories")
    host.run("sed -i 's/\"verdict\": \"ok\"/\"verdict\": \"OK\"/' /var/lib/botops/evidence/drill.json")
    assert "was changed after it was signed" in host.refused("botops-backup check")
    left = host.out("ls -A /var/lib/botops/backups").split()
    assert left == ["allowed_signers", "cache", "exclude", "keys.json", "lock", "manifests"], "nothing is left of a drill"
