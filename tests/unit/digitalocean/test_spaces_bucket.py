"""A bucket of Spaces, with moto's server as its S3 API: what is written, what is left alone, and whose bucket is refused."""

import base64
import hashlib

import pytest
from do_harness import run_module, util
from emulators.aws.server import Server

SECRET = "canary-spaces-secret-1618"
NAME = "example-prod-backups"


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


class Space:
    """The account behind the module."""

    def __init__(self, server):
        self.server, self.s3 = server, server.client("s3")

    def run(self, check=False, **changes):
        arguments = {"name": NAME, "region": "nyc3", "owner": "fleet:prod", "access_key_id": "DO00", "secret_access_key": SECRET, "endpoint": self.server.url}
        self.server.log.clear()
        result = run_module("spaces_bucket", {key: value for key, value in {**arguments, **changes}.items() if value is not None}, check)
        assert SECRET not in str(result)
        return result

    def writes(self):
        return self.server.writes()

    def rules(self):
        return {rule["ID"]: rule for rule in self.s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]}


@pytest.fixture
def space(server):
    server.reset()
    return Space(server)


def test_made_once_with_versions_and_a_rule(space):
    planned = space.run(check=True)
    assert planned["changed"] and planned["bucket"]["name"] == NAME and planned["diff"]["before"] == {} and space.writes() == []
    made = space.run(noncurrent_days=30)
    lifecycle = {"expire_days": 0, "noncurrent_days": 30, "abort_days": 7}
    assert made["changed"] and made["bucket"] == {"name": NAME, "region": "nyc3", "versioning": True, "lifecycle": lifecycle, "private": True}
    assert space.s3.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"
    rule = space.rules()["fleet:prod"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30 and rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    assert "Expiration" not in rule and rule["Status"] == "Enabled"
    again = space.run(noncurrent_days=30)
    assert not again["changed"] and space.writes() == [] and "warnings" not in again


def test_drift_is_corrected_and_other_rules_stay(space):
    space.run()
    other = {"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    off = {**space.rules()["fleet:prod"], "Status": "Disabled"}
    space.s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [other, off]})
    space.s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Suspended"})
    space.s3.put_bucket_acl(Bucket=NAME, ACL="public-read")
    space.s3.put_object(Bucket=NAME, Key="backup", Body=b"x")
    planned = space.run(check=True, expire_days=400)
    assert planned["changed"] and space.writes() == [] and planned["diff"]["before"]["private"] is False
    changed = space.run(expire_days=400)
    assert changed["actions"] == ["changed lifecycle, private, versioning"] and changed["bucket"]["private"]
    assert sorted(space.rules()) == ["fleet:prod", "mine"] and space.rules()["fleet:prod"]["Expiration"]["Days"] == 400
    assert not space.run(expire_days=400)["changed"] and space.writes() == []


def test_what_a_run_left_that_died_is_finished(space):
    space.s3.create_bucket(Bucket=NAME)
    done = space.run()
    assert done["changed"] and not any(write == f"PUT /{NAME}" for write in space.writes())
    assert not space.run()["changed"]


@pytest.mark.parametrize("rules", [[], [{"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}]])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_somebody_elses_is_refused_before_anything(space, state, rules):
    space.s3.create_bucket(Bucket=NAME)
    space.s3.put_object(Bucket=NAME, Key="theirs", Body=b"x")
    if rules:
        space.s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": rules})
    for check in (True, False):
        said = space.run(check=check, state=state, with_data=True)
        assert f"bucket.name: {NAME} is there without the lifecycle rule fleet:prod" in said["msg"] and space.writes() == []


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDenied", f"bucket.name: {NAME} is taken by another account, or this key may not look at it; choose another name."),
        ("InvalidAccessKeyId", "Spaces refused the key (InvalidAccessKeyId): put a valid pair into SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY."),
        ("SlowDownForGood", "Spaces refused get_bucket_location of the bucket"),
    ],
)
def test_what_the_api_refuses_is_a_sentence(space, code, sentence):
    space.server.refused[f"GET /{NAME}?location"] = (code, "no")
    try:
        assert sentence in space.run(check=True)["msg"] and space.writes() == []
    finally:
        space.server.refused.clear()


def test_a_name_that_only_the_creation_finds_taken_is_a_sentence(space):
    space.server.refused[f"PUT /{NAME}"] = ("BucketAlreadyExists", "no")
    try:
        assert space.run()["msg"] == f"bucket.name: {NAME} is taken, by another account or in another region; choose another name."
    finally:
        space.server.refused.clear()


def test_it_goes_only_with_its_data(space):
    assert not space.run(state="absent")["changed"]
    space.run()
    for body in (b"1", b"2"):
        space.s3.put_object(Bucket=NAME, Key="a b/ü", Body=body)
    space.s3.put_object(Bucket=NAME, Key="gone", Body=b"x")
    space.s3.delete_object(Bucket=NAME, Key="gone")
    space.s3.create_multipart_upload(Bucket=NAME, Key="half")
    for check in (True, False):
        assert "has objects in it; take them out first, or set with_data: true" in space.run(check=check, state="absent")["msg"]
        assert space.writes() == []
    assert space.run(check=True, state="absent", with_data=True)["changed"] and space.writes() == []
    assert space.run(state="absent", with_data=True)["actions"] == ["deleted"]
    assert space.s3.list_buckets()["Buckets"] == [] and not space.run(state="absent")["changed"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "Example.Backups"}, "name: 'Example.Backups' is no name of a bucket; write 3 to 63 lower-case letters, digits and hyphens."),
        ({"region": "nyc3.example.com/"}, "region: 'nyc3.example.com/' is no region; write one such as nyc3."),
        ({"owner": "a b"}, "owner: 'a b' is no name for a rule"),
        ({"noncurrent_days": 0}, "noncurrent_days: is 0; write days, at least 1."),
        ({"abort_days": 0}, "abort_days: is 0; write days, at least 1."),
        ({"expire_days": -1}, "expire_days: is -1; write days, at least 0."),
        ({"wait_timeout": 0}, "wait_timeout is seconds and must be at least 1."),
        ({"access_key_id": None, "secret_access_key": None}, "SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY are not set."),
        ({"secret_access_key": None}, "There is no key for Spaces: SPACES_SECRET_ACCESS_KEY is not set."),
        ({"endpoint": "http://spaces.example.com"}, "would send the token unencrypted over a public network; use https"),
        ({"endpoint": "http://127.0.0.1:9"}, "Spaces could not be asked at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_one_sentence(space, monkeypatch, changes, sentence):
    for name in ("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY", "SPACES_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    assert sentence in space.run(**changes)["msg"] and space.writes() == []


def test_where_the_api_is_without_an_override():
    spaces = util("_digitalocean.spaces_bucket").Spaces
    given = {"name": NAME, "region": "fra1", "access_key_id": "DO00", "secret_access_key": SECRET, "endpoint": None}
    assert spaces(given).endpoint == "https://fra1.digitaloceanspaces.com"


def test_a_lifecycle_goes_with_the_header_that_s3_asks_for():
    with_md5 = util("_digitalocean.spaces_bucket").with_md5

    class Model:
        name = "PutBucketLifecycleConfiguration"

    request = {"body": b"<LifecycleConfiguration/>", "headers": {}}
    with_md5(Model, request)
    assert request["headers"]["Content-MD5"] == base64.b64encode(hashlib.md5(request["body"]).digest()).decode()
    Model.name = "PutBucketAcl"
    with_md5(Model, other := {"body": b"x", "headers": {}})
    assert other["headers"] == {}
