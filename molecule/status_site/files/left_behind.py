#!/usr/bin/env python3
"""What a host has on it that the status site reads: evidence of every role, a bot with two releases, a pair. For tests.

left_behind.py ROOT [--pair]

All times are relative to now, so that nothing is old unless a test makes it so. Canaries stand where a secret or an address could slip through.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import sys
import time

CANARIES = ("canary-of-the-bot", "canary-of-a-credential", "canary-in-a-url", "canary-token-value", "203.0.113.77", "2001:db8::77")
BOT_PORT = 18080
RELEASES = ("4f0c9a1be77d-02aa", "9be1d2c3a4f5-02aa")

CRM_MON = """<pacemaker-result><summary><current_dc present="true" name="alpha" with_quorum="true"/><cluster_options maintenance-mode="false"/></summary>
<nodes><node name="alpha" id="1" online="true" pending="false" unclean="false" standby="false" maintenance="false"/>
<node name="beta" id="2" online="true" pending="false" unclean="false" standby="false" maintenance="false"/></nodes>
<resources><group id="g"><resource id="bot" resource_agent="systemd:bot-paper" role="Started" failed="false" blocked="false">
<node name="alpha" id="1"/></resource></group>
<resource id="fence-a" resource_agent="stonith:fence_ipmilan" role="Started" failed="false" blocked="false"><node name="beta" id="2"/></resource></resources>
</pacemaker-result>"""
TOPOLOGY = '<fencing-topology><fencing-level id="x" target="alpha" index="1" devices="fence-a"/></fencing-topology>'
REPLICATION = [
    {
        "bot": "paper",
        "host": "alpha",
        "active": True,
        "own_era": "7",
        "received_era": None,
        "heartbeat_age_seconds": None,
        "diverged": [],
        "superseded": [],
        "restorable": None,
        "replication": {"databases": {"paper.db": {"txid": 9001, "replicated_txid": 9001, "lag_seconds": 0.4}}, "unreplicated": {}, "errors": {}},
    }
]

# Answers as a bot does, with a counter that grows by a second.
BOT = f"""
import http.server, json, time
BEGAN = time.time()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        now = time.time()
        if self.path == "/metrics":
            body = 'orders_total{{state="accepted"}} %d\\norders_total{{state="refused"}} 2\\norders_total_other 7\\n' % (now - BEGAN)
        else:
            body = json.dumps({{"status": "ok", "last_order": now - 1}})
        self.send_response(200); self.end_headers(); self.wfile.write(body.encode())
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", {BOT_PORT}), Handler).serve_forever()
"""


def iso(epoch: float) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def evidence(now: float) -> dict[str, dict]:
    """As the programs of the roles backups, compliance, auditd and notify write it."""
    history = [
        {"time": iso(now - day * 86400), "score": 91.0 + (60 - day) * 0.1, "pass": 180, "fail": 9, "waived": 2, "not_applicable": 14}
        for day in range(60, 0, -1)
    ]
    control = {"severity": "medium", "source": "botops", "evidence": "", "waiver": None}
    return {
        "backup": {
            "source": "botops-backup",
            "host": "alpha",
            "time": iso(now - 3600),
            "run": "r",
            "verdict": "ok",
            "seconds": 14.2,
            "problems": [],
            "standby": [],
            "snapshots": [
                {"what": "paper", "repository": "local", "snapshot": "a1b2c3d4", "bytes": 48_300_000, "added": 1_200_000, "seconds": 3.1, "unread": {}},
                {"what": "@host", "repository": "local", "snapshot": "d4c3b2a1", "bytes": 900_000, "added": 4_000, "seconds": 1.2, "unread": {}},
            ],
            "last_good": {"paper": iso(now - 3600), "@host": iso(now - 3600)},
        },
        "drill": {
            "source": "botops-backup drill",
            "host": "alpha",
            "time": iso(now - 2 * 86400),
            "verdict": "ok",
            "seconds": 31.5,
            "key": "recovery",
            "problems": [],
            "restored": [
                {"bot": "paper", "repository": "local", "snapshot": "a1b2c3d4", "problems": [], "rpo_seconds": 3010.0, "rto_seconds": 8.4, "verdict": "ok"}
            ],
            "repositories": [],
            "verified": [],
            "last_good": iso(now - 2 * 86400),
        },
        "compliance": {
            "source": "botops-compliance",
            "host": "alpha",
            "time": iso(now - 7200),
            "verdict": "ok",
            "problems": [],
            "score": 97.4,
            "minimum": 95,
            "counts": {"pass": 187, "fail": 5, "waived": 1, "not_applicable": 12},
            "seconds": {},
            "sources": {
                "botops": {"pass": 120, "fail": 1, "waived": 0, "not_applicable": 10, "score": 99.2},
                "lynis": {"pass": 67, "fail": 4, "waived": 1, "not_applicable": 2, "score": 94.4},
            },
            "controls": [
                {
                    **control,
                    "id": "sockets:listening",
                    "title": "Only what is declared listens",
                    "expected": "at most tcp/22",
                    "status": "fail",
                    "actual": "also 203.0.113.77 and 2001:db8::77 port 7777, password=canary-token-value",
                },
                {
                    **control,
                    "id": "lynis:FILE-6310",
                    "title": "Partitions",
                    "expected": "nothing",
                    "actual": "a suggestion",
                    "status": "waived",
                    "waiver": {"control": "lynis:FILE-6310", "reason": "a container has no partitions", "owner": "ops", "until": iso(now + 30 * 86400)[:10]},
                },
                {**control, "id": "mode:/etc/shadow", "title": "Shadow", "expected": "0640", "actual": "0640", "status": "pass"},
            ],
            "history": [*history, {"time": iso(now - 7200), "score": 97.4, "pass": 187, "fail": 5, "waived": 1, "not_applicable": 12}],
        },
        "audit": {
            "source": "botops-audit",
            "host": "alpha",
            "time": iso(now - 5400),
            "verdict": "ok",
            "problems": [],
            "lost": 0,
            "lost_at_boot": 0,
            "backlog_limit": 8192,
            "immutable": False,
            "seconds": 86400,
            "events": 5120,
            "mb_per_day": 3.2,
            "budget_mb_per_day": 50,
            "keys": {},
            "over_budget": [],
        },
        "notify": {
            "source": "botops-notify deliver",
            "time": iso(now - 60),
            "verdict": "ok",
            "destinations": {"ops": {"sent": 12, "lost": 0, "waiting": 0, "last_error": "", "last_sent": iso(now - 40000), "failing_since": ""}},
        },
    }


def program(root: pathlib.Path, name: str, said: str) -> None:
    path = root / "usr/local/sbin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    path.chmod(0o755)


def build(root: pathlib.Path, now: float, pair: bool = False) -> None:
    def write(path: str, value: object, mode: int = 0o644) -> None:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
        place.chmod(mode)

    for name, value in evidence(now).items():
        write(f"var/lib/botops/evidence/{name}.json", value)
    write(
        "etc/bot-paper/bot.json",
        {
            "name": "paper",
            "unit": "bot-paper",
            "trading_mode": "live",
            "state": "/var/lib/botops/bot_app/paper",
            "current": "/opt/bot-paper/current",
            "health": {"url": f"http://127.0.0.1:{BOT_PORT}/health", "probe_seconds": 2},
        },
    )
    write("etc/bot-paper/secrets.env", 'API_KEY="canary-of-the-bot"\n', 0o600)
    write("etc/bot-paper/credentials/PRIVATE_KEY", "canary-of-a-credential", 0o600)
    for index, release in enumerate(RELEASES):
        about = {
            "id": release,
            "resolved": release,
            "source": "https://robot:canary-in-a-url@git.example.com/bot.git",
            "version": f"v1.{index}",
            "built": iso(now - (2 - index) * 86400),
        }
        write(f"opt/bot-paper/releases/{release}/.botops/release.json", about)
    current = root / "opt/bot-paper/current"
    current.unlink(missing_ok=True)
    current.symlink_to(f"releases/{RELEASES[1]}")
    os.utime(current, (now - 5 * 3600, now - 5 * 3600), follow_symlinks=False)
    write("var/lib/botops/bot_app/paper/state.json", {"current": RELEASES[1], "history": list(RELEASES), "live_allowed": [RELEASES[1]]}, 0o600)
    write("var/lib/botops/bot_app/paper/paper.json", {RELEASES[1]: {"seconds": 266400.0, "first": int(now - 4 * 86400), "last": int(now - 6 * 3600)}}, 0o600)
    write(
        "var/lib/botops/bot_app/paper/live.log",
        json.dumps({"time": iso(now - 5 * 3600), "release": RELEASES[1], "paper_hours_here": 74.0, "override_reason": None, "by": "root"}) + "\n",
        0o600,
    )
    write("usr/local/lib/bot-paper.py", BOT)
    write("etc/systemd/system/bot-paper.service", "[Service]\nExecStart=/usr/bin/python3 /usr/local/lib/bot-paper.py\n[Install]\nWantedBy=multi-user.target\n")
    if pair:
        write("etc/corosync/corosync.conf", "# of a test\n")
        write(
            "var/lib/botops/ha_cluster/fence-tests.json",
            {name: {"epoch": int(now - 20 * 86400), "result": "ok", "seconds": 11.2, "why": "", "date": "then", "by": "ops"} for name in ("alpha", "beta")},
        )
        program(root, "crm_mon", CRM_MON)
        program(root, "cibadmin", TOPOLOGY)
        program(root, "corosync-qdevice-tool", "Qdevice information\nState:\t\t\tConnected")
        program(root, "botops-rsync-ha", json.dumps(REPLICATION))


if __name__ == "__main__":
    build(pathlib.Path(sys.argv[1]), time.time(), "--pair" in sys.argv)
