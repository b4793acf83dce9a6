"""From a declaration to a changed CIB: what changes, what stays, and what never shows."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import cib

EMPTY = (
    "<cib><configuration><crm_config><cluster_property_set id='cib-bootstrap-options'>"
    "<nvpair id='cib-bootstrap-options-dc-version' name='dc-version' value='3.0'/>"
    "</cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration><status/></cib>"
)
VIP = {"id": "vip", "agent": "ocf:heartbeat:IPaddr2", "options": {"ip": "192.0.2.10", "cidr_netmask": 24},
       "operations": [{"name": "monitor", "interval": "2s", "timeout": "20s"}]}
BOT = {"id": "bot", "agent": "systemd:bot-paper"}
FENCE = {"id": "fence-a", "agent": "stonith:fence_ipmilan", "options": {"ip": "192.0.2.1", "passwd": "lrm://"}}
WANTED = {
    "resources": [VIP, BOT, FENCE],
    "groups": [{"id": "trading", "members": ["vip", "bot"]}],
    "constraints": [{"type": "location", "resource": "fence-a", "node": "a", "score": "-INFINITY"}],
    "properties": {"stonith-enabled": True},
    "resource_defaults": {"resource-stickiness": 100},
    "fencing_topology": {"a": [["fence-a"]]},
    "alerts": [{"id": "told", "path": "/bin/true", "recipients": ["/bin/hook"], "select": ["nodes"]}],
}


def change(root, **wanted):
    return cib.apply(root, wanted)[0]


def ids(root, section="resources"):
    return [e.get("id") for e in root.iter() if e.tag in cib.RESOURCE_TAGS] if section == "resources" else [
        e.get("id") for e in root.find(f"configuration/{section}")]


@pytest.fixture
def empty():
    return ET.fromstring(EMPTY)


@pytest.fixture
def made(empty):
    return cib.apply(empty, WANTED)[0]


def test_everything_declared_is_there(made):
    assert ids(made) == ["trading", "vip", "bot", "fence-a"]
    assert ids(made, "constraints") == ["location-fence-a-a"]
    assert made.find(".//fencing-level").attrib == {"id": "fencing-a-1", "target": "a", "index": "1", "devices": "fence-a"}
    assert made.find(".//nvpair[@name='stonith-enabled']").get("value") == "true"
    assert made.find(".//alert/select/select_nodes") is not None


def test_applying_twice_changes_nothing(made):
    assert ET.tostring(cib.apply(made, WANTED)[0]) == ET.tostring(made)


def test_the_input_is_left_alone(empty):
    before = ET.tostring(empty)
    cib.apply(empty, WANTED)
    assert ET.tostring(empty) == before


def test_ids_and_order_of_pairs_mean_nothing(made):
    """crmsh and pcs give pairs other ids and another order; that is no difference."""
    other = copy.deepcopy(made)
    pairs = other.find(".//primitive[@id='vip']/instance_attributes")
    pairs[:] = reversed(list(pairs))
    for number, pair in enumerate(pairs):
        pair.set("id", f"nvpair-{number}")
    assert ET.tostring(cib.apply(other, WANTED)[0]) == ET.tostring(other)


def test_the_order_of_members_means_something(made):
    turned = {**WANTED, "groups": [{"id": "trading", "members": ["bot", "vip"]}]}
    assert ids(cib.apply(made, turned)[0])[:3] == ["trading", "bot", "vip"]


def test_drift_is_corrected(made):
    made.find(".//nvpair[@name='ip']").set("value", "192.0.2.99")
    assert cib.apply(made, WANTED)[0].find(".//nvpair[@name='ip']").get("value") == "192.0.2.10"


def test_what_is_no_longer_declared_goes(made):
    smaller = cib.apply(made, {**WANTED, "alerts": [], "constraints": [], "properties": {}})[0]
    assert smaller.find(".//alert") is None and smaller.find(".//rsc_location") is None
    assert smaller.find(".//nvpair[@name='stonith-enabled']") is None
    assert smaller.find(".//nvpair[@name='dc-version']") is not None, "the cluster's own properties are not ours"


def test_without_purge_it_stays(made):
    kept = cib.apply(made, {**WANTED, "alerts": [], "purge": False})[0]
    assert kept.find(".//alert") is not None
    # ... and is still known as ours, so that a later run may remove it.
    assert cib.apply(kept, {**WANTED, "alerts": []})[0].find(".//alert") is None


def test_what_others_made_stays(made):
    made.find("configuration/resources").append(ET.fromstring("<primitive id='theirs' class='systemd' type='x'/>"))
    made.find("configuration/constraints").append(
        ET.fromstring("<rsc_location id='cli-prefer-trading' rsc='trading' node='b' score='INFINITY'/>"))
    after = cib.apply(made, {})[0]
    assert ids(after) == ["theirs"]


def test_a_move_by_hand_goes_with_the_resource_it_names(made):
    made.find("configuration/constraints").append(
        ET.fromstring("<rsc_location id='cli-ban-trading' rsc='trading' node='b' score='-INFINITY'/>"))
    after, notes = cib.apply(made, {"resources": [FENCE]})
    assert ids(after, "constraints") == []
    assert any("cli-ban-trading" in note for note in notes)


def test_a_resource_that_joins_a_group_leaves_its_old_place(empty):
    alone = change(empty, resources=[VIP, BOT])
    grouped = change(alone, resources=[VIP, BOT], groups=[{"id": "trading", "members": ["vip", "bot"]}])
    assert ids(grouped) == ["trading", "vip", "bot"]
    assert sorted(ids(change(grouped, resources=[VIP, BOT]))) == ["bot", "vip"]


def test_what_an_operator_stopped_stays_stopped(made):
    bot = made.find(".//primitive[@id='bot']")
    bot.append(ET.fromstring("<meta_attributes id='m'><nvpair id='n' name='target-role' value='Stopped'/></meta_attributes>"))
    after, notes = cib.apply(made, {**WANTED, "resources": [{**VIP, "options": {"ip": "192.0.2.11"}}, BOT, FENCE]})
    assert after.find(".//primitive[@id='bot']/meta_attributes/nvpair").get("value") == "Stopped"
    assert any("bot keeps target-role=Stopped" in note for note in notes)
    declared = {**BOT, "meta": {"target-role": "Started"}}
    after = cib.apply(made, {**WANTED, "resources": [VIP, declared, FENCE]})[0]
    assert after.find(".//primitive[@id='bot']/meta_attributes/nvpair").get("value") == "Started"


def test_a_clone(empty):
    after = change(empty, resources=[{**BOT, "clone": {"interleave": True}}])
    assert ids(after) == ["bot-clone", "bot"]
    assert after.find(".//clone/meta_attributes/nvpair").get("value") == "true"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"resources": [VIP, VIP]}, "declared twice"),
        ({"resources": [{"id": "x", "agent": "IPaddr2"}]}, "write ocf:PROVIDER:NAME"),
        ({"groups": [{"id": "g", "members": ["nobody"]}]}, "names the member nobody"),
        ({"groups": [{"id": "g", "members": []}]}, "has no members"),
        ({"resources": [VIP], "groups": [{"id": "g", "members": ["vip"]}, {"id": "h", "members": ["vip"]}]}, "a member of g and of h"),
        ({"constraints": [{"type": "colocation", "resource": "x"}]}, "needs resource and with"),
        ({"constraints": [{"type": "order", "first": "x", "then": "y"}]}, "there is no such resource"),
        ({"fencing_topology": {"a": [["gone"]]}}, "names the device gone"),
        ({"resources": [{"id": "1st", "agent": "systemd:x"}]}, "cannot be an id"),
        ({"alerts": [{"id": "a", "path": "/x"}, {"id": "a", "path": "/y"}]}, "used twice"),
    ],
)
def test_a_contradiction_is_refused(empty, wanted, sentence):
    with pytest.raises(cib.Invalid, match=sentence):
        cib.apply(empty, wanted)


def test_nothing_secret_is_shown(empty):
    careless = {**FENCE, "options": {"passwd": "hunter2", "ip": "192.0.2.1", "password_script": "/root/secret"}}
    shown = cib.readable(change(empty, resources=[careless]))
    assert "hunter2" not in shown and "passwd=[secret]" in shown
    assert "ip=192.0.2.1" in shown and "password_script=/root/secret" in shown
    assert "passwd=lrm://" in cib.readable(change(empty, resources=[FENCE]))


NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.dictionaries(st.sampled_from(["ip", "nic", "x"]), st.one_of(st.integers(0, 9), st.booleans(), st.text("az", max_size=3)))
RESOURCES = st.lists(
    st.fixed_dictionaries({"id": NAMES, "agent": st.just("systemd:x"), "options": VALUES, "meta": VALUES}),
    unique_by=lambda resource: resource["id"],
)


@given(RESOURCES, RESOURCES, st.booleans())
def test_any_declaration_is_reached_from_any_other_and_then_stays(first, second, grouped):
    def declaration(resources):
        groups = [{"id": "g", "members": [r["id"] for r in resources[:2]]}] if grouped and len(resources) > 1 else []
        return {"resources": resources, "groups": groups}

    there = cib.apply(cib.apply(ET.fromstring(EMPTY), declaration(first))[0], declaration(second))[0]
    direct = cib.apply(ET.fromstring(EMPTY), declaration(second))[0]
    assert sorted(map(cib.canonical, there.find("configuration/resources"))) == sorted(
        map(cib.canonical, direct.find("configuration/resources")))
    assert ET.tostring(cib.apply(there, declaration(second))[0]) == ET.tostring(there)
