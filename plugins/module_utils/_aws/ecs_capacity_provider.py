# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECS capacity providers."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AwsAdapter, tag_dict, tag_list
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, canonical

SCALING = {
    "target_capacity": "targetCapacity", "minimum_step": "minimumScalingStepSize", "maximum_step": "maximumScalingStepSize",
    "instance_warmup_seconds": "instanceWarmupPeriod",
}


class CapacityProvider(AwsAdapter):
    kind = "ecs_capacity_provider"
    service = "ecs"
    immutable = {"auto_scaling_group": "create another capacity provider for the other group"}

    @property
    def title(self):
        return "capacity provider %s" % self.params["name"]

    def validate(self):
        if self.params["name"].lower().startswith(("aws", "ecs", "fargate")):
            raise Failure("name: %s begins with aws, ecs or fargate, which the vendor keeps for itself." % self.params["name"])
        scaling = self.params["managed_scaling"] or {}
        if self.params["managed_termination_protection"] and scaling.get("enabled") is False:
            raise Failure("managed_termination_protection needs managed_scaling.")
        target = scaling.get("target_capacity")
        if target is not None and not 1 <= target <= 100:
            raise Failure("managed_scaling.target_capacity: %d is not a percentage from 1 to 100." % target)

    def find(self):
        try:
            said = self.api.read("describe_capacity_providers", capacityProviders=[self.params["name"]], include=["TAGS"])
        except Gone:
            return []
        return [raw for raw in said["capacityProviders"] if raw.get("status") == "ACTIVE" and raw["name"] == self.params["name"]]

    def describe(self, raw):
        return raw["capacityProviderArn"]

    def tags_of(self, raw):
        return tag_dict(raw.get("tags"), "key", "value")

    def group(self):
        """The Auto Scaling group that was named, by name or ARN."""
        if not self.params["auto_scaling_group"]:
            return None
        if not hasattr(self, "_group"):
            given = self.params["auto_scaling_group"]
            name = given.rpartition("autoScalingGroupName/")[2]
            found = self.client.api("autoscaling").pages("describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name])
            if not found:
                raise Failure("auto_scaling_group: %s does not exist in %s." % (given, self.client.region))
            self._group = found[0]
        return self._group

    def current(self, raw):
        about = raw.get("autoScalingGroupProvider") or {}
        scaling = about.get("managedScaling") or {}
        return {
            "auto_scaling_group": about.get("autoScalingGroupArn"),
            "managed_scaling": {"enabled": scaling.get("status") == "ENABLED", **{mine: scaling.get(theirs) for mine, theirs in SCALING.items()}},
            "managed_termination_protection": about.get("managedTerminationProtection") == "ENABLED",
            "managed_draining": about.get("managedDraining", "ENABLED") == "ENABLED",
            "tags": self.current_tags(raw),
        }

    def wanted(self, raw):
        group = self.group()
        return {
            "auto_scaling_group": group and group["AutoScalingGroupARN"],
            "managed_scaling": self.params["managed_scaling"] and canonical(self.params["managed_scaling"]),
            "managed_termination_protection": self.params["managed_termination_protection"],
            "managed_draining": self.params["managed_draining"],
            "tags": self.wanted_tags(raw),
        }

    def check_creation(self, wanted):
        if not wanted["auto_scaling_group"]:
            raise Failure("%s does not exist; creating it needs auto_scaling_group." % self.title)
        self.check_protection()

    def check_update(self, raw, changes):
        if changes.get("managed_termination_protection", (None, None))[1]:
            self.check_protection()

    def check_protection(self):
        group = self.group()
        if self.params["managed_termination_protection"] and group and not group.get("NewInstancesProtectedFromScaleIn"):
            raise Failure(
                "managed_termination_protection: the group %s does not protect new instances from scale-in; switch that on first "
                "(amazon.aws.autoscaling_group, protect_from_scale_in)." % group["AutoScalingGroupName"]
            )

    def request(self, about):
        request = {}
        scaling = about.get("managed_scaling")
        if scaling:
            request["managedScaling"] = {"status": "ENABLED" if scaling.get("enabled", True) else "DISABLED"}
            request["managedScaling"].update({theirs: scaling[mine] for mine, theirs in SCALING.items() if scaling.get(mine) is not None})
        for option, theirs in (("managed_termination_protection", "managedTerminationProtection"), ("managed_draining", "managedDraining")):
            if about.get(option) is not None:
                request[theirs] = "ENABLED" if about[option] else "DISABLED"
        return request

    def create(self, wanted):
        request = {"autoScalingGroupProvider": {"autoScalingGroupArn": wanted["auto_scaling_group"], **self.request(wanted)}}
        if self.params["tags"]:
            request["tags"] = tag_list({str(k): str(v) for k, v in self.params["tags"].items()}, "key", "value")
        return self.api.create("create_capacity_provider", name=self.params["name"], **request)["capacityProvider"]

    def update(self, raw, changes, wanted):
        fields = {field: pair[1] for field, pair in changes.items() if field != "tags"}
        if fields:
            self.api.write("update_capacity_provider", name=self.params["name"], autoScalingGroupProvider=self.request(fields))
            self.did("changed %s" % ", ".join(sorted(fields)))
        if "tags" in changes:
            arn = raw["capacityProviderArn"]
            self.update_tags(
                raw,
                lambda tags: self.api.write("tag_resource", resourceArn=arn, tags=tag_list(tags, "key", "value")),
                lambda keys: self.api.write("untag_resource", resourceArn=arn, tagKeys=keys),
            )
            self.did("changed tags")
        return self.find()[0]

    def settled(self, raw):
        raw = (self.find() or [raw])[0]
        status = raw.get("updateStatus") or ""
        if status.endswith("_FAILED"):
            raise Failure("%s: %s %s" % (self.title, status, raw.get("updateStatusReason") or ""))
        return (None, status) if status.endswith("_IN_PROGRESS") else (raw, "ready")

    def delete(self, raw):
        self.api.write("delete_capacity_provider", capacityProvider=self.params["name"])

    def vanished(self, raw):
        return (None, "being deleted") if self.find() else (True, "gone")

    def shape(self, raw):
        return {**self.current(raw), "name": raw["name"], "arn": raw["capacityProviderArn"], "status": raw["status"], "tags": self.tags_of(raw)}
