"""Every sentence about `fleet_aws`, what its plan makes of a declaration, how that differs from what is there, and what it costs."""

import copy
import json
import pathlib

import pytest

from ansible_collections.botops.fleet.plugins.filter import fleet as doors
from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet, _fleet_aws, _fleet_aws_dns, _fleet_aws_watch
from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import fleet_aws_found
from preflight_harness import refusals, typed_values

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6SyCVcaAvR2yA3kvHLrY2Q8bDkMqZ8y0H1hQm2D1mF operator"
AWS = {
    "region": "us-east-1",
    "ip_range": "10.20.0.0/16",
    "public_key": KEY,
    "hosts": [
        {"name": "engine", "count": 2, "instance_type": "t3.small", "roles": ["bot", "docker"], "bot": "pm"},
        {"name": "web", "instance_type": "t3.micro", "roles": ["web"], "tags": {"team": "ops"}, "elastic_ip": True},
    ],
    "security_group": {"inbound_rules": [{"ports": "22", "from": ["198.51.100.0/24"]}, {"ports": "443"}, {"ports": "8080", "from": ["fleet"]}]},
    "rights": ["backups", "cloudwatch", "fencing"],
    "bucket": {"name": "example-prod-backups"},
    "logs": {"orders": "order"},
    "alarms": {"emails": ["ops@example.com"], "agent": {}},
}
GOOD = {"fleet_name": "prod", "fleet_admin": {"name": "admin", "keys": [KEY]}, "fleet_aws": AWS}
RECORDS = [
    {"zone": "example.com", "name": "bot.example.com", "hosts": ["engine-1", "web"], "ttl": 60},
    {"zone": "example.com.", "name": "Example.com", "type": "TXT", "values": ["v=spf1 -all"]},
]
DECLARED = {**GOOD, "fleet_aws": {**AWS, "records": RECORDS}}
TABLE = json.loads((pathlib.Path(doors.FILES) / "aws_prices.json").read_text())


def aws(**changes):
    return {"fleet_aws": {**copy.deepcopy(AWS), **changes}}


def host(**changes):
    return aws(hosts=[{"name": "web", "instance_type": "t3.micro", "bot": "pm", **changes}])


RECORD = {"zone": "example.com", "name": "bot.example.com", "hosts": ["web"]}


def record(**changes):
    return aws(records=[{**RECORD, **changes}])


def without(*keys):
    return {"fleet_aws": {key: value for key, value in AWS.items() if key not in keys}}


def test_a_sensible_declaration_is_accepted():
    assert refusals("fleet", **GOOD) == refusals("fleet", **DECLARED) == []
    assert refusals("fleet", **{**GOOD, **without("ip_range", "alarms", "public_key")}) == []
    assert refusals("fleet", **{**GOOD, "fleet_aws": {"region": "us-east-1"}}) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (without("region"), "fleet_aws.region: is missing; write the region, such as us-east-1."),
        (aws(region="us-east-1a"), "fleet_aws.region: 'us-east-1a' is no region such as us-east-1; us-east-1 is, that was a zone."),
        (aws(region="us-east-9"), "fleet_aws.region: us-east-9 is none that the installed botocore knows; did you mean us-east-"),
        (aws(availability_zone="eu-west-1a"), "fleet_aws.availability_zone: eu-west-1a is not in us-east-1; write one such as us-east-1a."),
        (aws(regoin="x"), "fleet_aws.regoin: unknown key"),
        (host(name="Web_1"), "hosts[0].name: 'Web_1' is no host name"),
        (host(count=0), "hosts[0].count: is 0; write 1 to 200"),
        (host(instance_type="small"), "hosts[0].instance_type: 'small' is no instance type; write one such as t3.small."),
        (host(image={"owner": "debian"}), "hosts[0].image.owner: 'debian' is no account"),
        (host(image={"name": "*"}), "hosts[0].image.name: '*' means any image"),
        (host(volume_size=4), "hosts[0].volume_size: is 4; write 8 to 16384 GiB."),
        (host(roles=["a b"]), "hosts[0].roles: 'a b' is no role"),
        (host(tags={"Name": "x"}), "hosts[0].tags: Name is written by this role"),
        (host(tags={"aws:x": "x"}), "hosts[0].tags: aws:x is written by AWS"),
        (aws(hosts=[{"name": "a", "count": 2, "instance_type": "t3.micro"}, {"name": "a-1", "instance_type": "t3.micro", "bot": "pm"}]),
         "hosts: two are called a-1"),
        (without("security_group"), "security_group: is missing, so nobody could reach the hosts"),
        ({**GOOD, "fleet_owner_tag": "role:x"}, "fleet_owner_tag: at AWS the key role says something else of a host; write another"),
        (aws(ip_range="10.0.0.0/33"), "ip_range: '10.0.0.0/33' is no network"),
        (aws(ip_range="8.8.8.0/24"), "ip_range: 8.8.8.0/24 is not a private network"),
        (aws(public_key="id.pub"), "public_key: is no Ed25519 or RSA key"),
        (aws(security_group={"inbound_rules": [{"ports": "443"}]}), "none lets TCP port 22 in"),
        (aws(security_group={"inbound_rules": [{"ports": "22", "from": ["bot"]}]}), "inbound_rules[0].from: 'bot' is neither a network nor fleet"),
        (aws(security_group={"inbound_rules": [{"ports": "22"}, {"ports": "9-8"}]}), "inbound_rules[1].ports: '9-8' is neither a port"),
        (without("bucket"), "rights: backups needs a bucket to write to; declare bucket."),
        (aws(bucket={"name": "My_Bucket"}), "bucket.name: 'My_Bucket' is no name of a bucket"),
        (aws(bucket={"name": "abc", "noncurrent_days": 0}), "bucket.noncurrent_days: is 0; write at least 1"),
        (aws(bucket={"name": "abc", "archive_days": -1}), "bucket.archive_days: is -1; write days"),
        (aws(bucket={"name": "abc", "archive_days": 30, "expire_days": 30}), "bucket.archive_days: is 30, but objects are deleted after 30 already"),
        (aws(alarms={"emails": []}), "alarms.emails: is empty"),
        (aws(alarms={"emails": ["ops"]}), "alarms.emails: 'ops' is no address."),
        (aws(alarms={"emails": ["a@example.com"], "cpu": 100}), "alarms.cpu: is 100; write 1 to 99 per cent."),
        ({"fleet_aws": {**without("logs")["fleet_aws"], "hosts": []}}, "alarms: there are no hosts to watch; declare hosts."),
        (aws(rights=["backups"]), "alarms.agent: the hosts' agent may tell nothing; add cloudwatch to rights."),
        (aws(alarms={"emails": ["a@example.com"], "agent": {"disk": 0}}), "alarms.agent.disk: is 0; write 1 to 99 per cent."),
        (aws(logs={"prefix": "my bots"}), "logs.prefix: 'my bots' cannot begin a log group's name"),
        (aws(logs={"retention_days": 31}), "logs.retention_days"),
        (aws(logs={"orders": 'order "placed'}), "logs.orders: 'order \"placed' is no filter pattern"),
        (aws(logs={"orders_minutes": 0}), "logs.orders_minutes: is 0; write 1 to 1440 minutes."),
        (record(zone="com"), "records[0].zone: 'com' is no domain; write one such as example.com."),
        (record(name="bot"), "records[0].name: bot is not in example.com; write the name in full, such as bot.example.com."),
        (record(name="bot.badexample.com"), "records[0].name: bot.badexample.com is not in example.com; write the name in full"),
        (record(name="a b.example.com"), "records[0].name: 'a b.example.com' is no name of a record"),
        (record(hosts=["wbe"]), "records[0].hosts: wbe is not declared; known are engine-1, engine-2, web."),
        (record(hosts=[]), "records[0]: has neither hosts nor values; write one of them."),
        (record(type="CNAME"), "records[0].type: is CNAME, and the public address of a host is IPv4; write A."),
        (record(values=["2001:db8::1"]), "records[0].values: '2001:db8::1' is no IPv4 address."),
        (record(type="TXT", hosts=[], values=["größe"]), "records[0].values: 'größe' is empty or not of printable ASCII"),
        (record(type="CNAME", hosts=[], values=["a.example.org", "b.example.org"]), "records[0].values: a CNAME has one value; write one."),
        (record(type="CNAME", hosts=[], values=["http://x"]), "records[0].values: 'http://x' is no name such as web.example.com."),
        (record(type="CNAME", hosts=[], values=["a.example.org"], name="example.com"), "records[0].values: a CNAME cannot have the zone's own name"),
        (record(ttl=-1), "records[0].ttl: is -1; write 0 to 2147483647 seconds, such as 300."),
        (aws(records=[RECORD, {**RECORD, "name": "BOT.example.com."}]), "records[1]: bot.example.com has a record of the type A already; write all"),
        (aws(records=[RECORD, {**RECORD, "hosts": [], "type": "CNAME", "values": ["a.example.org"]}]),
         "records[1]: bot.example.com has a record of the type A already, and a CNAME stands alone; give it another name."),
        ({"fleet_digitalocean": {"region": "nyc3", "hosts": [{"name": "web", "size": "x"}]}}, "fleet_aws.hosts: web is a host of fleet_digitalocean already"),
    ],
)
def test_what_cannot_work_is_one_sentence(changes, sentence):
    said = refusals("fleet", **{**GOOD, **changes})
    assert len(said) == 1 and sentence in said[0], said


# --- what is there


def values(**changes):
    return typed_values("fleet", **{**DECLARED, **changes})


def plan(**changes):
    return doors.aws_plan(values(**changes), "123456789012", "aws")


NEWEST = [{"id": "ami-2", "name": "debian-13-amd64-2", "created": "2026-02-02", "root": "/dev/xvda", "architecture": "x86_64"}]
TAGS = {"fleet": "prod", "Name": "prod"}


def nothing(**changes):
    """An account with a default network and nothing else."""
    return {
        "account": "123456789012", "partition": "aws", "vpcs": [], "default_vpc": {"id": "vpc-0", "cidr": "172.31.0.0/16", "default": True, "tags": {}},
        "subnets": [{"id": f"subnet-{zone}", "vpc": "vpc-0", "cidr": "172.31.0.0/20", "zone": f"us-east-1{zone}", "default": True, "public": True, "tags": {}}
                    for zone in "ba"],
        "gateways": [], "tables": [], "security_groups": [], "keys": [], "addresses": [], "instances": [], "role": None, "profile": None, "bucket": None,
        "topic": None, "alarms": [], "log_groups": [], "zones": [{"name": "example.com", "id": "Z1", "records": []}],
        "images": [{"owner": "136693071363", "name": "debian-13-amd64-*", "newest": NEWEST}], "types": ["t3.micro", "t3.small"],
        **changes,
    }  # fmt: skip


def instance(wanted, number):
    return {
        "id": f"i-{number}", "name": wanted["name"], "tags": dict(wanted["tags"]), "state": "running", "type": wanted["instance_type"], "image": "ami-1",
        "vpc": "vpc-1", "subnet": "subnet-1", "key": "prod", "zone": "us-east-1a", "public_ip": f"203.0.113.{number}", "private_ip": f"10.20.0.{number}",
        "groups": ["sg-1"], "profile": "prod", "monitoring": True, "imdsv2": True, "hops": 1,
        "volume": {"size": wanted["volume_size"], "type": "gp3", "encrypted": True, "id": f"vol-{number}"},
    }  # fmt: skip


def complete(wanted):
    """What is there after a run."""
    machines = [instance(one, number) for number, one in enumerate(wanted["hosts"], 1)]
    found = nothing(
        vpcs=[{"id": "vpc-1", "cidr": "10.20.0.0/16", "default": False, "tags": dict(TAGS)}],
        subnets=[{"id": "subnet-1", "vpc": "vpc-1", "cidr": "10.20.0.0/16", "zone": "us-east-1a", "default": False, "public": True, "tags": dict(TAGS)}],
        gateways=[{"id": "igw-1", "vpc": "vpc-1", "tags": dict(TAGS)}], tables=[{"id": "rtb-1", "vpc": "vpc-1", "main": True, "default_route": "igw-1"}],
        security_groups=[{"id": "sg-1", "name": "prod", "vpc": "vpc-1", "tags": dict(TAGS), "inbound": wanted["security_group"]["inbound"],
                          "outbound": wanted["security_group"]["outbound"]}],
        keys=[{"name": "prod", "public_key": KEY, "tags": {"fleet": "prod"}}],
        addresses=[{"id": "eip-1", "ip": "198.51.100.1", "instance": "i-3", "tags": {"fleet": "prod", "Name": "web"}}], instances=machines,
        role={"name": "prod", "arn": "arn", "trust": wanted["role"]["trust"], "tags": {"fleet": "prod"}, "policies": wanted["role"]["policies"],
              "attached": []},
        profile={"name": "prod", "arn": "arn", "roles": ["prod"]},
        bucket={
            "name": "example-prod-backups", "foreign": False, "region": "us-east-1", "tags": {"fleet": "prod"}, "versioning": True, "encryption": "AES256",
            "public_access": dict(_fleet_aws.CLOSED), "policy": wanted["bucket"]["policy"],
            "lifecycle": {"botops": {**wanted["bucket"]["lifecycle"], "enabled": True}},
            "empty": True,
        },
        topic={"arn": "arn:topic", "name": "prod", "tags": {"fleet": "prod"}, "subscriptions": ["email ops@example.com"]}, images=[],
    )  # fmt: skip
    found["alarms"] = _fleet_aws_watch.alarms_now(wanted, found)
    found["log_groups"] = [{**group, "tags": {"fleet": "prod"}} for group in wanted["log_groups"]]
    found["zones"][0]["records"] = [
        {"name": "bot.example.com", "type": "A", "ttl": 60, "values": ["198.51.100.1", "203.0.113.1"], "plain": True},
        {"name": "example.com", "type": "TXT", "ttl": 300, "values": ['"v=spf1 -all"'], "plain": True},
        {"name": "example.com", "type": "NS", "ttl": 300, "values": ["ns.example.net."], "plain": True},
    ]
    return copy.deepcopy(found)


def test_hosts_have_the_tags_by_which_the_inventory_finds_them():
    machines = {one["name"]: one for one in plan()["hosts"]}
    assert sorted(machines) == ["engine-1", "engine-2", "web"]
    # Two roles in one value: AWS has a key only once.
    assert machines["engine-1"]["tags"] == {"Name": "engine-1", "fleet": "prod", "env": "prod", "role": "bot,docker", "bot": "pm"}
    assert machines["web"]["tags"] == {"Name": "web", "fleet": "prod", "env": "prod", "role": "web", "team": "ops"}
    assert plan(fleet_owner_tag="owner")["owner"] == {"key": "owner", "value": ""}


def test_rules_name_networks_everybody_or_the_fleet():
    group = plan()["security_group"]
    assert group["inbound"] == ["tcp 22-22 198.51.100.0/24", "tcp 443-443 0.0.0.0/0", "tcp 443-443 ::/0", "tcp 8080-8080 fleet"]
    assert {"proto": "tcp", "from_port": 8080, "to_port": 8080, "group_name": "prod"} in group["rules"]
    assert group["outbound"] == ["all all 0.0.0.0/0", "all all ::/0"]
    rules = {"inbound_rules": [{"ports": "20-30"}, {"protocol": "icmp"}], "outbound_rules": [{"ports": "443", "to": ["2001:db8::/32"]}]}
    group = plan(**aws(security_group=rules))["security_group"]
    assert "icmp all 0.0.0.0/0" in group["inbound"] and "icmpv6 all ::/0" in group["inbound"] and group["outbound"] == ["tcp 443-443 2001:db8::/32"]


def test_hosts_may_do_what_their_rights_say_and_no_more():
    policies = plan()["role"]["policies"]
    text = json.dumps(policies)
    assert "${" not in text and '"*"' not in json.dumps(policies["backups"])
    statements = [one for document in policies.values() for one in document["Statement"]]
    actions = {action for one in statements for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])}
    assert not any("*" in action for action in actions)
    assert not actions & {"s3:DeleteObjectVersion", "s3:PutBucketVersioning", "ec2:TerminateInstances", "iam:PassRole"}
    for one in policies["fencing"]["Statement"]:
        if "ec2:StopInstances" in one["Action"]:
            assert one["Condition"] == {"StringEquals": {"aws:ResourceTag/fleet": "prod"}}
    assert plan(**aws(rights=[]))["role"] is None


def test_from_nothing_all_is_created_and_afterwards_nothing():
    wanted = plan()
    first = _fleet_aws.view(wanted, nothing())
    assert {one["action"] for one in first["changes"]} == {"create"}
    assert sorted(first["names"]) == ["alarm", "bucket", "elastic_ip", "gateway", "instance", "key", "lifecycle", "log_group", "metric_filter", "policy",
                                      "profile", "record", "role", "route", "security_group", "subnet", "topic", "vpc"]  # fmt: skip
    assert len(first["names"]["alarm"]) == 17 and first["new"] == ["engine-1", "engine-2", "web"] and first["images"]["web"]["id"] == "ami-2"
    last = _fleet_aws.view(wanted, complete(wanted))
    assert last["changes"] == [] and last["notes"] == [] and last["new"] == [] and last["alarms"] == [] and last["elastic"] == []
    assert last["addresses"]["web"] == "198.51.100.1" and last["addresses"]["engine-1"] == "203.0.113.1"


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        (lambda found: found["keys"][0].update(public_key="ssh-ed25519 AAAA"), "change key pair prod (public key)"),
        (lambda found: found["vpcs"][0]["tags"].update(fleet="prod", Name="prod", more="x"), None),
        (lambda found: found["subnets"][0].update(public=False), "change subnet prod (public addresses)"),
        (lambda found: found["gateways"][0].update(vpc=""), "change internet gateway prod (attachment)"),
        (lambda found: found["tables"][0].update(default_route="nat-1"), "change route prod 0.0.0.0/0 (gateway)"),
        (lambda found: found["security_groups"][0]["inbound"].append("tcp 22-22 0.0.0.0/0"), "change security group prod (inbound rules)"),
        (lambda found: found["role"]["policies"]["backups"].update(Statement=[]), "change policy prod backups (statement)"),
        (lambda found: found["role"]["policies"].update(more={}), "change policy prod more (not declared)"),
        (lambda found: found["role"]["attached"].append("AdministratorAccess"), "change role prod (attached policies)"),
        (lambda found: found["profile"].update(roles=[]), "change instance profile prod (role)"),
        (lambda found: found["instances"][2]["tags"].pop("role"), "change instance web (tags)"),
        (lambda found: found["instances"][2]["tags"].update(surplus="x"), "change instance web (tags)"),
        (lambda found: found["instances"][2]["tags"].update({"aws:autoscaling": "x"}), None),
        (lambda found: found["instances"][2].update(imdsv2=False), "change instance web (metadata)"),
        (lambda found: found["instances"][2].update(groups=["sg-0"]), "change instance web (security group)"),
        (lambda found: found["instances"][2].update(profile=""), "change instance web (instance profile)"),
        (lambda found: found["addresses"][0].update(instance=""), "change elastic address web (instance); change DNS record A bot.example.com (values)"),
        (lambda found: found["bucket"].update(versioning=False), "change bucket example-prod-backups (versioning)"),
        (lambda found: found["bucket"]["public_access"].update(block_public_policy=False), "change bucket example-prod-backups (public access)"),
        (lambda found: found["bucket"].update(policy={}), "change bucket example-prod-backups (policy)"),
        (lambda found: found["bucket"]["lifecycle"]["botops"].update(enabled=False), "change lifecycle of example-prod-backups (days)"),
        (lambda found: found["topic"].update(subscriptions=[]), "change topic prod (subscriptions)"),
        (lambda found: found["alarms"][0].update(threshold=99.0), "change alarm prod engine-1 cpu (threshold)"),
        (lambda found: found["alarms"].pop(), "create alarm prod pm orders"),
        (lambda found: found["log_groups"][0].update(retention=None), "change log group /botops/pm (retention)"),
        (lambda found: found["log_groups"][1].update(tags={}), "change log group /botops/host (tags)"),
        (lambda found: found["log_groups"][0]["filters"]["orders"].update(pattern="x"), "change metric filter /botops/pm orders (pattern)"),
        (lambda found: found["log_groups"][0]["filters"].pop("errors"), "create metric filter /botops/pm errors"),
        (lambda found: found["zones"][0]["records"].pop(0), "create DNS record A bot.example.com"),
        (lambda found: found["zones"][0]["records"][0].update(values=["203.0.113.1"]), "change DNS record A bot.example.com (values)"),
        (lambda found: found["zones"][0]["records"][1].update(ttl=5), "change DNS record TXT example.com (ttl)"),
        (lambda found: found["zones"][0]["records"].append({"name": "bot.example.com", "type": "AAAA", "ttl": 1, "values": ["::1"], "plain": True}), None),
    ],
)
def test_each_difference_is_seen_and_named(drift, expected):
    wanted = plan()
    found = complete(wanted)
    drift(found)
    lines = [" ".join(line.split()) for line in _fleet.table(_fleet_aws.changes(wanted, found), [])]
    assert lines[: lines.index("")] == (expected or "nothing to change").split("; ")


@pytest.mark.parametrize(
    ("drift", "note"),
    [
        (lambda one: one.update(type="t3.large"), "web is a t3.large, not a t3.micro: stop it"),
        (lambda one: one.update(monitoring=False), "web has no detailed monitoring"),
        (lambda one: one.update(state="stopped"), "web is stopped: aws ec2 start-instances --instance-ids i-3"),
        (lambda one: one["volume"].update(size=8), "web has 8 GiB of gp3, not 20 GiB of gp3"),
        (lambda one: one["volume"].update(encrypted=False), "web has a volume that is not encrypted"),
    ],
)
def test_what_no_run_corrects_is_told(drift, note):
    wanted = plan()
    found = complete(wanted)
    drift(found["instances"][2])
    (said,) = _fleet_aws.notes(wanted, found)
    assert note in said and _fleet_aws.changes(wanted, found) == []
    found["instances"] = found["instances"][:2]
    found["alarms"] = []
    surplus = _fleet_aws.notes(plan(**aws(hosts=[{**AWS["hosts"][1], "bot": "pm"}])), found)
    assert surplus == [
        f"instance engine-{number} is not declared and stays; to remove it:\naws ec2 terminate-instances --instance-ids i-{number}"
        for number in (1, 2)
    ]  # fmt: skip


def test_a_record_holds_the_addresses_that_hosts_have_in_the_end():
    wanted = plan()
    found = complete(wanted)
    addresses = _fleet_aws.addresses(found)
    assert _fleet_aws_dns.to_write(wanted, found, addresses) == []
    written = _fleet_aws_dns.to_write(wanted, nothing(), {**addresses, "web": "198.51.100.9"})
    assert written == [
        {"zone": "Z1", "name": "bot.example.com", "type": "A", "ttl": 60, "values": ["198.51.100.9", "203.0.113.1"]},
        {"zone": "Z1", "name": "example.com", "type": "TXT", "ttl": 300, "values": ['"v=spf1 -all"']},
    ]
    # The elastic address comes off: what web answers at by itself is no value of the record.
    found["addresses"][0]["instance"] = ""
    assert ("record", "A bot.example.com", ["values"]) in [(one["kind"], one["name"], one["why"]) for one in _fleet_aws.changes(wanted, found)]
    # A stopped host without an elastic one has none: the record stays, and that is said.
    found = complete(wanted)
    found["instances"][0].update(public_ip="", state="stopped")
    assert _fleet_aws.changes(wanted, found) == [] and _fleet_aws_dns.to_write(wanted, found, _fleet_aws.addresses(found)) == []
    assert "DNS record A bot.example.com stays as it is: engine-1 has no public address; start it, or declare elastic_ip" in _fleet_aws.notes(wanted, found)


def test_values_are_written_as_route_53_takes_them():
    quoted = _fleet_aws_dns.quoted
    assert quoted("a") == quoted('"a"') == '"a"' and quoted('say "x"') == '"say \\"x\\""' and quoted("a" * 300) == f'"{"a" * 255}" "{"a" * 45}"'
    (made,) = plan(**record(type="CNAME", hosts=[], values=["Target.Example.org."]))["records"]
    assert made["values"] == ["target.example.org"]
    found = nothing()
    found["zones"][0]["records"] = [{"name": "bot.example.com", "type": "CNAME", "ttl": 300, "values": ["target.example.org."], "plain": True}]
    assert "record" not in _fleet_aws.view(plan(**record(type="CNAME", hosts=[], values=["Target.Example.org."])), found)["names"]


def test_without_a_network_of_its_own_the_default_one_is_used():
    wanted = plan(**without("ip_range"))
    here = _fleet_aws.there(wanted, nothing())
    assert here["vpc"]["id"] == "vpc-0" and here["subnet"]["id"] == "subnet-a"
    assert not {"vpc", "subnet", "gateway", "route"} & set(_fleet_aws.view(wanted, nothing())["names"])
    zone = plan(fleet_aws={**without("ip_range")["fleet_aws"], "availability_zone": "us-east-1b"})
    assert _fleet_aws.there(zone, nothing())["subnet"]["id"] == "subnet-b"


def checked(found, **changes):
    declared = values(**changes)
    return fleet_aws_found.check({"aws": declared["aws"], "plan": doors.aws_plan(declared, "123456789012", "aws"), "found": found})


def zone(**changes):
    """The zone with one record in it."""
    one = {"name": "bot.example.com", "ttl": 60, "values": ["a.example.org"], "plain": True, **changes}
    return {"zones": [{"name": "example.com", "id": "Z1", "records": [one]}]}


BUCKET = {"name": "example-prod-backups", "foreign": False, "region": "us-east-1", "tags": {}, "empty": True}


@pytest.mark.parametrize(
    ("found", "changes", "sentence"),
    [
        ({"types": ["t3.small"]}, {}, "fleet_aws.hosts[1].instance_type: t3.micro is not offered in us-east-1"),
        ({"bucket": {"name": "example-prod-backups", "foreign": True}}, {}, "fleet_aws.bucket.name: example-prod-backups is taken by another account"),
        ({"bucket": {**BUCKET, "region": "eu-west-1"}}, {}, "bucket.name: example-prod-backups is in eu-west-1, not in us-east-1"),
        ({"bucket": {**BUCKET, "empty": False}}, {}, "bucket.name: example-prod-backups is there without the tag fleet=prod"),
        ({"bucket": {**BUCKET, "tags": {"fleet": "other"}}}, {}, "bucket.name: example-prod-backups is there without the tag fleet=prod"),
        ({"keys": [{"name": "prod", "public_key": KEY, "tags": {}}]}, {}, "fleet_aws.region: a key pair prod is there without the tag fleet=prod"),
        ({"role": {"name": "prod", "tags": {}}}, {}, "fleet_aws.region: a role prod is there without the tag"),
        ({"default_vpc": None}, without("ip_range"), "fleet_aws.ip_range: is missing, and us-east-1 has no default VPC"),
        ({"subnets": []}, without("ip_range"), "the default VPC of us-east-1 has no default subnet"),
        ({}, {"fleet_aws": {**without("ip_range")["fleet_aws"], "availability_zone": "us-east-1f"}},
         "us-east-1f has no default subnet; us-east-1a, us-east-1b have"),
        ({"zones": []}, record(),
         "fleet_aws.records[0].zone: this account has no public hosted zone example.com; write another, or make it (`aws route53 create"),
        ({"zones": [{"name": "example.com", "id": name, "records": []} for name in ("Z2", "Z1")]}, record(),
         "records[0].zone: 2 public hosted zones are called example.com (Z1, Z2); remove all but the delegated one."),
        (zone(type="A", plain=False), record(), "records[0].name: bot.example.com is an alias or has a routing policy"),
        (zone(type="CNAME"), record(), "records[0].name: bot.example.com has a record of the type CNAME, and a CNAME stands alone"),
        ({"instances": [instance({"name": "web", "tags": {}, "instance_type": "t3.micro", "volume_size": 20}, number) for number in (1, 2)]}, {},
         "fleet_aws.hosts: 2 instances with fleet=prod are called web"),
    ],
)  # fmt: skip
def test_what_is_somebody_elses_or_not_offered_is_refused(found, changes, sentence):
    said = checked(nothing(**found), **changes)
    assert len(said) == 1 and sentence in said[0], said


def test_an_image_is_exactly_one():
    assert checked(nothing()) == []
    none = [{"owner": "136693071363", "name": "debian-13-amd64-*", "newest": []}]
    said = checked(nothing(images=none))
    assert said == [f"fleet_aws.hosts[{number}].image.name: 'debian-13-amd64-*' of 136693071363 matches no image in us-east-1; look at "
                    "`aws ec2 describe-images --owners 136693071363`." for number in (0, 1)]  # fmt: skip
    twins = [{**none[0], "newest": [{**NEWEST[0], "name": name} for name in ("b", "a")]}]
    assert "matches 2 images of the same moment (a, b); write one of them." in checked(nothing(images=twins))[0]
    # A bucket that a run made and did not get to tag is nobody else's.
    assert checked(nothing(bucket=BUCKET)) == []


def test_prices_come_from_the_dated_table():
    lines = _fleet_aws.costs(plan(), nothing(), TABLE, {})
    monthly = {line["what"]: line["monthly"] for line in lines}
    assert monthly["instance web"] == round(TABLE["regions"]["us-east-1"]["types"]["t3.micro"] * TABLE["hours"], 2)
    assert monthly["volume of web"] == round(20 * TABLE["regions"]["us-east-1"]["gp3"], 2) and all(line["dated"].startswith(TABLE["date"]) for line in lines)
    assert "not compared with AWS: refresh them" in " ".join(_fleet.table([], lines)), "nobody has asked the vendor for those that are shipped"
    asked = _fleet_aws.costs(plan(), nothing(), {**TABLE, "checked": True}, {})
    assert f"AWS by the list prices of {TABLE['date']}:" in " ".join(_fleet.table([], asked))
    elsewhere = _fleet_aws.costs(plan(**aws(region="sa-east-1")), nothing(), TABLE, {})
    assert "no price is known of alarm, detailed_monitoring, gp3, public_ipv4, t3.micro, t3.small" in _fleet.over_budget(elsewhere, 100)
    told = _fleet_aws.costs(plan(), nothing(), TABLE, {"t3.small": 10, "gp3": 1})
    monthly = {line["what"]: line["monthly"] for line in told}
    assert monthly["instance engine-1"] == 10 and monthly["volume of web"] == 20
    assert _fleet.over_budget(told, 10).startswith("The plan costs ")


def test_what_is_paid_at_aws_today_stands_beside_what_will_be():
    wanted = plan()
    found = complete(wanted)
    lines = _fleet_aws.costs(wanted, found, TABLE, {})
    assert lines and all(line["today"] == line["monthly"] and line["declared"] for line in lines), "what is complete costs what it cost"
    stray = instance({"name": "stray", "tags": {}, "instance_type": "t3.micro", "volume_size": 8}, 9)
    found["instances"].append({**stray, "state": "stopped", "monitoring": False, "public_ip": "", "volume": {**stray["volume"], "type": "gp2"}})
    found["instances"] = [one for one in found["instances"] if one["name"] != "web"]
    told = {line["what"]: line for line in _fleet_aws.costs(wanted, found, TABLE, {})}
    assert told["instance web"]["today"] == 0 and told["instance web"]["monthly"] > 0
    # Stopped it costs its disk only, of a kind that the table has no price of.
    assert (told["instance stray"]["monthly"], told["instance stray"]["declared"]) == (0, False)
    assert (told["volume of stray"]["size"], told["volume of stray"]["monthly"]) == ("8 GiB gp2", None)
    assert "public address of stray" not in told and "detailed monitoring of stray" not in told
    assert any("instance stray is not declared" in note and "terminate-instances --instance-ids i-9" in note for note in _fleet_aws.notes(wanted, found))


def test_a_removal_takes_what_bears_the_tag_and_nothing_else():
    wanted = plan()
    found = complete(wanted)
    found["alarms"].append({**found["alarms"][0], "name": "prod of another team", "alarm_actions": ["arn:other"], "dimensions": {"InstanceId": "i-99"}})
    found["keys"][0]["tags"] = {}
    going = _fleet_aws.doomed(wanted, found)
    assert len(going["alarms"]) == 17 and "prod of another team" not in going["alarms"]
    assert going["key_pairs"] == [] and going["instances"] == ["i-1", "i-2", "i-3"] and going["addresses"] == ["198.51.100.1"]
    assert going["bucket"] == "" and len(going["snapshots"]) == 3
    assert "stays, for want of fleet_with_data: bucket example-prod-backups" in going["lines"]
    # Of the zone only what is declared, and as it is there.
    assert [(one["zone"], one["type"], one["name"]) for one in going["records"]] == [("Z1", "A", "bot.example.com"), ("Z1", "TXT", "example.com")]
    assert "DNS record A bot.example.com (198.51.100.1, 203.0.113.1)" in going["lines"]
    with_data = _fleet_aws.doomed(wanted, found, with_data=True)
    assert with_data["bucket"] == "example-prod-backups" and with_data["snapshots"] == []
    found["bucket"]["tags"] = {"fleet": "other"}
    assert _fleet_aws.doomed(wanted, found, with_data=True)["bucket"] == ""
    empty = _fleet_aws.doomed(wanted, nothing())
    assert empty["lines"] == [] and not any(empty.values())


def test_silence_is_an_alarm_and_what_was_never_told_is_none():
    made = {alarm["name"]: alarm for alarm in plan()["alarms"]}
    assert {name.rpartition(" ")[2]: alarm["treat_missing_data"] for name, alarm in made.items()} == {
        "cpu": "missing", "status": "missing", "memory": "missing", "disk": "missing", "agent": "breaching", "errors": "notBreaching", "orders": "breaching",
    }  # fmt: skip
    assert made["prod pm orders"]["period"] == 900 and made["prod web agent"]["statistic"] == "SampleCount"


def test_a_filter_that_is_no_longer_declared_goes_and_a_strangers_stays():
    wanted = plan(**aws(logs={"errors": "", "orders": "order"}))
    found = complete(plan())
    found["log_groups"][0]["filters"]["theirs"] = {"pattern": "x", "metric": "y", "namespace": "z"}
    view = _fleet_aws.view(wanted, found)
    assert view["metric_filters"] == [{"group": "/botops/pm", "key": "errors", "pattern": "", "metric": "", "namespace": ""}]
    assert view["notes"] == ['not declared: aws cloudwatch delete-alarms --alarm-names "prod pm errors"']


def test_log_groups_go_only_with_the_data():
    wanted, found = plan(), complete(plan())
    assert _fleet_aws.doomed(wanted, found)["log_groups"] == []
    assert "stays, for want of fleet_with_data: log group /botops/pm" in _fleet_aws.doomed(wanted, found)["lines"]
    assert _fleet_aws.doomed(wanted, found, with_data=True)["log_groups"] == ["/botops/pm", "/botops/host"]
