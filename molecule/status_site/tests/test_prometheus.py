"""Debian's Prometheus reads the metrics through the password; the rules are valid and ring, and every query of the dashboard returns data."""

import json
import re
import urllib.parse

import pytest
import yaml

from conftest import PASSWORD, PROJECT, USER, Host, eventually

FILES = PROJECT / "roles/status_site/files"
BOARD = json.loads((FILES / "grafana/botops.json").read_text())
RULES = yaml.safe_load((FILES / "prometheus/botops.rules.yml").read_text())
HOST = "status_site-debian13"
PORT = 9099


def queries():
    """[(panel, expression)] of the dashboard, with its variables as Grafana fills them in."""
    found = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]
    found += [(entry["name"], entry["expr"]) for entry in BOARD["annotations"]["list"]]
    return [(title, expr.replace("$instance", ".*").replace("$__rate_interval", "1m")) for title, expr in found]


@pytest.fixture(scope="module")
def prometheus():
    host = Host(HOST)
    host.run(
        "apt-get -q update >/dev/null; DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends prometheus >/dev/null"
        "; systemctl stop prometheus"
    )
    scrape = {
        "job_name": "botops",
        "scheme": "https",
        "basic_auth": {"username": USER, "password": PASSWORD},
        "tls_config": {"insecure_skip_verify": True},
        "static_configs": [{"targets": [f"{host.site}:443"]}],
    }
    config = {"global": {"scrape_interval": "2s", "evaluation_interval": "2s"}, "rule_files": ["/root/prometheus/rules.yml"], "scrape_configs": [scrape]}
    write(host, "prometheus.yml", json.dumps(config))
    write(host, "rules.yml", (FILES / "prometheus/botops.rules.yml").read_text())
    host.run(
        "systemctl reset-failed; systemd-run -q --unit=test-prometheus -p MemoryMax=400M prometheus --config.file=/root/prometheus/prometheus.yml"
        f" --storage.tsdb.path=/root/prometheus/data --web.listen-address=127.0.0.1:{PORT}"
    )
    try:
        # Two looks, so that there are rates.
        assert eventually(lambda: len(values(host, "botops_bot_orders_total[5m]")) and spread(host) >= 2, 60), host.out("journalctl -u test-prometheus -n 20")
        yield host
    finally:
        host.run("systemctl stop test-prometheus; rm -rf /root/prometheus")


def write(host, name, text):
    host.run(f"mkdir -p /root/prometheus; cat > /root/prometheus/{name} <<'END'\n{text}\nEND")


def ask(host, path):
    done = host.run(
        f"python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' 'http://127.0.0.1:{PORT}/api/v1/{path}'",
        check=False,
    )
    return json.loads(done.stdout)["data"] if done.returncode == 0 else {}


def values(host, expression):
    return ask(host, "query?query=" + urllib.parse.quote(expression, safe="")).get("result", [])


def spread(host):
    """How many different counts of orders were scraped."""
    return max((len({value for _time, value in entry["values"]}) for entry in values(host, "botops_bot_orders_total[5m]")), default=0)


def test_promtool_finds_no_fault(prometheus):
    said = prometheus.out("promtool check rules /root/prometheus/rules.yml; promtool check metrics < /var/lib/botops/status_site/www/metrics")
    found = re.search(r"SUCCESS: (\d+) rules found", said)
    assert found and int(found[1]) == sum(len(group["rules"]) for group in RULES["groups"]), said


@pytest.mark.parametrize("title, expression", [entry for entry in queries() if entry[0] != "Deployments"], ids=lambda text: text[:40])
def test_every_query_of_the_dashboard_returns_data(prometheus, title, expression):
    assert values(prometheus, expression), f"{title}: {expression}"


def test_a_deployment_is_marked_on_the_dashboard(prometheus):
    expression = dict(queries())["Deployments"]
    assert values(prometheus, expression) == []
    prometheus.run("touch -h /opt/bot-paper/current; systemctl start botops-status")
    assert eventually(lambda: values(prometheus, expression), 15)


def test_rules_are_quiet_and_one_rings_when_a_bot_stops(prometheus):
    def alerts():
        return {entry["labels"]["alertname"] for entry in ask(prometheus, "alerts").get("alerts", [])}

    health = [rule["health"] for group in ask(prometheus, "rules")["groups"] for rule in group["rules"]]
    assert len(health) > 5 and set(health) == {"ok"}
    assert not alerts() & {"BotopsSilent", "BotopsUnreachable", "BotopsNobodyTrades", "BotopsTwoTrade", "BotopsRestarts"}
    assert values(prometheus, "botops:orders_per_minute:rate5m")
    prometheus.run("systemctl stop bot-paper; systemctl start botops-status")
    try:
        assert eventually(lambda: {"BotopsCheckFailed", "BotopsNobodyTrades"} <= alerts(), 20)
    finally:
        prometheus.run("systemctl start bot-paper; systemctl start botops-status")


def test_every_metric_that_rules_and_dashboard_name_is_written(prometheus):
    written = set(re.findall(r"^# TYPE (\w+)", prometheus.out("cat /var/lib/botops/status_site/www/metrics"), re.MULTILINE))
    named = set(
        re.findall(
            r"\bbotops_\w+", " ".join(expr for _title, expr in queries()) + json.dumps([rule["expr"] for group in RULES["groups"] for rule in group["rules"]])
        )
    )
    assert named and named <= written, named - written
