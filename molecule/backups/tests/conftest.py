"""Hosts with a bot that writes, and a store. What the tests know of them comes from outside the role's own program."""

import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from xdist.scheduler import LoadScopeScheduling

HOSTS = ("bk13", "bk12")
PROJECT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
sys.path.insert(0, str(PROJECT / "molecule/shared"))
SELECT = "import sqlite3, sys, json; c = sqlite3.connect('file:%s?mode=ro' % sys.argv[1], uri=True); print(json.dumps(c.execute(sys.argv[2]).fetchall()))"
REPOSITORIES = ["local", "sftp", "s3", "rest", "vault"]
TRADES = "/var/lib/bot-paper/trades.db"


class Host:
    def __init__(self, name):
        self.name = name
        self.container = f"botops-molecule-backups-{name}"

    def run(self, command, *arguments, check=True, stdin=None):
        done = subprocess.run(
            ["docker", "exec", "-i", self.container, "bash", "-c", command, "bash", *arguments],
            # An attack may be answered with what is no text.
            text=True, errors="replace", capture_output=True, check=False, **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}),
        )
        if check and done.returncode:
            pytest.fail(f"{self.name}: `{command}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def out(self, command, *arguments, **kwargs):
        return self.run(command, *arguments, **kwargs).stdout.strip()

    def refused(self, command, *arguments):
        """What a command that must fail said."""
        done = self.run(command, *arguments, check=False)
        assert done.returncode == 1, f"`{command}` ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr

    def select(self, query, path=TRADES):
        return json.loads(self.out('runuser -u bot-paper -- python3 -c "$1" "$2" "$3"', SELECT, path, query))

    def psql(self, text, database="ledger"):
        return self.out("cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d \"$1\"", database, stdin=text)

    def redis(self, *words):
        return self.out("REDISCLI_AUTH=canary-redis-password redis-cli \"$@\"", *words)

    @property
    def rest_unit(self):
        """Its own REST server at the store, so that one that is away is away for this host alone."""
        return f"rest@{self.name}"

    @property
    def rest_port(self):
        return f"80{self.name.removeprefix('bk')}"

    def evidence(self, what):
        return json.loads(self.out(f"cat /var/lib/botops/evidence/{what}.json"))

    def trade(self, seconds=1.0):
        self.run("systemctl start bot-paper")
        time.sleep(seconds)

    def rest(self):
        self.run("systemctl stop bot-paper")


@pytest.fixture(scope="session")
def store():
    return Host("store")


@contextlib.contextmanager
def alone():
    """For what two hosts' tests, which run at once, would do to the same third."""
    with open(pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "alone.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class ByHost(LoadScopeScheduling):
    """All tests of a host in one process, in their order; the two hosts at once."""

    def _split_scope(self, nodeid):
        return next(name for name in HOSTS if name in nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByHost(config, log)


@pytest.fixture(scope="session", params=HOSTS)
def host(request):
    """With a bot that has a database, a file, a ledger in PostgreSQL and a cache in Redis."""
    found = Host(request.param)
    found.trade(2)
    found.rest()
    found.run("cd /var/lib/bot-paper; mkdir -p state; echo one > state/position.json; echo x > scrap.tmp; chown -R bot-paper: .")
    if found.psql("SELECT count(*) FROM pg_database WHERE datname = 'ledger'", "postgres") == "0":
        found.psql("CREATE DATABASE ledger", "postgres")
        found.psql("CREATE TABLE orders (id serial PRIMARY KEY, \"the note\" text)")
        found.psql("INSERT INTO orders (\"the note\") SELECT 'order ' || n FROM generate_series(1, 1000) n")
    found.redis("SET", "position", "42")
    for key in range(10):
        found.redis("SET", f"key{key}", "value")
    return found
