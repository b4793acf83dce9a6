"""What the role status_site refuses, by the very cases that the lab runs."""

import pathlib
import re

import pytest
import yaml

from preflight_harness import refusals

CASES = yaml.safe_load((pathlib.Path(__file__).resolve().parents[3] / "integration/bad_input/status_site.yml").read_text())
# Which an inventory computes out of other roles' variables.
COMPUTED = {"status_site_backup_hours": 26, "status_site_drill_days": 8, "status_site_fencing_days": 90, "status_site_replication_seconds": 60}


def refused(**changes):
    return refusals("status_site", **{**COMPUTED, **changes})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_refused_with_one_sentence(case):
    said = refused(**case["vars"])
    assert len(said) == 1 and re.search(case["expect"], said[0]), said


def test_a_password_is_in_no_sentence():
    said = refused(status_site_peers=[{"name": "b", "url": "https://ops:canary-peer@b.example.com/", "password": "canary-peer"}])
    assert len(said) == 2 and "canary" not in " ".join(said)


@pytest.mark.parametrize("changes", [
    {}, {"status_site_directory": "/srv/status"}, {"status_site_textfile_directory": "/var/lib/prometheus/node-exporter"}, {"status_site_order_minutes": "0"},
    {"status_site_order_metrics": [{"bot": "alpha", "url": "http://[::1]:9/m", "metric": 'orders_total{state="accepted"}'}]},
    {"status_site_peers": [{"name": "b", "url": "https://b.example.com:8443/status/"}]},
    {"status_site_interval_seconds": 600, "status_site_stale_minutes": 20},
])  # fmt: skip
def test_what_makes_sense_is_taken(changes):
    assert refused(**changes) == []
