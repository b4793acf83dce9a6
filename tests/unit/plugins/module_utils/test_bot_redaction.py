"""No part of a secret is in what a failed deployment shows, and nothing else is missing from it."""

import json

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._bot.deployer import Deployer
from ansible_collections.botops.fleet.plugins.module_utils._bot.host import Host
from ansible_collections.botops.fleet.plugins.module_utils._bot.redaction import scrub
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec

BODY = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", "C7VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dV", "Qw=="]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *BODY, "-----END PRIVATE KEY-----"]) + "\n"


@pytest.mark.parametrize("kept", [PEM, PEM.replace("\n", "\r\n")], ids=["lf", "crlf"])
@pytest.mark.parametrize(
    "shown",
    [
        "bad key: " + PEM,
        "bad key: " + PEM.replace("\n", "\r\n"),
        "\n".join(PEM.splitlines()[2:]),  # the failure message shows the last lines only
        "bot[17]: " + "\nbot[17]: ".join(BODY[:2]) + "\n" + BODY[2],
        "ValueError(%r)" % PEM,
        json.dumps({"key": PEM, "level": "error"}),
        "  " + BODY[1] + "  ",
    ],
    ids=["whole", "whole-crlf", "cut", "prefixed", "repr", "json", "indented"],
)
def test_a_pem_is_hidden_line_by_line(kept, shown):
    said = scrub(shown, [kept])
    assert "[secret]" in said
    assert not [part for part in BODY if part in said], said


def test_what_is_no_secret_stays():
    text = "Traceback\n  Qw== is in this line\nkey of 3 lines"
    assert scrub(text, [PEM]) == text


def test_short_lines_are_hidden_only_where_they_are_a_line():
    key = json.dumps({"id": "0123456789abcdef", "n": 1}, indent=1)
    assert scrub('if (a) {\n {\n}\n "n": 1\nn: {}', [key]) == 'if (a) {\n[secret]\n[secret]\n[secret]\nn: {}'
    assert scrub("the id is 0123", ["a\n0123\nb"]) == "the id is 0123"


@pytest.mark.parametrize("secrets", [["abcd", "abcd1234", "k"], ["k", "abcd1234", "abcd"]])
def test_a_value_inside_another(secrets):
    assert scrub("key=abcd1234 abcd k", secrets) == "key=[secret] [secret] k"


def test_values_that_overlap_leave_nothing():
    assert scrub("<abcd1234efgh>", ["abcd1234", "1234efgh"]) == "<[secret]>"
    assert scrub("<ababababab>", ["abab"]) == "<[secret]>"


def test_the_mark_itself_may_be_a_secrets_word():
    assert scrub("my secret is hunter22", ["secret", "hunter22"]) == "my [secret] is [secret]"


@pytest.mark.parametrize("value", ['pa"ss\\word', "pässwörd", "pa'ss"])
def test_an_escaped_value_is_hidden(value):
    for shown in (value, repr(value), json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert scrub("<%s>" % shown, [value]).replace('"', "").replace("'", "") == "<[secret]>"


# --- a deployment that fails


class FailingHost:
    check_mode = False

    def __init__(self, said):
        self.said = said

    def run(self, argv, cwd=None, env=None):
        # Compose reads the file before it runs anything of it.
        return (0, '{"services": {"bot": {}}}', "") if "config" in argv else (1, self.said, "")

    scrub = staticmethod(Host.scrub)


@pytest.mark.parametrize("via", [{"secrets_via": "environment"}, {"secrets_via": "credentials"}, {"mode": "compose", "module": ""}])
def test_a_failed_migration_shows_no_line_of_a_pem(tmp_path, via):
    """Whichever of its files the host keeps the secret in."""
    bot = spec.specify({"name": "paper", "module": "x", "source": {"type": "git", "url": "u"}, "secrets": {"KEY": PEM, "OTHER": "a$b`c"}, **via}, {"host": "h"})
    etc = bot["paths"]["etc"]
    for entry in spec.files(bot):
        if entry["path"].startswith(etc) and entry.get("state") != "directory":
            path = tmp_path / entry["path"][len(etc) + 1 :]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes((entry.get("secret_content") or entry["content"]).encode())
    (tmp_path / "release/.botops").mkdir(parents=True)
    (tmp_path / "release/compose.yml").write_text("services: {bot: {}}\n")
    seen = spec.public(bot)
    seen["paths"] = dict(seen["paths"], etc=str(tmp_path))
    deployer = Deployer(FailingHost("cannot read %s\nnor a$b`c\nbye" % PEM), seen, {"deploy_keys": {}})
    with pytest.raises(Refused) as refused:
        deployer.in_bot(str(tmp_path / "release"), "the migration", ["python", "-m", "x"])
    said = str(refused.value)
    assert "the migration failed (1) before anything was switched" in said and said.endswith("nor [secret]\nbye")
    assert not [part for part in BODY if part in said], said
