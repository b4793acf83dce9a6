"""Droplets out of the emulator: complete, with few requests, and every failure a sentence."""

import collections
import os
import re
import urllib.parse

import pytest
from emulators.digitalocean import Emulator
from emulators.digitalocean.compute import populate

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean import client
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory import digitalocean
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.options import make_sources
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Context


@pytest.fixture(scope="module")
def many():
    with Emulator(specification=None) as emulator:
        populate(emulator, 1010)
        yield emulator


@pytest.fixture
def api(many, monkeypatch):
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", many.token)
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    many.log.clear()
    many.faults.clear()
    return many


def fetch(emulator, **options):
    (source,) = make_sources([{"type": "digitalocean", "endpoint": emulator.url, **options}], Context())
    return [host for part in source.parts([]) for host in part.fetch()]


def test_every_droplet_in_as_many_requests_as_pages(api):
    hosts = fetch(api)
    assert len({host["id"] for host in hosts}) == 1010
    assert len(api.log) == 6 and all("per_page=200" in entry["path"] for entry in api.log)


def test_the_schema_is_filled(api):
    host = fetch(api)[0]
    droplet = api.table("droplets")[int(host["id"])]
    assert host["provider"] == "digitalocean" and host["account"] == "digitalocean"
    assert (host["name"], host["region"], host["size"]) == (droplet["name"], droplet["region"]["slug"], droplet["size_slug"])
    assert host["image"] == droplet["image"]["slug"] and host["state"] == "running" and host["vpc"] == droplet["vpc_uuid"]
    assert host["addresses"]["public"].startswith("198.18.") and host["addresses"]["private"].startswith("10.")
    assert host["labels"] == sorted(droplet["tags"]) and host["created"] == droplet["created_at"]


def test_the_tag_filter_is_the_servers(api):
    tags = collections.Counter(tag for droplet in api.table("droplets").values() for tag in droplet["tags"])
    tag, count = next((tag, count) for tag, count in tags.items() if tag.startswith("role:") and count < 1010)
    hosts = fetch(api, tags=[tag])
    assert len(hosts) == count
    assert all("tag_name=" + tag in urllib.parse.unquote(entry["path"]) for entry in api.log)


def test_more_tags_narrow_and_more_values_widen(api):
    both = fetch(api, tags={"role": ["primary", "standby"], "env": "prod"})
    expected = [
        droplet for droplet in api.table("droplets").values()
        if "env:prod" in droplet["tags"] and {"role:primary", "role:standby"} & set(droplet["tags"])
    ]
    assert len(both) == len(expected) and {str(droplet["id"]) for droplet in expected} == {host["id"] for host in both}


def test_regions_and_states(api):
    assert {host["region"] for host in fetch(api, regions=["nyc3", "fra1"])} == {"nyc3", "fra1"}
    assert fetch(api, states=["stopped"]) == []


def test_an_unknown_region_is_told_and_an_empty_one_is_not_an_error(api):
    with pytest.raises(InventoryError, match="nyc9 is not a region of DigitalOcean; it has ams3, blr1"):
        fetch(api, regions=["nyc9"])
    assert fetch(api, regions=["nyc3"], tags=["no-such-tag"]) == []


def test_accounts_are_parts_of_their_own(api, monkeypatch):
    monkeypatch.setenv("FIRST", api.token)
    monkeypatch.setenv("SECOND", "wrong")
    accounts = [{"name": "one", "token_env": "FIRST"}, {"name": "two", "token_env": "SECOND"}]
    (source,) = make_sources([{"type": "digitalocean", "endpoint": api.url, "accounts": accounts}], Context())
    one, two = source.parts([])
    assert {host["account"] for host in one.fetch()} == {"one"}
    with pytest.raises(InventoryError, match=r"token was refused \(HTTP 401\): .* Give a valid one in environment variable SECOND"):
        two.fetch()
    assert two.label == "digitalocean source digitalocean, account two"


def test_a_wrong_token_is_asked_for_once_and_never_shown(api, monkeypatch):
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "not-the-token")
    with pytest.raises(InventoryError) as caught:
        fetch(api)
    assert "not-the-token" not in str(caught.value) and len(api.log) == 1


def test_a_token_with_a_line_break_reaches_no_header(api, monkeypatch):
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "a\nX-Injected: 1")
    with pytest.raises(InventoryError, match="token of environment variable DIGITALOCEAN_TOKEN has spaces, line breaks or other characters that no token has"):
        fetch(api)


@pytest.mark.parametrize(
    "fault",
    [{"status": 500, "html": True}, {"status": 503}, {"drop": True}, {"truncate": True}, {"status": 429, "headers": {"retry-after": "2"}}],
    ids=["500-html", "503", "dropped", "cut-off", "429"],
)
def test_what_can_pass_is_tried_again(api, fault):
    api.fault(method="GET", path="page=3$", **fault)
    assert len(fetch(api)) == 1010 and len(api.log) == 7


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 500, "html": True}, r"listing droplets failed 4 times, last with HTTP 500 with an HTML page"),
        ({"drop": True}, r"did not answer \(Connection aborted\)"),
        ({"truncate": True}, r"did not answer .*IncompleteRead"),
        ({"status": 429, "headers": {"retry-after": "3000"}}, r"limit is used up; it opens again in 3000 s"),
        ({"status": 422, "message": "no"}, r"listing droplets was refused: no \(HTTP 422\)"),
        ({"status": 403, "message": "You are not authorized"}, r"refused: You are not authorized \(HTTP 403\)\. .*lacks a scope"),
    ],
)
def test_a_page_that_is_lost_loses_the_whole_part(api, fault, sentence):
    api.fault(method="GET", path="page=3$", times=99, **fault)
    with pytest.raises(InventoryError, match=sentence):
        fetch(api)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (None, "the answer is no JSON object but null; is endpoint right?"),
        ({"droplets": [None], "meta": {"total": 1}}, "is no list of droplets with its total"),
        ({"droplets": "none", "meta": {"total": 0}}, "is no list of droplets with its total"),
        ({"droplets": [], "meta": None}, "the answer has no total; is endpoint right?"),
        ({"droplets": [], "meta": {"total": 10**8}}, "claims 100000000 items, which no account has"),
        ({"droplets": [], "meta": {"total": 150_000}}, "gave 0 of 150000; the list is incomplete"),
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_a_sentence(api, body, sentence):
    api.fault(path="^/v2/droplets", body=body, times=9999)
    with pytest.raises(InventoryError, match=sentence):
        fetch(api)
    assert len(api.log) <= 5


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    (source,) = make_sources([{"type": "digitalocean", "endpoint": "http://127.0.0.1:9", "token": "x"}], Context())
    (part,) = source.parts([])
    with pytest.raises(InventoryError, match="http://127.0.0.1:9 did not answer .*Connection refused.*Check endpoint, the network and any proxy"):
        part.fetch()
    assert source.parts([])[0].label == "digitalocean source digitalocean"


def test_a_list_that_changes_while_it_is_read_is_read_again(api, monkeypatch):
    """When a droplet of page 1 goes, those behind it move up, and the first of page 2 is on no page that is read."""
    droplets = api.table("droplets")
    victim = next(iter(droplets))
    original = client.Client._page
    state = {"removed": None}

    def page(self, path, key, what, query, number):
        answer = original(self, path, key, what, query, number)
        if number == 1 and state["removed"] is None:
            with api.lock:
                state["removed"] = droplets.pop(victim)
        return answer

    monkeypatch.setattr(client.Client, "_page", page)
    try:
        hosts = fetch(api)
    finally:
        droplets[victim] = state["removed"]
    assert len(hosts) == 1009 and str(victim) not in {host["id"] for host in hosts}


def test_a_redirect_does_not_take_the_token_along(api):
    api.fault(method="GET", path="page=1$", times=99, status=302, headers={"location": "http://127.0.0.1:9/steal"})
    with pytest.raises(InventoryError, match=r"listing droplets was refused: .*\(HTTP 302\)"):
        fetch(api)


def test_normalise_survives_a_droplet_that_is_just_born():
    host = digitalocean.normalise({"id": 5, "status": "new", "networks": {}, "image": None, "region": None, "tags": None})
    assert (host["name"], host["state"], host["addresses"]["public"]) == ("5", "pending", None)


def test_ipv6_and_private_addresses_are_told_apart():
    networks = {
        "v4": [{"type": "private", "ip_address": "10.0.0.1"}, {"type": "public", "ip_address": "192.0.2.1"}],
        "v6": [{"type": "public", "ip_address": "2001:db8::1"}],
    }
    host = digitalocean.normalise({"id": 5, "name": "x", "networks": networks, "status": "off"})
    assert host["addresses"] == {"public": "192.0.2.1", "private": "10.0.0.1", "public_ipv6": "2001:db8::1"}
    assert host["state"] == "stopped" and re.fullmatch(r"\d+", host["id"])


@pytest.mark.skipif("BOTOPS_DIGITALOCEAN_OPENAPI" not in os.environ, reason="BOTOPS_DIGITALOCEAN_OPENAPI names no OpenAPI document")
def test_the_vendors_document_accepts_what_is_asked(monkeypatch):
    with Emulator(specification=os.environ["BOTOPS_DIGITALOCEAN_OPENAPI"]) as emulator:
        populate(emulator, 3)
        monkeypatch.setenv("DIGITALOCEAN_TOKEN", emulator.token)
        assert len(fetch(emulator, tags={"env": "prod", "role": None})) <= len(fetch(emulator))
        assert fetch(emulator, regions=["syd1"], tags=["nothing"]) == []
        assert emulator.judge.judged >= 3 and emulator.violations == []
