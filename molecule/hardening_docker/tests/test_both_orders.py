"""Whichever role ran first: containers reach out, and ufw's answer holds for what they publish."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.environ["MOLECULE_PROJECT_DIRECTORY"], "molecule", "shared"))
from probe import address_of, egress, fetch, guarded, publish, reach, restart_machine, serve


@pytest.fixture(scope="module")
def neighbour():
    return reach("neighbour")


@pytest.fixture(scope="module")
def outside(neighbour):
    return serve(neighbour)


@pytest.fixture(scope="module", params=["docker-last", "docker-first"])
def engine(request):
    host = reach(request.param)
    publish(host)
    return host


def test_ufw_says_no(engine):
    answer = engine.check_output("ufw status verbose")
    assert "Status: active" in answer
    assert "Default: deny (incoming)" in answer
    assert "deny (routed)" in answer


def test_published_ports_follow_the_declaration(engine, neighbour):
    guarded(engine, neighbour)


def test_containers_reach_the_outside(engine, outside):
    assert egress(engine, outside) == "outside"


def test_containers_reach_each_other(engine):
    inside = engine.check_output("docker inspect -f '{{.NetworkSettings.IPAddress}}' undeclared")
    assert egress(engine, f"http://{inside}/") == "answered"


def test_a_port_of_the_host_itself_is_shut(engine, neighbour):
    engine.run('systemd-run --unit=test-own --collect "$(command -v busybox)" httpd -f -p 8091 -h /srv')
    assert fetch(neighbour, f"http://{address_of(engine)}:8091/") is None


def test_all_of_it_after_a_boot_and_a_reload(engine, neighbour, outside):
    restart_machine(engine)
    # Every file of sysctl.d once more, as packages and operators do.
    engine.run("sysctl --system")
    assert engine.check_output("sysctl -n net.ipv4.ip_forward") == "1"
    engine.check_output("ufw reload")
    guarded(engine, neighbour)
    assert egress(engine, outside) == "outside"


def test_the_engine_is_left_alone_by_upgrades(engine):
    assert "docker.io" in engine.check_output("apt-mark showhold").split()
