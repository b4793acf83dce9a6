"""What the engine and the policy do, seen from the host, from a neighbour, and from inside containers."""

import json

import pytest
from probe import address_of, egress, eventually, fetch, guarded, reach, restart_machine
from sandbox import assert_sandboxed


def started(engine, name):
    return engine.check_output(f"docker inspect -f '{{{{.State.StartedAt}}}} {{{{.State.Pid}}}}' {name}")


def test_published_ports_follow_the_declaration(engine, neighbour):
    guarded(engine, neighbour)


def test_a_declared_port_is_shut_for_other_sources(engine):
    other = reach("docker-debian13" if engine.backend.host == "docker-debian12" else "docker-debian12")
    assert fetch(other, f"http://{address_of(engine)}:8081/") is None
    assert fetch(engine, f"http://{address_of(engine)}:8081/") == "answered"


def test_a_port_without_an_address_is_published_on_loopback(engine):
    ports = json.loads(engine.check_output("docker inspect -f '{{json .NetworkSettings.Ports}}' looped"))
    assert {binding["HostIp"] for binding in ports["80/tcp"]} == {"127.0.0.1"}


def test_a_neighbour_cannot_route_to_a_container(engine, neighbour):
    inside = engine.check_output("docker inspect -f '{{.NetworkSettings.IPAddress}}' looped")
    assert fetch(engine, f"http://{inside}/") == "answered"
    # The neighbour has a container network of the same range: a route to the one address is more exact.
    neighbour.check_output(f"ip route replace {inside}/32 via {address_of(engine)}")
    try:
        assert fetch(neighbour, f"http://{inside}/") is None
    finally:
        neighbour.check_output(f"ip route del {inside}/32")


def test_containers_reach_the_outside(engine, outside):
    assert egress(engine, outside) == "outside"


def test_containers_reach_each_other_and_published_ports(engine):
    inside = engine.check_output("docker inspect -f '{{.NetworkSettings.IPAddress}}' undeclared")
    assert egress(engine, f"http://{inside}/") == "answered"
    assert egress(engine, f"http://{address_of(engine)}:8080/") == "answered"


def test_compose(engine, neighbour):
    """Networks that Compose makes have a bridge and defaults of their own."""
    assert engine.check_output("docker compose version --short").lstrip("v").startswith("2.")
    project = {
        "services": {
            "web": {"image": "probe", "command": "httpd -f -p 80 -h /www", "ports": ["8083:80", "0.0.0.0:8084:80"]},
            "client": {"image": "probe", "command": "sleep 600", "stop_grace_period": "1s"},
        }
    }
    engine.check_output(f"mkdir -p /srv/project && echo '{json.dumps(project)}' > /srv/project/compose.yaml")
    engine.check_output("docker compose -f /srv/project/compose.yaml up -d --quiet-pull --pull never")
    try:
        assert eventually(lambda: fetch(engine, "http://127.0.0.1:8083/")) == "answered"
        ports = json.loads(engine.check_output("docker inspect -f '{{json .NetworkSettings.Ports}}' project-web-1"))
        assert sorted(binding["HostIp"] for binding in ports["80/tcp"]) == ["0.0.0.0", "127.0.0.1"]
        assert fetch(neighbour, f"http://{address_of(engine)}:8084/") is None
        ask = "docker compose -f /srv/project/compose.yaml exec -T client wget -q -O - -T 5 http://web/"
        assert engine.check_output(ask) == "answered"
    finally:
        engine.check_output("docker compose -f /srv/project/compose.yaml down -t 1")


def test_logs_are_bounded(engine):
    config = json.loads(engine.check_output("docker inspect -f '{{json .HostConfig.LogConfig}}' looped"))
    assert config == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "100m"}}


def test_engine_packages_are_held(engine):
    held = engine.check_output("apt-mark showhold").split()
    own = {"docker-debian12": ["containerd.io", "docker-ce", "docker-ce-cli"], "docker-debian13": ["containerd", "docker-cli", "docker.io"]}
    assert sorted(held) == own[engine.backend.host]


def test_repository_is_judged_by_its_key(engine):
    if engine.backend.host != "docker-debian12":
        pytest.skip("only Debian 12 has Docker's repository in this scenario")
    assert not engine.file("/etc/apt/sources.list.d/docker.list").exists
    engine.check_output("mkdir -p /srv/only /srv/lists && cp /etc/apt/sources.list.d/docker.sources /srv/only/")
    options = "-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/srv/only -o Dir::State::Lists=/srv/lists"
    update = f"rm -rf /srv/lists/*; apt-get update {options}"
    release = "/srv/repository/linux/debian/dists/bookworm/InRelease"
    accepted = engine.run(update)
    assert accepted.rc == 0
    assert "InRelease" in accepted.stdout
    # The same repository, changed by somebody on the way.
    engine.check_output(f"sed -i 's/^Suite: bookworm/Suite: changed/' {release}")
    try:
        refused = engine.run(update)
        assert "BADSIG" in refused.stdout + refused.stderr
    finally:
        engine.check_output(f"sed -i 's/^Suite: changed/Suite: bookworm/' {release}")


def test_members_of_the_group_need_no_sudo(engine):
    expected = 0 if engine.backend.host == "docker-debian12" else 1
    assert engine.run("runuser -u admin -- docker ps").rc == expected


def test_prune_takes_what_is_old_and_spares_what_is_labelled(engine):
    engine.check_output("docker create --name stopped probe sleep 1")
    assert engine.run("systemctl start botops-docker-prune.service").rc == 0
    # Made a moment ago, so a week has not passed.
    assert engine.run("docker inspect stopped").rc == 0
    assert engine.run("docker rm stopped").rc == 0
    assert engine.run("docker inspect declared").rc == 0
    assert engine.check_output("systemctl is-enabled botops-docker-prune.timer") == "enabled"


def test_nothing_is_left_under_the_names_of_an_earlier_version(engine):
    """Only Debian 13 had any; on the others this says that the names are free."""
    units = engine.check_output("systemctl list-units --all --plain --no-legend 'docker-prune*' 'docker-user-policy*'")
    assert units == ""
    assert engine.check_output("find /etc /usr/local /var/lib/systemd -name '*docker-prune*' -o -name '*docker-user-policy*' | grep -v botops- || true") == ""


def test_nothing_refused_by_systemd(engine):
    units = "botops-docker-policy.service botops-docker-prune.service botops-docker-prune.timer"
    verdict = engine.run(f"cd /etc/systemd/system && systemd-analyze verify {units}")
    assert verdict.rc == 0, verdict.stderr


def test_its_units_are_sandboxed(engine):
    assert_sandboxed(engine.check_output, ["botops-docker-prune.service", "botops-docker-policy.service"])


def test_policy_without_compose_on_the_older_engine(neighbour):
    """Debian 12's own engine knows neither default-network-opts nor --validate."""
    assert neighbour.check_output("docker version --format '{{.Server.Version}}'").startswith("20.10")
    assert neighbour.run("botops-docker-policy check").rc == 0
    assert neighbour.run("docker compose version").rc != 0


def test_policy_survives_a_restart_of_the_engine(engine, neighbour):
    before = started(engine, "declared")
    engine.check_output("systemctl restart docker")
    guarded(engine, neighbour)
    # live-restore: the engine was restarted, the container was not.
    assert started(engine, "declared") == before


def test_policy_survives_ufw(engine, neighbour):
    engine.check_output("ufw reload")
    guarded(engine, neighbour)
    engine.check_output("ufw disable")
    guarded(engine, neighbour)
    engine.check_output("ufw --force enable")
    guarded(engine, neighbour)


def test_foreign_rules_in_docker_user_stay(engine, neighbour):
    engine.check_output("iptables -I DOCKER-USER 1 -s 198.51.100.0/24 -j DROP")
    assert engine.run("botops-docker-policy check").rc == 1
    engine.check_output("botops-docker-policy apply")
    rules = engine.check_output("iptables -S DOCKER-USER").splitlines()
    assert rules[1:3] == ["-A DOCKER-USER -j FLEET-PUBLISHED", "-A DOCKER-USER -s 198.51.100.0/24 -j DROP"]
    engine.check_output("iptables -D DOCKER-USER -s 198.51.100.0/24 -j DROP")
    guarded(engine, neighbour)


def test_both_families_are_guarded(engine):
    for tool in ("iptables", "ip6tables"):
        rules = engine.check_output(f"{tool} -S")
        assert "-A FORWARD -j DOCKER-USER" in rules
        assert "-A FLEET-PUBLISHED -m conntrack --ctstate DNAT -j DROP" in rules


def test_policy_and_forwarding_survive_a_boot(engine, neighbour, outside):
    # As hardening would: a file that sorts earlier and says no.
    engine.check_output("echo net.ipv4.ip_forward=0 > /etc/sysctl.d/60-security.conf")
    restart_machine(engine)
    # Applied again by hand, as a package or an operator does.
    engine.run("sysctl --system")
    assert engine.check_output("sysctl -n net.ipv4.ip_forward") == "1"
    guarded(engine, neighbour)
    assert egress(engine, outside) == "outside"
    engine.check_output("rm /etc/sysctl.d/60-security.conf")
