"""Native groups and the collection's own, from tags, without Jinja."""

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.groups import DEFAULT_MAP, NATIVE, Grouping
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import make_host

NATIVE_BY_DEFAULT = ["provider", "region", "tag", "role", "env", "bot"]


def groups(labels, group_by=NATIVE_BY_DEFAULT, mapping=DEFAULT_MAP, **host):
    return set(Grouping(group_by, mapping).groups(make_host("digitalocean", 1, region="nyc3", labels=labels, **host)))


def test_native_groups():
    assert groups(["bot:poly-market", "env:prod"], mapping={}) == {
        "provider_digitalocean", "region_nyc3", "tag_bot_poly_market", "tag_env_prod", "env_prod", "bot_poly_market",
    }


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("bot:polymarket", {"bot_hosts"}),
        ("role:primary", {"bot_hosts", "cluster_nodes"}),
        ("role:standby", {"bot_hosts", "cluster_nodes"}),
        ("role:witness", {"cluster_witness"}),
        ("role:web", {"web_hosts"}),
        ("role:docker", {"docker_hosts"}),
        ("role:cloudwatch", {"cloudwatch_hosts"}),
        ("role:bot,web", {"bot_hosts", "web_hosts"}),
        ("web", set()),
    ],
)
def test_the_collections_own_groups(label, expected):
    assert groups([label], group_by=[]) == expected


def test_selectors_take_any_native_key_and_patterns():
    mapping = {"east": ["region:nyc*", "region:us-east-*"], "old": ["image:ubuntu-22*"], "tagged": ["tag:web"]}
    assert groups(["web"], [], mapping, image="debian-13-x64") == {"east", "tagged"}


def test_what_a_provider_writes_about_itself_is_no_group():
    assert groups(["Name:bot", "aws:cloudformation:stack-id:x", "env:prod"], ["tag"], {}) == {"tag_env_prod"}


def test_empty_values_make_no_group():
    assert groups([], list(NATIVE), {"all_zones": ["vpc:*"]}) == {"provider_digitalocean", "region_nyc3", "zone_nyc3", "state_running"}


def test_groups_of_a_template_are_harmless_names():
    assert groups(["x:{{ lookup('pipe', 'id') }}"], ["tag"], {}) == {"tag_x____lookup__pipe____id_____"}


@pytest.mark.parametrize(
    ("group_by", "mapping", "sentence"),
    [
        (["colour"], {}, "group_by: colour is not one of account, bot"),
        ([], {"bad-name": ["role:x"]}, "bad-name is not a group name"),
        ([], {"all": ["role:x"]}, "all is not a group name"),
        ([], {"web": "role:x"}, "map_groups.web must be a list of selectors"),
        ([], {"web": ["roles:x"]}, "roles:x is not a selector; write KEY:PATTERN"),
        ([], {"web": ["primary"]}, "primary is not a selector"),
    ],
)
def test_mistakes_are_sentences(group_by, mapping, sentence):
    with pytest.raises(InventoryError, match=sentence):
        Grouping(group_by, mapping)
