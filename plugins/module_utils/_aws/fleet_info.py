# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a fleet is there in an account and region: everything that the plan compares, asked in one process and put into plain words.

Functions that end in `_of` are pure: they take what botocore returned and give what the plan reads.
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import tag_dict
from ansible_collections.botops.fleet.plugins.module_utils._cloud import dns_name
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone

# A terminated instance is listed for an hour.
ALIVE = ["pending", "running", "stopping", "stopped"]
PUBLIC_ACCESS = {
    "block_public_acls": "BlockPublicAcls", "ignore_public_acls": "IgnorePublicAcls", "block_public_policy": "BlockPublicPolicy",
    "restrict_public_buckets": "RestrictPublicBuckets",
}  # fmt: skip
# What S3 calls the absence of a bucket's part.
ABSENT = ("NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "NoSuchPublicAccessBlockConfiguration", "NoSuchTagSet",
          "ServerSideEncryptionConfigurationNotFoundError")


def document(text):
    """A policy document as data; IAM gives it quoted, botocore sometimes parsed."""
    if isinstance(text, (dict, list)) or not text:
        return text or {}
    return json.loads(unquote(text) if text.lstrip().startswith("%") else text)


def rules_of(permissions, group):
    """Rules as sorted lines `protocol from-to peer`; the group itself is called `fleet`."""
    lines = set()
    for one in permissions:
        protocol = one["IpProtocol"]
        ports = "all" if protocol in ("-1", "icmp", "icmpv6") else "%s-%s" % (one.get("FromPort"), one.get("ToPort"))
        peers = [entry["CidrIp"] for entry in one.get("IpRanges") or []] + [entry["CidrIpv6"] for entry in one.get("Ipv6Ranges") or []]
        peers += ["fleet" if entry.get("GroupId") == group else entry.get("GroupId") for entry in one.get("UserIdGroupPairs") or []]
        peers += [entry["PrefixListId"] for entry in one.get("PrefixListIds") or []]
        lines.update("%s %s %s" % ("all" if protocol == "-1" else protocol, ports, peer) for peer in peers)
    return sorted(lines)


def security_group_of(raw):
    return {
        "id": raw["GroupId"], "name": raw["GroupName"], "vpc": raw.get("VpcId") or "", "tags": tag_dict(raw.get("Tags")),
        "inbound": rules_of(raw.get("IpPermissions") or [], raw["GroupId"]), "outbound": rules_of(raw.get("IpPermissionsEgress") or [], raw["GroupId"]),
    }


def instance_of(raw, volumes):
    """An instance; `volumes` is {id: description} of its disks."""
    tags, options = tag_dict(raw.get("Tags")), raw.get("MetadataOptions") or {}
    disks = [mapping for mapping in raw.get("BlockDeviceMappings") or [] if mapping["DeviceName"] == raw.get("RootDeviceName")]
    root = volumes.get(disks[0]["Ebs"]["VolumeId"]) if disks and disks[0].get("Ebs") else None
    return {
        "id": raw["InstanceId"], "name": tags.get("Name", ""), "tags": tags, "state": raw["State"]["Name"], "type": raw["InstanceType"],
        "image": raw["ImageId"], "vpc": raw.get("VpcId") or "", "subnet": raw.get("SubnetId") or "", "key": raw.get("KeyName") or "",
        "zone": (raw.get("Placement") or {}).get("AvailabilityZone") or "",
        "public_ip": raw.get("PublicIpAddress") or "", "private_ip": raw.get("PrivateIpAddress") or "",
        "groups": sorted(group["GroupId"] for group in raw.get("SecurityGroups") or []),
        "profile": ((raw.get("IamInstanceProfile") or {}).get("Arn") or "").rpartition("/")[2],
        "monitoring": (raw.get("Monitoring") or {}).get("State") in ("enabled", "pending"),
        "imdsv2": options.get("HttpTokens") == "required", "hops": options.get("HttpPutResponseHopLimit"),
        "volume": {"size": root["Size"], "type": root["VolumeType"], "encrypted": root["Encrypted"], "id": root["VolumeId"]} if root else None,
    }


def image_of(listed):
    """The newest images of a listing: one, none, or several of the same moment."""
    usable = [image for image in listed if image.get("State", "available") == "available"]
    last = max((image.get("CreationDate") or "" for image in usable), default="")
    return [
        {"id": image["ImageId"], "name": image.get("Name") or "", "created": last, "root": image.get("RootDeviceName") or "/dev/xvda",
         "architecture": image.get("Architecture") or "x86_64"}
        for image in usable if (image.get("CreationDate") or "") == last
    ]


def alarm_of(raw):
    return {
        "name": raw["AlarmName"], "metric": raw.get("MetricName"), "namespace": raw.get("Namespace"), "statistic": raw.get("Statistic"),
        "comparison": raw.get("ComparisonOperator"), "threshold": float(raw.get("Threshold") or 0), "period": raw.get("Period"),
        "evaluation_periods": raw.get("EvaluationPeriods"), "treat_missing_data": raw.get("TreatMissingData") or "missing",
        "dimensions": {entry["Name"]: entry["Value"] for entry in raw.get("Dimensions") or []},
        "alarm_actions": sorted(raw.get("AlarmActions") or []), "ok_actions": sorted(raw.get("OKActions") or []),
    }


def metric_filter_of(raw):
    change = (raw.get("metricTransformations") or [{}])[0]
    return {"pattern": raw.get("filterPattern") or "", "metric": change.get("metricName"), "namespace": change.get("metricNamespace")}


def lifecycle_of(rules):
    """{rule: {field: days}} of a bucket's lifecycle."""
    found = {}
    for rule in rules:
        days = {
            "expiration_days": (rule.get("Expiration") or {}).get("Days"),
            "noncurrent_version_expiration_days": (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays"),
            "abort_incomplete_multipart_upload_days": (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation"),
            "transition_days": next((entry.get("Days") for entry in rule.get("Transitions") or []), None),
        }
        found[rule.get("ID") or ""] = {**{key: value for key, value in days.items() if value is not None}, "enabled": rule.get("Status") == "Enabled"}
    return found


def decoded(text):
    """A name of Route 53, which writes what is not a letter, digit, hyphen or underscore as an octal number."""
    return dns_name(re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text))


def record_of(raw):
    """A record set; `plain` is one without an alias or a routing policy, which alone can be written as values and a TTL."""
    return {
        "name": decoded(raw["Name"]), "type": raw["Type"], "ttl": raw.get("TTL"), "values": sorted(one["Value"] for one in raw.get("ResourceRecords") or []),
        "plain": not any(raw.get(key) for key in ("AliasTarget", "SetIdentifier", "TrafficPolicyInstanceId")),
    }


class FleetInfo:
    """Asks; `aws` is the module's door to clients, `params` its options."""

    def __init__(self, aws, params):
        self.aws, self.params = aws, params
        self.ec2 = aws.api("ec2")
        key, value = params["owner_key"], params["owner_value"]
        self.mine = [{"Name": "tag:%s" % key, "Values": [value]}]

    def everything(self):
        said = self.aws.api("sts").read("get_caller_identity")
        found = {"account": said["Account"], "partition": said["Arn"].split(":")[1]}
        for part in (self.network, self.machines, self.offer, self.profile, self.bucket, self.topic, self.alarms, self.logs, self.zones):
            found.update(part(found))
        return found

    def network(self, found):
        vpcs = [
            {"id": raw["VpcId"], "cidr": raw["CidrBlock"], "default": bool(raw.get("IsDefault")), "tags": tag_dict(raw.get("Tags"))}
            for raw in self.ec2.pages("describe_vpcs", "Vpcs")
        ]
        mine = [vpc for vpc in vpcs if vpc["tags"].get(self.params["owner_key"]) == self.params["owner_value"]]
        default = next((vpc for vpc in vpcs if vpc["default"]), None)
        known = [vpc["id"] for vpc in mine] + ([default["id"]] if default else [])
        within = [{"Name": "vpc-id", "Values": known}]
        subnets = self.ec2.pages("describe_subnets", "Subnets", Filters=within) if known else []
        tables = self.ec2.pages("describe_route_tables", "RouteTables", Filters=[{"Name": "vpc-id", "Values": [vpc["id"] for vpc in mine]}]) if mine else []
        gateways = self.ec2.pages("describe_internet_gateways", "InternetGateways", Filters=self.mine)
        called = [{"Name": "key-name", "Values": [self.params["name"]]}]
        return {
            "vpcs": mine, "default_vpc": default,
            "subnets": [
                {"id": raw["SubnetId"], "vpc": raw["VpcId"], "cidr": raw["CidrBlock"], "zone": raw["AvailabilityZone"],
                 "default": bool(raw.get("DefaultForAz")), "public": bool(raw.get("MapPublicIpOnLaunch")), "tags": tag_dict(raw.get("Tags"))}
                for raw in subnets
            ],
            "gateways": [
                {"id": raw["InternetGatewayId"], "vpc": next((entry["VpcId"] for entry in raw.get("Attachments") or []), ""), "tags": tag_dict(raw.get("Tags"))}
                for raw in gateways
            ],
            "tables": [
                {"id": raw["RouteTableId"], "vpc": raw["VpcId"], "main": any(entry.get("Main") for entry in raw.get("Associations") or []),
                 "default_route": next((route.get("GatewayId") or "elsewhere" for route in raw.get("Routes") or []
                                        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active"), "")}
                for raw in tables
            ],
            "security_groups": [security_group_of(raw) for raw in self.ec2.pages("describe_security_groups", "SecurityGroups", Filters=self.mine)],
            "keys": [
                {"name": raw["KeyName"], "public_key": (raw.get("PublicKey") or "").strip(), "tags": tag_dict(raw.get("Tags"))}
                for raw in self.ec2.read("describe_key_pairs", IncludePublicKey=True, Filters=called)["KeyPairs"]
            ],
            "addresses": [
                {"id": raw["AllocationId"], "ip": raw["PublicIp"], "instance": raw.get("InstanceId") or "", "tags": tag_dict(raw.get("Tags"))}
                for raw in self.ec2.read("describe_addresses", Filters=self.mine)["Addresses"]
            ],
        }  # fmt: skip

    def machines(self, found):
        alive = [*self.mine, {"Name": "instance-state-name", "Values": ALIVE}]
        raw = [one for reservation in self.ec2.pages("describe_instances", "Reservations", Filters=alive) for one in reservation["Instances"]]
        ids = [mapping["Ebs"]["VolumeId"] for one in raw for mapping in one.get("BlockDeviceMappings") or [] if mapping.get("Ebs")]
        volumes = {one["VolumeId"]: one for one in self.ec2.pages("describe_volumes", "Volumes", VolumeIds=ids)} if ids else {}
        return {"instances": sorted((instance_of(one, volumes) for one in raw), key=lambda one: (one["name"], one["id"]))}

    def offer(self, found):
        """Images and types, but only those that hosts which are not there yet need."""
        there = {one["name"] for one in found["instances"]}
        images, types = [], set()
        for wanted in self.params["hosts"]:
            types.add(wanted["instance_type"])
            if wanted["name"] in there or any((one["owner"], one["name"]) == (wanted["owner"], wanted["image"]) for one in images):
                continue
            listed = self.ec2.pages("describe_images", "Images", Owners=[wanted["owner"]], Filters=[{"Name": "name", "Values": [wanted["image"]]}])
            images.append({"owner": wanted["owner"], "name": wanted["image"], "newest": image_of(listed)})
        offered = self.ec2.pages(
            "describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="region",
            Filters=[{"Name": "instance-type", "Values": sorted(types)}],
        ) if types else []  # fmt: skip
        return {"images": images, "types": sorted(one["InstanceType"] for one in offered)}

    def profile(self, found):
        iam, name = self.aws.api("iam"), self.params["name"]
        try:
            raw = iam.read("get_role", RoleName=name)["Role"]
            role = {
                "name": name, "arn": raw["Arn"], "trust": document(raw.get("AssumeRolePolicyDocument")), "tags": tag_dict(raw.get("Tags")),
                "policies": {
                    policy: document(iam.read("get_role_policy", RoleName=name, PolicyName=policy)["PolicyDocument"])
                    for policy in iam.pages("list_role_policies", "PolicyNames", RoleName=name)
                },
                "attached": sorted(one["PolicyName"] for one in iam.pages("list_attached_role_policies", "AttachedPolicies", RoleName=name)),
            }
        except Gone:
            role = None
        try:
            raw = iam.read("get_instance_profile", InstanceProfileName=name)["InstanceProfile"]
            profile = {"name": name, "arn": raw["Arn"], "roles": [one["RoleName"] for one in raw["Roles"]]}
        except Gone:
            profile = None
        return {"role": role, "profile": profile}

    def bucket(self, found):
        name = self.params["bucket"]
        if not name:
            return {"bucket": None}
        s3 = self.aws.api("s3")

        def part(operation, key, **more):
            try:
                return s3.read(operation, Bucket=name, **more).get(key)
            except Failure as error:
                if isinstance(error, Gone) or any(word in str(error) for word in ABSENT):
                    return None
                raise

        try:
            region = s3.read("get_bucket_location", Bucket=name).get("LocationConstraint") or "us-east-1"
        except Gone:
            return {"bucket": None}
        except Failure as error:
            # Bucket names are one namespace for all accounts of the world: somebody else's answers like this.
            if "AccessDenied" in str(error) or "(403)" in str(error):
                return {"bucket": {"name": name, "foreign": True}}
            raise
        public = part("get_public_access_block", "PublicAccessBlockConfiguration") or {}
        encryption = part("get_bucket_encryption", "ServerSideEncryptionConfiguration") or {}
        kinds = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in encryption.get("Rules") or []]
        return {
            "bucket": {
                "name": name, "foreign": False, "region": region, "tags": tag_dict(part("get_bucket_tagging", "TagSet")),
                "versioning": part("get_bucket_versioning", "Status") == "Enabled", "encryption": kinds[0] if kinds else None,
                "public_access": {ours: bool(public.get(theirs)) for ours, theirs in PUBLIC_ACCESS.items()},
                "policy": document(part("get_bucket_policy", "Policy")),
                "lifecycle": lifecycle_of(part("get_bucket_lifecycle_configuration", "Rules") or []),
                "empty": not part("list_object_versions", "Versions", MaxKeys=1),
            }
        }

    def topic(self, found):
        sns = self.aws.api("sns")
        arn = "arn:%s:sns:%s:%s:%s" % (found["partition"], self.aws.region, found["account"], self.params["name"])
        try:
            sns.read("get_topic_attributes", TopicArn=arn)
        except Gone:
            return {"topic": None}
        return {
            "topic": {
                "arn": arn, "name": self.params["name"], "tags": tag_dict(sns.read("list_tags_for_resource", ResourceArn=arn).get("Tags")),
                "subscriptions": sorted("%s %s" % (one["Protocol"], one["Endpoint"])
                                        for one in sns.pages("list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)),
            }
        }  # fmt: skip

    def alarms(self, found):
        listed = self.aws.api("cloudwatch").pages("describe_alarms", "MetricAlarms", AlarmNamePrefix=self.params["name"] + " ", AlarmTypes=["MetricAlarm"])
        return {"alarms": [alarm_of(raw) for raw in listed]}

    def logs(self, found):
        """The log groups that were named. One that is not there is not listed."""
        logs, listed = self.aws.api("logs"), []
        for name in self.params["log_groups"]:
            for raw in logs.pages("describe_log_groups", "logGroups", logGroupNamePrefix=name):
                if raw["logGroupName"] == name:
                    filters = logs.pages("describe_metric_filters", "metricFilters", logGroupName=name)
                    listed.append({
                        "name": name, "retention": raw.get("retentionInDays"), "filters": {one["filterName"]: metric_filter_of(one) for one in filters},
                        "tags": logs.read("list_tags_log_group", logGroupName=name).get("tags") or {},
                    })  # fmt: skip
        return {"log_groups": listed}

    def zones(self, found):
        """The public hosted zones of those names, with the record sets that were named. One that is not there is not listed."""
        zones, names = ({decoded(text) for text in self.params[key]} for key in ("zones", "records"))
        if not zones:
            return {"zones": []}
        route53 = self.aws.api("route53")
        mine = [raw for raw in route53.pages("list_hosted_zones", "HostedZones")
                if decoded(raw["Name"]) in zones and not (raw.get("Config") or {}).get("PrivateZone")]  # fmt: skip
        return {
            "zones": [
                {"name": decoded(raw["Name"]), "id": raw["Id"].rpartition("/")[2],
                 "records": [record for record in map(record_of, route53.pages("list_resource_record_sets", "ResourceRecordSets", HostedZoneId=raw["Id"]))
                             if record["name"] in names]}
                for raw in mine
            ]
        }  # fmt: skip
