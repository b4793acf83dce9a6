# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replication groups of ElastiCache."""

from __future__ import annotations

import re

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AwsAdapter, tag_dict, tag_list
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, wait_for

NAME = re.compile(r"^[a-z](?!.*--)[a-z0-9-]{0,38}[a-z0-9]$")
# What is set with the same word at creation and later.
SETTINGS = {
    "description": "ReplicationGroupDescription", "node_type": "CacheNodeType", "engine_version": "EngineVersion",
    "parameter_group": "CacheParameterGroupName", "security_groups": "SecurityGroupIds", "automatic_failover": "AutomaticFailoverEnabled",
    "multi_az": "MultiAZEnabled", "snapshot_retention_days": "SnapshotRetentionLimit", "snapshot_window": "SnapshotWindow",
    "maintenance_window": "PreferredMaintenanceWindow", "auto_minor_version_upgrade": "AutoMinorVersionUpgrade", "engine": "Engine",
}
AT_CREATION = {
    "subnet_group": "CacheSubnetGroupName", "port": "Port", "encryption_at_rest": "AtRestEncryptionEnabled",
    "encryption_in_transit": "TransitEncryptionEnabled", "kms_key_id": "KmsKeyId",
}


def on(value):
    """The vendor says enabled, enabling, disabled or disabling."""
    return str(value or "").lower().startswith("enabl")


def same_version(have, want):
    """'7.1' is meant to be any 7.1.x; the vendor reports 7.1.0."""
    return have if want and have and (have + ".").startswith(want + ".") else want


class ReplicationGroup(AwsAdapter):
    kind = "elasticache_replication_group"
    service = "elasticache"
    computed = ("arn", "status", "endpoint", "reader_endpoint")
    immutable = {
        "subnet_group": "create another group from a snapshot",
        "port": "create another group from a snapshot",
        "encryption_at_rest": "create another group from a snapshot",
        "kms_key_id": "create another group from a snapshot",
        "encryption_in_transit": "switch it in the vendor's two steps, preferred and then required, while clients are moved",
        "shards": "reshard with the vendor's tools: it moves data",
    }

    @property
    def title(self):
        return "replication group %s" % self.params["name"]

    def validate(self):
        params = self.params
        if not NAME.match(params["name"]):
            raise Failure(
                "name: %r is not one: at most 40 lower-case letters, digits and single dashes, beginning with a letter." % params["name"]
            )
        if params["multi_az"] and params["automatic_failover"] is False:
            raise Failure("multi_az needs automatic_failover.")
        if (params["automatic_failover"] or params["multi_az"]) and params["replicas"] == 0:
            raise Failure("automatic_failover: with replicas: 0 there is nothing to fail over to; set replicas to 1 or more.")
        if params["auth_token"] is not None:
            if params["encryption_in_transit"] is False:
                raise Failure("auth_token needs encryption_in_transit, or it would travel in plain text.")
            if not re.match(r"^[A-Za-z0-9!&#$^<>-]{16,128}$", params["auth_token"]):
                raise Failure("auth_token must have 16 to 128 letters, digits or one of ! & # $ ^ < > -.")

    def find(self):
        try:
            raw = self.api.read("describe_replication_groups", ReplicationGroupId=self.params["name"])["ReplicationGroups"][0]
        except Gone:
            return []
        if raw["Status"] == "deleting" and self.params["state"] == "present":
            raise Failure("%s is being deleted; run the task again when it has gone." % self.title)
        # Half of the settings are told of the members only.
        raw["member"] = {}
        if raw.get("MemberClusters") and raw["Status"] != "deleting":
            try:
                said = self.api.read("describe_cache_clusters", CacheClusterId=raw["MemberClusters"][0])
                raw["member"] = said["CacheClusters"][0]
            except Gone:
                pass
        raw["tags"] = {}
        if raw["Status"] == "available":  # the vendor refuses to tell tags of a group that is changing
            raw["tags"] = tag_dict(self.api.read("list_tags_for_resource", ResourceName=raw["ARN"]).get("TagList"))
        return [raw]

    def describe(self, raw):
        return raw["ARN"]

    def tags_of(self, raw):
        return raw.get("tags") or {}

    def current(self, raw):
        member, groups = raw["member"], raw.get("NodeGroups") or []
        pending, soon = member.get("PendingModifiedValues") or {}, raw.get("PendingModifiedValues") or {}
        members = groups[0].get("NodeGroupMembers") or [] if groups else []
        return {
            "description": raw.get("Description"), "engine": raw.get("Engine") or member.get("Engine"),
            "node_type": pending.get("CacheNodeType") or raw.get("CacheNodeType"),
            "engine_version": pending.get("EngineVersion") or member.get("EngineVersion"),
            "parameter_group": (member.get("CacheParameterGroup") or {}).get("CacheParameterGroupName"),
            "security_groups": sorted(group["SecurityGroupId"] for group in member.get("SecurityGroups") or []),
            "subnet_group": member.get("CacheSubnetGroupName"),
            "automatic_failover": on(soon.get("AutomaticFailoverStatus") or raw.get("AutomaticFailover")), "multi_az": on(raw.get("MultiAZ")),
            "snapshot_retention_days": raw.get("SnapshotRetentionLimit") or 0, "snapshot_window": raw.get("SnapshotWindow"),
            "maintenance_window": member.get("PreferredMaintenanceWindow"),
            "auto_minor_version_upgrade": bool(raw.get("AutoMinorVersionUpgrade")),
            "encryption_at_rest": bool(raw.get("AtRestEncryptionEnabled")), "encryption_in_transit": bool(raw.get("TransitEncryptionEnabled")),
            "kms_key_id": raw.get("KmsKeyId"), "auth": bool(raw.get("AuthTokenEnabled")), "port": self.endpoint(raw).get("Port"),
            "shards": len(groups) if raw.get("ClusterEnabled") else None, "replicas": max(0, len(members) - 1),
            "tags": self.current_tags(raw),
        }

    def wanted(self, raw):
        params = self.params
        found = {field: params[field] for field in {**SETTINGS, **AT_CREATION} if field in params}
        found.update(
            security_groups=None if params["security_groups"] is None else sorted(set(params["security_groups"])), shards=params["shards"],
            replicas=params["replicas"], auth=True if params["auth_token"] else None, tags=self.wanted_tags(raw),
        )
        if raw:
            found["engine_version"] = same_version(raw["member"].get("EngineVersion"), found["engine_version"])
        elif params["replicas"] is None:
            found["replicas"] = 1 if params["automatic_failover"] or params["multi_az"] else 0
        return found

    def check_creation(self, wanted):
        missing = [option for option in ("description", "node_type") if not self.params[option]]
        if missing:
            raise Failure("%s does not exist; creating it needs %s." % (self.title, " and ".join(missing)))
        if wanted["auth"] and not wanted["encryption_in_transit"]:
            raise Failure("auth_token needs encryption_in_transit, or it would travel in plain text.")

    def create(self, wanted):
        request = {theirs: wanted[mine] for mine, theirs in {**SETTINGS, **AT_CREATION}.items() if wanted.get(mine) is not None}
        request.setdefault("Engine", "redis")
        if wanted["shards"]:
            request.update(NumNodeGroups=wanted["shards"], ReplicasPerNodeGroup=wanted["replicas"], ClusterMode="enabled")
        else:
            request["NumCacheClusters"] = wanted["replicas"] + 1
        if self.params["auth_token"]:
            request["AuthToken"] = self.params["auth_token"]
        if self.params["tags"]:
            request["Tags"] = tag_list({str(k): str(v) for k, v in self.params["tags"].items()})
        self.api.create("create_replication_group", ReplicationGroupId=self.params["name"], **request)
        return self.find()[0]

    def update(self, raw, changes, wanted):
        now = {"ReplicationGroupId": self.params["name"], "ApplyImmediately": self.params["apply_immediately"]}
        if "replicas" in changes:
            before, after = changes["replicas"]
            # More replicas first, fewer last: failover needs one to go to while the rest is changed.
            if after > before:
                self.resize("increase_replica_count", after)
        request = {SETTINGS[field]: pair[1] for field, pair in changes.items() if field in SETTINGS}
        if "auth" in changes:
            request.update(AuthToken=self.params["auth_token"], AuthTokenUpdateStrategy="SET")
        if request:
            self.api.write("modify_replication_group", **now, **request)
            self.did("changed %s" % ", ".join(sorted(set(changes) - {"tags", "replicas"})))
        if "replicas" in changes and changes["replicas"][1] < changes["replicas"][0]:
            if request:
                self.await_available()
            self.resize("decrease_replica_count", changes["replicas"][1])
        if "tags" in changes:
            if request or "replicas" in changes:
                self.await_available()
            self.update_tags(
                raw,
                lambda tags: self.api.write("add_tags_to_resource", ResourceName=raw["ARN"], Tags=tag_list(tags)),
                lambda keys: self.api.write("remove_tags_from_resource", ResourceName=raw["ARN"], TagKeys=keys),
            )
            self.did("changed tags")
        return self.find()[0]

    def resize(self, operation, replicas):
        # The vendor knows no other time than now for this.
        self.api.write(operation, ReplicationGroupId=self.params["name"], NewReplicaCount=replicas, ApplyImmediately=True)
        self.did("set replicas to %d" % replicas)
        self.await_available()

    def await_available(self):
        wait_for(lambda: self.settled(None), self.title, self.params["wait_timeout"], self.log)

    def settled(self, raw):
        found = self.find()
        if not found:
            raise Failure("%s went away while it was waited for." % self.title)
        raw = found[0]
        if raw["Status"] == "create-failed":
            raise Failure("%s could not be created; the vendor's events say why: aws elasticache describe-events." % self.title)
        return (raw, "available") if raw["Status"] == "available" else (None, raw["Status"])

    def delete(self, raw):
        if raw["Status"] == "deleting":
            return
        request = {"FinalSnapshotIdentifier": self.params["final_snapshot"]} if self.params["final_snapshot"] else {}
        self.api.write("delete_replication_group", ReplicationGroupId=self.params["name"], RetainPrimaryCluster=False, **request)

    def vanished(self, raw):
        found = self.find()
        return (None, found[0]["Status"]) if found else (True, "gone")

    @staticmethod
    def endpoint(raw):
        groups = raw.get("NodeGroups") or []
        return raw.get("ConfigurationEndpoint") or (groups[0].get("PrimaryEndpoint") if groups else None) or {}

    def shape(self, raw):
        groups = raw.get("NodeGroups") or []
        return {
            **self.current(raw), "name": raw["ReplicationGroupId"], "arn": raw["ARN"], "status": raw["Status"], "tags": self.tags_of(raw),
            "endpoint": self.endpoint(raw).get("Address"),
            "reader_endpoint": ((groups[0].get("ReaderEndpoint") or {}) if groups else {}).get("Address"),
        }
