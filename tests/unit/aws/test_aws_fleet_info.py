"""aws_fleet_info: what it makes of the vendor's answers, and what it finds and does not find in an account."""

import json

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._aws import fleet_info


def test_rules_are_lines_whatever_they_name():
    rules = [
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9, "UserIdGroupPairs": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}],
         "PrefixListIds": [{"PrefixListId": "pl-1"}]},
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
    ]  # fmt: skip
    assert fleet_info.rules_of(rules, "sg-1") == [
        "all all 10.0.0.0/8", "icmp all 10.0.0.0/8", "tcp 1-9 fleet", "tcp 1-9 pl-1", "tcp 1-9 sg-2", "tcp 443-443 0.0.0.0/0", "tcp 443-443 ::/0",
    ]  # fmt: skip


def test_documents_come_quoted_parsed_or_not_at_all():
    policy = {"Statement": [{"Action": "s3:*"}]}
    assert fleet_info.document("%7B%22Statement%22%3A%20%5B%7B%22Action%22%3A%20%22s3%3A%2A%22%7D%5D%7D") == policy
    assert fleet_info.document(policy) == fleet_info.document(json.dumps(policy)) == policy and fleet_info.document(None) == {}


def image(name, created, state="available"):
    return {"ImageId": f"ami-{name}", "Name": name, "CreationDate": created, "State": state, "RootDeviceName": "/dev/xvda"}


def test_the_newest_image_is_one_none_or_twins():
    listed = [image("old", "2026-01-01"), image("new", "2026-02-01"), image("unready", "2026-03-01", "pending")]
    assert [one["name"] for one in fleet_info.image_of(listed)] == ["new"]
    assert fleet_info.image_of([]) == []
    assert [one["name"] for one in fleet_info.image_of([*listed, image("twin", "2026-02-01")])] == ["new", "twin"]


def test_a_lifecycle_is_its_days():
    rules = [{
        "ID": "botops", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}, "Transitions": [{"Days": 10, "StorageClass": "GLACIER"}],
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}, "Expiration": {"Days": 365},
    }, {"Status": "Disabled"}]  # fmt: skip
    assert fleet_info.lifecycle_of(rules) == {
        "botops": {"expiration_days": 365, "noncurrent_version_expiration_days": 30, "abort_incomplete_multipart_upload_days": 7, "transition_days": 10,
                   "enabled": True},
        "": {"enabled": False},
    }  # fmt: skip


def test_an_instance_without_disk_or_options_is_one_all_the_same():
    found = fleet_info.instance_of({"InstanceId": "i-1", "State": {"Name": "pending"}, "InstanceType": "t3.micro", "ImageId": "ami-1"}, {})
    assert found["name"] == "" and found["volume"] is None and found["imdsv2"] is False and found["profile"] == ""


@pytest.fixture
def ask(aws):
    """`ask(hosts=[…])`: what is found of the fleet prod."""

    def call(**more):
        result = aws("fleet_info", wait_timeout=None, name="prod", owner_key="fleet", owner_value="prod", **more)
        assert result.writes == [] and not result["changed"]
        return result["fleet"]

    return call


def test_an_empty_account_has_its_default_network_and_nothing_of_the_fleets(ask):
    found = ask(bucket="example-prod-backups", hosts=[{"name": "web", "instance_type": "t3.micro", "owner": "self", "image": "mine-*"}])
    assert found["default_vpc"]["default"] and found["account"] == "123456789012" and found["partition"] == "aws"
    assert len([subnet for subnet in found["subnets"] if subnet["default"]]) >= 2
    assert found["types"] == ["t3.micro"] and found["images"] == [{"owner": "self", "name": "mine-*", "newest": []}]
    assert {key for key in found if found[key] in (None, [])} == {
        "vpcs", "gateways", "tables", "security_groups", "keys", "addresses", "instances", "role", "profile", "bucket", "topic", "alarms",
        "log_groups", "zones",
    }  # fmt: skip


def test_only_what_bears_the_tag_is_the_fleets(ask, client):
    ec2 = client("ec2")
    for owner in ("prod", "other"):
        ec2.create_security_group(GroupName=owner, Description=owner, TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "fleet", "Value": owner}, {"Key": "Name", "Value": owner}]}])  # fmt: skip
        ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "fleet", "Value": owner}]}])
    found = ask()
    assert [group["name"] for group in found["security_groups"]] == ["prod"] and found["security_groups"][0]["outbound"] == ["all all 0.0.0.0/0"]
    assert [vpc["tags"] for vpc in found["vpcs"]] == [{"fleet": "prod"}] and found["tables"][0]["main"] and found["tables"][0]["default_route"] == ""


def test_a_bucket_that_is_there_is_told_part_by_part(ask, client):
    s3 = client("s3")
    s3.create_bucket(Bucket="example-prod-backups")
    found = ask(bucket="example-prod-backups")["bucket"]
    assert found["empty"] and not found["versioning"] and found["tags"] == {} and found["policy"] == {} and found["lifecycle"] == {}
    assert found["region"] == "us-east-1" and not any(found["public_access"].values())
    s3.put_object(Bucket="example-prod-backups", Key="a", Body=b"x")
    assert not ask(bucket="example-prod-backups")["bucket"]["empty"]


def test_a_bucket_of_another_account_is_foreign(ask, client, calls):
    from botocore.exceptions import ClientError

    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetBucketLocation")
    calls.fail("GetBucketLocation", refused)
    assert ask(bucket="example-prod-backups")["bucket"] == {"name": "example-prod-backups", "foreign": True}


def test_log_groups_are_told_by_name_with_their_filters(ask, client):
    logs = client("logs")
    for name in ("/botops/pm", "/botops/pm-2"):
        logs.create_log_group(logGroupName=name, tags={"fleet": "prod"})
    logs.put_retention_policy(logGroupName="/botops/pm", retentionInDays=30)
    change = {"metricName": "pm errors", "metricNamespace": "botops/prod", "metricValue": "1"}
    logs.put_metric_filter(logGroupName="/botops/pm", filterName="errors", filterPattern="ERROR", metricTransformations=[change])
    assert ask(log_groups=["/botops/pm", "/botops/none"])["log_groups"] == [{
        "name": "/botops/pm", "retention": 30, "tags": {"fleet": "prod"},
        "filters": {"errors": {"pattern": "ERROR", "metric": "pm errors", "namespace": "botops/prod"}},
    }]  # fmt: skip


def test_records_of_public_zones_are_told_by_name(ask, client):
    route53 = client("route53")
    ids = [route53.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"] for name in ("example.com", "example.org")]
    inside = {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}
    route53.create_hosted_zone(Name="example.com", CallerReference="inside", VPC=inside, HostedZoneConfig={"PrivateZone": True})

    def write(name, kind, **what):
        change = {"Action": "UPSERT", "ResourceRecordSet": {"Name": name, "Type": kind, **what}}
        route53.change_resource_record_sets(HostedZoneId=ids[0], ChangeBatch={"Changes": [change]})

    for name in ("bot.example.com", "*.example.com", "other.example.com"):
        write(name, "A", TTL=60, ResourceRecords=[{"Value": "203.0.113.2"}, {"Value": "203.0.113.1"}])
    write("alias.example.com", "A", AliasTarget={"HostedZoneId": "Z2", "DNSName": "lb.example.net", "EvaluateTargetHealth": False})
    (zone,) = ask(zones=["Example.com."], records=["bot.example.com", "*.example.com", "alias.example.com"])["zones"]
    assert zone["name"] == "example.com" and ids[0].endswith(zone["id"]) and "/" not in zone["id"]
    found = {one["name"]: one for one in zone["records"]}
    assert found["bot.example.com"] == {"name": "bot.example.com", "type": "A", "ttl": 60, "values": ["203.0.113.1", "203.0.113.2"], "plain": True}
    assert sorted(found) == ["*.example.com", "alias.example.com", "bot.example.com"] and not found["alias.example.com"]["plain"]
    assert ask(zones=["example.net"], records=["a.example.net"])["zones"] == []
