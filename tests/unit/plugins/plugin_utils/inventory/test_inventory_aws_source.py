"""EC2 instances out of moto: filters on the server's side, one call a region, and every failure a sentence."""

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory import aws
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.cache import Cache
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.options import make_sources
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Context

REGIONS = ("us-east-1", "eu-central-1")


@pytest.fixture(scope="module")
def cloud():
    patch = pytest.MonkeyPatch()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with mock_aws():
        made = {}
        for region in REGIONS:
            ec2 = boto3.client("ec2", region_name=region)
            image = ec2.describe_images()["Images"][0]["ImageId"]

            def run(count, *, client=ec2, image=image, **tags):
                listed = [{"Key": key, "Value": value} for key, value in tags.items()]
                specification = [{"ResourceType": "instance", "Tags": listed}] if listed else []
                said = client.run_instances(ImageId=image, MinCount=count, MaxCount=count, TagSpecifications=specification)
                return [instance["InstanceId"] for instance in said["Instances"]]

            made[region] = {
                "bots": run(2, Name="bot", bot="polymarket", env="prod", role="primary,web"),
                "plain": run(1), "staging": run(1, Name="stage", env="staging"), "gone": run(1, Name="gone"),
            }
            ec2.stop_instances(InstanceIds=made[region]["staging"])
            ec2.terminate_instances(InstanceIds=made[region]["gone"])
        yield made
    patch.undo()


@pytest.fixture
def calls(monkeypatch):
    """Names of the operations that were called, as (service, operation, parameters)."""
    seen = []
    original = aws.Account._client

    def client(self, session, service, region):
        made = original(self, session, service, region)
        made.meta.events.register("provide-client-params.*.*", lambda params, model, **_: seen.append((service, model.name, params)))
        return made

    monkeypatch.setattr(aws.Account, "_client", client)
    return seen


def fetch(regions=REGIONS, **options):
    (source,) = make_sources([{"type": "aws", "regions": list(regions), **options}], Context())
    discovered = [part.fetch() for part in source.discovery()]
    return [host for part in source.parts(discovered) for host in part.fetch()]


def test_every_instance_that_lives_in_one_call_a_region(cloud, calls):
    hosts = fetch()
    assert {host["id"] for host in hosts} == {
        identity for region in cloud.values() for kind in ("bots", "plain", "staging") for identity in region[kind]
    }
    assert [name for _, name, _ in calls] == ["DescribeInstances"] * 2


def test_the_schema_is_filled(cloud):
    host = next(host for host in fetch() if host["id"] == cloud["eu-central-1"]["bots"][0])
    assert (host["provider"], host["account"], host["name"]) == ("aws", "aws", "bot")
    assert (host["region"], host["zone"], host["state"]) == ("eu-central-1", "eu-central-1a", "running")
    assert host["roles"] == ["primary", "web"] and host["bot"] == "polymarket" and host["env"] == "prod"
    assert host["addresses"]["public"] and host["addresses"]["private"].startswith("10.")
    assert host["vpc"].startswith("vpc-") and host["image"].startswith("ami-") and host["created"].endswith("Z")


def test_without_a_name_the_id_is_the_name(cloud):
    host = next(host for host in fetch() if host["id"] == cloud["us-east-1"]["plain"][0])
    assert host["name"] == host["id"]


def test_filters_are_the_servers(cloud, calls):
    hosts = fetch(["us-east-1"], tags={"env": ["prod", "staging"], "bot": None}, filters={"instance-type": "m1.small"})
    assert {host["id"] for host in hosts} == set(cloud["us-east-1"]["bots"])
    assert {entry["Name"]: entry["Values"] for entry in calls[0][2]["Filters"]} == {
        "instance-state-name": ["pending", "running", "stopping", "stopped"],
        "instance-type": ["m1.small"], "tag:env": ["prod", "staging"], "tag-key": ["bot"],
    }


def test_states(cloud):
    assert {host["id"] for host in fetch(states=["stopped"])} == {region["staging"][0] for region in cloud.values()}


def test_all_regions_are_asked_for_and_part_of_the_plan(cloud, calls):
    (source,) = make_sources([{"type": "aws", "regions": ["all"]}], Context())
    (regions,) = [part.fetch() for part in source.discovery()]
    assert len(regions) >= 17 and set(REGIONS) <= set(regions)
    assert [part.label for part in source.parts([["us-east-1"]])] == ["aws source aws, region us-east-1"]
    assert source.parts([None]) == []


def test_a_role_is_assumed_once_for_all_regions(cloud, calls):
    hosts = fetch(role_arn="arn:aws:iam::210987654321:role/inventory", external_id="tenant")
    assert hosts == []  # moto keeps another account for the role
    assert [name for _, name, _ in calls].count("AssumeRole") == 1
    assert next(params for _, name, params in calls if name == "AssumeRole")["ExternalId"] == "tenant"


def test_a_zone_is_no_reason_to_guess_the_region():
    instance = {"InstanceId": "i-1", "Placement": {"AvailabilityZone": "us-east-1-bos-1a"}, "State": {"Name": "running"}}
    host = aws.normalise(instance, "us-east-1")
    assert (host["region"], host["zone"]) == ("us-east-1", "us-east-1-bos-1a")


def test_ipv6():
    interfaces = [{"Ipv6Addresses": [{"Ipv6Address": "2001:db8::5"}]}]
    assert aws.normalise({"InstanceId": "i-1", "NetworkInterfaces": interfaces}, "x")["addresses"]["public_ipv6"] == "2001:db8::5"


def test_a_region_that_does_not_exist(cloud):
    with pytest.raises(InventoryError, match=r"us-esat-1 is not a region .*; did you mean .*us-east-1.*\?"):
        fetch(["us-esat-1"])


def test_no_credentials(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(InventoryError, match="there are no AWS credentials: give profile or role_arn"):
        fetch(["us-east-1"])


def test_a_profile_that_is_not_there(cloud):
    with pytest.raises(InventoryError, match="there is no profile nobody in the AWS configuration files"):
        fetch(["us-east-1"], profile="nobody")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AuthFailure", r"AWS refused the credentials from the environment \(AuthFailure: said\)"),
        ("OptInRequired", "the region is not enabled for the account"),
        ("RequestLimitExceeded", "AWS throttles the account"),
        ("Strange", "AWS answered Strange: said"),
    ],
)
def test_what_aws_says_becomes_a_sentence(code, sentence):
    def work():
        raise ClientError({"Error": {"Code": code, "Message": "said"}}, "DescribeInstances")

    with pytest.raises(InventoryError, match=sentence):
        aws.Account({}, None, 5).call(work)


def test_nobody_there():
    with pytest.raises(InventoryError, match="AWS cannot be reached: .*127.0.0.1:9"):
        patch = pytest.MonkeyPatch()
        with patch.context() as context:
            context.setenv("AWS_ACCESS_KEY_ID", "x")
            context.setenv("AWS_SECRET_ACCESS_KEY", "x")
            context.setenv("AWS_MAX_ATTEMPTS", "1")
            context.setattr(aws, "ATTEMPTS", 1)
            fetch(["us-east-1"], endpoint="http://127.0.0.1:9", timeout=2)


# --- whose answers these are


def keys(tmp_path, **options):
    context = Context(cache=Cache(str(tmp_path / "cache"), "/inv/fleet.yml", print))
    context.cache.key = "00" * 16  # as if it were the same file each time
    (source,) = make_sources([{"type": "aws", "regions": ["us-east-1"], **options}], context)
    return [part.key for part in source.parts([])]


ANOTHER = [
    ("AWS_ACCESS_KEY_ID", "another"), ("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_SESSION_TOKEN", "new"), ("AWS_PROFILE", "other"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_URL", "http://127.0.0.1:9"),
]


@pytest.mark.parametrize(("variable", "value"), ANOTHER, ids=[name for name, _ in ANOTHER])
def test_other_credentials_or_another_endpoint_are_another_account(monkeypatch, tmp_path, variable, value):
    for name, _ in ANOTHER:
        monkeypatch.delenv(name, raising=False)
    before = keys(tmp_path)
    assert keys(tmp_path) == before
    monkeypatch.setenv(variable, value)
    assert keys(tmp_path) != before


def test_a_profile_that_was_given_other_keys_is_another_account(monkeypatch, tmp_path):
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    path.write_text("[trading]\naws_access_key_id = one\naws_secret_access_key = canary-1\n")
    before = keys(tmp_path, profile="trading")
    path.write_text("[trading]\naws_access_key_id = two\naws_secret_access_key = canary-2\n")
    after = keys(tmp_path, profile="trading")
    assert before != after and "canary" not in str(before + after)


def test_the_endpoint_of_the_modules_is_the_inventorys(monkeypatch):
    monkeypatch.setenv("AWS_URL", "http://127.0.0.1:8")
    (source,) = make_sources([{"type": "aws", "regions": ["us-east-1"]}], Context())
    assert source.accounts[0][1].endpoint == "http://127.0.0.1:8"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (source,) = make_sources([{"type": "aws", "regions": ["us-east-1"]}], Context())
    assert source.accounts[0][1].endpoint == "http://127.0.0.1:9"
