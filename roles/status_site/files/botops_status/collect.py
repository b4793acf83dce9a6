"""What others left behind, and what the kernel, systemd, the cluster and the bots say now. All of it read; nothing is judged here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import urllib.error
import urllib.request

from botops_status import cluster, common

LOOPBACK = ("http://127.", "http://localhost:", "http://localhost/", "http://[::1]")
EVIDENCE = ("backup", "drill", "compliance", "audit", "notify")
COMMANDS = {"backup": "botops-backup", "drill": "botops-backup", "compliance": "botops-compliance", "audit": "botops-audit", "notify": "botops-notify"}
PROBE_SECONDS = 3


def properties(units: list[str], wanted: str) -> dict[str, dict]:
    """{unit: {property: text}} by one call of systemctl; a unit that is not loaded is there, with LoadState=not-found."""
    told = common.run(["systemctl", "show", "--timestamp=unix", f"--property=Id,{wanted}", *units])
    found = {}
    for block in told.out.strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("Id"):
            found[unit["Id"]] = unit
    return found


def unix(text: str) -> float | None:
    """systemd's `@1764358672`; nothing where it never happened."""
    return float(text[1:]) if re.fullmatch(r"@\d+", text or "") else None


def system(config: dict) -> dict:
    """The machine: since when it runs, load, memory, disks, units that failed, certificates, and whether it wants a reboot."""
    memory = {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB", common.read("/proc/meminfo"), re.MULTILINE)}
    uptime = common.read("/proc/uptime").split()
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', common.read("/etc/os-release"), re.MULTILINE))
    failed = common.run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"])
    return {
        "os": release.get("PRETTY_NAME", ""),
        "kernel": os.uname().release,
        "processors": os.cpu_count() or 1,
        "uptime_seconds": float(uptime[0]) if uptime else None,
        "load1": float((common.read("/proc/loadavg").split() or ["0"])[0]),
        "memory_bytes": memory.get("MemTotal"),
        "memory_available_bytes": memory.get("MemAvailable"),
        "disks": disks(),
        "failed_units": [line.split()[0] for line in failed.out.splitlines() if line.split()] if not failed.status else None,
        "timers": timers(),
        "reboot_required": common.at("/run/reboot-required").exists(),
        "certificates": certificates(config["certificates"]),
        "clock_synchronized": common.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).out.strip() == "yes",
    }


def disks() -> list[dict]:
    """File systems that may fill up, by their own device; used as df says it, without what is reserved for root."""
    found, seen = [], set()
    for path in ("/", "/var", "/var/lib", "/var/log", "/var/lib/docker", "/opt"):
        try:
            device = os.stat(common.at(path)).st_dev
            about = os.statvfs(common.at(path))
        except OSError:
            continue
        if device in seen or not about.f_blocks:
            continue
        seen.add(device)
        used = about.f_blocks - about.f_bfree
        found.append({"mount": path, "used_ratio": round(used / ((used + about.f_bavail) or 1), 4), "free_bytes": about.f_bavail * about.f_frsize})
    return found


def timers() -> dict[str, str]:
    """Timers of ours that are enabled, and whether they wait."""
    told = common.run(["systemctl", "list-unit-files", "--type=timer", "--state=enabled", "--plain", "--no-legend", "--no-pager", "botops-*.timer"])
    names = [line.split()[0] for line in told.out.splitlines() if line.split()]
    return {name: unit.get("ActiveState", "") for name, unit in properties(names, "ActiveState").items()} if names else {}


def certificates(patterns: list[str]) -> list[dict]:
    found = []
    for pattern in patterns:
        for path in sorted(common.ROOT.glob(pattern.lstrip("/"))):
            told = common.run(["openssl", "x509", "-noout", "-enddate", "-in", str(path)])
            ends = re.search(r"notAfter=(\w+ +\d+ [\d:]+ \d+) GMT", told.out)
            name = path.parent.name if path.name == "fullchain.pem" else path.name
            if ends:
                moment = time.strptime(re.sub(" +", " ", ends[1]), "%b %d %H:%M:%S %Y")
                found.append({"name": name, "ends": common.iso(time.mktime(moment) - time.timezone)})
    return found


# --- bots ---------------------------------------------------------------------------------------------------------


def bots(config: dict, now: float) -> list[dict]:
    settings = {path.parent.name[4:]: common.read_json(path) for path in sorted(common.ROOT.glob("etc/bot-*/bot.json"))}
    settings = {name: about for name, about in settings.items() if about}
    wanted = "LoadState,ActiveState,SubState,UnitFileState,NRestarts,ActiveEnterTimestamp"
    units = properties([f"bot-{name}.service" for name in settings], wanted) if settings else {}
    return [bot(name, about, units.get(f"bot-{name}.service", {}), config, now) for name, about in settings.items()]


def bot(name: str, about: dict, unit: dict, config: dict, now: float) -> dict:
    state, current = common.at(f"/var/lib/botops/bot_app/{name}"), common.at(f"/opt/bot-{name}/current")
    release, deployed = "", None
    with contextlib.suppress(OSError):
        release, deployed = os.path.basename(os.readlink(current)), os.lstat(current).st_mtime
    active = unit.get("ActiveState") in ("active", "reloading")
    known = common.read_json(state / "state.json")
    marker = common.read_json(current / ".botops/release.json")
    result = {
        "name": name,
        "mode": about.get("trading_mode", ""),
        "active": active,
        "state": unit.get("ActiveState", "unknown"),
        "enabled": unit.get("UnitFileState", "").startswith("enabled"),
        "started": unix(unit.get("ActiveEnterTimestamp", "")) if active else None,
        "restarts": int(unit["NRestarts"]) if unit.get("NRestarts", "").isdigit() else None,
        "release": release,
        "deployed": deployed,
        "version": str(marker.get("version") or ""),
        "built": marker.get("built", ""),
        "pinned": bool(known.get("pin")),
        "earlier": [entry for entry in known.get("history") or [] if entry != release][-5:],
        "paper_seconds": (common.read_json(state / "paper.json").get(release) or {}).get("seconds", 0),
        "live": live(state / "live.log", release),
        "health": health(about, now) if active else None,
        "orders_total": None,
    }
    for entry in config["order_metrics"]:
        if entry["bot"] == name and active:
            result["orders_total"] = counter(entry["url"], entry["metric"])
    return result


def live(path: object, release: str) -> dict | None:
    """When this release was let trade live, with the paper hours that it had, and the reason of an override."""
    found = None
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("release") == release:
                    found = {"time": entry.get("time", ""), "paper_hours": entry.get("paper_hours_here", 0), "override": bool(entry.get("override_reason"))}
    return found


def fetched(url: str) -> tuple[int, str]:
    """(status, body) of this host's own end of a bot; no proxy of the environment, nothing but loopback."""
    if not url.startswith(LOOPBACK):
        raise OSError("it is not an address of this host")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PROBE_SECONDS) as answer:
            return answer.status, answer.read(1 << 20).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(65536).decode(errors="replace")


def health(about: dict, now: float) -> dict | None:
    """What the bot answers; nothing for a bot that is not asked by HTTP, of which its unit's own check speaks."""
    url = (about.get("health") or {}).get("url") or ""
    if not url.startswith(LOOPBACK):
        return None
    began = time.monotonic()
    try:
        status, body = fetched(url)
    except (OSError, ValueError) as error:
        return {"answers": False, "well": False, "words": str(getattr(error, "reason", error)) or type(error).__name__}
    took = (time.monotonic() - began) * 1000
    said = {}
    with contextlib.suppress(ValueError):
        said = json.loads(body)
    last = said.get("last_order") if isinstance(said, dict) else None
    return {
        "answers": True,
        "well": status == 200,
        "words": f"status {status}",
        "milliseconds": round(took, 1),
        "last_order": float(last) if isinstance(last, (int, float)) and 0 < last <= now + 300 else None,
    }


def counter(url: str, metric: str) -> float | None:
    """The sum of all samples of one metric (with part of its labels, where they are given) in Prometheus' text."""
    try:
        _status, body = fetched(url)
    except (OSError, ValueError):
        return None
    found = [line.rpartition(" ")[2] for line in body.splitlines() if line.startswith(metric) and line[len(metric) : len(metric) + 1] in ("{", " ")]
    try:
        return sum(float(value) for value in found) if found else None
    except ValueError:
        return None


# --- pair ---------------------------------------------------------------------------------------------------------


def pair() -> dict | None:
    """The cluster's view and the fencing tests on record; nothing on a host without a cluster."""
    if not common.at("/etc/corosync/corosync.conf").exists():
        return None
    tests = common.read_json(common.at("/var/lib/botops/ha_cluster/fence-tests.json"))
    told = common.run(["crm_mon", "--one-shot", "--output-as=xml"])
    records = {
        name: {"epoch": entry.get("epoch"), "result": entry.get("result", ""), "seconds": entry.get("seconds"), "why": entry.get("why", "")}
        for name, entry in tests.items()
        if isinstance(entry, dict)
    }
    if told.status or "<summary" not in told.out:
        why = re.search(r"<error>(.*?)</error>", told.out, re.DOTALL)
        return {"answers": False, "why": why.group(1) if why else told.last or "the cluster does not run on this host", "tests": records}
    witness = common.run(["corosync-qdevice-tool", "-s"])
    topology = common.run(["cibadmin", "--query", "--scope", "fencing-topology"])
    said = witness.out if not witness.status else "" if witness.status == 127 else "State: none"
    view = cluster.parse(told.out, said, topology.out if not topology.status else "")
    keys = ("quorate", "maintenance", "active", "standby", "lost", "waiting_for_operator", "failed", "witness", "automatic", "fencing_devices")
    nodes = {name: {"online": node["online"], "standby": node["standby"]} for name, node in view["nodes"].items()}
    return {"answers": True, "why": "", "tests": records, "nodes": nodes, **{key: view[key] for key in keys}}


def replication() -> list[dict] | None:
    """Of each bot whose data are replicated: the side, and how far behind the other host is."""
    told = common.run(["/usr/local/sbin/botops-rsync-ha", "status", "--json"])
    if told.status == 127:
        return None
    try:
        known = json.loads(told.out)
    except ValueError:
        return [{"bot": "", "active": False, "known": False, "why": told.last or "no status", "databases": {}}]
    result = []
    for entry in known:
        source = entry.get("replication") if entry.get("active") else entry.get("restorable")
        databases = {
            name: {"lag_seconds": figures.get("lag_seconds"), "unrestorable_seconds": figures.get("unrestorable_seconds") or 0}
            for name, figures in ((source or {}).get("databases") or {}).items()
        }
        result.append(
            {
                "bot": entry["bot"],
                "active": bool(entry.get("active")),
                "known": source is not None,
                "why": "" if source else "nothing is known of it",
                "databases": databases,
                "diverged": len(entry.get("diverged") or []),
                "heartbeat_age_seconds": entry.get("heartbeat_age_seconds"),
            }
        )
    return result


# --- all of it ----------------------------------------------------------------------------------------------------


def evidence() -> dict[str, dict]:
    """{what: its object}, with `expected` where the program that writes it is installed."""
    found = {}
    for name in EVIDENCE:
        value = common.read_json(common.at(f"{common.EVIDENCE}/{name}.json"))
        installed = common.at(f"/usr/local/sbin/{COMMANDS[name]}").exists()
        if value or installed:
            found[name] = {"expected": installed, "value": value}
    return found


def everything(config: dict, now: float) -> dict:
    """Each part by itself: one that cannot be looked at is an error of that name, and the others are told all the same."""
    result: dict = {"errors": {}}
    looks = {
        "system": lambda: system(config),
        "bots": lambda: bots(config, now),
        "pair": pair,
        "replication": replication,
        "evidence": evidence,
    }
    for name, look in looks.items():
        try:
            result[name] = look()
        except Exception as error:  # noqa: BLE001 - whatever a host may hold
            result[name] = None
            result["errors"][name] = f"{type(error).__name__}: {error}"
    return result
