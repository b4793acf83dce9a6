"""The plugin as Ansible runs it: `ansible-inventory` on a file, against the emulator."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests"))

from emulators.digitalocean import Emulator  # noqa: E402
from emulators.digitalocean.compute import populate  # noqa: E402

RACK = {
    "type": "static", "name": "rack", "user": "admin", "vars": {"ansible_port": 2222},
    "hosts": {
        "bot-a": {"private": "192.168.1.100", "tags": {"role": "primary", "bot": "polymarket", "env": "prod"}},
        "bot-b": {"private": "192.168.1.101", "tags": {"role": "standby", "bot": "polymarket", "env": "prod"}},
        "vote": {"private": "192.168.1.102", "tags": {"role": "witness"}, "vars": {"note": "{{ 1 + 1 }}"}},
    },
}


class Fleet:
    def __init__(self, directory):
        self.path = directory / "fleet.yml"
        self.directory = directory
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "ANSIBLE_DEPRECATION_WARNINGS": "false",
            "ANSIBLE_NOCOLOR": "1", "PYTHONUTF8": "1",
        }

    def ran(self, *argv, check=True):
        done = subprocess.run(
            [str(pathlib.Path(sys.executable).parent / argv[0]), *argv[1:]], text=True, capture_output=True, env=self.environment,
            cwd=self.directory, check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def write(self, *sources, **options):
        self.path.write_text(yaml.safe_dump({"plugin": "botops.fleet.fleet", "sources": list(sources), **options}))
        return self

    def read(self, *more):
        done = self.ran("ansible-inventory", "-i", str(self.path), "--list", *more)
        # Text that Ansible will not render is told apart in this listing; the tests compare the text.
        said = json.loads(done.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))
        said["warnings"] = " ".join(done.stderr.split())
        return said

    def refused(self):
        done = self.ran("ansible-inventory", "-i", str(self.path), "--list", check=False)
        assert done.returncode != 0
        return " ".join(done.stderr.split())


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


@pytest.fixture(scope="module")
def emulator():
    with Emulator() as running:
        populate(running, 24, 2)
        yield running


@pytest.fixture
def droplets(emulator, fleet):
    emulator.log.clear()
    emulator.faults.clear()
    fleet.environment["DIGITALOCEAN_TOKEN"] = emulator.token
    return {"type": "digitalocean", "endpoint": emulator.url, "timeout": 5}


def test_machines_that_are_written_down(fleet):
    said = fleet.write(RACK).read()
    assert said["cluster_nodes"]["hosts"] == said["bot_hosts"]["hosts"] == ["bot-a", "bot-b"]
    assert said["cluster_witness"]["hosts"] == ["vote"]
    assert said["env_prod"]["hosts"] == ["bot-a", "bot-b"] and said["role_standby"]["hosts"] == ["bot-b"]
    variables = said["_meta"]["hostvars"]["bot-a"]
    assert variables["ansible_host"] == "192.168.1.100" and variables["ansible_user"] == "admin" and variables["ansible_port"] == 2222
    assert variables["fleet_host"]["source"] == "rack" and variables["fleet_host"]["role"] == "primary"
    assert "vars" not in variables["fleet_host"] and "fixed" not in variables["fleet_host"]
    assert said["warnings"] == ""


def test_empty_groups_of_the_collection_exist(fleet):
    done = fleet.write(RACK).ran("ansible", "web_hosts", "-i", str(fleet.path), "--list-hosts")
    assert "hosts (0)" in done.stdout and "Could not match" not in done.stderr


def test_all_sources_in_one_inventory_and_nothing_lost(fleet, droplets, emulator):
    said = fleet.write(droplets, RACK).read()
    hosts = said["_meta"]["hostvars"]
    assert len(hosts) == 27
    ids = {about["fleet_host"]["id"] for about in hosts.values() if about["fleet_host"]["provider"] == "digitalocean"}
    assert ids == {str(identity) for identity in emulator.table("droplets")}
    assert "3 hosts are called bot-" in said["warnings"] and "they are in the inventory as NAME-ID" in said["warnings"]
    assert len(said["provider_digitalocean"]["hosts"]) == 24 and len(said["source_rack"]["hosts"]) == 3


def test_collision_fail(fleet, droplets):
    assert "set collision: suffix" in fleet.write(droplets, collision="fail").refused()


def test_warm_cache_makes_no_request_and_says_the_same(fleet, droplets, emulator):
    fleet.write(droplets, RACK, cache=True, cache_connection=str(fleet.directory / "cache"))
    cold = fleet.read()
    assert len(emulator.log) == 1
    assert fleet.read() == cold and len(emulator.log) == 1
    (path,) = (fleet.directory / "cache").iterdir()
    text = path.read_text()
    assert emulator.token not in text and "192.168.1.100" not in text and oct(path.stat().st_mode)[-3:] == "600"
    fleet.ran("ansible", "all", "-i", str(fleet.path), "--list-hosts", "--flush-cache")
    assert len(emulator.log) == 2


def test_a_changed_file_is_not_answered_from_the_cache(fleet, droplets, emulator):
    cache = {"cache": True, "cache_connection": str(fleet.directory / "cache")}
    fleet.write(droplets, **cache).read()
    fleet.write({**droplets, "tags": ["env:prod"]}, **cache).read()
    assert [("tag_name" in entry["path"]) for entry in emulator.log] == [False, True]


def test_stale_if_error(fleet, droplets, emulator):
    options = {"cache": True, "cache_timeout": 0, "cache_connection": str(fleet.directory / "cache")}
    fleet.write({**droplets, "on_error": "stale"}, **options)
    cold = fleet.read()
    emulator.fault(status=401, times=9)  # the token was revoked, and is still the same
    warm = fleet.read()
    assert "using the answer of 0 minutes ago" in warm["warnings"] and "401" in warm["warnings"]
    assert warm["_meta"] == cold["_meta"]


@pytest.mark.parametrize("given", ["environment", "token_env", "token_file"])
def test_the_cache_of_one_account_is_no_answer_for_another(fleet, droplets, emulator, given):
    """Another account's token, and a wrong one, got the first one's hosts with exit code 0."""
    token_file = fleet.directory / "token"

    def give(token):
        fleet.environment["DIGITALOCEAN_TOKEN"] = token if given == "environment" else "other"
        fleet.environment["MINE"] = token
        token_file.write_text(token)

    source = {**droplets, **{"environment": {}, "token_env": {"token_env": "MINE"}, "token_file": {"token_file": "token"}}[given]}
    options = {"cache": True, "cache_timeout": 9999, "cache_connection": str(fleet.directory / "cache")}
    fleet.write({**source, "on_error": "stale"}, **options)
    give(emulator.token)
    assert len(fleet.read()["_meta"]["hostvars"]) == 24
    give("garbage")
    assert "was refused (HTTP 401)" in fleet.refused() and "there is no cached answer" in fleet.refused()
    with Emulator(token="of-another-account") as other:
        populate(other, 2)
        fleet.write({**source, "endpoint": other.url}, **options)
        give("of-another-account")
        assert len(fleet.read()["_meta"]["hostvars"]) == 2
    fleet.write({**source, "on_error": "stale"}, **options)
    give(emulator.token)
    emulator.log.clear()
    assert len(fleet.read()["_meta"]["hostvars"]) == 24 and emulator.log == [], "the first account's answer is kept"


def test_endpoint_and_token_come_from_the_variables_of_the_modules(fleet, emulator):
    """The modules went to the emulator, and the inventory to the real cloud."""
    fleet.environment["DIGITALOCEAN_API_ENDPOINT"] = emulator.url
    fleet.environment["DIGITALOCEAN_ACCESS_TOKEN"] = emulator.token
    assert len(fleet.write({"type": "digitalocean"}).read()["_meta"]["hostvars"]) == 24
    fleet.environment["DIGITALOCEAN_TOKEN"] = "expired"  # looked at first, as the modules do
    assert "Give a valid one in environment variable DIGITALOCEAN_TOKEN" in fleet.refused()


def test_failure_is_loud_and_warn_names_what_is_missing(fleet, droplets):
    fleet.environment["DIGITALOCEAN_TOKEN"] = "expired"
    sentence = "digitalocean source digitalocean: listing droplets: the API token was refused (HTTP 401)"
    assert sentence in fleet.write(droplets, RACK).refused()
    said = fleet.write({**droplets, "on_error": "warn"}, RACK).read()
    assert sorted(said["_meta"]["hostvars"]) == ["bot-a", "bot-b", "vote"]
    assert "its hosts are MISSING" in said["warnings"] and sentence in said["warnings"]


def test_text_of_an_api_is_never_rendered(fleet, droplets, emulator):
    droplet = next(iter(emulator.table("droplets").values()))
    kept = dict(droplet)
    try:
        droplet["name"], droplet["tags"] = "{{ 6*7 }}", ["x:{{ lookup('pipe', 'touch pwned') }}", "env:{{ 6*7 }}"]
        emulator.table("fragments").clear()
        fleet.write({**droplets, "regions": [droplet["region"]["slug"]], "states": ["running"]})
        done = fleet.ran(
            "ansible", "6-7", "-i", str(fleet.path), "-c", "local", "-m", "ansible.builtin.debug",
            "-a", "msg={{ fleet_host.name }}/{{ fleet_host.env }}",
        )
        assert "{{ 6*7 }}/{{ 6*7 }}" in done.stdout and not (fleet.directory / "pwned").exists()
        groups = fleet.write(droplets, keyed_groups=[{"key": "fleet_host.env", "prefix": "e"}], strict=True).read()
        assert "e____6_7___" in groups
    finally:
        droplet.update(kept)
        emulator.table("fragments").clear()


def test_written_templates_are_rendered_late(fleet):
    fleet.write(RACK)
    done = fleet.ran("ansible", "vote", "-i", str(fleet.path), "-c", "local", "-m", "ansible.builtin.debug", "-a", "msg=note-{{ note }}")
    assert "note-2" in done.stdout


def test_jinja_when_asked_for(fleet):
    said = fleet.write(
        RACK, compose={"nick": "fleet_host.bot ~ '-' ~ fleet_host.role"}, groups={"poly": "fleet_host.bot == 'polymarket'"},
        keyed_groups=[{"key": "fleet_host.roles", "prefix": "r"}],
    ).read()
    assert said["_meta"]["hostvars"]["bot-b"]["nick"] == "polymarket-standby"
    assert said["poly"]["hosts"] == ["bot-a", "bot-b"] and said["r_witness"]["hosts"] == ["vote"]


def test_map_groups_adds_to_the_default(fleet):
    said = fleet.write(RACK, map_groups={"web_hosts": ["role:witness"], "cluster_nodes": [], "db": ["bot:poly*"]}).read()
    assert said["web_hosts"]["hosts"] == ["vote"] and said["db"]["hosts"] == ["bot-a", "bot-b"]
    assert "cluster_nodes" not in said and said["cluster_witness"]["hosts"] == ["vote"]


@pytest.mark.parametrize(
    ("options", "address", "arguments"),
    [
        ({}, "public", None),
        ({"address": "private"}, "private", None),
        ({"jump_host": "ops@bastion.example.com:2222"}, "private", "-o ProxyJump=ops@bastion.example.com:2222"),
        ({"jump_host": "bastion.example.com", "address": "public"}, "public", "-o ProxyJump=bastion.example.com"),
    ],
)
def test_address_and_jump_host(fleet, droplets, options, address, arguments):
    for variables in fleet.write({**droplets, **options}).read()["_meta"]["hostvars"].values():
        assert variables["ansible_host"] == variables["fleet_host"]["addresses"][address]
        assert variables.get("ansible_ssh_common_args") == arguments


def test_a_host_of_the_fleet_as_jump_host_is_reached_directly(fleet):
    rack = {**RACK, "jump_host": "gate", "hosts": {**RACK["hosts"], "gate": {"public": "192.0.2.9", "private": "192.168.1.1"}}}
    hosts = fleet.write(rack).read()["_meta"]["hostvars"]
    assert hosts["gate"]["ansible_host"] == "192.0.2.9" and "ansible_ssh_common_args" not in hosts["gate"]
    assert hosts["bot-a"]["ansible_ssh_common_args"] == "-o ProxyJump=admin@192.0.2.9"
    assert hosts["bot-a"]["ansible_host"] == "192.168.1.100"


def test_without_an_address_nothing_else_is_connected_to(fleet):
    said = fleet.write({**RACK, "address": "public"}).read()
    assert said["_meta"]["hostvars"]["bot-a"]["ansible_host"] == "no-public-address.invalid"
    assert "without an address of the wanted kind, and so out of reach: bot-a, bot-b, vote" in said["warnings"]


def test_a_host_in_two_environments_is_told(fleet):
    said = fleet.write({"type": "static", "hosts": {"x": {"private": "10.0.0.1", "tags": ["env:prod", "env:staging"]}}}).read()
    assert "in more than one environment: x (prod, staging)" in said["warnings"]


# --- secrets


def test_a_vaulted_token_and_a_look_up(fleet, droplets, emulator):
    (fleet.directory / "password").write_text("vault-password\n")
    fleet.environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(fleet.directory / "password")
    del fleet.environment["DIGITALOCEAN_TOKEN"]
    vaulted = fleet.ran("ansible-vault", "encrypt_string", "--name", "token", emulator.token).stdout
    indented = "".join("    " + line + "\n" for line in vaulted.splitlines())
    fleet.path.write_text(
        f"plugin: botops.fleet.fleet\nsources:\n  - type: digitalocean\n    endpoint: {emulator.url}\n{indented}"
    )
    assert len(fleet.read()["_meta"]["hostvars"]) == 24
    fleet.environment["MY_TOKEN"] = emulator.token
    fleet.write({**droplets, "token": "{{ lookup('ansible.builtin.env', 'MY_TOKEN') }}"})
    assert len(fleet.read()["_meta"]["hostvars"]) == 24


def test_a_token_file_beside_the_inventory(fleet, droplets, emulator):
    del fleet.environment["DIGITALOCEAN_TOKEN"]
    (fleet.directory / "token").write_text(emulator.token + "\n")
    assert len(fleet.write({**droplets, "token_file": "token"}).read()["_meta"]["hostvars"]) == 24


def test_no_token_at_all(fleet, droplets):
    del fleet.environment["DIGITALOCEAN_TOKEN"]
    assert "there is no token: set the environment variable DIGITALOCEAN_TOKEN or DIGITALOCEAN_ACCESS_TOKEN, or" in fleet.write(droplets).refused()


WRONG = [
    ({"sources": [{"type": "digitalocean", "token": "abcdef"}]}, "sources[0].token holds a secret in plain text"),
    ({"sources": [{"type": "gcp"}]}, "sources[0].type is gcp, which is not a source"),
    ({"sources": [RACK], "colision": "fail"}, "there is no option colision"),
    ({"sources": [RACK], "group_by": ["colour"]}, "colour"),
    ({"sources": [RACK], "map_groups": {"web_hosts": ["primary"]}}, "primary is not a selector"),
    ({"sources": [RACK], "tag_keys": {"roll": "x"}}, "tag_keys: roll is not one of role, env, bot"),
    ({"sources": [RACK, {**RACK, "name": "other"}]}, "2 hosts are called bot-a"),
    ({"sources": [{**RACK, "jump_host": "{{ nothing }}"}]}, "source rack: "),
    ({}, "sources"),
]


def test_wrong_files_are_refused_with_a_sentence(fleet):
    """All of them in one run, which takes as long as one of them."""
    del fleet.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"]
    arguments = []
    for number, (content, _) in enumerate(WRONG):
        path = fleet.directory / f"{number}-fleet.yml"
        path.write_text(yaml.safe_dump({"plugin": "botops.fleet.fleet", **content}))
        arguments += ["-i", str(path)]
    done = fleet.ran("ansible-inventory", *arguments, "--list")
    assert json.loads(done.stdout)["_meta"]["hostvars"] == {}
    said = " ".join(done.stderr.split())
    assert "Traceback" not in said
    about = said.split("Unable to parse")  # ends what is said of one file
    assert len(about) == len(WRONG) + 1
    for (_, sentence), words in zip(WRONG, about, strict=False):
        assert sentence in words


def test_the_documentation_can_be_read(fleet):
    done = fleet.ran("ansible-doc", "-t", "inventory", "-j", "botops.fleet.fleet")
    assert "sources" in json.loads(done.stdout)["botops.fleet.fleet"]["doc"]["options"]
