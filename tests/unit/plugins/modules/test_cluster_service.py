"""The least that is needed, judged by the commands that were run."""

from __future__ import annotations

import contextlib
import io
import json
import time

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.botops.fleet.plugins.modules import cluster_service

CONF = "totem {\n  version: 2\n  cluster_name: demo\n  token: 3000\n}\nnodelist {\n  node {\n    name: a\n    nodeid: 1\n  }\n}\n"
CMAP = {"totem.version": "2", "totem.cluster_name": "demo", "totem.token": "3000", "nodelist.node.0.name": "a", "nodelist.node.0.nodeid": "1"}
MON = (
    '<r><summary><current_dc with_quorum="true"/></summary><nodes><node name="a" id="1" online="true" pending="false" type="member"/>'
    '{more}</nodes></r>'
)


class Host:
    """Answers commands as a member would, and remembers those that change something."""

    def __init__(self, active=True, cmap=None, strangers="", primitives=True, stale=False, device_started=1, vote=1):
        self.active, self.cmap, self.primitives, self.stale = active, dict(CMAP, **(cmap or {})), primitives, stale
        self.mon = MON.format(more=strangers)
        self.device_started, self.vote = device_started, vote
        self.did = []

    def run(self, argv, *_args, **_kwargs):
        line = " ".join(argv)
        if "--property=ActiveEnterTimestampMonotonic" in argv:
            return 0, "%d\n" % ((time.monotonic() + self.device_started) * 1e6), ""
        if argv[0] == "corosync-quorumtool":
            return 0, "         0          %d            Qdevice\n" % self.vote, ""
        if argv[:2] == ["systemctl", "show"]:
            state = "active" if self.active else "inactive"
            kind = "enabled" if self.active else "disabled"
            stale = "yes" if self.stale else "no"
            blocks = [f"Id={u}.service\nActiveState={state}\nUnitFileState={kind}\nNeedDaemonReload={stale}" for u in argv[3:]]
            return 0, "\n\n".join(blocks), ""
        if argv[0] == "corosync-cmapctl":
            return 0, "\n".join(f"{k} (str) = {v}" for k, v in self.cmap.items()), ""
        if argv[0] == "crm_mon":
            return 0, self.mon, ""
        if argv[0] == "cibadmin":
            return (0, "<primitive/>", "") if self.primitives else (6, "", "")
        if "--query" in argv:
            return 0, "false\n", ""
        self.did.append(line)
        if line == "corosync-cfgtool -R":
            self.cmap["totem.token"] = "3000"
        return 0, "", ""


@pytest.fixture
def apply(monkeypatch, tmp_path):
    conf = tmp_path / "corosync.conf"
    conf.write_text(CONF)
    monkeypatch.setattr(cluster_service, "COROSYNC_CONF", str(conf))
    monkeypatch.setattr(cluster_service, "DEVICE_READ", str(tmp_path / "read"))
    monkeypatch.setattr(basic.AnsibleModule, "get_bin_path", lambda *_args, **_kwargs: "/usr/bin/x")
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda *_args, **_kwargs: None)

    def run(host, check=False, **arguments):
        monkeypatch.setattr(basic.AnsibleModule, "run_command", host.run)
        out = io.StringIO()
        given = {"qdevice": True, "members": ["a"], "wait_seconds": 1, **arguments, "_ansible_check_mode": check, "_ansible_remote_tmp": "/tmp"}
        with patch_module_args(given), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            cluster_service.main()
        return json.loads(out.getvalue())

    return run


def test_a_healthy_member_is_not_touched(apply):
    host = Host()
    assert apply(host, forget=True)["changed"] is False
    assert host.did == []


def test_a_new_member_starts_in_order(apply):
    host = Host(active=False)
    result = apply(host)
    assert [line for line in host.did if " start " in line] == [
        f"systemctl start {unit}.service" for unit in ("corosync", "corosync-qdevice", "pacemaker")]
    assert result["changed"]


def test_a_timing_is_reloaded(apply):
    host = Host(cmap={"totem.token": "1000"})
    result = apply(host)
    assert host.did == ["corosync-cfgtool -R"]
    assert result["differences"] == ["totem.token"]


def test_check_mode_does_nothing(apply):
    for host in (Host(cmap={"totem.token": "1000"}), Host(active=False)):
        assert apply(host, check=True)["changed"]
        assert host.did == []


def test_a_restart_under_a_running_bot_is_refused(apply):
    host = Host(cmap={"totem.cluster_name": "other"})
    result = apply(host)
    assert result["failed"] and "ha_cluster_allow_restart" in result["msg"]
    assert host.did == []


def test_a_restart_that_was_allowed_leaves_the_resources_alone_meanwhile(apply):
    host = Host(cmap={"totem.cluster_name": "other"})
    apply(host, allow_restart=True)
    assert host.did[0].endswith("maintenance-mode --update true")
    assert "systemctl stop corosync.service" in host.did


def test_a_changed_certificate_restarts_the_device_alone(apply):
    host = Host()
    apply(host, restart_qdevice=True)
    assert host.did == ["systemctl restart corosync-qdevice.service"]


def test_a_device_that_was_started_before_its_configuration_restarts(apply):
    """Even where the running corosync agrees: the other member may have made this one read the file."""
    host = Host(device_started=-60)
    apply(host)
    assert host.did == ["systemctl restart corosync-qdevice.service"]
    # Now it is known what it has read: a file that is newer by another setting is no reason.
    host = Host(device_started=-60)
    apply(host)
    assert host.did == []


def test_a_witness_that_does_not_vote_fails_the_run(apply, monkeypatch):
    monkeypatch.setattr(cluster_service, "WITNESS_SECONDS", 0)
    assert not apply(Host(), witness="gamma").get("failed")
    result = apply(Host(vote=0), witness="gamma")
    assert result["failed"] and "The witness gamma does not vote on this member" in result["msg"] and "TCP 5403" in result["msg"]
    assert not apply(Host(vote=0), check=True, witness="gamma").get("failed")


def test_a_member_that_left_is_forgotten(apply):
    host = Host(strangers='<node name="old" id="2" online="false" type="member"/>')
    assert apply(host, forget=True)["actions"] == ["the cluster forgets old"]
    assert host.did == ["crm_node --force --remove old"]


def test_a_member_that_does_not_come_is_named(apply):
    host = Host(stale=True)
    result = apply(host, members=["a", "b"])
    assert result["failed"] and "Not online after 1 s: b" in result["msg"]
