"""Where secrets come from, and that they are never written down."""

import pytest

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.secret import literals, resolve

TOKEN = "dop_v1_" + "0a" * 32


class EncryptedString(str):
    """Stands for Ansible's class of that name."""


@pytest.mark.parametrize(
    ("node", "where"),
    [
        ([{"token": "abc"}], "sources[0].token holds a secret in plain text"),
        ([{"accounts": [{"token": 12345}]}], "sources[0].accounts[0].token holds"),
        ([{"vars": {"ansible_become_password": "hunter2"}}], "sources[0].vars.ansible_become_password holds"),
        ([{"hosts": {"a": {"vars": {"bot_api_key": "x"}}}}], "sources[0].hosts.a.vars.bot_api_key holds"),
        ([{"user": TOKEN}], "sources[0].user contains what looks like a secret"),
        ([{"token": "{{ '" + TOKEN + "' }}"}], "sources[0].token contains what looks like a secret"),
        ([{"filters": {"key": "AKIAIOSFODNN7EXAMPLE"}}], "sources[0].filters.key contains what looks like"),
    ],
)
def test_plain_secrets_are_found_wherever_they_stand(node, where):
    (sentence,) = literals(node)
    assert sentence.startswith(where)
    assert TOKEN not in sentence and "hunter2" not in sentence


@pytest.mark.parametrize(
    "node",
    [
        [{"token": "{{ lookup('ansible.builtin.env', 'TOKEN') }}"}],
        [{"token": EncryptedString("abc")}],
        [{"token_env": "MY_TOKEN", "token_file": "token.txt", "tags": {"token": None}}],
        [{"vars": {"ansible_ssh_private_key_file": "~/.ssh/id", "use_token": True}}],
    ],
)
def test_references_to_secrets_are_fine(node):
    assert literals(node) == []


def test_order_and_origin(monkeypatch, tmp_path):
    monkeypatch.delenv("A", raising=False)
    monkeypatch.setenv("B", " from-b \n")
    (tmp_path / "token").write_text("from-file\n")
    assert resolve({"token": EncryptedString("given")}, "token", ["A", "B"]) == ("given", "option token")
    assert resolve({"token_file": "token"}, "token", ["A", "B"], str(tmp_path))[0] == "from-file"
    assert resolve({}, "token", ["A", "B"]) == ("from-b", "environment variable B")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "there is no token: set the environment variable A or B"),
        ({"token_env": "C"}, "set the environment variable C,"),
        ({"token_file": "missing"}, "token_file .*missing cannot be read: No such file"),
        ({"token_file": "empty"}, "token_file .*empty is empty"),
        ({"token_file": "binary"}, "cannot be read: not text"),
    ],
)
def test_what_is_missing_is_told(monkeypatch, tmp_path, options, sentence):
    for name in "ABC":
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InventoryError, match=sentence):
        resolve(options, "token", ["A", "B"], str(tmp_path))
