"""moto's server tells a command of its instances, so that real hosts can stand behind them."""

import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from emulators.aws.server import Server  # noqa: E402 - beside the tests

TELLS = """#!/usr/bin/env python3
import json, sys
machine = json.load(sys.stdin)
open({told!r}, "a").write(json.dumps([sys.argv[1], machine]) + "\\n")
sys.exit("no room") if machine["name"] == "unlucky" else None
print(json.dumps({{"public": "10.77.31.9", "private": "10.77.32.9"}}) if sys.argv[1] == "create" else "")
"""


@pytest.fixture
def told(tmp_path):
    return tmp_path / "told"


@pytest.fixture
def cloud(tmp_path, told):
    hook = tmp_path / "a hook"
    hook.write_text(TELLS.format(told=str(told)))
    hook.chmod(0o755)
    with Server(hook=f"'{hook}'") as server:
        yield server


def start(cloud, name):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}, {"Key": "fleet", "Value": "prod"}]}]
    # An image that nobody has heard of: moto takes it, and the hook is told its id.
    asked = {"ImageId": "ami-0eeeeeeeeeeeeeeee", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    made = cloud.client("ec2").run_instances(**asked, UserData="#cloud-config\n{}", TagSpecifications=tags)
    return made["Instances"][0]["InstanceId"]


def look(cloud, identity):
    return cloud.client("ec2").describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]


def until(cloud, identity, state):
    deadline = time.monotonic() + 30
    while (found := look(cloud, identity))["State"]["Name"] != state:
        assert time.monotonic() < deadline, found["State"]
        time.sleep(0.05)
    return found


def events(told, count):
    """The first words of what the hook was told, when there are so many."""
    deadline = time.monotonic() + 30
    while len(lines := told.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)
    return [line.split('"')[1] for line in lines]


def test_the_hook_is_told_and_its_answer_is_the_instances_address(cloud, told):
    identity = start(cloud, "engine")
    found = until(cloud, identity, "running")
    assert (found["PublicIpAddress"], found["PrivateIpAddress"]) == ("10.77.31.9", "10.77.32.9")
    assert found["State"]["Code"] == 16
    text = told.read_text()
    assert '"name": "engine"' in text and '"user_data": "#cloud-config\\n{}"' in text and '"fleet": "prod"' in text and '"memory": 1024' in text
    assert '"image": {"name": "ami-0eeeeeeeeeeeeeeee"}' in text

    ec2 = cloud.client("ec2")
    ec2.stop_instances(InstanceIds=[identity])
    until(cloud, identity, "stopped")
    ec2.start_instances(InstanceIds=[identity])
    assert until(cloud, identity, "running")["PublicIpAddress"] == "10.77.31.9"
    ec2.reboot_instances(InstanceIds=[identity])
    assert events(told, 4) == ["create", "shutdown", "power_on", "reboot"]
    ec2.stop_instances(InstanceIds=[identity], Force=True)
    until(cloud, identity, "stopped")
    ec2.terminate_instances(InstanceIds=[identity])
    until(cloud, identity, "terminated")
    assert events(told, 6) == ["create", "shutdown", "power_on", "reboot", "power_off", "delete"]
    # What is gone is not told of twice.
    ec2.terminate_instances(InstanceIds=[identity])
    assert cloud.violations == [] and len(told.read_text().splitlines()) == 6


def test_an_instance_whose_host_cannot_be_made_never_runs(cloud):
    identity = start(cloud, "unlucky")
    deadline = time.monotonic() + 30
    while not cloud.violations:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "hook create failed (1): no room" in cloud.violations[0]
    found = look(cloud, identity)
    assert found["State"]["Name"] == "pending" and not found.get("PublicIpAddress")
    cloud.client("ec2").terminate_instances(InstanceIds=[identity])


def test_a_refused_request_moves_nothing(cloud, told):
    with pytest.raises(Exception, match="InvalidInstanceID"):
        cloud.client("ec2").reboot_instances(InstanceIds=["i-0123456789abcdef0"])
    assert not told.exists()
