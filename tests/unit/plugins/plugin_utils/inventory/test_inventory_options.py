"""Mistakes in `sources`: each one a sentence with its place, all of them at once, and the documentation says the same."""

import pathlib
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.options import TYPES, argument_spec, make_sources, refuse_literals
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Context

ROOT = pathlib.Path(__file__).resolve().parents[5]


def said(*sources, cache=True):
    with pytest.raises(InventoryError) as caught:
        make_sources(list(sources), Context(cache=cache))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("digitalocean", r"sources\[0\] must be a mapping with a type"),
        ({}, r"sources\[0\].type is missing, which is not a source: use one of digitalocean, aws, static"),
        ({"type": "digitalocan"}, r"did you mean digitalocean\?"),
        ({"type": "gcp"}, r"type is gcp, which is not a source"),
        ({"type": "digitalocean", "regoins": []}, r"sources\[0\] \(digitalocean\): there is no option regoins; did you mean regions\?"),
        ({"type": "digitalocean", "zzz": 1}, r"there is no option zzz; it knows accounts, address"),
        ({"type": "aws", "regions": ["us-east-1"], "secret_key": "x"}, r"secret_key is not an option: credentials come from profile"),
        ({"type": "aws"}, r"missing required arguments: regions"),
        ({"type": "aws", "regions": []}, r"regions is empty: name them, or write \[all\]"),
        ({"type": "aws", "regions": ["us-east-1a"]}, r"us-east-1a is not a region such as us-east-1 \(us-east-1 is; that was a zone\)"),
        ({"type": "aws", "regions": ["Virginia"]}, r"Virginia is not a region"),
        ({"type": "aws", "regions": ["all", "us-east-1"]}, r"all cannot stand beside others"),
        ({"type": "aws", "regions": ["us-east-1"], "role_arn": "admin"}, r"role_arn admin is not the ARN of a role"),
        ({"type": "aws", "regions": ["us-east-1"], "external_id": "x"}, r"external_id needs role_arn"),
        ({"type": "aws", "regions": ["us-east-1"], "profile": "a", "role_arn": "b"}, r"mutually exclusive: profile\|role_arn"),
        ({"type": "aws", "regions": ["us-east-1"], "filters": {"tag-key": "x"}, "tags": ["web"]}, r"tag-key cannot be combined"),
        ({"type": "digitalocean", "address": "primary"}, r"value of address must be one of: private, public, auto, got: primary"),
        ({"type": "digitalocean", "on_error": "ignore"}, r"value of on_error must be one of: fail, warn, stale"),
        ({"type": "digitalocean", "states": ["up"]}, r"value of states must be one or more of"),
        ({"type": "digitalocean", "timeout": "long"}, r"timeout"),
        ({"type": "digitalocean", "name": "Prod-1"}, r"name must be lower-case letters"),
        ({"type": "digitalocean", "endpoint": "http://api.example.com"}, r"would send the token unencrypted"),
        ({"type": "digitalocean", "endpoint": "file:///etc/passwd"}, r"endpoint must be http\(s\)://host"),
        ({"type": "digitalocean", "jump_host": "b -oProxyCommand=id"}, r"jump_host must be \[USER@\]HOST\[:PORT\]"),
        ({"type": "digitalocean", "token_env": "A", "token_file": "b"}, r"mutually exclusive"),
        ({"type": "digitalocean", "accounts": [{"name": "a"}, {"name": "a"}]}, r"accounts: a is there twice"),
        ({"type": "digitalocean", "accounts": [{"name": "a"}], "token_env": "A"}, r"mutually exclusive: accounts\|token_env"),
        ({"type": "digitalocean", "tags": 7}, r"tags must be a mapping"),
        ({"type": "static"}, r"missing required arguments: hosts"),
        ({"type": "static", "hosts": {"a b": {}}}, r"hosts: a b is not a host name"),
        ({"type": "static", "hosts": {"a": "10.0.0.1"}}, r"hosts.a must be a mapping such as"),
        ({"type": "static", "hosts": {"a": {"ip": "10.0.0.1"}}}, r"hosts.a: ip. Supported parameters include"),
    ],
)
def test_mistakes(source, sentence):
    lines = said(source)
    assert len(lines) == 1 and re.search(sentence, lines[0]), lines


def test_all_mistakes_of_all_sources_at_once():
    assert len(said({"type": "aws"}, {"type": "static"}, {"type": "x"})) == 3


def test_two_sources_of_one_name():
    twice = [{"type": "digitalocean"}] * 2
    assert said(*twice) == ["sources: 2 of them are called digitalocean; give each its own name"]


def test_stale_needs_a_cache():
    assert "on_error: stale needs cache: true" in said({"type": "digitalocean", "on_error": "stale"}, cache=False)[0]


@pytest.mark.parametrize("sources", [None, [], {}, "x"])
def test_no_sources(sources):
    with pytest.raises(InventoryError, match="sources must be a list"):
        make_sources(sources, Context())


def test_a_plain_secret_is_refused_before_anything_else():
    with pytest.raises(InventoryError, match=r"sources\[0\].token holds a secret in plain text"):
        refuse_literals([{"type": "digitalocean", "token": "abc"}])


def test_a_secret_is_never_part_of_a_cache_key():
    one, two = (
        make_sources([{"type": "digitalocean", "token": token, "tags": tags}], Context())[0].parts([])[0].key
        for token, tags in (("secret-1", None), ("secret-2", None))
    )
    assert one == two and "secret" not in one
    assert one != make_sources([{"type": "digitalocean", "tags": ["web"]}], Context())[0].parts([])[0].key


def test_documentation_and_specification_agree():
    text = (ROOT / "plugins/inventory/fleet.py").read_text()
    documented = yaml.safe_load(re.search(r'DOCUMENTATION = r"""(.*?)"""', text, re.S)[1])["options"]["sources"]["suboptions"]
    specified = {}
    for kind in TYPES:
        specified.update(argument_spec(kind))
    assert set(documented) == set(specified)
    for name, about in documented.items():
        assert about["type"] == specified[name]["type"], name
        assert about.get("choices") == specified[name].get("choices") or name == "states", name
        if name not in ("endpoint", "timeout"):  # these differ by source
            assert about.get("default") == specified[name].get("default"), name


def test_the_example_in_the_documentation_is_valid():
    text = (ROOT / "plugins/inventory/fleet.py").read_text()
    example = yaml.safe_load(re.search(r'EXAMPLES = r"""(.*?)"""', text, re.S)[1])
    refuse_literals(example["sources"])
    assert [made.TYPE for made in make_sources(example["sources"], Context(cache=True))] == ["digitalocean", "aws", "static"]
