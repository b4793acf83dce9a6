"""What the tools print becomes what an operator reads."""

from __future__ import annotations

import time

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import status

NODE = '<node name="{name}" id="1" online="{online}" pending="false" unclean="{unclean}" standby="false" maintenance="false"/>'
RESOURCE = (
    '<resource id="{id}" resource_agent="{agent}" role="Started" failed="{failed}" blocked="false">{on}</resource>'
)


def crm_mon(lost="", quorum="true", active="a", operator=True, maintenance="false", failed="false"):
    nodes = "".join(NODE.format(name=n, online=str(n != lost).lower(), unclean=str(n == lost).lower()) for n in "ab")
    on = f'<node name="{active}" id="1"/>' if active else ""
    group = '<group id="g">' + RESOURCE.format(id="bot", agent="systemd:bot", on=on, failed=failed) + "</group>"
    devices = RESOURCE.format(id="fence-a", agent="stonith:fence_ipmilan", on='<node name="b" id="2"/>', failed="false")
    if operator:
        devices += RESOURCE.format(id="fence-operator", agent="stonith:fence_operator", on="", failed="false")
    return (
        f'<pacemaker-result><summary><current_dc present="true" name="a" with_quorum="{quorum}"/>'
        f'<cluster_options maintenance-mode="{maintenance}"/></summary><nodes>{nodes}</nodes>'
        f'<resources>{group}{devices}</resources>'
        '<fence_history><fence_event action="reboot" target="b" status="success"/></fence_history></pacemaker-result>'
    )


def levels(device):
    return f'<fencing-topology><fencing-level id="x" target="a" index="1" devices="{device}"/></fencing-topology>'


CONNECTED = "Qdevice information\nState:\t\t\tConnected\n"


def test_a_healthy_pair():
    seen = status.parse(crm_mon(), CONNECTED, levels("fence-operator"))
    assert seen["active"] == ["a"] and seen["standby"] == ["b"] and not seen["lost"]
    assert seen["quorate"] and seen["witness"] == "connected" and not seen["automatic"]
    assert seen["fencing_devices"] == ["fence-a"]
    assert seen["nodes"]["b"]["resources"] == [], "a fencing device does not make a member active"
    assert seen["fence_history"][0]["target"] == "b"


def test_automatic_when_no_level_waits_for_a_person():
    assert status.parse(crm_mon(operator=False), CONNECTED, levels("fence-a"))["automatic"]
    assert not status.parse(crm_mon(operator=False), CONNECTED, "")["automatic"]


def test_witness():
    assert status.witness("") == "none"
    assert status.witness("State:\t\tConnect failed\n") == "disconnected"


def test_the_table_says_what_to_type_when_it_waits():
    seen = status.parse(crm_mon(lost="b", active=""), CONNECTED, levels("fence-operator"))
    text = "\n".join(status.render(status.table(seen, {})))
    assert "failed_node_is_off=b" in text
    assert "unknown: b may still run" in text
    assert "last test  a: never" in text


def test_the_table_of_trouble():
    seen = status.parse(crm_mon(quorum="false", maintenance="true", failed="true"), "State: x\n", "")
    records = {"a": {"epoch": time.time() - 3 * 86400, "result": "ok", "date": "2026-01-01"}}
    text = "\n".join(status.render(status.table(seen, records, lag="0.4 s")))
    for words in ("NO: nothing runs here", "maintenance  ON", "failed", "disconnected", "ok, 3 d ago", "0.4 s"):
        assert words in text


def test_the_quorate_members_word_counts():
    def view(quorate, *table):
        return {"cluster": {"answers": True, "quorate": quorate}, "table": list(table)}

    views = {"a": view(False, "from a"), "b": view(True, "from b"), "c": {"cluster": {"answers": False, "why": "not here"}}, "d": {"unreachable": True}}
    assert status.choose(views) == ["from b", "c: not here", "d: cannot be reached"]
