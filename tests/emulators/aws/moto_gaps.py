"""What moto drops or leaves undone, put back around botocore's one door. Only what the tests of this project need.

- ECS: `securityGroups` left out is an internal error; deploymentConfiguration, capacityProviderStrategy, grace period, command
  execution and a changed network are dropped; no task ever runs; a service may be told to fail its deployment.
- ACM: every name has the same record, and a certificate is issued after a minute whatever DNS says. Here it is issued when all its
  records are in Route 53, or were put into `published` for DNS that is kept elsewhere.
- ElastiCache: the members of a replication group are unknown, replicas cannot be added or removed, half of what is modified is dropped,
  and a deleted group is never gone.
"""

from __future__ import annotations

import copy
import hashlib

from botocore.exceptions import ClientError

KEPT = ("deploymentConfiguration", "capacityProviderStrategy", "healthCheckGracePeriodSeconds", "enableExecuteCommand", "networkConfiguration",
        "loadBalancers", "propagateTags", "platformVersion")


class Gaps:
    """`gaps(original)(client, operation, request)` stands where `BaseClient._make_api_call` stood."""

    def __init__(self):
        self.services = {}
        self.stuck = {}
        self.published = set()
        self.groups = {}
        self.certificate = {}  # what DescribeCertificate shall say otherwise

    def __call__(self, original):
        def call(client, operation, request):
            instead = getattr(self, "instead_" + operation, None)
            answer = instead(request) if instead else None
            if answer is not None:
                return answer
            before = getattr(self, "before_" + operation, None)
            after = getattr(self, "after_" + operation, None)
            request = before(copy.deepcopy(request)) if before else request
            answer = original(client, operation, request)
            return after(request, answer) if after else answer

        return call

    # --- ECS services

    def before_CreateService(self, request):
        about = request.get("networkConfiguration", {}).get("awsvpcConfiguration")
        if about is not None:
            about.setdefault("securityGroups", [])
        return request

    def remember(self, request, arn):
        self.services.setdefault(arn, {}).update({key: request[key] for key in KEPT if key in request})

    def as_it_is(self, service):
        kept = self.services.get(service["serviceArn"], {})
        service.update(copy.deepcopy(kept))
        if "capacityProviderStrategy" in kept:
            service.pop("launchType", None)
        service["runningCount"] = service["desiredCount"]
        for deployment in service.get("deployments") or []:
            deployment.update({"rolloutState": "COMPLETED", **self.stuck.get(service["serviceName"], {})})
            if deployment["rolloutState"] != "COMPLETED":
                service["runningCount"] = 0
                service["events"] = [{"id": "1", "message": "(service x) was unable to place a task: no space."}]
        return service

    def after_CreateService(self, request, answer):
        self.remember(request, answer["service"]["serviceArn"])
        return {**answer, "service": self.as_it_is(answer["service"])}

    def after_UpdateService(self, request, answer):
        self.remember(request, answer["service"]["serviceArn"])
        return {**answer, "service": self.as_it_is(answer["service"])}

    def after_DescribeServices(self, request, answer):
        return {**answer, "services": [self.as_it_is(service) for service in answer["services"]]}

    # --- ACM

    def before_ChangeResourceRecordSets(self, request):
        for change in request["ChangeBatch"]["Changes"]:
            name = change["ResourceRecordSet"]["Name"]
            (self.published.discard if change["Action"] == "DELETE" else self.published.add)(name)
        return request

    def after_DescribeCertificate(self, request, answer):
        about = answer["Certificate"]
        for option in about.get("DomainValidationOptions") or []:
            domain = option["DomainName"].removeprefix("*.")
            digest = hashlib.md5(domain.encode(), usedforsecurity=False).hexdigest()
            option["ResourceRecord"] = {"Name": f"_{digest}.{domain}.", "Type": "CNAME", "Value": f"_{digest[::-1]}.acm-validations.aws."}
            option["ValidationStatus"] = "SUCCESS" if option["ResourceRecord"]["Name"] in self.published else "PENDING_VALIDATION"
        if about.get("Type") == "AMAZON_ISSUED":
            proved = all(option["ValidationStatus"] == "SUCCESS" for option in about["DomainValidationOptions"])
            about["Status"] = "ISSUED" if proved else "PENDING_VALIDATION"
        about.update(self.certificate)
        return answer

    # --- ElastiCache replication groups

    def after_CreateReplicationGroup(self, request, answer):
        self.groups[request["ReplicationGroupId"]] = dict(request)
        return answer

    def after_ModifyReplicationGroup(self, request, answer):
        self.groups[request["ReplicationGroupId"]].update(request)
        return answer

    def instead_IncreaseReplicaCount(self, request):
        group = self.groups[request["ReplicationGroupId"]]
        key, more = ("ReplicasPerNodeGroup", 0) if "NumNodeGroups" in group else ("NumCacheClusters", 1)
        group[key] = request["NewReplicaCount"] + more
        return {}

    instead_DecreaseReplicaCount = instead_IncreaseReplicaCount

    def instead_DescribeReplicationGroups(self, request):
        if request.get("ReplicationGroupId") not in self.groups:
            error = {"Code": "ReplicationGroupNotFoundFault", "Message": "not found"}
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 404}}, "DescribeReplicationGroups")

    def after_DescribeReplicationGroups(self, request, answer):
        for raw in answer["ReplicationGroups"]:
            told = self.groups[raw["ReplicationGroupId"]]
            raw.update({key: told[key] for key in ("SnapshotWindow", "AutoMinorVersionUpgrade") if key in told})
            raw["AuthTokenEnabled"] = "AuthToken" in told
            for group in raw["NodeGroups"]:
                count = told["ReplicasPerNodeGroup"] + 1 if "NumNodeGroups" in told else told["NumCacheClusters"]
                group["NodeGroupMembers"] = [{"CacheClusterId": f"{raw['ReplicationGroupId']}-{n:03}"} for n in range(1, count + 1)]
        return answer

    def after_DeleteReplicationGroup(self, request, answer):
        self.groups.pop(request["ReplicationGroupId"])
        return answer

    def instead_DescribeCacheClusters(self, request):
        told = next(about for name, about in self.groups.items() if request["CacheClusterId"].startswith(name + "-0"))
        return {"CacheClusters": [{
            "CacheClusterId": request["CacheClusterId"], "Engine": told["Engine"], "EngineVersion": told.get("EngineVersion", "7.1") + ".0",
            "CacheParameterGroup": {"CacheParameterGroupName": told.get("CacheParameterGroupName", "default.redis7")},
            "SecurityGroups": [{"SecurityGroupId": group, "Status": "active"} for group in told.get("SecurityGroupIds", [])],
            "CacheSubnetGroupName": told.get("CacheSubnetGroupName", "default"),
            "PreferredMaintenanceWindow": told.get("PreferredMaintenanceWindow", "sun:23:00-mon:01:30"),
        }]}
