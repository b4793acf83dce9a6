# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECS services."""

from __future__ import annotations

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AwsAdapter, tag_dict, tag_list
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, canonical, unordered


def network_from_api(raw):
    about = (raw.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if not about:
        return {}
    return {
        "subnets": sorted(about.get("subnets") or []), "security_groups": sorted(about.get("securityGroups") or []),
        "assign_public_ip": about.get("assignPublicIp") == "ENABLED",
    }


def network_request(network):
    about = {"subnets": network["subnets"], "assignPublicIp": "ENABLED" if network["assign_public_ip"] else "DISABLED"}
    # An empty list is sent as well: without one the vendor attaches the VPC's default group.
    return {"awsvpcConfiguration": {**about, "securityGroups": network["security_groups"]}}


def balancer_from_api(one):
    names = {"target_group_arn": "targetGroupArn", "container_name": "containerName", "container_port": "containerPort"}
    return {mine: one.get(theirs) for mine, theirs in names.items()}


def balancer_request(one):
    return {"targetGroupArn": one["target_group_arn"], "containerName": one["container_name"], "containerPort": one["container_port"]}


def strategy_from_api(one):
    return {"capacity_provider": one["capacityProvider"], "weight": one.get("weight") or 0, "base": one.get("base") or 0}


def strategy_request(one):
    return {"capacityProvider": one["capacity_provider"], "weight": one["weight"], "base": one["base"]}


def deployment_from_api(raw):
    about = raw.get("deploymentConfiguration") or {}
    breaker = about.get("deploymentCircuitBreaker") or {}
    return {
        "minimum_healthy_percent": about.get("minimumHealthyPercent"), "maximum_percent": about.get("maximumPercent"),
        "circuit_breaker": bool(breaker.get("enable")), "rollback": bool(breaker.get("rollback")),
    }


def deployment_request(about):
    request = {"minimumHealthyPercent": about["minimum_healthy_percent"], "maximumPercent": about["maximum_percent"]}
    if about.get("circuit_breaker") is not None or about.get("rollback") is not None:
        request["deploymentCircuitBreaker"] = {"enable": bool(about.get("circuit_breaker")), "rollback": bool(about.get("rollback"))}
    return {key: value for key, value in request.items() if value is not None}


class EcsService(AwsAdapter):
    kind = "ecs_service"
    service = "ecs"
    computed = ("arn", "cluster_arn", "running_count", "pending_count", "status")
    immutable = {
        "launch_type": "delete the service, or set capacity_provider_strategy, which can be changed",
        "scheduling_strategy": "delete the service and create it anew",
    }

    @property
    def title(self):
        return "ECS service %s/%s" % (self.params["cluster"], self.params["name"])

    def validate(self):
        names = [one["capacity_provider"] for one in self.params["capacity_provider_strategy"] or []]
        if len(set(names)) < len(names):
            raise Failure("capacity_provider_strategy: each provider can be named once.")
        if self.params["scheduling_strategy"] == "DAEMON" and self.params["desired_count"] is not None:
            raise Failure("desired_count: a DAEMON service runs once on every instance; leave the count out.")
        deployment = self.params["deployment"] or {}
        low, high = deployment.get("minimum_healthy_percent"), deployment.get("maximum_percent")
        if low is not None and high is not None and low >= high:
            raise Failure("deployment: maximum_percent, %d, must be more than minimum_healthy_percent, %d, or no task can be replaced." % (high, low))
        if deployment.get("rollback") and deployment.get("circuit_breaker") is False:
            raise Failure("deployment: rollback needs circuit_breaker.")

    def find(self):
        try:
            said = self.api.read("describe_services", cluster=self.params["cluster"], services=[self.params["name"]], include=["TAGS"])
        except Gone:
            if self.params["state"] == "absent":
                return []
            raise Failure("cluster: %s does not exist or is not active; create it first (community.aws.ecs_cluster)." % self.params["cluster"]) from None
        # A deleted service is still described as INACTIVE for a while; one that is DRAINING is on its way there.
        return [raw for raw in said["services"] if raw["status"] == "ACTIVE" or (raw["status"] == "DRAINING" and self.params["state"] == "absent")]

    def describe(self, raw):
        return raw["serviceArn"]

    def tags_of(self, raw):
        return tag_dict(raw.get("tags"), "key", "value")

    def current(self, raw):
        return {
            "task_definition": raw["taskDefinition"], "desired_count": raw["desiredCount"],
            "launch_type": raw.get("launchType") or None, "scheduling_strategy": raw.get("schedulingStrategy") or "REPLICA",
            "capacity_provider_strategy": unordered(strategy_from_api(one) for one in raw.get("capacityProviderStrategy") or []),
            "network": network_from_api(raw),
            "load_balancers": unordered(balancer_from_api(one) for one in raw.get("loadBalancers") or []),
            "health_check_grace_period_seconds": raw.get("healthCheckGracePeriodSeconds"),
            "deployment": deployment_from_api(raw), "platform_version": raw.get("platformVersion"),
            "enable_execute_command": bool(raw.get("enableExecuteCommand")),
            "propagate_tags": raw.get("propagateTags") if raw.get("propagateTags") != "NONE" else None,
            "tags": self.current_tags(raw),
        }

    def wanted(self, raw):
        params = self.params
        network = params["network"]
        if network:
            network = {
                "subnets": sorted(set(network["subnets"])), "security_groups": sorted(set(network["security_groups"])),
                "assign_public_ip": network["assign_public_ip"],
            }
        count = params["desired_count"]
        if raw is None and params["scheduling_strategy"] == "REPLICA":
            count = 1 if count is None else count
        elif params["autoscaled"]:
            count = None  # whoever scales it knows better
        return {
            "task_definition": self.task_definition(), "desired_count": count,
            "launch_type": params["launch_type"], "scheduling_strategy": params["scheduling_strategy"],
            "capacity_provider_strategy": params["capacity_provider_strategy"] and unordered(params["capacity_provider_strategy"]),
            "network": network,
            "load_balancers": None if params["load_balancers"] is None else unordered(params["load_balancers"]),
            "health_check_grace_period_seconds": params["health_check_grace_period_seconds"],
            "deployment": params["deployment"] and canonical(params["deployment"]), "platform_version": params["platform_version"],
            "enable_execute_command": params["enable_execute_command"], "propagate_tags": params["propagate_tags"],
            "tags": self.wanted_tags(raw),
        }

    def task_definition(self):
        """The ARN of what was named: a family means its newest revision."""
        if not self.params["task_definition"]:
            return None
        if not hasattr(self, "_task_definition"):
            name = self.params["task_definition"]
            try:
                about = self.api.read("describe_task_definition", taskDefinition=name)["taskDefinition"]
            except Failure as error:
                if "task definition" not in str(error).lower():
                    raise
                raise Failure("task_definition: %s does not exist; register it first (community.aws.ecs_taskdefinition)." % name) from None
            self._task_definition = about["taskDefinitionArn"]
        return self._task_definition

    def check_creation(self, wanted):
        if not wanted["task_definition"]:
            raise Failure("%s does not exist; creating it needs task_definition." % self.title)

    def request(self, fields, wanted):
        """The vendor's words for `fields`, shared by creating and changing."""
        names = {
            "task_definition": "taskDefinition", "desired_count": "desiredCount", "platform_version": "platformVersion",
            "health_check_grace_period_seconds": "healthCheckGracePeriodSeconds", "enable_execute_command": "enableExecuteCommand",
            "propagate_tags": "propagateTags", "launch_type": "launchType", "scheduling_strategy": "schedulingStrategy",
        }
        request = {names[field]: wanted[field] for field in fields if field in names and wanted[field] is not None}
        if "network" in fields and wanted["network"]:
            request["networkConfiguration"] = network_request(wanted["network"])
        if "load_balancers" in fields and wanted["load_balancers"] is not None:
            request["loadBalancers"] = [balancer_request(one) for one in wanted["load_balancers"]]
        if "capacity_provider_strategy" in fields and wanted["capacity_provider_strategy"]:
            request["capacityProviderStrategy"] = [strategy_request(one) for one in wanted["capacity_provider_strategy"]]
        if "deployment" in fields and wanted["deployment"]:
            request["deploymentConfiguration"] = deployment_request(wanted["deployment"])
        return request

    def create(self, wanted):
        request = self.request(wanted, wanted)
        if self.params["tags"]:
            request["tags"] = tag_list({str(k): str(v) for k, v in self.params["tags"].items()}, "key", "value")
        return self.api.create("create_service", cluster=self.params["cluster"], serviceName=self.params["name"], **request)["service"]

    def update(self, raw, changes, wanted):
        fields = [field for field in changes if field != "tags"]
        if fields:
            # What was changed in part is sent whole, the rest as it is: the vendor replaces whole structures.
            whole = {field: changes[field][1] for field in fields}
            request = self.request(fields, whole)
            if "capacity_provider_strategy" in fields:
                request["forceNewDeployment"] = True  # the vendor demands it
            self.api.write("update_service", cluster=self.params["cluster"], service=self.params["name"], **request)
            self.did("changed %s" % ", ".join(sorted(fields)))
        if "tags" in changes:
            self.update_tags(
                raw,
                lambda tags: self.api.write("tag_resource", resourceArn=raw["serviceArn"], tags=tag_list(tags, "key", "value")),
                lambda keys: self.api.write("untag_resource", resourceArn=raw["serviceArn"], tagKeys=keys),
            )
            self.did("changed tags")
        return self.find()[0]

    def settled(self, raw):
        found = self.find()
        if not found:
            raise Failure("%s went away while it was waited for." % self.title)
        raw = found[0]
        deployments = raw.get("deployments") or []
        primary = next((one for one in deployments if one.get("status") == "PRIMARY"), {})
        last = "; ".join(event["message"] for event in (raw.get("events") or [])[:3])
        if primary.get("rolloutState") == "FAILED":
            raise Failure("The deployment of %s failed: %s %s" % (self.title, primary.get("rolloutStateReason") or "", last))
        running, desired = raw.get("runningCount") or 0, raw["desiredCount"]
        if running == desired and len(deployments) <= 1 and primary.get("rolloutState", "COMPLETED") == "COMPLETED":
            return raw, "steady"
        return None, "%d of %d tasks run, %d deployments%s" % (running, desired, len(deployments), "; " + last if last else "")

    def delete(self, raw):
        if raw["status"] == "ACTIVE":
            # Forced: its tasks are stopped in order, with their time to stop, and need not be counted down first.
            self.api.write("delete_service", cluster=self.params["cluster"], service=self.params["name"], force=True)

    def vanished(self, raw):
        found = self.find()
        return (None, found[0]["status"].lower()) if found else (True, "gone")

    def shape(self, raw):
        return {
            **self.current(raw), "name": raw["serviceName"], "arn": raw["serviceArn"], "cluster_arn": raw["clusterArn"],
            "running_count": raw.get("runningCount"), "pending_count": raw.get("pendingCount"), "status": raw["status"],
            "tags": self.tags_of(raw),
        }
