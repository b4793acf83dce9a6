"""Every example loads, puts its hosts into the right groups, holds no secret, and sets variables that the roles accept."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "inventories/examples"
sys.path.insert(0, str(ROOT / "tests"))

from emulators.digitalocean import Emulator  # noqa: E402

# The machines of each example: provider, name and tags, as the example's comments demand them.
HOSTS = {
    "droplet": [("digitalocean", "arbitrage", "bot:arbitrage env:prod role:bot role:docker role:web")],
    "ec2": [("us-east-1", "polymarket-bot", "bot:polymarket env:prod role:bot")],
    "bare-metal-pair": [],
    "hybrid": [
        ("eu-central-1", "gateway", "bot:gateway env:prod role:bot,docker"),
        ("digitalocean", "feed", "bot:feed env:prod role:bot role:docker role:web"),
    ],
    "scale-out": [
        ("digitalocean", "bastion", "fleet:prediction env:prod role:bastion"),
        ("digitalocean", "engine-1", "fleet:prediction env:prod role:bot bot:engine"),
        ("digitalocean", "engine-2", "fleet:prediction env:prod role:bot bot:engine"),
        ("digitalocean", "analysis", "fleet:prediction env:prod role:analysis role:docker"),
        ("digitalocean", "web-1", "fleet:prediction env:prod role:web"),
    ],
}
EXPECTED = {
    "droplet": {"bot_hosts": ["arbitrage"], "docker_hosts": ["arbitrage"], "web_hosts": ["arbitrage"]},
    "ec2": {"bot_hosts": ["polymarket-bot"]},
    "bare-metal-pair": {"bot_hosts": ["bot-a", "bot-b"], "cluster_nodes": ["bot-a", "bot-b"], "cluster_witness": ["vote"]},
    "hybrid": {"bot_hosts": ["feed", "gateway"], "docker_hosts": ["feed", "gateway"], "web_hosts": ["feed"]},
    "scale-out": {
        "bot_hosts": ["analysis", "engine-1", "engine-2"], "docker_hosts": ["analysis"], "web_hosts": ["web-1"],
        "analysis_hosts": ["analysis"],
    },
}
OWN_GROUPS = ("bot_hosts", "docker_hosts", "web_hosts", "cluster_nodes", "cluster_witness", "analysis_hosts")
ROLES_OF_GROUP = [
    ("all", "hardening"), ("docker_hosts", "docker_host"), ("bot_hosts", "bot_app"), ("web_hosts", "nginx"), ("cluster_nodes", "rsync_ha"),
    ("cluster_nodes", "haproxy_vip"), ("cluster_nodes", "ha_cluster"), ("cluster_witness", "ha_cluster"),
]
# Examples that say, too, what the cloud has to have.
PROVISIONED = ("ec2",)
# What an operator would have in the environment.
SETTINGS = {
    "BOT_ALERT_EMAIL": "ops@example.com",
    "BMC_PASSWORD_A": "s3cret-bmc-a", "BMC_PASSWORD_B": "s3cret-bmc-b",
    "FLEET_ADMIN_NETWORK": "203.0.113.7/32", "BOT_REPOSITORY": "https://git.example.com/bot.git", "BOT_JWT_SECRET": "s3cret-jwt",
    "BOT_TELEGRAM_TOKEN": "s3cret-telegram", "BOT_ACME_EMAIL": "ops@example.com", "BOT_DOMAIN": "bot.example.com",
    "BOT_MARKET_SLUGS": "rain,snow", "PM_API_KEY_ID": "key", "PM_PRIVATE_KEY": "s3cret-key", "PM_WALLET_ADDRESS": "0xabc",
    "PM_ENCRYPTION_KEY": "s3cret-encryption", "OUTPOST_REDIS_URL": "rediss://cache.example.com:6379/0",
    "OUTPOST_REPOSITORY": "https://git.example.com/gateway.git", "OUTPOST_VPN_USER": "vpn", "OUTPOST_VPN_PASSWORD": "s3cret-vpn",
    "OUTPOST_API_KEY": "s3cret-outpost", "FEED_REPOSITORY": "https://git.example.com/feed.git", "FEED_DOMAIN": "feed.example.com",
    "FEED_ACME_EMAIL": "ops@example.com", "DATABASE_URL": "postgresql://db.example.com/bot", "REDIS_URL": "rediss://cache.example.com",
    "BOT_DISCORD_WEBHOOK": "https://discord.example.com/s3cret", "BOT_EXCHANGE_KEY": "s3cret-exchange", "BOT_OPENROUTER_KEY": "s3cret-openrouter",
}


@pytest.fixture(scope="module")
def clouds():
    """Endpoints of a DigitalOcean and an AWS that know the hosts of every example."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    aws = "http://127.0.0.1:%d" % server._server.port
    with Emulator() as emulator:
        for hosts in HOSTS.values():
            for where, name, tags in hosts:
                if where == "digitalocean":
                    body = {"name": name, "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "tags": tags.split()}
                    emulator.handle(
                        "POST", "/v2/droplets", {"authorization": f"Bearer {emulator.token}"}, json.dumps(body).encode()
                    )
                else:
                    ec2 = boto3.client(
                        "ec2", region_name=where, endpoint_url=aws, aws_access_key_id="x", aws_secret_access_key="x"
                    )
                    listed = [dict(zip(("Key", "Value"), tag.split(":"), strict=True)) for tag in [f"Name:{name}", *tags.split()]]
                    ec2.run_instances(
                        ImageId=ec2.describe_images()["Images"][0]["ImageId"], MinCount=1, MaxCount=1,
                        TagSpecifications=[{"ResourceType": "instance", "Tags": listed}],
                    )
        yield {"digitalocean": emulator.url, "aws": aws, "token": emulator.token}
    server.stop()


class Example:
    def __init__(self, name, directory, clouds):
        self.name, self.path = name, directory / name
        shutil.copytree(EXAMPLES / name, self.path)
        content = yaml.safe_load((self.path / "fleet.yml").read_text())
        for source in content["sources"]:
            if source["type"] in clouds:
                source["endpoint"] = clouds[source["type"]]
        content["cache_connection"] = str(directory / "cache")
        (self.path / "fleet.yml").write_text(yaml.safe_dump(content))
        (directory / "key.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6SyCVcaAvR2yA3kvHLrY2Q8bDkMqZ8y0H1hQm2D1mF operator\n")
        self.environment = {
            **SETTINGS, "FLEET_ADMIN_KEY": str(directory / "key.pub"), "DIGITALOCEAN_TOKEN": clouds["token"],
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONUTF8": "1",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "ANSIBLE_NOCOLOR": "1",
        }

    def ran(self, tool, *argv):
        done = subprocess.run(
            [str(pathlib.Path(sys.executable).parent / tool), "-i", str(self.path), *argv], text=True, capture_output=True,
            env=self.environment, cwd=self.path, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(params=sorted(HOSTS))
def example(request, tmp_path, clouds):
    return Example(request.param, tmp_path, clouds)


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(HOSTS)


def test_it_loads_and_every_host_is_where_it_belongs(example):
    done = example.ran("ansible-inventory", "--list")
    said = json.loads(done.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))
    groups = {name: sorted(said[name].get("hosts", [])) for name in OWN_GROUPS if name in said}
    assert {name: hosts for name, hosts in groups.items() if hosts} == EXPECTED[example.name]
    hosts = said["_meta"]["hostvars"]
    assert len(hosts) == max(len(HOSTS[example.name]), 1 if HOSTS[example.name] else 3)
    assert all(about["fleet_host"]["env"] == "prod" and ".invalid" not in about["ansible_host"] for about in hosts.values())
    assert done.stderr == ""


def test_jump_hosts(clouds, tmp_path):
    said = json.loads(Example("scale-out", tmp_path, clouds).ran("ansible-inventory", "--list").stdout,
                      object_hook=lambda found: found.get("__ansible_unsafe", found))["_meta"]["hostvars"]
    bastion = said["bastion"]
    assert "ansible_ssh_common_args" not in bastion and bastion["ansible_host"] == bastion["fleet_host"]["addresses"]["public"]
    for name in ("engine-1", "analysis", "web-1"):
        assert said[name]["ansible_ssh_common_args"] == "-o ProxyJump=admin@" + bastion["ansible_host"]
        assert said[name]["ansible_host"].startswith("10.")


def test_the_proxy_reaches_every_droplet_that_trades(clouds, tmp_path):
    """By json_query; who may ask it, by ipaddr."""
    example = Example("scale-out", tmp_path, clouds)
    expression = "{{ [nginx_upstreams[0].servers, fleet_private_network] | to_json }}"
    said = example.ran("ansible", "web-1", "-m", "ansible.builtin.debug", "-a", "msg=" + expression).stdout
    servers, network = json.loads(json.loads(said.partition("=> ")[2])["msg"])
    assert len(servers) == 2 and all(re.fullmatch(r"10\.[\d.]+:8080", server["address"]) for server in servers)
    assert network == "10.108.0.0/20"


def judge(role):
    """Tasks that hand a role's variables to its own argument_specs and to its first preflight, on the control node."""
    specification = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    tasks = ROOT / f"roles/{role}/tasks"
    first = yaml.safe_load((tasks / "main.yml").read_text())[0]
    if "ansible.builtin.import_tasks" in first:
        first = yaml.safe_load((tasks / first["ansible.builtin.import_tasks"]).read_text())[0]
    assert "botops.fleet.preflight" in first
    names = f"query('ansible.builtin.varnames', '^({'|'.join(specification)})$')"
    return [
        # Makes the role's defaults known to the play and does nothing.
        {"name": "Defaults", "ansible.builtin.import_role": {"name": f"botops.fleet.{role}"}, "tags": ["never"]},
        {
            "name": "Argument specification", "ansible.builtin.validate_argument_spec": {
                "argument_spec": specification,
                "provided_arguments": "{{ dict(%s | zip(query('ansible.builtin.vars', *%s))) }}" % (names, names),
            },
        },
        {"name": "Preflight", **{key: value for key, value in first.items() if key != "name"}},
    ]


def test_the_roles_accept_its_variables(example):
    facts = {
        "distribution": "Debian", "distribution_version": "13", "distribution_major_version": "13", "distribution_release": "trixie",
        "os_family": "Debian", "architecture": "x86_64", "system": "Linux", "virtualization_type": "kvm", "memtotal_mb": 16000,
        "default_ipv4": {"address": "10.0.0.2", "interface": "eth0"}, "python": {"version": {"major": 3, "minor": 13}}, "processor_vcpus": 2,
        "interfaces": ["eth0"], "eth0": {"ipv4": {"address": "192.168.1.99", "network": "192.168.1.0", "netmask": "255.255.255.0"}},
        "service_mgr": "systemd", "kernel": "6.12.0", "hostname": "host", "fqdn": "host.example.com", "pkg_mgr": "apt",
    }
    plays = [
        {
            "name": role, "hosts": group, "gather_facts": False, "connection": "local", "vars": {"ansible_facts": facts},
            "tasks": judge(role),
        }
        for group, role in [*ROLES_OF_GROUP, *([("all", "fleet")] if example.name in PROVISIONED else [])]
        if group == "all" or group in EXPECTED[example.name]
    ]
    (example.path.parent / "judge.yml").write_text(yaml.safe_dump(plays))
    done = example.ran("ansible-playbook", str(example.path.parent / "judge.yml"))
    assert "s3cret" not in done.stdout + done.stderr
    assert done.stdout.count("TASK [Preflight]") == len(plays)


def test_examples_ask_for_the_token_by_the_name_that_is_looked_at_first():
    """Four of them named another variable than the modules read."""
    from ansible_collections.botops.fleet.plugins.module_utils._cloud import DIGITALOCEAN_TOKEN

    texts = {path: path.read_text() for path in (ROOT / "inventories").rglob("*") if path.is_file()}
    named = {path: set(re.findall(r"\b(?:DIGITALOCEAN|DO)_[A-Z_]*TOKEN\b", text)) for path, text in texts.items()}
    assert set.union(*named.values()) == {DIGITALOCEAN_TOKEN[0]}


def test_no_example_holds_a_secret():
    for path in EXAMPLES.rglob("*.yml"):
        text = path.read_text()
        for key in ("PRIVATE_KEY", "PASSWORD", "TOKEN", "SECRET", "API_KEY", "ENCRYPTION_KEY"):
            for line in text.splitlines():
                if line.strip().startswith((f"{key}:", f"PM_{key}:", f"OPENVPN_{key}:")):
                    assert "lookup('ansible.builtin.env'" in line or "_key }}" in line, f"{path}: {line}"
