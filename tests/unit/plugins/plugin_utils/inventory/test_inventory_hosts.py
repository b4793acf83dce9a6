"""The schema, tag filters, the choice of an address, and names: unique, stable, and nothing lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory import hosts as under_test
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError

make, unique = under_test.make_host, under_test.unique_names


def test_roles_come_from_tags_and_one_tag_may_carry_several():
    host = make("aws", 7, labels=["role:primary, web", "bot:polymarket", "env:prod", "critical"])
    assert (host["id"], host["name"]) == ("7", "7")
    assert (host["roles"], host["role"], host["bot"], host["env"]) == (["primary", "web"], "primary", "polymarket", "prod")
    assert host["tags"] == {"bot": "polymarket", "critical": "", "env": "prod", "role": "primary, web"}


def test_a_repeated_key_keeps_all_its_values():
    host = make("digitalocean", 7, labels=["role:web", "role:primary", "env:prod", "env:staging"])
    assert host["roles"] == ["web", "primary"] and host["tags"]["role"] == "web,primary"
    assert host["envs"] == ["prod", "staging"]


def test_the_keys_with_a_meaning_may_have_other_names():
    host = make("aws", 1, labels=["Environment:prod", "env:ignored"], tag_keys={"env": "Environment"})
    assert host["env"] == "prod"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        ("bot:x", [("bot", ["x"])]),
        (["bot:x", "web"], [("bot", ["x"]), ("web", [])]),
        ({"bot": "x", "env": ["prod", "staging"], "web": None}, [("bot", ["x"]), ("env", ["prod", "staging"]), ("web", [])]),
    ],
)
def test_tag_filters_have_one_form(given, expected):
    assert under_test.tag_filter(given) == expected


def test_a_tag_filter_that_is_a_number_is_refused():
    with pytest.raises(InventoryError, match="tags must be a mapping"):
        under_test.tag_filter(5)


def test_every_wanted_tag_must_be_there():
    labels = ["bot:x", "env:prod", "web"]
    carries = under_test.carries
    assert carries(labels, [("bot", ["x", "y"]), ("env", ["prod"])])
    assert not carries(labels, [("bot", ["x"]), ("env", ["staging"])])
    assert carries(labels, [("env", [])])
    assert not carries(labels, [("env", [])], bare_is_whole=True)
    assert carries(labels, [("web", [])], bare_is_whole=True)


@pytest.mark.parametrize(
    ("mode", "jump", "addresses", "expected"),
    [
        ("auto", False, {"public": "1.2.3.4", "private": "10.0.0.1"}, "1.2.3.4"),
        ("auto", True, {"public": "1.2.3.4", "private": "10.0.0.1"}, "10.0.0.1"),
        ("auto", False, {"private": "10.0.0.1"}, "10.0.0.1"),
        ("auto", True, {"public": "1.2.3.4"}, "1.2.3.4"),
        ("public", True, {"public": "1.2.3.4", "private": "10.0.0.1"}, "1.2.3.4"),
        ("public", False, {"public_ipv6": "2001:db8::1", "private": "10.0.0.1"}, "2001:db8::1"),
        ("private", False, {"public": "1.2.3.4"}, None),
        ("auto", False, {}, None),
    ],
)
def test_address(mode, jump, addresses, expected):
    assert under_test.choose_address(addresses, mode, jump) == expected


def droplet(identity, name, **more):
    return dict(make("digitalocean", identity, name=name, region="nyc3"), **more)


def test_every_host_of_a_shared_name_is_renamed_so_that_order_does_not_matter():
    hosts = [droplet(1, "bot"), droplet(2, "web"), droplet(3, "bot")]
    names, said = unique(hosts, "suffix")
    assert names == ["bot-1", "web", "bot-3"]
    assert said == ["2 hosts are called bot (digitalocean 1 in nyc3, digitalocean 3 in nyc3); they are in the inventory as NAME-ID"]
    assert unique(hosts[::-1], "suffix")[0] == names[::-1]


def test_a_name_that_a_suffix_produced_is_no_second_collision():
    names, _ = unique([droplet(1, "a"), droplet(2, "a"), droplet(9, "a-1")], "suffix")
    assert len(set(names)) == 3 and names[:2] != ["a", "a"]


def test_fail_names_the_hosts_and_the_way_out():
    with pytest.raises(InventoryError, match=r"2 hosts are called bot \(digitalocean 1 .*set collision: suffix"):
        unique([droplet(1, "bot"), droplet(2, "bot")], "fail")


@pytest.mark.parametrize("name", ["localhost", "all", "127.0.0.1", "bot_hosts"])
def test_a_host_cannot_take_a_name_that_means_something_else(name):
    assert unique([droplet(5, name)], "suffix", ["bot_hosts"])[0] == [name + "-5"]
    with pytest.raises(InventoryError, match="a name that Ansible or a group"):
        unique([droplet(5, name)], "fail", ["bot_hosts"])


def test_written_names_stay_and_the_cloud_gives_way():
    hosts = [droplet("bot-a", "bot-a", fixed=True), droplet(4, "bot-a")]
    assert unique(hosts, "suffix")[0] == ["bot-a", "bot-a-4"]
    with pytest.raises(InventoryError, match="rename one of them$"):
        unique([dict(hosts[0]), dict(hosts[0])], "suffix")


def test_the_same_account_listed_twice_is_told():
    with pytest.raises(InventoryError, match="do two sources list the same account"):
        unique([droplet(1, "bot"), droplet(1, "bot")], "suffix")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("web server, prod", "web-server-prod"), ("../../etc/passwd", "etc-passwd"), ("-o ProxyCommand=x", "o-ProxyCommand-x"),
     ("a:22", "a-22"), ("a[1:3]", "a-1-3"), ("ü", "77"), ("{{ x }}", "x")],
)
def test_names_are_made_fit_for_patterns_paths_and_ssh(name, expected):
    assert unique([droplet(77, name)], "suffix")[0] == [expected]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["a", "a-1", "a-2", "a-1-2", "all", "b", ""]), max_size=9))
def test_names_are_unique_complete_and_independent_of_order(given_names):
    hosts = [droplet(number, name) for number, name in enumerate(given_names)]
    try:
        names, _ = unique(hosts, "suffix")
    except InventoryError:
        # A chain of suffixes that meet again, told rather than lost.
        return
    assert len(set(names)) == len(hosts)
    assert dict(zip(range(len(hosts)), names, strict=True)) == dict(
        zip(reversed(range(len(hosts))), unique(hosts[::-1], "suffix")[0], strict=True)
    )
