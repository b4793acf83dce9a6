# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Buckets of Spaces, by its S3 API: it has keys of its own, and knows neither tags nor public access blocks, so amazon.aws cannot be told whose one is."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.botops.fleet.plugins.module_utils._aws.answers import may_have_taken_effect
from ansible_collections.botops.fleet.plugins.module_utils._cloud import BUCKET, REGION, SPACES_ENDPOINT, SPACES_KEY, SPACES_SECRET, endpoint_problem
from ansible_collections.botops.fleet.plugins.module_utils._resource import LIFE_CYCLE, Adapter, Ambiguous, Failure, Gone, converge_and_leave

try:
    import botocore.exceptions as known
    import botocore.session
    from botocore.config import Config
    from botocore.parsers import ResponseParserError

    IMPORT_ERROR = None
except ImportError as error:
    known = Config = ResponseParserError = None
    IMPORT_ERROR = error

OWNER = re.compile(r"^[a-zA-Z0-9_\-:]{1,255}$")
EVERYBODY = ("AllUsers", "AuthenticatedUsers")
WRONG_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch")
ABSENT = ("NoSuchBucket", "NoSuchLifecycleConfiguration", "404")
DAYS = {
    "expire_days": ("Expiration", "Days"),
    "noncurrent_days": ("NoncurrentVersionExpiration", "NoncurrentDays"),
    "abort_days": ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
}
PARALLEL = 8
# The endpoint says where a bucket is. With this one in the signature a bucket can be created, too, without a constraint on its location.
SIGNED_FOR = "us-east-1"

SPEC = {
    "name": {"type": "str", "required": True},
    "region": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "botops"},
    "versioning": {"type": "bool", "default": True},
    "expire_days": {"type": "int", "default": 0},
    "noncurrent_days": {"type": "int", "default": 90},
    "abort_days": {"type": "int", "default": 7},
    "with_data": {"type": "bool", "default": False},
    "access_key_id": {"type": "str", "no_log": False, "fallback": (env_fallback, SPACES_KEY)},
    "secret_access_key": {"type": "str", "no_log": True, "fallback": (env_fallback, SPACES_SECRET)},
    "endpoint": {"type": "str", "fallback": (env_fallback, SPACES_ENDPOINT)},
    **LIFE_CYCLE,
}


def days_of(rule):
    """A rule of a lifecycle as {option: days}; 0 is never."""
    return {name: (rule.get(part) or {}).get(key) or 0 for name, (part, key) in DAYS.items()}


def rule_of(owner, days):
    """The rule that a bucket of the owner has."""
    parts = {part: {key: days[name]} for name, (part, key) in DAYS.items() if days[name]}
    return {"ID": owner, "Status": "Enabled", "Filter": {"Prefix": ""}, **parts}


def of_everything(rule):
    """Whether a rule holds for all objects, and is switched on."""
    prefix = rule.get("Prefix") or (rule.get("Filter") or {}).get("Prefix")
    return rule.get("Status") == "Enabled" and not prefix and not set(rule.get("Filter") or {}) - {"Prefix"}


def with_md5(model, params, **_more):
    """S3's document asks for this header with a lifecycle; newer botocore sends a checksum of another kind in its place."""
    body = params.get("body")
    if model.name == "PutBucketLifecycleConfiguration" and body:
        body = body if isinstance(body, bytes) else body.encode()
        params["headers"]["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


class Spaces:
    """The S3 API of one region: answers, and sentences for what it refuses."""

    def __init__(self, params):
        if IMPORT_ERROR:
            raise Failure("The Python library botocore is missing for %s (%s). Install it there: pip install boto3" % (sys.executable, IMPORT_ERROR))
        given = {SPACES_KEY[0]: params["access_key_id"], SPACES_SECRET[0]: params["secret_access_key"]}
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise Failure("There is no key for Spaces: %s not set. Make a key in the control panel and put it into the environment; "
                          "it is another than the API's token." % (" and ".join(missing) + (" are" if len(missing) > 1 else " is")))  # fmt: skip
        self.endpoint = (params["endpoint"] or "https://%s.digitaloceanspaces.com" % params["region"]).rstrip("/")
        problem = endpoint_problem(self.endpoint)
        if problem:
            raise Failure("endpoint %s." % problem)
        self.params, self._clients, self._session = params, {}, botocore.session.Session()

    def _client(self, once):
        if once not in self._clients:
            # What creates is sent once: after a lost answer the thing is looked for.
            options = {"retries": {"total_max_attempts": 1} if once else {"mode": "standard", "max_attempts": 4}, "connect_timeout": 10}
            for name in ("request_checksum_calculation", "response_checksum_validation"):
                if name in Config.OPTION_DEFAULTS:  # since botocore 1.36, whose default the vendor's API does not take
                    options[name] = "when_required"
            client = self._session.create_client(
                "s3", region_name=SIGNED_FOR, endpoint_url=self.endpoint, config=Config(**options),
                aws_access_key_id=self.params["access_key_id"], aws_secret_access_key=self.params["secret_access_key"],
            )  # fmt: skip
            client.meta.events.register("before-call.s3", with_md5)
            self._clients[once] = client
        return self._clients[once]

    def ask(self, operation, creating=False, **request):
        try:
            return getattr(self._client(creating), operation)(Bucket=self.params["name"], **request)
        except known.ClientError as error:
            raise self._refused(error, operation, creating) from error
        except (known.BotoCoreError, ResponseParserError) as error:
            sentence = "Spaces could not be asked at %s (%s): %s" % (self.endpoint, operation, error)
            raise (Ambiguous if creating and may_have_taken_effect(error) else Failure)(sentence) from error

    def _refused(self, error, operation, creating):
        about = error.response.get("Error", {})
        code, message = about.get("Code") or "", (about.get("Message") or "").strip()
        name = self.params["name"]
        if code in ABSENT:
            return Gone("%s: %s" % (operation, code))
        if code in WRONG_KEY:
            return Failure("Spaces refused the key (%s): put a valid pair into %s and %s." % (code, SPACES_KEY[0], SPACES_SECRET[0]))
        if code == "BucketAlreadyExists":
            # The endpoint of one region need not know of a bucket in another.
            return Failure("bucket.name: %s is taken, by another account or in another region; choose another name." % name)
        if code in ("AccessDenied", "403") and operation == "get_bucket_location":
            return Failure("bucket.name: %s is taken by another account, or this key may not look at it; choose another name." % name)
        if creating and may_have_taken_effect(error):
            return Ambiguous("Spaces failed at %s (%s): %s" % (operation, code, message))
        return Failure("Spaces refused %s of the bucket %s (%s): %s" % (operation, name, code, message))

    def part(self, operation, key, **request):
        """A part of the bucket that need not be there."""
        try:
            return self.ask(operation, **request).get(key)
        except Gone:
            return None


class Bucket(Adapter):
    """The owner is written into the identifier of the lifecycle's rule, since a bucket of Spaces can bear no tag."""

    kind = "bucket"
    identities = ()
    created_in_steps = True

    def validate(self):
        params = self.params
        if not BUCKET.match(params["name"]):
            raise Failure("name: %r is no name of a bucket; write 3 to 63 lower-case letters, digits and hyphens." % params["name"])
        if not OWNER.match(params["owner"]):
            raise Failure("owner: %r is no name for a rule; write letters, digits, hyphens, underscores and colons." % params["owner"])
        for option, least in (("expire_days", 0), ("noncurrent_days", 1), ("abort_days", 1)):
            if params[option] < least:
                raise Failure("%s: is %d; write days, at least %d." % (option, params[option], least))

    def find(self):
        try:
            self.client.ask("get_bucket_location")
        except Gone:
            return []
        return [{
            "name": self.params["name"],
            "rules": self.client.part("get_bucket_lifecycle_configuration", "Rules") or [],
            "versioning": self.client.part("get_bucket_versioning", "Status") == "Enabled",
            "grants": self.client.part("get_bucket_acl", "Grants") or [],
        }]  # fmt: skip

    def describe(self, raw):
        return raw["name"]

    def _rule(self, raw):
        return next((rule for rule in raw["rules"] if rule.get("ID") == self.params["owner"]), None)

    def _empty(self):
        found = self.client.ask("list_object_versions", MaxKeys=1)
        return not found.get("Versions") and not found.get("DeleteMarkers")

    def _check_owner(self, raw):
        """Without any rule and empty it is what a run left that died between two requests."""
        if self._rule(raw) is None and (raw["rules"] or not self._empty()):
            raise Failure(
                "bucket.name: %s is there without the lifecycle rule %s, by which a bucket is known as this fleet's; choose another name, "
                "or give it a rule of that ID if it is yours. Nothing was changed." % (raw["name"], self.params["owner"])
            )

    def current(self, raw):
        rule = self._rule(raw)
        return {
            "name": raw["name"], "region": self.params["region"], "versioning": raw["versioning"],
            "lifecycle": days_of(rule) if rule and of_everything(rule) else {},
            "private": not any((grant.get("Grantee") or {}).get("URI", "").rpartition("/")[2] in EVERYBODY for grant in raw["grants"]),
        }  # fmt: skip

    def wanted(self, raw):
        days = {name: self.params[name] for name in DAYS}
        return {"name": self.params["name"], "region": self.params["region"], "versioning": self.params["versioning"], "lifecycle": days, "private": True}

    def remarks(self, raw):
        self._check_owner(raw)
        return []

    def check_deletion(self, raw):
        self._check_owner(raw)
        if not self.params["with_data"] and not self._empty():
            raise Failure("%s has objects in it; take them out first, or set with_data: true to remove it with every version of all of them." % self.title)

    def create(self, wanted):
        self.client.ask("create_bucket", creating=True, ACL="private")
        return self.find()[0]

    def update(self, raw, changes, wanted):
        # The rule first: it says whose the bucket is.
        if "lifecycle" in changes:
            others = [rule for rule in raw["rules"] if rule.get("ID") != self.params["owner"]]
            rules = [*others, rule_of(self.params["owner"], wanted["lifecycle"])]
            self.client.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules})
        if "private" in changes:
            self.client.ask("put_bucket_acl", ACL="private")
        if "versioning" in changes:
            self.client.ask("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled" if wanted["versioning"] else "Suspended"})
        self.did("changed %s" % ", ".join(sorted(changes)))
        return self.find()[0]

    def delete(self, raw):
        # One by one: for many at once the API wants a header that newer botocore does not send.
        with ThreadPoolExecutor(PARALLEL) as pool:
            while True:
                found = self.client.ask("list_object_versions")
                listed = [*(found.get("Versions") or []), *(found.get("DeleteMarkers") or [])]
                if not listed:
                    break
                list(pool.map(lambda one: self.client.ask("delete_object", Key=one["Key"], VersionId=one["VersionId"]), listed))
                self.log("%s: removed %d versions" % (self.title, len(listed)))
        for upload in self.client.part("list_multipart_uploads", "Uploads") or []:
            self.client.part("abort_multipart_upload", "", Key=upload["Key"], UploadId=upload["UploadId"])
        self.client.ask("delete_bucket")

    def shape(self, raw):
        if not raw:
            return {"name": self.params["name"], "region": self.params["region"], "versioning": None, "lifecycle": None, "private": None}
        return self.current(raw)


def run(argument_spec):
    """`main()` of the module."""
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)

    def begin():
        if not REGION.match(module.params["region"]):
            raise Failure("region: %r is no region; write one such as nyc3." % module.params["region"])
        if module.params["wait_timeout"] < 1:
            raise Failure("wait_timeout is seconds and must be at least 1.")
        return Bucket(Spaces(module.params), module.params, module.check_mode, module.log)

    converge_and_leave(module, begin, module.warn)
