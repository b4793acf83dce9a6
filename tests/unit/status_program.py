"""The program of the role status_site as the role puts it together, and a pair's host for it to look at. For unit tests and for the browser's."""

from __future__ import annotations

import importlib
import json
import pathlib
import runpy
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEFT = runpy.run_path(str(ROOT / "molecule/status_site/files/left_behind.py"))
LIMITS = {
    "certificate_days": 14,
    "disk_percent": 85,
    "order_minutes": 15,
    "backup_hours": 26,
    "drill_days": 8,
    "compliance_hours": 48,
    "fencing_days": 90,
    "replication_seconds": 60,
    "audit_hours": 48,
    "notify_hours": 26,
}
SYSTEM = {
    "os": "Debian GNU/Linux 13 (trixie)",
    "kernel": "6.12.0-1-amd64",
    "processors": 2,
    "uptime_seconds": 864000.0,
    "load1": 0.4,
    "memory_bytes": 4_000_000_000,
    "memory_available_bytes": 2_000_000_000,
    "disks": [{"mount": "/", "used_ratio": 0.41, "free_bytes": 20_000_000_000}],
    "failed_units": [],
    "timers": {"botops-status.timer": "active"},
    "reboot_required": False,
    "certificates": [],
    "clock_synchronized": True,
}
OWN = ("common", "collect", "model", "metrics", "pages", "charts", "mask", "peers", "cli")
# {name in the program: the file that others use as well}
SHARED = {"cluster": "_pacemaker/status.py", "commands": "_commands.py", "redaction": "_bot/redaction.py"}


def put_together(top: pathlib.Path):
    """Its modules below `top`, imported, as attributes of one object."""
    shutil.copytree(ROOT / "roles/status_site/files/botops_status", top / "botops_status")
    for name, path in SHARED.items():
        shutil.copy(ROOT / "plugins/module_utils" / path, top / f"botops_status/{name}.py")
    sys.path.insert(0, str(top))
    modules = {name: importlib.import_module("botops_status." + name) for name in (*OWN, *SHARED)}
    sys.path.remove(str(top))
    return type("Program", (), modules)


def answering(program, unit: str, crm_mon: str = LEFT["CRM_MON"]):
    """A `run` whose commands answer as a pair's do; `unit`: what systemctl says."""
    answers = {
        "crm_mon": crm_mon,
        "cibadmin": LEFT["TOPOLOGY"],
        "corosync-qdevice-tool": "State:\t\tConnected",
        "/usr/local/sbin/botops-rsync-ha": json.dumps(LEFT["REPLICATION"]),
        "systemctl": unit,
    }
    return lambda argv, timeout=10: program.common.Done(0 if argv[0] in answers else 127, answers.get(argv[0], ""))
