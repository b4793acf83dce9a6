# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of `fleet_aws` AWS does not offer, and what of its names is somebody else's."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet_aws_dns as dns


def check(values: dict) -> list[str]:
    """Sentences about the declaration beside what is there: `aws` as it is declared, `plan` made of it, `found` by aws_fleet_info."""
    plan, found = values["plan"], values["found"]
    said = [f"fleet_aws.{sentence}" for part in (_offered, _images, _taken, _subnet, _records) for sentence in part(values["aws"], plan, found)]
    names = [one["name"] for one in found["instances"]]
    return said + [f"fleet_aws.hosts: {names.count(name)} instances with {plan['owner']['key']}={plan['owner']['value']} are called {name}; "
                   "terminate or rename all but one, by their ids." for name in sorted({name for name in names if names.count(name) > 1})]  # fmt: skip


def _offered(aws, plan, found):
    return [f"hosts[{number}].instance_type: {host['instance_type']} is not offered in {aws['region']}; write another type, or another region."
            for number, host in enumerate(aws["hosts"]) if host["instance_type"] not in found["types"]]  # fmt: skip


def _images(aws, plan, found):
    said, newest = [], {(one["owner"], one["name"]): one["newest"] for one in found["images"]}
    for number, host in enumerate(aws["hosts"]):
        wanted = (host["image"]["owner"], host["image"]["name"])
        if wanted not in newest:  # all of its instances are there
            continue
        images, what = newest[wanted], f"hosts[{number}].image.name: {wanted[1]!r} of {wanted[0]}"
        if not images:
            said.append(f"{what} matches no image in {aws['region']}; look at `aws ec2 describe-images --owners {wanted[0]}`.")
        elif len(images) > 1:
            listed = ", ".join(sorted(image["name"] for image in images))
            said.append(f"{what} matches {len(images)} images of the same moment ({listed}); write one of them.")
    return said


def _taken(aws, plan, found):
    """Names of the fleet that are somebody else's."""
    key, value = plan["owner"]["key"], plan["owner"]["value"]
    said = []
    for what, there in (("key pair", found["keys"]), ("role", [found["role"]] if found["role"] else []), ("topic", [found["topic"]] if found["topic"] else [])):
        wanted = {"key pair": plan["key"], "role": plan["role"], "topic": plan["topic"]}[what]
        if wanted and there and there[0]["tags"].get(key) != value:
            said.append(f"region: a {what} {there[0]['name']} is there without the tag {key}={value}; tag or remove it, or choose another fleet_name.")
    for group in found["log_groups"]:
        # What the agent made before the fleet was declared bears no tag.
        if group["tags"].get(key, value) != value:
            said.append(f"logs.prefix: the log group {group['name']} bears {key}={group['tags'][key]}, so it is another fleet's; choose another prefix.")
    bucket = found["bucket"]
    if plan["bucket"] and bucket:
        name = plan["bucket"]["name"]
        if bucket["foreign"]:
            said.append(f"bucket.name: {name} is taken by another account, or this key may not look at it; choose another name.")
        elif bucket["region"] != aws["region"]:
            said.append(f"bucket.name: {name} is in {bucket['region']}, not in {aws['region']}; choose another name.")
        elif bucket["tags"].get(key) != value and (bucket["tags"] or not bucket["empty"]):
            # Without any tag and empty it is what a run left that died between two requests.
            said.append(f"bucket.name: {name} is there without the tag {key}={value}; tag it, or choose another name.")
    return said


def _subnet(aws, plan, found):
    if plan["vpc"] or not aws["hosts"]:
        return []
    if not found["default_vpc"]:
        return [f"ip_range: is missing, and {aws['region']} has no default VPC; write a range such as 10.20.0.0/16."]
    zones = sorted(subnet["zone"] for subnet in found["subnets"] if subnet["vpc"] == found["default_vpc"]["id"] and subnet["default"])
    if not zones:
        return [f"ip_range: is missing, and the default VPC of {aws['region']} has no default subnet; write a range such as 10.20.0.0/16."]
    zone = aws.get("availability_zone")
    return [f"availability_zone: {zone} has no default subnet; {', '.join(zones)} have."] if zone and zone not in zones else []


def _records(aws, plan, found):
    said = []
    for number, record in enumerate(plan["records"]):
        where, zones = f"records[{number}]", [zone for zone in found["zones"] if zone["name"] == record["zone"]]
        if not zones:
            said.append(f"{where}.zone: this account has no public hosted zone {record['zone']}; write another, or make it "
                        f"(`aws route53 create-hosted-zone --name {record['zone']} --caller-reference {record['zone']}`) and have the domain delegated to it.")
            continue
        if len(zones) > 1:
            listed = ", ".join(sorted(zone["id"] for zone in zones))
            said.append(f"{where}.zone: {len(zones)} public hosted zones are called {record['zone']} ({listed}); remove all but the delegated one.")
            continue
        have = dns.there(record, found)
        if have and not have["plain"]:
            said.append(f"{where}.name: {record['name']} is an alias or has a routing policy, which is not written here; remove it, or choose another name.")
        beside = [one["type"] for one in zones[0]["records"] if one["name"] == record["name"] and one["type"] != record["type"]]
        if not have and beside and "CNAME" in (record["type"], *beside):
            said.append(f"{where}.name: {record['name']} has a record of the type {beside[0]}, and a CNAME stands alone; remove it, or choose another name.")
    return said
