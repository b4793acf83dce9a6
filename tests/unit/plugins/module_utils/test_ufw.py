"""ufw's files as data. The samples in data/ were written by ufw 0.36.2 itself."""

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.botops.fleet.plugins.module_utils import _ufw

DATA = pathlib.Path(__file__).parent / "data"
SAMPLES = {4: (DATA / "ufw-user.rules").read_text(), 6: (DATA / "ufw-user6.rules").read_text()}


def parsed(line, family):
    action, proto, dport, dst, sport, src, direction = _ufw.without_comment(line)[len(_ufw.TUPLE) :].split()
    route = action.startswith("route:")
    action, _sep, log = action.removeprefix("route:").partition("_")
    return {"family": family, "action": action, "route": route, "log": log, "proto": proto, "dport": dport, "dst": dst,
            "sport": sport, "src": src, "direction": direction, "comment": _ufw.comment_of(line)}


BLOCKS = [(family, lines) for family, text in SAMPLES.items() for lines in _ufw.split(text)[1]]


@pytest.mark.parametrize("family, lines", BLOCKS, ids=[f"v{f} {lines[0][14:]}" for f, lines in BLOCKS])
def test_every_rule_is_rendered_as_ufw_renders_it(family, lines):
    assert _ufw.block(parsed(lines[0], family)) == lines


@pytest.mark.parametrize("family", [4, 6])
def test_a_file_survives_taking_apart_and_joining(family):
    assert _ufw.join(*_ufw.split(SAMPLES[family])) == SAMPLES[family]


def items(*rules, family=4, owner="fleet"):
    return [item for rule in rules for item in _ufw.expand(rule, owner) if item["family"] == family]


SSH, WEB = {"port": ["22"], "proto": "tcp", "action": "limit"}, {"port": ["443", "80"], "proto": "tcp", "comment": "web"}


def test_add_keep_remove_in_the_declared_order():
    first = _ufw.merged(_ufw.EMPTY, items(SSH, WEB), "fleet")
    assert _ufw.describe(first) == [
        "limit in proto tcp from any to any port 22 # fleet:", "allow in proto tcp from any to any port 80,443 # fleet: web"
    ]
    assert _ufw.merged(first, items(SSH, WEB), "fleet") == first
    turned = _ufw.merged(first, items(WEB, SSH), "fleet")
    assert turned != first and sorted(_ufw.describe(turned)) == sorted(_ufw.describe(first))
    assert _ufw.describe(_ufw.merged(first, items(SSH), "fleet")) == _ufw.describe(first)[:1]
    assert _ufw.merged(first, [], "fleet") == _ufw.EMPTY


def test_rules_of_others_keep_their_place_and_go_only_when_purged():
    theirs = items({"port": ["1"]}, {"port": ["2"]}, owner="someone")
    text = _ufw.join([_ufw.BEGIN], [_ufw.block(theirs[0]), *map(_ufw.block, items(SSH)), _ufw.block(theirs[1])], [_ufw.END])
    after = _ufw.merged(text, items(WEB, SSH), "fleet")
    assert [line.split("#")[1].strip() for line in _ufw.describe(after)] == ["someone:", "fleet: web", "fleet:", "someone:"]
    assert len(_ufw.describe(_ufw.merged(text, items(SSH), "fleet", purge=True))) == 1


def test_the_same_rule_of_another_is_taken_over():
    text = _ufw.merged(_ufw.EMPTY, items(SSH, owner="someone"), "someone")
    assert _ufw.describe(_ufw.merged(text, items(SSH), "fleet")) == ["limit in proto tcp from any to any port 22 # fleet:"]


def test_sources_of_both_families_expand_into_both_files():
    rule = {"port": ["22"], "proto": "tcp", "from": ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]}
    assert [item["src"] for item in items(rule)] == ["10.0.0.0/8", "192.0.2.1"]
    assert [item["src"] for item in items(rule, family=6)] == ["2001:db8::/32"]
    assert items({**rule, "from": ["10.0.0.0/8"]}, family=6) == []


@pytest.mark.parametrize("rule, sentence", [
    ({"port": ["70000"]}, "outside 1 to 65535"), ({"port": ["http"]}, "is not a port"), ({"port": ["9:3"], "proto": "tcp"}, "runs backwards"),
    ({"port": ["1:2"]}, "needs proto tcp or udp"), ({"port": ["1"], "proto": "esp"}, "has no ports"),
    ({"from": ["10.0.0.1/8"]}, "host bits"), ({"from": ["office"]}, "is not an address or CIDR"),
    ({"from": ["10.0.0.0/8"], "to": ["2001:db8::1"]}, "no address family"), ({"from": ["10.0.0.0/8"], "family": "ipv6"}, "no address family"),
    ({"proto": "igmp", "family": "ipv6"}, "IPv4 only"), ({"interface_in": "eth0:1"}, "is not an interface name"),
    ({"interface_out": "eth0"}, "an incoming rule has none"), ({"direction": "out", "interface_in": "eth0"}, "an outgoing rule has none"),
    ({"route": True, "direction": "out"}, "a routed rule has none"), ({"comment": "it's"}, "apostrophes"),
    ({"proto": "tcp", "port": [str(n) for n in range(1, 17)]}, "more than 15 ports"),
])
def test_what_ufw_could_not_take_is_a_sentence(rule, sentence):
    said = _ufw.check_rule(rule)
    assert len(said) == 1 and sentence in said[0], said


@pytest.mark.parametrize("rules, client, expected", [
    ([SSH], "203.0.113.7", True), ([WEB], "203.0.113.7", False), ([], "203.0.113.7", False),
    ([{"port": ["22"], "proto": "tcp", "from": ["203.0.113.0/24"]}], "203.0.113.7", True),
    ([{"port": ["22"], "proto": "tcp", "from": ["203.0.113.0/24"]}], "198.51.100.1", False),
    ([{"port": ["22"], "proto": "udp"}], "203.0.113.7", False), ([{"port": ["20:30"], "proto": "tcp"}], "203.0.113.7", True),
    ([{"action": "deny", "from": ["203.0.113.0/24"]}, SSH], "203.0.113.7", False), ([SSH, {"action": "deny"}], "203.0.113.7", True),
    ([{"port": ["22"], "proto": "tcp", "to": ["192.0.2.9"]}], "203.0.113.7", False),
    ([{"port": ["22"], "proto": "tcp", "interface_in": "eth9"}], "203.0.113.7", False),
    ([{"action": "deny", "interface_in": "eth9"}, SSH], "203.0.113.7", False),
    ([{"port": ["22"], "proto": "tcp", "family": "ipv6"}], "203.0.113.7", False), ([SSH], "::ffff:203.0.113.7", True),
    ([{"route": True}, {"direction": "out"}], "203.0.113.7", False),
])
def test_who_still_gets_in(rules, client, expected):
    assert _ufw.admits(rules, "deny", client, 22, "192.0.2.1" if ":" not in client else None) is expected


def test_settings_of_shell_files():
    text = '# IPV6=no\nIPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\n'
    assert _ufw.setting(text, "DEFAULT_INPUT_POLICY") == "DROP" and _ufw.setting(text, "LOGLEVEL") is None
    assert _ufw.with_setting(text, "IPV6", "yes") == text
    assert _ufw.with_setting(text, "IPV6", "no").splitlines()[1] == 'IPV6="no"'
    assert _ufw.with_setting("", "LOGLEVEL", "low") == 'LOGLEVEL="low"\n'


PORTS = st.integers(1, 65535).map(str)
RULES = st.fixed_dictionaries({
    "action": st.sampled_from(["allow", "deny", "reject", "limit"]), "proto": st.sampled_from(["tcp", "udp"]),
    "port": st.lists(PORTS, max_size=4, unique=True), "log": st.sampled_from(["none", "new", "all"]),
    "comment": st.text("abc äø-#", max_size=12),
    "from": st.lists(st.sampled_from(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]), unique=True),
})


@given(st.lists(RULES, max_size=5, unique_by=lambda rule: (rule["proto"], tuple(sorted(rule["port"], key=int)), tuple(rule["from"]))))
def test_whatever_is_declared_converges_in_one_step_and_leaves_no_trace(rules):
    for family in (4, 6):
        wanted = items(*rules, family=family)
        once = _ufw.merged(_ufw.EMPTY, wanted, "fleet")
        assert _ufw.merged(once, wanted, "fleet") == once
        assert _ufw.merged(once, [], "fleet") == _ufw.EMPTY
        assert len(_ufw.describe(once)) == len(wanted)
