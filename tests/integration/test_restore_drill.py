"""The lab's bot hosts are lost and come back; the exchange's record is the judge."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import lab
from conftest import ROOT

# From the loss to the next order, on a machine that does nothing else.
SECONDS = 150


def test_the_bots_hosts_are_lost_and_every_row_comes_back():
    begun = time.monotonic()
    done = subprocess.run([sys.executable, ROOT / "lab/drill.py"], text=True, capture_output=True, check=False)
    print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = json.loads((ROOT / "build/restore-drill.json").read_text())
    assert said["verdict"] == "ok" and said["integrity"] == "ok"
    assert said["rows_restored"] == said["rows_expected"] > 0
    assert said["rpo_s"] <= time.monotonic() - begun and said["rto_s"] <= SECONDS
    lab.await_orders()
