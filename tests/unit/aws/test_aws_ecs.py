"""aws_ecs_service and aws_ecs_capacity_provider: the grid, autoscaling left alone, and deployments that fail with their reason."""

import importlib

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

KEY = {"cluster": "core", "name": "engine"}


@pytest.fixture
def cluster(client):
    """A cluster, two revisions of a task definition and a network; ids for the tests."""
    ecs, ec2 = client("ecs"), client("ec2")
    ecs.create_cluster(clusterName="core")
    revisions = [
        ecs.register_task_definition(family="engine", containerDefinitions=[{"name": "engine", "image": image, "memory": 64}])
        for image in ("engine:1", "engine:2")
    ]
    subnets = sorted(subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"])[:2]
    group = ec2.create_security_group(GroupName="engine", Description="engine")["GroupId"]
    return {"revisions": [one["taskDefinition"]["taskDefinitionArn"] for one in revisions], "subnets": subnets, "group": group}


def declared(cluster, **more):
    return {
        **KEY, "task_definition": "engine", "desired_count": 2, "launch_type": "FARGATE",
        "network": {"subnets": cluster["subnets"], "security_groups": [cluster["group"]]},
        "load_balancers": [{"target_group_arn": "arn:aws:elasticloadbalancing:x", "container_name": "engine", "container_port": 8080}],
        "health_check_grace_period_seconds": 30,
        "deployment": {"minimum_healthy_percent": 0, "maximum_percent": 100, "circuit_breaker": True, "rollback": True},
        "tags": {"env": "prod", "bot": "engine"}, **more,
    }


def test_life(life, client, cluster):
    def drift(service):
        client("ecs").update_service(
            cluster="core", service="engine", desiredCount=9, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 200},
            networkConfiguration={"awsvpcConfiguration": {"subnets": cluster["subnets"][:1], "securityGroups": []}},
        )
        client("ecs").tag_resource(resourceArn=service["arn"], tags=[{"key": "stray", "value": "x"}])

    created = life("ecs_service", declared(cluster), KEY, drift, ["UpdateService", "UntagResource"])
    assert created["ecs_service"]["task_definition"] == cluster["revisions"][1]


def test_a_new_revision_of_the_family_is_deployed(aws, client, cluster):
    aws("ecs_service", **declared(cluster, task_definition=cluster["revisions"][0]))
    said = aws("ecs_service", **declared(cluster))
    assert said.requests("UpdateService") == [{"cluster": "core", "service": "engine", "taskDefinition": cluster["revisions"][1]}]
    assert said["actions"] == ["changed task_definition"]


def test_what_autoscaling_decided_stays(aws, client, cluster):
    """The module of community.aws demands a count and sets it back at every run."""
    aws("ecs_service", **declared(cluster, autoscaled=True))
    client("ecs").update_service(cluster="core", service="engine", desiredCount=7)
    said = aws("ecs_service", **declared(cluster, autoscaled=True))
    assert not said["changed"] and said["ecs_service"]["desired_count"] == 7
    left_out = aws("ecs_service", **KEY, task_definition="engine")
    assert not left_out["changed"] and left_out["ecs_service"]["desired_count"] == 7
    assert aws("ecs_service", **declared(cluster))["ecs_service"]["desired_count"] == 2


def test_part_of_a_structure_is_changed_and_the_rest_is_sent_as_it_is(aws, cluster):
    aws("ecs_service", **declared(cluster))
    said = aws("ecs_service", **KEY, deployment={"maximum_percent": 150})
    assert said.requests("UpdateService")[0]["deploymentConfiguration"] == {
        "minimumHealthyPercent": 0, "maximumPercent": 150, "deploymentCircuitBreaker": {"enable": True, "rollback": True}
    }
    assert not aws("ecs_service", **KEY, deployment={"circuit_breaker": True})["changed"]


def test_a_strategy_instead_of_a_launch_type(aws, cluster):
    strategy = [{"capacity_provider": "FARGATE_SPOT", "weight": 3}, {"capacity_provider": "FARGATE", "base": 1}]
    arguments = {**declared(cluster, capacity_provider_strategy=strategy), "launch_type": None}
    aws("ecs_service", **arguments)
    assert not aws("ecs_service", **{**arguments, "capacity_provider_strategy": strategy[::-1]})["changed"]
    said = aws("ecs_service", **{**arguments, "capacity_provider_strategy": strategy[1:]})
    assert said.requests("UpdateService")[0]["forceNewDeployment"] is True


def test_tags_without_purging(aws, cluster):
    aws("ecs_service", **declared(cluster))
    said = aws("ecs_service", **KEY, tags={"team": "a"}, purge_tags=False)
    assert said.writes == ["TagResource"] and said["ecs_service"]["tags"] == {"env": "prod", "bot": "engine", "team": "a"}
    assert not aws("ecs_service", **KEY)["changed"]


def test_a_launch_type_cannot_be_changed(aws, cluster):
    aws("ecs_service", **declared(cluster))
    said = aws("ecs_service", fails=True, **declared(cluster, launch_type="EC2"))
    assert 'launch_type is "FARGATE", wanted is "EC2" (delete the service, or set capacity_provider_strategy' in said["msg"]
    assert said.writes == []


def test_a_deployment_that_failed_says_why(aws, cluster, gaps):
    gaps.stuck["engine"] = {"rolloutState": "FAILED", "rolloutStateReason": "tasks failed to start."}
    said = aws("ecs_service", fails=True, **declared(cluster))
    assert "The deployment of ECS service core/engine failed: tasks failed to start." in said["msg"] and "no space" in said["msg"]


def test_a_deployment_that_takes_too_long_tells_what_was_seen(aws, cluster, gaps):
    gaps.stuck["engine"] = {"rolloutState": "IN_PROGRESS"}
    said = aws("ecs_service", fails=True, wait_timeout=1, **declared(cluster))
    assert "0 of 2 tasks run" in said["msg"] and "Running the task again goes on waiting" in said["msg"]
    assert aws("ecs_service", wait=False, **declared(cluster))["changed"] is False


LOST = [
    ReadTimeoutError(endpoint_url="https://ecs"),
    ClientError({"Error": {"Code": "ServerException"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "CreateService"),
]


@pytest.mark.parametrize("error", LOST, ids=["timeout", "503"])
def test_a_lost_answer_does_not_create_twice(aws, calls, cluster, error):
    calls.fail("CreateService", error, after=True)
    said = aws("ecs_service", **declared(cluster))
    assert said.writes == ["CreateService"] and said["changed"]
    assert "The answer to creating ECS service core/engine was lost" in said["warnings"][0]


def test_a_look_up_that_failed_is_no_absence(aws, calls, cluster, monkeypatch):
    """A second request followed."""
    calls.fail("CreateService", LOST[0], after=True)
    down = ClientError({"Error": {"Code": "ServerException", "Message": "down"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "DescribeServices")
    asked = []

    def describe(request):
        asked.append(request)
        if len(asked) > 1:
            raise down

    monkeypatch.setattr(calls.gaps, "instead_DescribeServices", describe, raising=False)
    said = aws("ecs_service", fails=True, **declared(cluster))
    assert said.writes == ["CreateService"]
    assert "so it may exist. Nothing was sent twice. Run the task again when the API answers" in said["msg"]
    monkeypatch.undo()


def test_an_answer_that_cannot_be_read_is_a_lost_one(aws, calls, cluster):
    """A proxy's page ended in an exception."""
    page = ResponseParserError("Unable to parse response (mismatched tag)")
    calls.fail("CreateService", page, after=True)
    assert aws("ecs_service", **declared(cluster)).writes == ["CreateService"]
    calls.fail("DescribeServices", page)
    assert "AWS could not be asked for ecs:DescribeServices: Unable to parse" in aws("ecs_service", fails=True, **declared(cluster))["msg"]


def test_what_may_have_taken_effect_is_looked_for():
    module = importlib.import_module("ansible_collections.botops.fleet.plugins.module_utils._aws.module")
    refused = ClientError({"Error": {"Code": "InvalidParameterException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "CreateService")
    sent = [*LOST, HTTPClientError(error=OSError("reset")), ResponseStreamingError(error=OSError("cut off")), ResponseParserError("<html>")]
    unsent = [refused, EndpointConnectionError(endpoint_url="x"), ConnectTimeoutError(endpoint_url="x"), NoCredentialsError()]
    assert [module.may_have_taken_effect(error) for error in sent + unsent] == [True] * len(sent) + [False] * len(unsent)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cluster": "nowhere"}, "cluster: nowhere does not exist"),
        ({"task_definition": "nothing"}, "task_definition: nothing does not exist; register it first"),
        ({"task_definition": None}, "creating it needs task_definition"),
        ({"scheduling_strategy": "DAEMON"}, "a DAEMON service runs once on every instance"),
        ({"deployment": {"minimum_healthy_percent": 100, "maximum_percent": 100}}, "must be more than minimum_healthy_percent"),
        ({"deployment": {"circuit_breaker": False, "rollback": True}}, "rollback needs circuit_breaker"),
        ({"launch_type": None, "capacity_provider_strategy": [{"capacity_provider": "FARGATE"}] * 2}, "each provider can be named once"),
    ],
)
def test_mistakes_of_a_service(aws, cluster, arguments, sentence):
    assert sentence in aws("ecs_service", fails=True, check=True, **{**declared(cluster), **arguments})["msg"]


# --- capacity providers


@pytest.fixture
def group(client):
    scaling = client("autoscaling")
    scaling.create_launch_configuration(LaunchConfigurationName="lc", ImageId="ami-12345678", InstanceType="t3.small")
    for name, protected in (("outpost", True), ("open", False)):
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, LaunchConfigurationName="lc", MinSize=0, MaxSize=2, AvailabilityZones=["us-east-1a"],
            NewInstancesProtectedFromScaleIn=protected,
        )
    return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["outpost"])["AutoScalingGroups"][0]["AutoScalingGroupARN"]


PROVIDER = {
    "name": "outpost", "auto_scaling_group": "outpost", "managed_scaling": {"target_capacity": 90, "instance_warmup_seconds": 120},
    "managed_termination_protection": True, "managed_draining": True, "tags": {"env": "prod"},
}


def test_life_of_a_capacity_provider(life, client, group):
    def drift(provider):
        client("ecs").update_capacity_provider(name="outpost", autoScalingGroupProvider={"managedScaling": {"status": "DISABLED", "targetCapacity": 50}})
        client("ecs").tag_resource(resourceArn=provider["arn"], tags=[{"key": "stray", "value": "x"}])

    created = life("ecs_capacity_provider", PROVIDER, {"name": "outpost"}, drift, ["UpdateCapacityProvider", "UntagResource"])
    assert created["ecs_capacity_provider"]["auto_scaling_group"] == group


def test_the_group_may_be_named_by_its_arn_and_cannot_be_changed(aws, group):
    aws("ecs_capacity_provider", **PROVIDER)
    assert not aws("ecs_capacity_provider", **{**PROVIDER, "auto_scaling_group": group})["changed"]
    said = aws("ecs_capacity_provider", fails=True, name="outpost", auto_scaling_group="open")
    assert "create another capacity provider for the other group" in said["msg"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "ecs-outpost"}, "begins with aws, ecs or fargate"),
        ({"auto_scaling_group": "nothing"}, "auto_scaling_group: nothing does not exist in us-east-1"),
        ({"auto_scaling_group": None}, "creating it needs auto_scaling_group"),
        ({"auto_scaling_group": "open"}, "does not protect new instances from scale-in"),
        ({"managed_scaling": {"target_capacity": 0}}, "0 is not a percentage"),
        ({"managed_scaling": {"enabled": False}}, "managed_termination_protection needs managed_scaling"),
    ],
)
def test_mistakes_of_a_capacity_provider(aws, group, arguments, sentence):
    assert sentence in aws("ecs_capacity_provider", fails=True, check=True, **{**PROVIDER, **arguments})["msg"]
