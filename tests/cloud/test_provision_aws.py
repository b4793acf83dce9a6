"""From a declaration to a fleet at moto's AWS: nothing twice, drift corrected, the price seen first, everything removed again."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import declared  # noqa: E402 - beside this file
from declared import KEY  # noqa: E402
from emulators.aws.server import CANONICAL, Server  # noqa: E402 - beside the tests
from emulators.processes import kill_all  # noqa: E402

SECRET = "canary-secret-key-3141"
BUCKET = "example-prod-backups"
DECLARED = {
    "fleet_name": "prod",
    "fleet_admin": {"name": "admin", "keys": [KEY]},
    "fleet_aws": {
        "region": "us-east-1",
        "ip_range": "10.20.0.0/16",
        "public_key": KEY,
        "hosts": [
            {"name": "engine", "instance_type": "t3.small", "roles": ["bot", "docker"], "bot": "polymarket"},
            {"name": "web", "instance_type": "t3.micro", "volume_size": 10, "roles": ["web"], "elastic_ip": True},
        ],
        "security_group": {"inbound_rules": [{"ports": "22", "from": ["198.51.100.0/24"]}, {"ports": "443"}, {"ports": "8080", "from": ["fleet"]}]},
        "rights": ["backups", "cloudwatch"],
        "bucket": {"name": BUCKET, "noncurrent_days": 30},
        "records": [
            {"zone": "example.com", "name": "bot.example.com", "hosts": ["engine", "web"], "ttl": 60},
            {"zone": "example.com", "name": "_botops.example.com", "type": "TXT", "values": ["prod"]},
        ],
        "logs": {"retention_days": 60, "orders": '"order placed"'},
        "alarms": {"emails": ["ops@example.com"], "agent": {"disk": 85}},
    },
}


class Fleet(declared.Fleet):
    def __init__(self, cloud, directory):
        credentials = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": cloud.url}
        super().__init__(cloud, directory, DECLARED, {"type": "aws", "regions": ["us-east-1"]}, credentials, SECRET)

    @property
    def aws(self):
        return self.declared["fleet_aws"]

    def writes(self):
        return self.cloud.writes()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """One fleet whose life the tests tell in their order: making it takes most of the time."""
    with Server() as cloud:
        yield Fleet(cloud, tmp_path_factory.mktemp("fleet"))


def killed_after(fleet, name):
    """Run the playbook and kill it, with all that it started, between its first request of that name and the next that writes."""
    with fleet.cloud.holding_after(name) as stopped, (fleet.directory / "killed.log").open("w") as log:
        run = subprocess.Popen(
            fleet.playbook("provision", "-vvv"), env=fleet.environment(), cwd=fleet.directory,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not stopped.wait(0.05):
            assert run.poll() is None, f"the run was over before {name}: {fleet.writes()}"
        kill_all(run.pid)
        run.wait()
    said = (fleet.directory / "killed.log").read_text()
    assert "EXEC" in said and SECRET not in said and "PRIVATE KEY" not in said, "a secret was shown at -vvv"


def zone_of(fleet):
    """The id of the zone that the account has, made when it has none yet. It is not the fleet's, and stays."""
    route53 = fleet.cloud.client("route53")
    zones = route53.list_hosted_zones()["HostedZones"]
    return zones[0]["Id"] if zones else route53.create_hosted_zone(Name="example.com", CallerReference="tests")["HostedZone"]["Id"]


def records(fleet):
    """{(name, type): (TTL, values)} of the zone, without what the vendor makes itself."""
    listed = fleet.cloud.client("route53").list_resource_record_sets(HostedZoneId=zone_of(fleet))["ResourceRecordSets"]
    return {(one["Name"], one["Type"]): (one["TTL"], sorted(value["Value"] for value in one["ResourceRecords"]))
            for one in listed if one["Type"] not in ("NS", "SOA")}  # fmt: skip


def write_record(fleet, name, *values):
    change = {"Action": "UPSERT", "ResourceRecordSet": {"Name": name, "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": value} for value in values]}}
    fleet.cloud.client("route53").change_resource_record_sets(HostedZoneId=zone_of(fleet), ChangeBatch={"Changes": [change]})


def inventoried(cloud):
    """How many of each kind there are in the account, without what the vendor made itself."""
    ec2, iam, s3 = cloud.client("ec2"), cloud.client("iam"), cloud.client("s3")
    groups = {one["logGroupName"] for one in cloud.client("logs").describe_log_groups()["logGroups"]}
    # moto keeps a filter that was replaced, and those of a group that is gone.
    filters = {(one["logGroupName"], one["filterName"]) for one in cloud.client("logs").describe_metric_filters()["metricFilters"]}
    alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    return {
        "instances": sum(len(one["Instances"]) for one in ec2.describe_instances(Filters=alive)["Reservations"]),
        "vpcs": len([one for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]),
        "subnets": len([one for one in ec2.describe_subnets()["Subnets"] if not one["DefaultForAz"]]),
        "gateways": len(ec2.describe_internet_gateways()["InternetGateways"]),
        "security groups": len([one for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]),
        "addresses": len(ec2.describe_addresses()["Addresses"]),
        "keys": len(ec2.describe_key_pairs()["KeyPairs"]),
        "roles": len(iam.list_roles()["Roles"]),
        "profiles": len(iam.list_instance_profiles()["InstanceProfiles"]),
        "buckets": len(s3.list_buckets()["Buckets"]),
        "topics": len(cloud.client("sns").list_topics()["Topics"]),
        "alarms": len(cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        "log groups": len(groups),
        "metric filters": len([name for group, name in filters if group in groups]),
    }


ALL = {"instances": 2, "vpcs": 1, "subnets": 1, "gateways": 1, "security groups": 1, "addresses": 1, "keys": 1, "roles": 1, "profiles": 1, "buckets": 1,
       "topics": 1, "alarms": 12, "log groups": 2, "metric filters": 2}  # fmt: skip


def test_the_plan_and_what_is_refused_write_nothing(fleet):
    said = fleet.run("plan", fails=True)
    assert "fleet_aws.records[0].zone: this account has no public hosted zone example.com; write another, or make it" in said and fleet.writes() == []
    zone_of(fleet)
    write_record(fleet, "theirs.example.com", "203.0.113.99")
    planned = fleet.run("plan")
    assert fleet.writes() == []
    assert "create   DNS record A bot.example.com" in planned
    for line in ("instance engine", "VPC prod", "security group prod", "elastic address web", "bucket example-prod-backups", "alarm prod web status",
                 "log group /botops/polymarket", "metric filter /botops/polymarket orders", "alarm prod polymarket orders"):  # fmt: skip
        assert f"create   {line}" in planned
    # 15.18 and 7.59 for the instances, 30 GiB, two addresses, two times detailed monitoring, twelve alarms.
    assert re.search(r"37\.87 +altogether", planned), planned[-2000:]
    document = fleet.plan()
    assert fleet.writes() == [] and document["monthly"] == 37.87 and all(line["dated"] for line in document["costs"])
    assert {"action": "create", "kind": "instance", "name": "engine", "why": []} in document["changes"]

    fleet.declared["fleet_monthly_budget"] = 30
    assert "The plan costs 37.87 dollars a month, and fleet_monthly_budget is 30" in fleet.run("provision", fails=True)
    del fleet.declared["fleet_monthly_budget"]
    fleet.aws["hosts"][0]["image"] = {"name": "debian-99-amd64-*"}
    fleet.aws["hosts"][1].update(image={"owner": CANONICAL, "name": "twin-*"}, instance_type="t3.nano9")
    said = fleet.run("provision", fails=True)
    assert "'debian-99-amd64-*' of 136693071363 matches no image" in said and "matches 2 images of the same moment (twin-a, twin-b)" in said
    assert "t3.nano9 is not offered in us-east-1" in said
    assert fleet.writes() == []
    fleet.declared["fleet_aws"] = json.loads(json.dumps(DECLARED["fleet_aws"]))


def test_killed_again_and_again_nothing_is_made_twice(fleet):
    # A gateway that is attached to nothing, a bucket without a tag, an address on no host: what a run leaves that dies in the worst places.
    for name in ("CreateInternetGateway", f"PUT /{BUCKET}", "AllocateAddress"):
        if name == "AllocateAddress":
            # And the account's quota is reached: what was made stays, and the sentence is the vendor's.
            fleet.cloud.refused["RunInstances"] = ("VcpuLimitExceeded", "You have requested more vCPU capacity than your limit of 1 allows.")
            assert "engine was not made: " in (said := fleet.run("provision", fails=True)) and "more vCPU capacity than your limit of 1" in said
            fleet.cloud.refused.clear()
        killed_after(fleet, name)
        print(f"  killed after {', '.join(fleet.writes())}")
    fleet.run("provision")
    assert inventoried(fleet.cloud) == ALL
    found = fleet.hosts()
    assert found["bot_hosts"]["hosts"] == ["engine"] and found["docker_hosts"]["hosts"] == ["engine"] and found["web_hosts"]["hosts"] == ["web"]
    # The key that each host got is known under the address at which it answers: the elastic one of web.
    known = dict(line.split(" ", 1) for line in (fleet.directory / "known_hosts").read_text().splitlines())
    elastic = fleet.cloud.client("ec2").describe_addresses()["Addresses"][0]["PublicIp"]
    assert known[elastic] == known["web.prod.fleet"] and len(known) >= 4

    again = fleet.run("provision")
    assert fleet.writes() == [] and "changed=0" in again
    planned = fleet.run("plan")
    assert "nothing to change" in planned and re.search(r"37\.87 +37\.87 +altogether", planned) and fleet.writes() == []


def test_what_was_made_is_as_it_was_declared(fleet):
    ec2 = fleet.cloud.client("ec2")
    machines = {next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "Name"): one
                for reservation in ec2.describe_instances()["Reservations"] for one in reservation["Instances"]}  # fmt: skip
    volumes = {one["Attachments"][0]["InstanceId"]: one for one in ec2.describe_volumes()["Volumes"]}
    for name, size, kind in (("engine", 20, "t3.small"), ("web", 10, "t3.micro")):
        one = machines[name]
        volume = volumes[one["InstanceId"]]
        assert (one["InstanceType"], one["ImageId"], one["KeyName"]) == (kind, "ami-0d000000000000002", "prod")
        assert one["MetadataOptions"]["HttpTokens"] == "required" and one["Monitoring"]["State"] == "enabled"
        assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (size, "gp3", True)
        assert one["IamInstanceProfile"]["Arn"].endswith("/prod") and [group["GroupName"] for group in one["SecurityGroups"]] == ["prod"]
    s3 = fleet.cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    alarms = {one["AlarmName"]: one for one in fleet.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    cpu, status = alarms["prod web cpu"], alarms["prod web status"]
    assert (cpu["MetricName"], cpu["Threshold"], cpu["Period"], cpu["EvaluationPeriods"]) == ("CPUUtilization", 80.0, 300, 2)
    assert (status["MetricName"], status["Threshold"], status["Period"], status["EvaluationPeriods"]) == ("StatusCheckFailed", 1.0, 60, 2)
    silent, disk, orders, errors = (alarms["prod " + name] for name in ("web agent", "engine disk", "polymarket orders", "polymarket errors"))
    assert (silent["MetricName"], silent["Statistic"], silent["TreatMissingData"]) == ("mem_used_percent", "SampleCount", "breaching")
    assert (disk["Namespace"], disk["Threshold"], disk["Dimensions"][0]["Name"]) == ("CWAgent", 85.0, "InstanceId")
    assert (orders["Period"], orders["ComparisonOperator"], orders["TreatMissingData"], orders["Dimensions"]) == (900, "LessThanThreshold", "breaching", [])
    assert errors["TreatMissingData"] == "notBreaching"
    logs = fleet.cloud.client("logs")
    assert {one["logGroupName"]: one["retentionInDays"] for one in logs.describe_log_groups()["logGroups"]} == {"/botops/polymarket": 60, "/botops/host": 60}
    filters = {one["filterName"]: one for one in logs.describe_metric_filters(logGroupName="/botops/polymarket")["metricFilters"]}
    assert {name: one["filterPattern"] for name, one in filters.items()} == {"errors": "ERROR", "orders": '"order placed"'}
    assert [(one["metricName"], one["metricNamespace"]) for one in filters["orders"]["metricTransformations"]] == [(orders["MetricName"], orders["Namespace"])]
    elastic = ec2.describe_addresses()["Addresses"][0]["PublicIp"]
    assert records(fleet) == {
        ("bot.example.com.", "A"): (60, sorted([elastic, machines["engine"]["PublicIpAddress"]])), ("_botops.example.com.", "TXT"): (300, ['"prod"']),
        ("theirs.example.com.", "A"): (300, ["203.0.113.99"]),
    }  # fmt: skip
    assert cpu["Dimensions"] == [{"Name": "InstanceId", "Value": machines["web"]["InstanceId"]}] and cpu["AlarmActions"] == status["AlarmActions"]


def test_drift_is_seen_and_corrected(fleet):
    fleet.aws["security_group"]["inbound_rules"][0]["from"] = ["203.0.113.0/24"]
    fleet.aws["alarms"]["cpu"] = 90
    fleet.aws["rights"] = ["backups"]
    del fleet.aws["alarms"]["agent"]
    fleet.aws["logs"]["errors"] = "?ERROR ?CRITICAL"
    fleet.cloud.client("logs").put_retention_policy(logGroupName="/botops/host", retentionInDays=1)
    fleet.cloud.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    ec2 = fleet.cloud.client("ec2")
    engine = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["engine"]}])["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.create_tags(Resources=[engine], Tags=[{"Key": "role", "Value": "web"}])
    iam = fleet.cloud.client("iam")
    everything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    foreign = iam.create_policy(PolicyName="everything", PolicyDocument=everything)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="prod", PolicyArn=foreign)
    write_record(fleet, "bot.example.com", "203.0.113.98")
    planned = fleet.run("plan")
    assert "change   DNS record A bot.example.com (values, ttl)" in planned
    for line in ("role prod (attached policies)", "security group prod (inbound rules)", "alarm prod web cpu (threshold)",
                 "policy prod cloudwatch (not declared)", f"bucket {BUCKET} (versioning)", "instance engine (tags)", "log group /botops/host (retention)",
                 "metric filter /botops/polymarket errors (pattern)"):  # fmt: skip
        assert f"change   {line}" in planned
    assert fleet.writes() == []
    fleet.run("provision")
    assert fleet.writes() and not {"RunInstances", "CreateVpc", "CreateSecurityGroup", "AllocateAddress"} & set(fleet.writes())
    assert len(records(fleet)[("bot.example.com.", "A")][1]) == 2 and "203.0.113.98" not in str(records(fleet))
    planned = fleet.run("plan")
    assert "nothing to change" in planned and inventoried(fleet.cloud) == ALL
    assert 'not declared: aws cloudwatch delete-alarms --alarm-names "prod engine agent"' in " ".join(planned.split())


def test_the_removal_asks_and_leaves_what_is_not_ours(fleet):
    ec2, s3 = fleet.cloud.client("ec2"), fleet.cloud.client("s3")
    neighbour = ec2.run_instances(ImageId="ami-0d000000000000001", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    with pytest.raises(ClientError, match="403"):  # moto speaks no TLS, so the bucket's policy is seen at work, and has to go for what follows
        s3.put_object(Bucket=BUCKET, Key="trades.db", Body=b"in clear text")
    s3.delete_bucket_policy(Bucket=BUCKET)
    for text in (b"first", b"second"):
        s3.put_object(Bucket=BUCKET, Key="trades.db", Body=text)

    said = fleet.run("destroy", "-e", "fleet_confirm=other", fails=True)
    assert "instance engine" in said and "nothing was destroyed" in said and fleet.writes() == []
    assert "DNS record A bot.example.com (" in said and "DNS record TXT _botops.example.com" in said

    said = fleet.run("destroy", "-e", "fleet_confirm=prod")
    assert f"stays, for want of fleet_with_data: bucket {BUCKET}" in said
    assert "stays, for want of fleet_with_data: log group /botops/polymarket" in said
    assert inventoried(fleet.cloud) == {**dict.fromkeys(ALL, 0), "instances": 1, "buckets": 1, "log groups": 2, "metric filters": 2}
    assert list(records(fleet)) == [("theirs.example.com.", "A")]
    alive = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    assert [one["InstanceId"] for reservation in alive for one in reservation["Instances"]] == [neighbour]
    assert len(ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:fleet", "Values": ["prod"]}])["Snapshots"]) == 2
    assert len(s3.list_object_versions(Bucket=BUCKET)["Versions"]) == 2

    fleet.run("destroy", "-e", "fleet_confirm=prod", "-e", "fleet_with_data=true")
    assert inventoried(fleet.cloud) == {**dict.fromkeys(ALL, 0), "instances": 1}


def test_the_operators_policy_allows_all_that_was_asked(fleet):
    policy = json.loads((ROOT / "roles/fleet/files/iam/operator.json").read_text())
    allowed = {action for one in policy["Statement"] for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])}
    needed = fleet.cloud.needed["operator"]
    assert len(needed) > 60 and needed <= allowed, sorted(needed - allowed)
    print(f"  {len(needed)} rights were needed, {len(allowed)} are allowed; not asked for here: {', '.join(sorted(allowed - needed))}")
    assert not any("*" in action for action in allowed)
