"""aws_elasticache_replication_group: the grid, replicas, versions that mean the same, and a token that is never seen."""

import json

import pytest

TOKEN = "canary-token-0123456789"
KEY = {"name": "core-bus"}
GROUP = {
    **KEY, "description": "message bus", "engine": "redis", "engine_version": "7.1", "node_type": "cache.t4g.small", "replicas": 1,
    "automatic_failover": True, "multi_az": True, "security_groups": ["sg-2", "sg-1"], "encryption_at_rest": True,
    "encryption_in_transit": True, "auth_token": TOKEN, "snapshot_retention_days": 7, "snapshot_window": "05:00-06:00",
    "maintenance_window": "sun:23:00-mon:01:30", "auto_minor_version_upgrade": True, "tags": {"env": "prod"},
}


def test_life(life, client):
    def drift(group):
        client("elasticache").modify_replication_group(
            ReplicationGroupId="core-bus", SnapshotRetentionLimit=0, SecurityGroupIds=["sg-3"], ReplicationGroupDescription="other"
        )
        client("elasticache").add_tags_to_resource(ResourceName=group["arn"], Tags=[{"Key": "stray", "Value": "x"}])

    created = life(
        "elasticache_replication_group", GROUP, KEY, drift, ["ModifyReplicationGroup", "RemoveTagsFromResource"]
    )
    shown = created["elasticache_replication_group"]
    assert shown["status"] == "available" and shown["port"] == 6379 and shown["endpoint"].startswith("master.core-bus.")
    assert TOKEN not in json.dumps(created) and created.requests("CreateReplicationGroup")[0]["AuthToken"] == TOKEN


def test_replicas_are_added_before_and_removed_after_the_rest(aws):
    aws("elasticache_replication_group", **GROUP)
    more = aws("elasticache_replication_group", **{**GROUP, "replicas": 3, "node_type": "cache.t4g.medium"})
    assert more.writes == ["IncreaseReplicaCount", "ModifyReplicationGroup"]
    fewer = aws("elasticache_replication_group", **{**GROUP, "replicas": 1, "node_type": "cache.t4g.small"})
    assert fewer.writes == ["ModifyReplicationGroup", "DecreaseReplicaCount"]
    assert fewer.requests("DecreaseReplicaCount")[0]["NewReplicaCount"] == 1
    assert not aws("elasticache_replication_group", **GROUP)["changed"]


def test_a_group_in_cluster_mode(aws):
    arguments = {**GROUP, "shards": 2}
    created = aws("elasticache_replication_group", **arguments)
    assert created.requests("CreateReplicationGroup")[0]["ReplicasPerNodeGroup"] == 1
    assert not aws("elasticache_replication_group", **arguments)["changed"]
    assert "reshard with the vendor's tools" in aws("elasticache_replication_group", fails=True, **{**arguments, "shards": 3})["msg"]


@pytest.mark.parametrize("version", ["7", "7.1", "7.1.0", None])
def test_a_version_means_all_that_begin_with_it(aws, version):
    aws("elasticache_replication_group", **GROUP)
    assert not aws("elasticache_replication_group", **{**GROUP, "engine_version": version})["changed"]


def test_a_token_where_there_was_none(aws):
    aws("elasticache_replication_group", **{**GROUP, "auth_token": None})
    said = aws("elasticache_replication_group", **GROUP)
    assert said.requests("ModifyReplicationGroup")[0]["AuthToken"] == TOKEN and TOKEN not in json.dumps(said)
    assert said["diff"]["after"]["auth"] is True


def test_a_snapshot_before_the_end(aws):
    aws("elasticache_replication_group", **GROUP)
    said = aws("elasticache_replication_group", **KEY, state="absent", final_snapshot="last")
    assert said.requests("DeleteReplicationGroup")[0]["FinalSnapshotIdentifier"] == "last"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "Core"}, "'Core' is not one: at most 40 lower-case"),
        ({"name": "a--b"}, "'a--b' is not one"),
        ({"node_type": None, "description": None}, "creating it needs description and node_type"),
        ({"automatic_failover": False}, "multi_az needs automatic_failover"),
        ({"replicas": 0}, "there is nothing to fail over to"),
        ({"encryption_in_transit": False}, "or it would travel in plain text"),
        ({"encryption_in_transit": None}, "or it would travel in plain text"),
        ({"auth_token": "short"}, "auth_token must have 16 to 128"),
    ],
)
def test_mistakes(aws, arguments, sentence):
    assert sentence in aws("elasticache_replication_group", fails=True, check=True, **{**GROUP, **arguments})["msg"]


def test_what_cannot_be_changed(aws):
    aws("elasticache_replication_group", **GROUP)
    said = aws("elasticache_replication_group", fails=True, **{**GROUP, "port": 6380})
    assert "port is 6379, wanted is 6380 (create another group from a snapshot)" in said["msg"] and said.writes == []
