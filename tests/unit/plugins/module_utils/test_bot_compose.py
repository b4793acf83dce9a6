"""What is laid over an owner's compose file: data, images, limits, powers. Pure."""

import json
import re

import pytest
import yaml

from ansible_collections.botops.fleet.plugins.module_utils._bot import powers
from ansible_collections.botops.fleet.plugins.module_utils._bot.compose import Overlay, dependencies, image_tag, place
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec

RELEASE = "/opt/bot-paper/releases/abc"


def bot(settings=None, **changes):
    given = {"name": "paper", "mode": "compose", "source": {"type": "git", "url": "u"}, **changes}
    return spec.public(spec.specify(given, settings or {}))


class Tags(yaml.SafeLoader):
    """Compose's own tag: what it stands before replaces."""


Tags.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def overlay(file, /, there=None, images=None, top=None, **changes):
    config = {"services": file, **(top or {})}
    made = Overlay(bot(**changes), config, RELEASE, lambda path: (there or {}).get(path, ""), images)
    return yaml.load(made.make(), Tags), made  # noqa: S506


def service(file, name="bot", /, **changes):
    return overlay(file, **changes)[0]["services"][name]


# --- a release is its images


def test_every_service_runs_an_image_of_its_own_release():
    found = overlay({"bot": {"build": {}}, "Redis_7": {"image": "redis:7"}})[0]["services"]
    assert found["bot"]["image"] == "bot-paper/bot:abc" and found["Redis_7"]["image"] == "bot-paper/redis-7:abc"


def test_bot_a_with_service_b_is_not_bot_a_b():
    assert image_tag(bot(name="a"), "r", "b-c") != image_tag(bot(name="a-b"), "r", "c")


# --- data


def bind(path, target="/app/x", **more):
    return {"type": "bind", "source": f"{RELEASE}/{path}", "target": target, **more}


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("data", "/var/lib/bot-paper/data"),
        ("logs", "/var/log/bot-paper"),
        ("logs/trades", "/var/log/bot-paper/trades"),
        ("state/db", "/var/lib/bot-paper/state/db"),
    ],
)
def test_a_relative_mount_lies_with_the_bot(path, where):
    (mount,) = service({"bot": {"volumes": [bind(path)]}})["volumes"]
    assert mount == {"type": "bind", "source": where, "target": "/app/x", "read_only": False}
    assert place(bot(), path) == where


def test_a_directory_that_holds_only_a_placeholder_is_data_and_one_with_content_is_the_release():
    found, made = overlay({"bot": {"volumes": [bind("data", "/a"), bind("models", "/b")]}}, there={"data": "empty", "models": "directory"})
    data, models = found["services"]["bot"]["volumes"]
    assert data["source"] == "/var/lib/bot-paper/data"
    assert (models["source"], models["read_only"]) == (RELEASE + "/models", True)
    assert "./models, which is part of the release and read-only; name it in `shared`" in made.warnings[0]
    assert (
        service({"bot": {"volumes": [bind("models")]}}, there={"models": "directory"}, shared=["models/"])["volumes"][0]["source"]
        == "/var/lib/bot-paper/models"
    )


def test_a_file_that_is_not_there_is_refused_by_name():
    with pytest.raises(Refused, match=r"service bot mounts ./conf/app.yml, which is not in the release: Docker would make a directory"):
        overlay({"bot": {"volumes": [bind("conf/app.yml")]}})
    assert overlay({"bot": {"volumes": [bind("conf.d")]}})


def named(source="db", target="/data"):
    return {"type": "volume", "source": source, "target": target}


def test_named_volumes_are_directories_of_the_bot():
    services = {"bot": {"volumes": [named("sqlite")]}, "redis": {"volumes": [named("redis")]}}
    found, made = overlay(services, top={"volumes": {"sqlite": {}, "redis": {}}})
    assert found["services"]["bot"]["volumes"][0] == {"type": "bind", "source": "/var/lib/bot-paper/volumes/sqlite", "target": "/data", "read_only": False}
    assert found["services"]["redis"]["volumes"][0]["source"] == "redis"
    assert found["volumes"] == {"redis": {"driver": "local", "driver_opts": {"type": "none", "o": "bind", "device": "/var/lib/bot-paper/volumes/redis"}}}
    assert made.directories == {"/var/lib/bot-paper/volumes/sqlite": ["bot"], "/var/lib/bot-paper/volumes/redis": []}


def test_a_volume_that_the_bot_shares_is_one_directory_for_all():
    services = {"bot": {"volumes": [named()]}, "web": {"volumes": [named("db", "/usr/share/html")]}}
    found = overlay(services)[0]
    assert {found["services"][name]["volumes"][0]["source"] for name in services} == {"/var/lib/bot-paper/volumes/db"}
    assert "volumes" not in found


def test_volumes_without_a_name_get_one():
    services = {"bot": {"volumes": [{"type": "volume", "target": "/cache"}]}, "redis": {"tmpfs": ["/run"]}}
    found = overlay(services, images={"redis": {"user": "", "volumes": ["/data", "/run"]}})[0]["services"]
    assert found["bot"]["volumes"][0]["source"] == "/var/lib/bot-paper/volumes/bot-cache"
    assert [mount["source"] for mount in found["redis"]["volumes"]] == ["redis-data"]


# --- limits


def limits(given, **changes):
    found = service({"bot": given}, **changes)
    deploy = found.get("deploy", {}).get("resources", {}).get("limits", {})
    return {key: found[key] for key in ("mem_limit", "cpus", "pids_limit") if key in found} | {"deploy." + key: value for key, value in deploy.items()}


DEPLOY = {"deploy": {"resources": {"limits": {"memory": str(2 << 30), "cpus": "0.5"}}}}


def test_the_bot_is_never_without_a_limit():
    assert limits({}) == {"mem_limit": str(512 << 20), "cpus": 1.0, "pids_limit": 512}
    assert "mem_limit" not in service({"bot": {}, "redis": {}}, "redis")


def test_the_files_limits_hold_in_the_place_where_they_are():
    assert limits(DEPLOY) == {"deploy.memory": str(2 << 30), "deploy.cpus": "0.5", "deploy.pids": 512}
    assert limits({"mem_limit": str(256 << 20)})["mem_limit"] == str(256 << 20)
    # One of them under deploy, and Compose refuses the other anywhere else.
    partly = {"deploy": {"resources": {"limits": {"memory": str(2 << 30)}}}}
    assert limits(partly) == {"deploy.memory": str(2 << 30), "deploy.cpus": "1.0", "deploy.pids": 512}


def test_the_operators_limits_go_before_the_files():
    assert limits(DEPLOY, memory_mb=300, cpus=2)["deploy.memory"] == str(300 << 20)
    assert limits({"mem_limit": "1"}, memory_mb=300)["mem_limit"] == str(300 << 20)
    assert service({"bot": {}, "redis": {}}, "redis", services={"redis": {"memory_mb": "64"}})["mem_limit"] == str(64 << 20)


def test_a_reservation_is_respected():
    reserved = {"deploy": {"resources": {"reservations": {"memory": str(1 << 30)}}}}
    assert limits(reserved)["mem_limit"] == str(1 << 30)
    with pytest.raises(Refused, match="memory_mb of service bot is 512, and compose.yml reserves 1024 MB for it; give that or more"):
        limits(reserved, memory_mb=512)


def test_no_swap_beside_the_memory():
    assert service({"bot": {}})["memswap_limit"] == str(512 << 20)


# --- life


def test_restart_policies_become_labels():
    services = {
        "bot": {"restart": "always"},
        "a": {"restart": "on-failure:3"},
        "b": {},
        "c": {"restart": "no"},
        "d": {"deploy": {"restart_policy": {"condition": "any"}}},
    }
    found, made = overlay(services)
    assert {name: entry["labels"]["botops.restart"] for name, entry in found["services"].items()} == {
        "bot": "always", "a": "on-failure", "b": "on-failure", "c": "no", "d": "always",
    }  # fmt: skip
    assert {entry["restart"] for entry in found["services"].values()} == {"no"}
    assert found["services"]["d"]["deploy"] == {"restart_policy": {"condition": "none"}}
    assert made.warnings == ["bot-paper: restart: always of service bot is overridden; the unit restarts the bot."]


def test_under_ha_a_restart_policy_is_refused():
    with pytest.raises(Refused, match="behind the cluster's back; remove it from compose.yml"):
        overlay({"bot": {}, "redis": {"restart": "always"}}, settings={"ha": True})


def test_two_copies_of_a_bot_would_trade_twice():
    found, made = overlay({"bot": {"deploy": {"replicas": 2}}, "web": {"deploy": {"replicas": 2}}})
    assert found["services"]["bot"]["deploy"]["replicas"] == 1 and "deploy" not in found["services"]["web"]
    assert "two would trade twice" in made.warnings[0]


def test_a_service_that_is_left_out():
    found = overlay(
        {"bot": {}, "watchtower": {"volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/x"}]}}, services={"watchtower": {"enabled": "no"}}
    )[0]
    assert found["services"]["watchtower"] == {"profiles": ["left-out"]}
    with pytest.raises(Refused, match="service bot depends on redis, which is left out"):
        overlay({"bot": {"depends_on": {"redis": {}}}, "redis": {}}, services={"redis": {"enabled": False}})


def test_what_the_file_does_not_have_is_refused():
    with pytest.raises(Refused, match="has no service 'bot'; it has redis: name the bot's one in `service`"):
        overlay({"redis": {}})
    with pytest.raises(Refused, match="`services` speaks of redi, which compose.yml does not have; it has bot, redis"):
        overlay({"bot": {}, "redis": {}}, services={"redi": {"memory_mb": 64}})


def test_ports_of_the_operator_replace_the_files():
    config = {"services": {"bot": {"ports": [{"published": "80", "target": 80}]}, "web": {"ports": [{"published": "443", "target": 443}]}}}
    made = Overlay(bot(ports=["127.0.0.1:8080:80"]), config, RELEASE, lambda path: "")
    assert re.search(r'"ports": !override \["127.0.0.1:8080:80"\]', made.make())
    assert "service web publishes 443 on every address" in made.warnings[0] and len(made.warnings) == 1


def test_dependencies_in_their_order():
    services = {
        "bot": {"depends_on": {"api": {"condition": "service_started"}}}, "api": {"depends_on": {"db": {"condition": "service_healthy"}}}, "db": {}, "web": {},
    }  # fmt: skip
    assert dependencies(services, "bot") == [("db", "service_healthy"), ("api", "service_started")]


# --- powers


@pytest.mark.parametrize(
    ("given", "power"),
    [
        ({"privileged": True}, "privileged"),
        ({"pid": "host"}, "pid:host"),
        ({"network_mode": "host"}, "network:host"),
        ({"ipc": "host"}, "ipc:host"),
        ({"userns_mode": "host"}, "userns:host"),
        ({"cap_add": ["CAP_NET_ADMIN"]}, "NET_ADMIN"),
        ({"devices": ["/dev/net/tun:/dev/net/tun:rwm"]}, "/dev/net/tun"),
        ({"devices": [{"source": "/dev/net/tun", "target": "/dev/net/tun"}]}, "/dev/net/tun"),
        ({"security_opt": ["seccomp=unconfined"]}, "seccomp=unconfined"),
        ({"security_opt": ["no-new-privileges:false"]}, "no-new-privileges:false"),
        ({"volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/s"}]}, "/var/run/docker.sock"),
        ({"volumes": [{"type": "bind", "source": "/", "target": "/host"}]}, "/"),
        ({"volumes": [{"type": "bind", "source": "/opt/bot-paper/releases/abcd", "target": "/x"}]}, "/opt/bot-paper/releases/abcd"),
        ({"network_mode": "container:vpn"}, "network:container:vpn"),
    ],
)
def test_power_is_asked_for(given, power):
    with pytest.raises(Refused) as refused:
        overlay({"bot": {}, "side": given})
    assert (
        str(refused.value) == f"bot-paper: service side asks for {power}; write allow: [{json.dumps(power)}] if it needs that, or take it out of compose.yml."
    )
    if power != "/":
        assert overlay({"bot": {}, "side": given}, allow=[power])


def test_what_lies_beneath_an_allowed_path_is_allowed():
    mount = {"type": "bind", "source": "/srv/market/today", "target": "/x"}
    assert overlay({"bot": {"volumes": [mount]}}, allow=["/srv/market"]) and overlay({"bot": {"volumes": [mount]}}, read_write_paths=["/srv/market"])
    with pytest.raises(Refused):
        overlay({"bot": {"volumes": [mount]}}, allow=["/srv/mark"])


def test_external_volumes_are_asked_for_and_left_alone():
    top = {"volumes": {"db": {"external": True}}}
    with pytest.raises(Refused, match="asks for volume:db"):
        overlay({"bot": {"volumes": [named()]}}, top=top)
    found = overlay({"bot": {"volumes": [named()]}}, top=top, allow=["volume:db"])[0]
    assert "volumes" not in found["services"]["bot"] and "volumes" not in found


def test_everything_else_is_dropped():
    assert powers.dropped({}, True) == {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    assert powers.dropped({"cap_drop": ["CHOWN"], "cap_add": ["KILL", "NET_ADMIN"]}, False)["cap_add"] == [
        "DAC_OVERRIDE",
        "FOWNER",
        "NET_BIND_SERVICE",
        "SETGID",
        "SETUID",
    ]
    assert powers.dropped({"cap_drop": ["all"], "security_opt": ["no-new-privileges=true"]}, False) == {}


# --- variables


def test_what_fills_a_file():
    given = spec.specify(
        {"name": "p", "mode": "compose", "source": {}, "env": {"A": "1"}, "secrets": {"S": "s"},
         "services": {"x": {"env": {"A": "2", "B": "b", "C": "x"}}, "y": {"secrets": {"C": "y"}}}}, {},
    )  # fmt: skip
    filled = spec.filling(given)
    assert (filled["A"], filled["S"], filled["B"]) == ("1", "s", "b") and "C" not in filled, "two services, two values: neither is meant"
    override = spec.compose_override(given)["services"]
    assert override["y"] == {"environment": {"C": "y"}} and "S" not in override["x"]["environment"]


def test_dotenv_quoting():
    assert spec.quote_dotenv({"A": 'a "b" $C \\ d\nx'}) == 'A="a \\"b\\" \\$C \\\\ d\\nx"\n'


def test_a_services_secrets_are_in_secret_files_only():
    full = spec.specify({"name": "p", "mode": "compose", "source": {}, "services": {"x": {"secrets": {"K": "canary"}}}}, {})
    assert "canary" not in repr(spec.public(full)) and spec.public(full)["services"]["x"]["secret_names"] == ["K"]
    holders = [entry for entry in spec.files(full) if "canary" in json.dumps(entry)]
    assert {entry["path"] for entry in holders} == {"/etc/bot-p/compose.override.yml", "/etc/bot-p/compose.env"}
    assert all(entry["mode"] == "0600" and "canary" in entry["secret_content"] for entry in holders)


def test_a_change_of_what_the_overlay_follows_restarts_the_bot():
    one, two = (spec.compose_override(spec.specify({"name": "p", "mode": "compose", "source": {}, **more}, {})) for more in ({}, {"allow": ["NET_ADMIN"]}))
    assert one != two
