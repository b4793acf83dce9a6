"""The comparing functions, by property: what they must be for every input, not for three examples."""

import ipaddress

import pytest
from do_harness import util
from hypothesis import given
from hypothesis import strategies as st

resource = util("_resource")
firewall = util("_digitalocean.firewall")
dns = util("_digitalocean.domain_record")
client = util("_digitalocean.client")

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc", max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3), max_leaves=8)
views = st.dictionaries(st.text("fgh", min_size=1, max_size=2), values, max_size=4)
lists = st.lists(st.text("abc", min_size=1, max_size=2) | st.dictionaries(st.sampled_from("kl"), st.integers(0, 2), min_size=1), max_size=5)


@given(views)
def test_nothing_differs_from_itself(view):
    assert resource.differences(view, view) == {}


@given(views, views)
def test_applying_the_differences_leaves_none(current, wanted):
    changes = resource.differences(current, wanted)
    after = {**current, **{field: pair[1] for field, pair in changes.items()}}
    assert resource.differences(after, wanted) == {}


@given(views, views)
def test_only_what_is_wanted_is_touched(current, wanted):
    changes = resource.differences(current, wanted)
    assert set(changes) <= {field for field, value in wanted.items() if value is not None}
    assert all(before == current.get(field) for field, (before, after) in changes.items())


@given(values, values)
def test_merging_covers_and_is_idempotent(have, want):
    once = resource.merged(have, want)
    assert resource.covers(once, want)
    assert resource.merged(once, want) == once


@given(lists, st.randoms())
def test_order_and_repetition_mean_nothing(items, random):
    shuffled = items + items[:2]
    random.shuffle(shuffled)
    assert resource.unordered(shuffled) == resource.unordered(items)
    assert resource.unordered(resource.unordered(items)) == resource.unordered(items)


@given(lists, lists)
def test_steps_lead_from_one_list_to_the_other(have, want):
    added, removed = resource.list_steps(have, want)
    keys = {resource.sort_key(item) for item in have} - {resource.sort_key(item) for item in removed}
    keys |= {resource.sort_key(item) for item in added}
    assert keys == {resource.sort_key(item) for item in want}
    assert resource.list_steps(want, want) == ([], [])


@given(lists, lists, st.booleans())
def test_purge_is_the_only_way_to_lose_an_item(have, want, purge):
    target = resource.target_list(have, want, purge)
    keys = {resource.sort_key(item) for item in target}
    assert {resource.sort_key(item) for item in want} <= keys
    assert purge or {resource.sort_key(item) for item in have} <= keys
    assert resource.target_list(target, want, purge) == target
    assert resource.target_list(have, None, purge) is None


@given(views, views, st.sets(st.text("fgh", min_size=1, max_size=2)))
def test_secrets_are_never_in_a_diff_but_their_change_is(before, after, secrets):
    canary = {field: "canary-%s" % field for field in secrets}
    told = resource.diff_of("x", {**before, **canary}, {**after, **{f: "canary-new" for f in secrets}}, secrets)
    assert "canary" not in str(told)
    if before and after and secrets:
        assert all(told["before"][field] != told["after"][field] for field in secrets)


@given(st.lists(st.tuples(st.sampled_from(["tcp", "udp", "icmp"]), st.integers(1, 65535), st.ip_addresses(v=4)), max_size=6), st.randoms())
def test_firewall_rules_are_a_set(rules, random):
    plain = [{"protocol": p, "ports": str(port), "sources": {"addresses": [str(a)]}} for p, port, a in rules]
    spelled = [{"protocol": p, "ports": f"{port}-{port}", "sources": {"addresses": [f"{a}/32"]}} for p, port, a in rules]
    random.shuffle(spelled)
    normal = firewall.normal_rules(plain, "sources")
    assert firewall.normal_rules(spelled + spelled[:1], "sources") == normal
    assert firewall.normal_rules(normal, "sources") == normal
    keys = [(rule["protocol"], rule["ports"]) for rule in normal]
    assert len(keys) == len(set(keys)), "the vendor refuses two rules for the same ports"


@given(st.ip_addresses(v=4), st.integers(1, 32))
def test_addresses_have_one_spelling(address, prefix):
    normal = firewall.normal_address(f"{address}/{prefix}")
    assert firewall.normal_address(normal) == normal
    assert ipaddress.ip_address(address) in ipaddress.ip_network(normal)


@pytest.mark.parametrize("spelling", ["all", "0", "1-65535", "", None, " all "])
def test_all_ports_have_one_spelling(spelling):
    assert firewall.normal_ports("tcp", spelling) == "0"
    assert firewall.normal_ports("icmp", "22") == "0"


@given(st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}", fullmatch=True), st.sampled_from(["CNAME", "MX", "NS", "SRV"]))
def test_host_names_have_one_spelling(name, kind):
    assert dns.normal_data(kind, name.upper() + ".") == dns.normal_data(kind, name) == name
    assert dns.normal_data(kind, dns.wire_data(kind, name)) == name


@pytest.mark.parametrize(
    ("given_name", "label"), [("@", "@"), ("", "@"), ("example.com", "@"), ("Bot", "bot"), ("bot.example.com.", "bot"), ("notexample.com", "notexample.com")]
)
def test_labels(given_name, label):
    assert dns.full_name(given_name, "example.com") == label


@given(st.integers(400, 599), st.text(max_size=400))
def test_every_answer_becomes_one_short_sentence(status, text):
    said = client.answer_text(status, text)
    assert str(status) in said and "\n" not in said and len(said) < 1000


@given(st.integers(0, 5000))
def test_pages_cover_everything(total):
    pages = client.last_page([], total)
    assert (pages - 1) * 200 < max(total, 1) <= pages * 200


def test_waiting_backs_off_and_ends_on_time():
    clock = [0.0]
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        clock[0] += seconds

    with pytest.raises(resource.Failure, match="after 60 s; it was last seen as: new"):
        resource.wait_for(lambda: (None, "new"), "it", 60, sleep=sleep, clock=lambda: clock[0])
    assert clock[0] == pytest.approx(60, abs=0.01)
    assert pauses[:-1] == sorted(pauses[:-1])
