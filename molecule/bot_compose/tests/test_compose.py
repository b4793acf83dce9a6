"""Compose mode: the unit owns the containers' life, whatever dies, and a bad image is taken back."""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bot_app/tests"))

from botlib import CACHE, enough, health, orders, placed, show, stats, wait_for  # noqa: E402

BUDGET = 10
CANARIES = ("canary-key-id", 'canary "quoted"', "canary-built-id", "canary-built-private")


def container(host, bot="paper"):
    return host.check_output("docker ps --quiet --no-trunc --filter label=com.docker.compose.project=bot-%s", bot)


def inspect(host, bot="paper"):
    return json.loads(host.check_output("docker inspect %s", container(host, bot)))[0]


def ticks(host, since):
    return [entry["order"]["tick"] for entry in orders(host, since) if entry["client_order_id"].startswith("paper.")]


def test_a_run_that_changes_nothing_stays_within_the_budget(site):
    run = site()
    assert run.code == 0, run.text
    print({name: f"{host['ok']} of {BUDGET} tasks" for name, host in run.recap.items()})
    assert all((host["changed"], host["ok"] <= BUDGET) == (0, True) for host in run.recap.values()), run.text


def test_both_bots_trade_as_their_own_users(root):
    for bot, port in (("paper", 8080), ("built", 8081)):
        assert health(root, port)["status"] == "ok"
        found = inspect(root, bot)
        assert found["Config"]["User"] == f"{root.user(f'bot-{bot}').uid}:{root.group(f'bot-{bot}').gid}"
        assert root.file(f"/var/lib/bot-{bot}/paper.db").user == f"bot-{bot}"
        assert found["HostConfig"]["RestartPolicy"]["Name"] == "no"
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
    before = stats(root)["orders"]
    wait_for("ten more orders", lambda: stats(root)["orders"] > before + 10)


def test_limits_and_ports(root):
    found = inspect(root)["HostConfig"]
    assert (found["Memory"], found["NanoCpus"], found["PidsLimit"]) == (128 << 20, 10**9, 512)
    assert found["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "100m"}}
    assert found["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}


def test_secrets_arrive_exactly_and_nobody_else_reads_them(root):
    assert 'PM_PRIVATE_KEY=canary "quoted" $HOME ${X} `x` \\ end' in inspect(root)["Config"]["Env"]
    override = root.file("/etc/bot-paper/compose.override.yml")
    assert (override.mode, override.user) == (0o600, "root")
    readable = "find /etc /opt /run /srv /tmp /usr/local /var -xdev -type f -perm /o=r -print0"
    assert "canary" not in root.run(readable + " | xargs -0 grep -laE 'canary[- ]'").stdout
    # What a bot writes about itself is its own affair (one test below deploys such a bot); sudo quotes this very test.
    for command in ("ps -eo args", "journalctl --no-pager | grep -v 'my key is'", "systemctl show bot-paper bot-built"):
        assert not [canary for canary in CANARIES if canary in root.check_output(command)], command


def comes_back(root, what, seconds):
    before, since = container(root), stats(root)["hosts"][root.backend.get_hostname()]["last_seq"]
    what(before)

    def back():
        return container(root) not in ("", before) and show(root, "bot-paper", "ActiveState")["ActiveState"] == "active"

    took = wait_for("back", back, 90)
    print(f"back after {took:.1f} s")
    wait_for("ten more orders", lambda: len(ticks(root, since)) > 10)
    seen = ticks(root, since)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    if took > seconds:
        enough(placed(root, "single")[0])
    assert took <= seconds


def test_a_killed_container_comes_back_by_the_unit(root):
    comes_back(root, lambda name: root.check_output("docker kill %s", name), 60)


def test_a_killed_unit_leaves_no_container_behind(root):
    comes_back(root, lambda name: root.check_output("systemctl kill --signal KILL bot-paper"), 60)
    assert len(container(root).split()) == 1


def test_a_hung_container_is_killed_and_comes_back(root):
    comes_back(root, lambda name: root.check_output("docker kill --signal STOP %s", name), 20)


def test_stop_means_gone(root):
    root.check_output("systemctl stop bot-built")
    assert root.check_output("docker ps --all --quiet --filter label=com.docker.compose.project=bot-built") == ""
    assert show(root, "bot-built", "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    root.check_output("systemctl start bot-built")
    assert health(root, 8081)["status"] == "ok"


def test_a_bad_image_is_taken_back_and_a_good_one_stays(deploy, everywhere):
    (host,) = everywhere
    before = host.check_output("readlink /opt/bot-paper/current")
    run = deploy("paper", version="broken")
    assert (
        run.code != 0
        and run.says("this image is broken")
        and run.says("was put back with its configuration and is healthy")
    ), run.text
    assert "canary" not in run.text
    assert host.check_output("readlink /opt/bot-paper/current") == before and health(host, 8080)["version"] == "1.0.0"
    run = deploy("paper", version="2")
    assert run.code == 0 and health(host, 8080)["version"] == "2.0.0", run.text
    assert deploy("paper", rollback="previous").code == 0 and health(host, 8080)["version"] == "1.0.0"
    assert deploy("paper").changed() == 0


def test_an_image_of_a_registry(site, deploy, bots, everywhere):
    """Real TLS, a real account; the login is on the host only while it is used, and a tag that moves moves nothing that runs."""
    (host,) = everywhere
    declared = bots("paper")
    for entry in declared:
        if entry["name"] == "paper":
            entry["source"] = {"type": "image", "image": "registry.lab:5443/paper", "version": "stable"}
    login = [{"registry": "registry.lab:5443", "username": "me", "password": "canary-registry"}]
    release = host.check_output("basename $(readlink /opt/bot-paper/current)")
    about = host.check_output("grep -l '\"version\": \"2\"' /opt/bot-paper/releases/*/.botops/release.json | head -1")
    newer = "bot-paper/bot:" + about.split("/")[4]

    def push(image):
        host.check_output("echo canary-registry | docker login --username me --password-stdin registry.lab:5443")
        host.check_output("docker tag %s registry.lab:5443/paper:stable && docker push --quiet registry.lab:5443/paper:stable", image)
        host.check_output("docker logout registry.lab:5443; docker image rm registry.lab:5443/paper:stable")

    push(f"bot-paper/bot:{release}")
    run = site(bot_app_bots=declared, bot_app_only="paper")
    assert run.code != 0 and run.changed() == 0 and run.says("the image registry.lab:5443/paper:stable cannot be found"), run.text
    given = {"bot_app_bots": declared, "bot_app_registries": login, "bot_app_only": "paper"}
    run = site("-vvv", **given)
    assert run.code == 0 and "canary-registry" not in run.text, run.text
    assert health(host, 8080)["version"] == "1.0.0"
    assert host.check_output("find /run /root /tmp -name 'bot-registry-*'") == ""
    assert "canary" not in host.run("cat /root/.docker/config.json").stdout
    push(newer)
    host.check_output("systemctl restart bot-paper")
    assert health(host, 8080)["version"] == "1.0.0"
    assert site(**given).code == 0 and health(host, 8080)["version"] == "2.0.0"
    del given["bot_app_only"]
    assert deploy("paper", rollback="previous", **given).code == 0 and health(host, 8080)["version"] == "1.0.0"
    assert site().code == 0


def test_a_restart_policy_is_overridden_and_under_ha_refused(site, bots, everywhere):
    (host,) = everywhere
    text = (CACHE / "source/compose.yml").read_text()
    other = CACHE / "restarting"
    host_bots = bots("built", source={"path": str(other)})
    other.mkdir(exist_ok=True)
    for path in ("Dockerfile", ".env"):
        (other / path).write_text((CACHE / "source" / path).read_text())
    (other / "paper_bot").mkdir(exist_ok=True)
    for path in (CACHE / "source/paper_bot").glob("*.py"):
        (other / "paper_bot" / path.name).write_text(path.read_text())
    (other / "compose.yml").write_text(re.sub("read_only: true", "read_only: true\n    restart: unless-stopped", text))
    before = host.check_output("readlink /opt/bot-built/current")
    run = site(bot_app_bots=host_bots, bot_app_ha=True, bot_app_only="built")
    assert run.code != 0 and run.says(
        "sets restart: unless-stopped, which would restart it behind the cluster's back"
    ), run.text
    assert host.check_output("readlink /opt/bot-built/current") == before and health(host, 8081)["status"] == "ok"
    run = site(bot_app_bots=host_bots, bot_app_only="built")
    assert run.code == 0 and run.says("is overridden; the unit restarts the bot"), run.text
    assert inspect(host, "built")["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert site().code == 0
