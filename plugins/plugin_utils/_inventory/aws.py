# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EC2 instances: accounts times regions, one shared session an account, every filter on the server's side."""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import threading

from ansible.module_utils.basic import env_fallback

from ansible_collections.botops.fleet.plugins.module_utils._cloud import AWS_ENDPOINT
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import make_host
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.source import Source

# Terminated instances are still listed for an hour; they are no hosts.
STATES = ("pending", "running", "stopping", "stopped")
ATTEMPTS = 4
HOME = "us-east-1"  # who asks for all regions names none, and the configuration may not either
REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d+$")
ROLE = re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
# What decides whose credentials botocore finds, and the files in which it looks.
CREDENTIAL_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
CREDENTIAL_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
CREDENTIAL_SPEC = {
    "profile": {"type": "str"},
    "role_arn": {"type": "str"},
    "external_id": {"type": "str"},
}
DENIED = ("AuthFailure", "UnauthorizedOperation", "AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch",
          "ExpiredToken", "RequestExpired", "ExpiredTokenException", "UnrecognizedClientException")


def normalise(instance, region, account="", tag_keys=None):
    """The schema's host out of what describe_instances says. The region is where it was asked, not a zone without its letter."""
    tags = {tag["Key"]: tag.get("Value") or "" for tag in instance.get("Tags") or []}
    labels = ["%s:%s" % (key, value) if value else key for key, value in tags.items()]
    ipv6 = [
        address.get("Ipv6Address")
        for interface in instance.get("NetworkInterfaces") or []
        for address in interface.get("Ipv6Addresses") or []
    ]
    launched = instance.get("LaunchTime")
    return make_host(
        "aws", instance["InstanceId"], name=tags.get("Name", ""), account=account, region=region,
        zone=(instance.get("Placement") or {}).get("AvailabilityZone") or region, size=instance.get("InstanceType") or "",
        image=instance.get("ImageId") or "", state=(instance.get("State") or {}).get("Name") or "pending",
        addresses={
            "public": instance.get("PublicIpAddress"), "private": instance.get("PrivateIpAddress"),
            "public_ipv6": ipv6[0] if ipv6 else instance.get("Ipv6Address"),
        },
        labels=labels, vpc=instance.get("VpcId") or "",
        created=launched.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(launched, "strftime") else str(launched or ""),
        tag_keys=tag_keys,
    )


def file_text(path):
    """The content of a file of credentials, or None when there is none that can be read."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as handle:
            return handle.read()
    except (OSError, UnicodeDecodeError):
        return None


def filters(options):
    """describe_instances' Filters for the source's tags, states and own filters."""
    wanted = dict(options["filters"])
    wanted.setdefault("instance-state-name", [state for state in options["states"] or STATES if state in STATES])
    for key, values in options["tags"]:
        if values:
            wanted["tag:%s" % key] = values
        else:
            wanted.setdefault("tag-key", []).append(key)
    return [
        {"Name": name, "Values": [str(value) for value in (values if isinstance(values, (list, tuple)) else [values])]}
        for name, values in wanted.items()
    ]


def in_words(error, who):
    """The sentence for what botocore raised."""
    import botocore.exceptions as known

    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return "there are no AWS credentials: give profile or role_arn, or set AWS_PROFILE or AWS_ACCESS_KEY_ID in the environment"
    if isinstance(error, known.ProfileNotFound):
        return "there is no profile %s in the AWS configuration files" % who
    if isinstance(error, known.ClientError):
        about = error.response.get("Error", {})
        code, message = about.get("Code", ""), about.get("Message", "")
        if code == "OptInRequired":
            return "the region is not enabled for the account: enable it or take it out of regions"
        if code in DENIED:
            return "AWS refused the credentials from %s (%s: %s)" % (who, code, message)
        if code in ("RequestLimitExceeded", "Throttling"):
            return "AWS throttles the account (%s)" % code
        return "AWS answered %s: %s" % (code, message)
    if isinstance(error, (known.EndpointConnectionError, known.ConnectTimeoutError, known.ReadTimeoutError, known.ConnectionClosedError)):
        return "AWS cannot be reached: %s" % error
    return "%s: %s" % (type(error).__name__, error)


class Account:
    """One set of credentials. Building a session costs ten times what a client costs, so there is one, and one lock:
    sessions are not made for threads, the clients are."""

    def __init__(self, credentials, endpoint, timeout):
        self.credentials, self.endpoint, self.timeout = credentials, endpoint, timeout
        self.who = credentials.get("role_arn") or credentials.get("profile") or "the environment"
        self.lock = threading.Lock()
        self._session = None

    def client(self, service, region=None):
        with self.lock:
            if self._session is None:
                self._session = self._open(region)
            return self._client(self._session, service, region or self._session.region_name or HOME)

    def _client(self, session, service, region):
        from botocore.config import Config

        config = Config(
            connect_timeout=10, read_timeout=self.timeout, retries={"mode": "standard", "max_attempts": ATTEMPTS},
            user_agent_extra="botops.fleet",
        )
        return session.client(service, region_name=region, endpoint_url=self.endpoint, config=config)

    def _open(self, region):
        import boto3

        session = boto3.session.Session(profile_name=self.credentials.get("profile") or None)
        if not self.credentials.get("role_arn"):
            return session
        request = {"RoleArn": self.credentials["role_arn"], "RoleSessionName": "botops-fleet-inventory"}
        if self.credentials.get("external_id"):
            request["ExternalId"] = self.credentials["external_id"]
        given = self._client(session, "sts", region or session.region_name or HOME).assume_role(**request)["Credentials"]
        return boto3.session.Session(
            aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    def call(self, work):
        """`work()`, with everything that botocore raises turned into a sentence."""
        try:
            import botocore.exceptions
            from botocore.parsers import ResponseParserError
        except ImportError as error:
            raise InventoryError("the Python packages boto3 and botocore are missing: pip install boto3") from error
        try:
            return work()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ResponseParserError) as error:
            raise InventoryError(in_words(error, self.who)) from error


@functools.cache
def known_regions():
    """The regions that the installed botocore knows, without asking anyone."""
    import botocore.session

    session = botocore.session.Session()
    return {
        region for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition, allow_non_regional=False)
    }


def check_region(region):
    known = known_regions()
    if region in known:
        return
    near = difflib.get_close_matches(region, sorted(known), 3)
    raise InventoryError(
        "%s is not a region that the installed botocore knows%s" % (
            region, "; did you mean %s?" % " or ".join(near) if near else "; if it is new, upgrade boto3")
    )


class AwsSource(Source):
    TYPE = "aws"
    SPEC = {
        "endpoint": {"type": "str", "fallback": (env_fallback, AWS_ENDPOINT)},
        "timeout": {"type": "int", "default": 60},
        "filters": {"type": "dict", "default": {}},
        "accounts": {
            "type": "list", "elements": "dict", "mutually_exclusive": [("profile", "role_arn")],
            "options": {"name": {"type": "str", "required": True}, **CREDENTIAL_SPEC},
        },
        **CREDENTIAL_SPEC,
        # Asking all regions costs one call for each; whoever wants that says so.
        "regions": {"type": "list", "elements": "str", "required": True},
    }
    RULES = {
        "mutually_exclusive": [("profile", "role_arn"), ("accounts", "profile"), ("accounts", "role_arn"), ("accounts", "external_id")]
    }
    IDENTITY = ("tags", "states", "filters")

    @staticmethod
    def check(options):
        said = []
        regions = options["regions"]
        if not regions:
            said.append("regions is empty: name them, or write [all]")
        if "all" in regions and len(regions) > 1:
            said.append("regions: all cannot stand beside others")
        for region in regions:
            if region != "all" and not REGION.match(region):
                near = region[:-1] if REGION.match(region[:-1]) else ""
                hint = " (%s is; that was a zone)" % near if near else ""
                said.append("regions: %s is not a region such as us-east-1%s" % (region, hint))
        for about in [options] + (options["accounts"] or []):
            if about.get("role_arn") and not ROLE.match(about["role_arn"]):
                said.append("role_arn %s is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)" % about["role_arn"])
            if about.get("external_id") and not about.get("role_arn"):
                said.append("external_id needs role_arn")
        names = [account["name"] for account in options["accounts"] or []]
        said += ["accounts: %s is there twice" % name for name in sorted({name for name in names if names.count(name) > 1})]
        if "tag-key" in options["filters"] and any(not values for _unused, values in options["tags"]):
            said.append("filters: tag-key cannot be combined with a tag that has no value")
        return said

    def __init__(self, options, context):
        super().__init__(options, context)
        listed = options["accounts"] or [{"name": "", **{key: options[key] for key in CREDENTIAL_SPEC}}]
        self.accounts = [(about, Account(about, options["endpoint"], options["timeout"])) for about in listed]

    def _identity(self, about):
        """Whose answers these are. Credentials are not resolved for it: that would cost more than the whole warm run."""
        found = [os.environ.get(name) for name in CREDENTIAL_VARIABLES] if not about.get("profile") else []
        found += [file_text(os.environ.get(name) or default) for name, default in CREDENTIAL_FILES.items()]
        return [about.get("profile"), about.get("role_arn"), about.get("external_id"), self.options["endpoint"], self.context.fingerprint(json.dumps(found))]

    def discovery(self):
        if self.options["regions"] != ["all"]:
            return []
        found = []
        for about, account in self.accounts:
            what = "regions of account %s" % about["name"] if about["name"] else "regions"
            found.append(self.part(what, lambda account=account: self._regions(account), self._identity(about)))
        return found

    def _regions(self, account):
        def work():
            said = account.client("ec2").describe_regions()
            return sorted(region["RegionName"] for region in said["Regions"])

        return account.call(work)

    def parts(self, discovered):
        found = []
        for position, (about, account) in enumerate(self.accounts):
            regions = self.options["regions"]
            if regions == ["all"]:
                regions = discovered[position] or []
            for region in dict.fromkeys(regions):
                what = ("account %s, " % about["name"] if about["name"] else "") + "region " + region

                def fetch(about=about, account=account, region=region):
                    return self.fetch(account, about["name"] or self.name, region)

                found.append(self.part(what, fetch, self._identity(about)))
        return found

    def fetch(self, account, name, region):
        def work():
            if self.options["regions"] != ["all"]:
                with account.lock:  # the list is read once, not once a thread
                    check_region(region)
            pages = account.client("ec2", region).get_paginator("describe_instances").paginate(
                Filters=filters(self.options), PaginationConfig={"PageSize": 1000}
            )
            return [
                normalise(instance, region, name, self.context.tag_keys)
                for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]
            ]

        return sorted(account.call(work), key=lambda host: host["id"])
