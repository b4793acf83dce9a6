"""aws_scalable_target: the grid, policies and schedules as sets, and check mode that writes nothing."""

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._aws import scalable_target

KEY = {"resource_id": "service/core/shard"}
CPU = {
    "name": "cpu", "metric": "ECSServiceAverageCPUUtilization", "target_value": 60, "scale_in_cooldown": 300, "scale_out_cooldown": 60
}
STEPS = {
    "name": "queue", "type": "step", "adjustment_type": "ChangeInCapacity", "cooldown": 60,
    "steps": [{"lower": 10, "adjustment": 2}, {"lower": 0, "upper": 10, "adjustment": 1}],
}
EVENING = {"name": "evening", "schedule": "cron(0 18 * * ? *)", "timezone": "America/New_York", "min_capacity": 4, "end_time": "2030-01-01"}


@pytest.fixture(autouse=True)
def service(client):
    """The service whose size is set: moto wants to know it."""
    ecs = client("ecs")
    ecs.create_cluster(clusterName="core")
    ecs.register_task_definition(family="shard", containerDefinitions=[{"name": "shard", "image": "x", "memory": 64}])
    ecs.create_service(cluster="core", serviceName="shard", taskDefinition="shard", desiredCount=1)


def test_life(life, client):
    def drift(_):
        scaling = client("application-autoscaling")
        key = {"ServiceNamespace": "ecs", "ResourceId": "service/core/shard", "ScalableDimension": "ecs:service:DesiredCount"}
        scaling.register_scalable_target(**key, MaxCapacity=20)
        scaling.put_scaling_policy(
            **key, PolicyName="stray", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 5, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageMemoryUtilization"}
            },
        )
        scaling.delete_scheduled_action(**key, ScheduledActionName="evening")

    created = life(
        "scalable_target",
        {**KEY, "min_capacity": 2, "max_capacity": 8, "policies": [CPU, STEPS], "schedules": [EVENING], "suspended": {"scheduled_scaling": False}},
        KEY, drift, ["RegisterScalableTarget", "DeleteScalingPolicy", "PutScheduledAction"],
    )
    assert created["scalable_target"]["max_capacity"] == 8
    assert [policy["name"] for policy in created["scalable_target"]["policies"]] == ["cpu", "queue"]


def test_check_mode_of_a_changed_policy_writes_nothing(aws):
    """The module of community.aws declares check mode and writes all the same."""
    aws("scalable_target", **KEY, min_capacity=1, max_capacity=4, policies=[CPU])
    foreseen = aws("scalable_target", check=True, **KEY, policies=[{**CPU, "target_value": 70}])
    assert foreseen["changed"] and foreseen.writes == []
    assert aws("scalable_target", **KEY)["scalable_target"]["policies"][0]["target_value"] == 60.0


def test_what_is_left_out_is_left_alone_and_an_empty_list_empties(aws):
    aws("scalable_target", **KEY, min_capacity=1, max_capacity=4, policies=[CPU], schedules=[EVENING])
    assert not aws("scalable_target", **KEY)["changed"]
    kept = aws("scalable_target", **KEY, policies=[STEPS], purge_policies=False)
    assert [policy["name"] for policy in kept["scalable_target"]["policies"]] == ["cpu", "queue"]
    emptied = aws("scalable_target", **KEY, policies=[], schedules=[])
    assert emptied.writes == ["DeleteScalingPolicy", "DeleteScalingPolicy", "DeleteScheduledAction"]
    assert emptied["scalable_target"]["policies"] == emptied["scalable_target"]["schedules"] == []


def test_a_step_policy_is_the_same_in_any_order_of_its_steps(aws):
    aws("scalable_target", **KEY, min_capacity=1, max_capacity=4, policies=[STEPS])
    assert not aws("scalable_target", **KEY, policies=[{**STEPS, "steps": STEPS["steps"][::-1]}])["changed"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "creating it needs min_capacity and max_capacity"),
        ({"min_capacity": 9, "max_capacity": 2}, "min_capacity: 9 is more than max_capacity, 2"),
        ({"policies": [CPU, CPU]}, "policies: cpu is there twice"),
        ({"policies": [{"name": "x", "target_value": 1}]}, "x needs either metric or custom_metric"),
        ({"policies": [{"name": "x", "type": "step"}]}, "adjustment_type, steps"),
        ({"schedules": [{"name": "x", "schedule": "rate(1 hour)"}]}, "x sets neither min_capacity nor max_capacity"),
        ({"schedules": [{**EVENING, "end_time": "soon"}], "min_capacity": 1, "max_capacity": 2}, "'soon' is not a time"),
        ({"wait_timeout": 0}, "wait_timeout is seconds"),
    ],
)
def test_mistakes(aws, arguments, sentence):
    assert sentence in aws("scalable_target", fails=True, check=True, **KEY, **arguments)["msg"]


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00Z", "2026-01-31T09:00:00+01:00", "2026-01-31T08:00:00"])
def test_times_compare_by_meaning(text):
    assert scalable_target.moment(text) == "2026-01-31T08:00:00Z"
