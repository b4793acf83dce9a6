"""The status site of a host, made by the program itself out of what other roles leave behind, and served as its README says."""

import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/unit"))

from status_program import LEFT, LIMITS, SYSTEM, answering, put_together  # noqa: E402 - found by the line above

PATHS = ("/", "/system/", "/ha/", "/backups/", "/compliance/", "/releases/")
RUNNER = ROOT / ".cache/browser"
OUT = ROOT / "build/browser"
TIMERS = {"botops-status.timer": "active", "botops-backup.timer": "active", "botops-restore-drill.timer": "active"}


def made(code, root, place, now, broken):
    """One site below `place`: on a good day, or with everything wrong that a page has to say."""
    LEFT["build"](root, now, pair=True)
    if broken:
        backup = root / "var/lib/botops/evidence/backup.json"
        value = json.loads(backup.read_text())
        backup.write_text(
            json.dumps({**value, "last_good": {**value["last_good"], "paper": LEFT["iso"](now - 400000)}, "problems": ["paper: the store does not answer"]})
        )
    unit = f"Id=bot-paper.service\nActiveState=active\nUnitFileState=enabled\nNRestarts=1\nActiveEnterTimestamp=@{int(now) - 18000}\n"
    crm_mon = LEFT["CRM_MON"] if not broken else LEFT["CRM_MON"].replace('name="beta" id="2" online="true"', 'name="beta" id="2" online="false"')
    code.common.ROOT = root
    code.common.run = answering(code, unit, crm_mon)
    system = {**SYSTEM, "timers": TIMERS, "certificates": [{"name": "status.example.com", "ends": LEFT["iso"](now + (60 if not broken else 5) * 86400)}]}
    if broken:
        system.update(failed_units=["botops-backup.service"], reboot_required=True)
    code.collect.system = lambda config: system
    code.collect.fetched = lambda url: (200, json.dumps({"last_order": now - 4}))
    code.collect.counter = lambda url, metric: 86400.0
    config = {"host": "alpha", "show_addresses": False, "certificates": [], "limits": LIMITS}
    config["order_metrics"] = [{"bot": "paper", "url": "http://127.0.0.1:1/metrics", "metric": "orders_total"}]
    state = code.cli.look(config, now)
    memory, count = (
        {
            "samples": [],
            "releases": {"paper": [{"release": "4f0c9a1be77d-02aa", "version": "v1.0", "since": now - 5 * 86400, "built": "", "kind": "deployment"}]},
        },
        0,
    )
    for minute in range(720, -1, -1):
        count += 55 + (minute * 7919) % 11 - (40 if 200 < minute < 230 else 0)
        lag = 0.2 + ((minute * 104729) % 17) / 20 + (9 if 210 < minute < 216 else 0)
        copies = [{**entry, "databases": {"paper.db": {**entry["databases"]["paper.db"], "lag_seconds": lag}}} for entry in state["replication"]]
        bots = [{**bot, "orders_total": float(count)} for bot in state["bots"]]
        memory = code.model.remembered(memory, {**state, "epoch": now - 60 * minute, "bots": bots, "replication": copies})
    peer = {"state": {"epoch": now - (40 if not broken else 1900), "verdict": "ok", "line": "Everything is all right"}, "error": ""}
    peers = [{**code.model.peer_line("beta", peer, 300, now), "url": "https://status-beta.example.com/"}]
    texts = {**code.pages.everything(state, memory, peers, 5), "metrics": code.metrics.text(state), "state.json": json.dumps(state)}
    texts["style.css"] = (ROOT / "roles/status_site/files/botops_status/style.css").read_text()
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


def policy():
    """The headers that the role's README tells an operator to send."""
    block = re.search(r"```yaml\n(nginx_sites:.*?)```", (ROOT / "roles/status_site/README.md").read_text(), re.DOTALL)[1]
    return yaml.safe_load(block)["nginx_sites"][0]["headers"]


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        for name, value in policy().items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_words):
        pass


@pytest.fixture(scope="session")
def chromium():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    if not shutil.which("npm"):
        pytest.skip("there is no npm here: apt-get install npm")
    if not (RUNNER / "node_modules/axe-core").exists():
        RUNNER.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests/browser/package.json", RUNNER)
        done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=RUNNER, check=False)
        if done.returncode:
            pytest.skip("npm could not install axe-core and puppeteer-core: no registry answers")
    return found


@pytest.fixture(scope="session", params=[False, True], ids=["good", "broken"])
def seen(request, chromium, tmp_path_factory):
    """What the browser saw of every page, at every width, in both colour schemes; the screenshots are in build/browser."""
    place, root, out = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("root"), OUT / ("broken" if request.param else "good")
    out.mkdir(parents=True, exist_ok=True)
    made(put_together(tmp_path_factory.mktemp("program")), root, place, time.time(), request.param)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    argv = ["node", str(ROOT / "tests/browser/look.mjs"), chromium, base, str(out), *PATHS]
    done = subprocess.run(argv, cwd=RUNNER, text=True, capture_output=True, check=False, timeout=400, env={**os.environ, "HOME": str(root)})
    assert done.returncode == 0, done.stdout + done.stderr
    yield base, json.loads(done.stdout)
    server.shutdown()
    server.server_close()
