"""aws_acm_certificate: the grid, the records that prove a name, and what must not be requested twice."""

import datetime

import pytest
from botocore.exceptions import ReadTimeoutError

from ansible_collections.botops.fleet.plugins.module_utils._aws.acm_certificate import zone_for

NAMES = {"domain_name": "app.example.com", "alternative_names": ["*.app.example.com", "api.example.com"]}


@pytest.fixture(autouse=True)
def zones(client):
    made = client("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]
    client("route53").create_hosted_zone(
        Name="example.com", CallerReference="2", HostedZoneConfig={"PrivateZone": True},
        VPC={"VPCRegion": "us-east-1", "VPCId": client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]},
    )
    return made["Id"].rpartition("/")[2]


def records(client, zone):
    found = client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [one for one in found if one["Type"] == "CNAME"]


def test_life(life, client, gaps, zones):
    def drift(certificate):
        record = records(client, zones)[0]
        client("route53").change_resource_record_sets(
            HostedZoneId=zones, ChangeBatch={"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
        )
        gaps.published.add(record["Name"])  # it was issued already, and stays so
        client("acm").add_tags_to_certificate(CertificateArn=certificate["arn"], Tags=[{"Key": "stray", "Value": "x"}])

    created = life(
        "acm_certificate", {**NAMES, "tags": {"env": "prod"}}, NAMES, drift, ["ChangeResourceRecordSets", "RemoveTagsFromCertificate"]
    )
    assert created["acm_certificate"]["status"] == "ISSUED"
    assert created["acm_certificate"]["names"] == ["*.app.example.com", "api.example.com", "app.example.com"]
    # A name and its wildcard are proved by one record.
    assert created.writes == ["RequestCertificate", "ChangeResourceRecordSets", "ChangeResourceRecordSets"]
    assert len(records(client, zones)) == 2, "the records stay: another certificate may stand on them"


def test_records_for_dns_that_is_kept_elsewhere(aws, gaps):
    arguments = {"domain_name": "bot.example.org", "validation": "records"}
    pending = aws("acm_certificate", wait=False, **arguments)
    assert pending["acm_certificate"]["status"] == "PENDING_VALIDATION" and pending.writes == ["RequestCertificate"]
    (record,) = pending["acm_certificate"]["validation_records"]
    said = aws("acm_certificate", fails=True, wait_timeout=1, **arguments)
    assert said.writes == [] and f"publish {record['name']} CNAME {record['value']}" in said["msg"]
    gaps.published.add(record["name"])
    issued = aws("acm_certificate", **arguments)
    assert not issued["changed"] and issued["acm_certificate"]["status"] == "ISSUED"


def test_other_names_are_another_certificate(aws):
    first = aws("acm_certificate", **NAMES)["acm_certificate"]["arn"]
    other = aws("acm_certificate", domain_name="app.example.com")
    assert other["changed"] and other["acm_certificate"]["arn"] != first
    assert aws("acm_certificate", **NAMES)["acm_certificate"]["arn"] == first


def test_two_of_the_same_names_are_told_apart_by_arn(aws, client):
    arns = [
        client("acm").request_certificate(DomainName="app.example.com", ValidationMethod="DNS", IdempotencyToken=token)["CertificateArn"]
        for token in ("a", "b")
    ]
    said = aws("acm_certificate", fails=True, domain_name="app.example.com")
    assert "is not unique: 2 match" in said["msg"] and all(arn in said["msg"] for arn in arns) and said.writes == []
    chosen = aws("acm_certificate", domain_name="app.example.com", certificate_arn=arns[1])
    assert chosen["acm_certificate"]["arn"] == arns[1]


def test_a_lost_answer_does_not_request_twice(aws, calls):
    calls.fail("RequestCertificate", ReadTimeoutError(endpoint_url="https://acm"), after=True)
    said = aws("acm_certificate", **NAMES)
    assert said.writes.count("RequestCertificate") == 1 and said["acm_certificate"]["status"] == "ISSUED"
    assert "was lost" in said["warnings"][0]


def test_a_certificate_that_failed_says_why(aws, gaps):
    gaps.certificate = {"Status": "FAILED", "FailureReason": "CAA_ERROR"}
    assert "certificate for app.example.com: FAILED CAA_ERROR" in aws("acm_certificate", fails=True, **NAMES)["msg"]


def test_one_that_is_in_use_is_not_deleted(aws, gaps):
    aws("acm_certificate", **NAMES)
    gaps.certificate = {"InUseBy": ["arn:aws:elasticloadbalancing:lb"], "NotAfter": datetime.datetime(2030, 1, 1)}
    for check in (True, False):
        said = aws("acm_certificate", check=check, fails=True, state="absent", **NAMES)
        assert "is in use and was not deleted: arn:aws:elasticloadbalancing:lb" in said["msg"] and said.writes == []
    assert aws("acm_certificate", **NAMES)["acm_certificate"]["not_after"] == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"domain_name": "App.example.com"}, "App.example.com is not a domain name"),
        ({"domain_name": "app.example.com", "alternative_names": ["a b"]}, "a b is not a domain name"),
        ({"domain_name": "app.other.org"}, "No public hosted zone of this account fits app.other.org. Give hosted_zone_id, or set validation"),
        ({"domain_name": "app.example.com", "certificate_arn": "arn:x"}, "arn:x is not a certificate for exactly these names"),
    ],
)
def test_mistakes(aws, arguments, sentence):
    assert sentence in aws("acm_certificate", fails=True, check=True, **arguments)["msg"]


def test_two_public_zones_of_one_name(aws, client):
    client("route53").create_hosted_zone(Name="example.com", CallerReference="3")
    assert "several public zones fit" in aws("acm_certificate", fails=True, check=True, **NAMES)["msg"]


def test_the_longest_zone_wins_and_private_ones_do_not_count():
    zones = [{"Name": name, "Config": {"PrivateZone": private}} for name, private in (
        ("example.com.", False), ("app.example.com.", False), ("x.app.example.com.", True), ("ample.com.", False))]
    assert [zone["Name"] for zone in zone_for("_a.x.app.example.com.", zones)] == ["app.example.com."]
    assert zone_for("example.org", zones) == []
