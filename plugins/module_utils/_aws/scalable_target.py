# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A scalable target with its policies and schedules."""

from __future__ import annotations

import datetime

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AwsAdapter
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, canonical

SUSPENDED = {
    "dynamic_scaling_in": "DynamicScalingInSuspended",
    "dynamic_scaling_out": "DynamicScalingOutSuspended",
    "scheduled_scaling": "ScheduledScalingSuspended",
}
TRACKING = {
    "target_value": "TargetValue", "scale_in_cooldown": "ScaleInCooldown", "scale_out_cooldown": "ScaleOutCooldown",
    "disable_scale_in": "DisableScaleIn", "custom_metric": "CustomizedMetricSpecification",
}
STEPPING = {
    "adjustment_type": "AdjustmentType", "cooldown": "Cooldown", "metric_aggregation_type": "MetricAggregationType",
    "min_adjustment_magnitude": "MinAdjustmentMagnitude",
}
STEP = {"lower": "MetricIntervalLowerBound", "upper": "MetricIntervalUpperBound", "adjustment": "ScalingAdjustment"}


def read_names(about, names):
    return {mine: about.get(theirs) for mine, theirs in names.items()}


def write_names(about, names):
    return {theirs: about[mine] for mine, theirs in names.items() if about.get(mine) is not None}


def moment(value):
    """A point in time as text that compares equal however it was written."""
    if value in (None, ""):
        return None
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            raise Failure("schedules: %r is not a time such as 2026-01-31T08:00:00Z." % value) from None
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def policy_from_api(raw):
    found = {"name": raw["PolicyName"], "type": "target_tracking" if raw["PolicyType"] == "TargetTrackingScaling" else "step"}
    tracking, step = raw.get("TargetTrackingScalingPolicyConfiguration"), raw.get("StepScalingPolicyConfiguration")
    if tracking:
        predefined = tracking.get("PredefinedMetricSpecification") or {}
        found.update(read_names(tracking, TRACKING), metric=predefined.get("PredefinedMetricType"), resource_label=predefined.get("ResourceLabel"))
        found["target_value"] = float(found["target_value"])
        found["disable_scale_in"] = bool(found["disable_scale_in"])
    if step:
        found.update(read_names(step, STEPPING), steps=steps_in_order([read_names(one, STEP) for one in step.get("StepAdjustments") or []]))
    return canonical(found)


def steps_in_order(steps):
    def bounds(step):
        return {key: float(value) if key != "adjustment" else value for key, value in step.items() if value is not None}

    return sorted((bounds(step) for step in steps), key=lambda step: (step.get("lower", float("-inf")), step.get("upper", float("inf"))))


def policy_from_params(given):
    found = dict(given)
    if found["type"] == "target_tracking":
        found["target_value"] = float(found["target_value"])
        found["disable_scale_in"] = bool(found["disable_scale_in"])
    else:
        found["disable_scale_in"] = None
    if found.get("steps") is not None:
        found["steps"] = steps_in_order(found["steps"])
    return canonical(found)


def policy_request(policy):
    if policy["type"] == "step":
        about = {**write_names(policy, STEPPING), "StepAdjustments": [write_names(step, STEP) for step in policy.get("steps") or []]}
        return {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": about}
    about = write_names(policy, TRACKING)
    if policy.get("metric"):
        about["PredefinedMetricSpecification"] = write_names(policy, {"metric": "PredefinedMetricType", "resource_label": "ResourceLabel"})
    return {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": about}


def schedule_from_api(raw):
    action = raw.get("ScalableTargetAction") or {}
    return canonical({
        "name": raw["ScheduledActionName"], "schedule": raw["Schedule"], "timezone": raw.get("Timezone") or "UTC",
        "min_capacity": action.get("MinCapacity"), "max_capacity": action.get("MaxCapacity"),
        "start_time": moment(raw.get("StartTime")), "end_time": moment(raw.get("EndTime")),
    })


def schedule_from_params(given):
    return canonical(dict(given, start_time=moment(given["start_time"]), end_time=moment(given["end_time"])))


def schedule_request(schedule):
    request = write_names(schedule, {"schedule": "Schedule", "timezone": "Timezone", "start_time": "StartTime", "end_time": "EndTime"})
    return {**request, "ScalableTargetAction": write_names(schedule, {"min_capacity": "MinCapacity", "max_capacity": "MaxCapacity"})}


def target_named(have, want, purge):
    """A list of things with names as it shall be; those that are not named stay unless they are purged."""
    if want is None:
        return None
    named = {one["name"]: one for one in ([] if purge else have)}
    named.update({one["name"]: one for one in want})
    return [named[name] for name in sorted(named)]


class ScalableTarget(AwsAdapter):
    kind = "scalable_target"
    created_in_steps = True
    service = "application-autoscaling"
    computed = ("arn",)

    @property
    def title(self):
        return "scalable target %s" % self.params["resource_id"]

    @property
    def key(self):
        return {
            "ServiceNamespace": self.params["service_namespace"], "ResourceId": self.params["resource_id"],
            "ScalableDimension": self.params["scalable_dimension"],
        }

    def validate(self):
        low, high = self.params["min_capacity"], self.params["max_capacity"]
        if low is not None and high is not None and low > high:
            raise Failure("min_capacity: %d is more than max_capacity, %d." % (low, high))
        for option in ("policies", "schedules"):
            names = [one["name"] for one in self.params[option] or []]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise Failure("%s: %s is there twice." % (option, ", ".join(twice)))
        for policy in self.params["policies"] or []:
            if policy["type"] == "target_tracking" and not (bool(policy["metric"]) ^ bool(policy["custom_metric"])):
                raise Failure("policies: %s needs either metric or custom_metric." % policy["name"])
        for schedule in self.params["schedules"] or []:
            low, high = schedule["min_capacity"], schedule["max_capacity"]
            if low is None and high is None:
                raise Failure("schedules: %s sets neither min_capacity nor max_capacity." % schedule["name"])
            if low is not None and high is not None and low > high:
                raise Failure("schedules: %s has a min_capacity, %d, that is more than its max_capacity, %d." % (schedule["name"], low, high))

    def find(self):
        request = {"ServiceNamespace": self.key["ServiceNamespace"], "ScalableDimension": self.key["ScalableDimension"]}
        found = self.api.pages("describe_scalable_targets", "ScalableTargets", ResourceIds=[self.params["resource_id"]], **request)
        for raw in found:
            raw["policies"] = [policy_from_api(one) for one in self.api.pages("describe_scaling_policies", "ScalingPolicies", **self.key)]
            raw["schedules"] = [schedule_from_api(one) for one in self.api.pages("describe_scheduled_actions", "ScheduledActions", **self.key)]
        return found

    def describe(self, raw):
        return "%s %s" % (raw["ResourceId"], raw["ScalableDimension"])

    def current(self, raw):
        return {
            "min_capacity": raw["MinCapacity"], "max_capacity": raw["MaxCapacity"], "role_arn": raw.get("RoleARN"),
            "suspended": {mine: bool((raw.get("SuspendedState") or {}).get(theirs)) for mine, theirs in SUSPENDED.items()},
            "policies": target_named([], raw["policies"], True), "schedules": target_named([], raw["schedules"], True),
        }

    def wanted(self, raw):
        have = raw or {"policies": [], "schedules": []}
        policies, schedules = self.params["policies"], self.params["schedules"]
        return {
            **{field: self.params[field] for field in ("min_capacity", "max_capacity", "role_arn", "suspended")},
            "policies": target_named(
                have["policies"], policies and [policy_from_params(one) for one in policies] if policies != [] else [], self.params["purge_policies"]
            ),
            "schedules": target_named(
                have["schedules"], schedules and [schedule_from_params(one) for one in schedules] if schedules != [] else [],
                self.params["purge_schedules"],
            ),
        }

    def check_creation(self, wanted):
        if wanted["min_capacity"] is None or wanted["max_capacity"] is None:
            raise Failure("%s does not exist; creating it needs min_capacity and max_capacity." % self.title)

    def register(self, wanted):
        request = write_names(wanted, {"min_capacity": "MinCapacity", "max_capacity": "MaxCapacity", "role_arn": "RoleARN"})
        if wanted["suspended"]:
            request["SuspendedState"] = write_names(wanted["suspended"], SUSPENDED)
        # Registering is setting: sent twice it does the same.
        self.api.write("register_scalable_target", **self.key, **request)

    def create(self, wanted):
        self.register(wanted)
        return self.find()[0]

    def update(self, raw, changes, wanted):
        if set(changes) - {"policies", "schedules"}:
            self.register(wanted)
            self.did("changed %s" % ", ".join(sorted(set(changes) - {"policies", "schedules"})))
        for option, noun, operation, key, request in (
            ("policies", "policy", "scaling_policy", "PolicyName", policy_request),
            ("schedules", "schedule", "scheduled_action", "ScheduledActionName", schedule_request),
        ):
            if option not in changes:
                continue
            have, want = ({one["name"]: one for one in side} for side in changes[option])
            for name in want:
                if have.get(name) != want[name]:
                    self.api.write("put_" + operation, **self.key, **{key: name}, **request(want[name]))
                    self.did("set %s %s" % (noun, name))
            for name in sorted(set(have) - set(want)):
                self.api.write("delete_" + operation, **self.key, **{key: name})
                self.did("removed %s %s" % (noun, name))
        return self.find()[0]

    def delete(self, raw):
        # Policies and schedules go with it.
        self.api.write("deregister_scalable_target", **self.key)

    def planned(self, wanted):
        return {**self.key_for_result(), **super().planned(wanted)}

    def shape(self, raw):
        return {**self.key_for_result(), **self.current(raw), "arn": raw.get("ScalableTargetARN")}

    def key_for_result(self):
        return {name: self.params[name] for name in ("service_namespace", "resource_id", "scalable_dimension")}
