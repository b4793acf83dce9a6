"""corosync.conf against a running corosync."""

from __future__ import annotations

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import corosync

CONF = """
totem {
  version: 2
  cluster_name: demo   # a comment
  transport: knet
  token: 3000
}
nodelist {
  node {
    name: a
    nodeid: 11
    ring0_addr: 10.0.0.1
  }
  node {
    name: b
    nodeid: 12
    ring0_addr: 10.0.0.2
  }
}
quorum {
  provider: corosync_votequorum
  device {
    model: net
    net {
      host: 10.0.0.3
    }
  }
}
logging {
  to_syslog: yes
}
"""


def running(**changes):
    values = {**corosync.parse(CONF), "runtime.config.totem.token": "3000", "quorum.device.votes": "1", **changes}
    return {key: value for key, value in values.items() if value is not None}


def test_parse():
    keys = corosync.parse(CONF)
    assert keys["totem.cluster_name"] == "demo"
    assert keys["nodelist.node.1.name"] == "b"
    assert keys["quorum.device.net.host"] == "10.0.0.3"


@pytest.mark.parametrize("text", ["totem {", "}", "totem {\n what\n}"])
def test_what_is_no_configuration(text):
    with pytest.raises(ValueError, match="line|section"):
        corosync.parse(text)


def test_the_map_is_read():
    text = "totem.token (u32) = 3000\nruntime.members.1.ip (str) = r(0) ip(10.0.0.1) \nnoise\n"
    assert corosync.cmap(text) == {"totem.token": "3000", "runtime.members.1.ip": "r(0) ip(10.0.0.1)"}


def test_agreement():
    assert corosync.differences(corosync.parse(CONF), running()) == []


def test_a_timing_needs_a_reload_only():
    keys = corosync.differences(corosync.parse(CONF), running(**{"totem.token": "1000"}))
    assert keys == ["totem.token"]
    assert corosync.needs_restart(keys) == []


@pytest.mark.parametrize("key", ["totem.cluster_name", "totem.transport"])
def test_what_a_running_cluster_cannot_change(key):
    keys = corosync.differences(corosync.parse(CONF), running(**{key: "other"}))
    assert corosync.needs_restart(keys) == [key]


def test_a_member_that_was_removed_is_a_difference():
    keys = corosync.differences(corosync.parse(CONF), running(**{"nodelist.node.2.name": "c"}))
    assert keys == ["nodelist.node.2.name"]


def test_another_witness_is_no_reason_to_restart_corosync():
    keys = corosync.differences(corosync.parse(CONF), running(**{"quorum.device.net.host": "10.0.0.9"}))
    assert keys == ["quorum.device.net.host"] and not corosync.needs_restart(keys)


@pytest.mark.parametrize(("line", "votes"), [
    ("         0          1            Qdevice", True),
    ("         0          0            Qdevice (votes 1)", False),
    ("         1          1    A,V,NMW alpha (local)", False),
])
def test_the_witness_votes_where_corosync_counts_it(line, votes):
    assert corosync.witness_votes("Membership information\n----------------------\n    Nodeid      Votes    Qdevice Name\n%s\n" % line) is votes


def test_a_witness_that_was_removed():
    without = CONF[:CONF.index("  device {")] + "}\n"
    keys = corosync.differences(corosync.parse(without), running())
    assert "quorum.device.model" in keys
    assert "quorum.device.votes" not in keys


def test_where_it_logs_to_is_no_reason_to_touch_a_cluster():
    assert corosync.differences(corosync.parse(CONF), running(**{"logging.to_syslog": "no"})) == []
