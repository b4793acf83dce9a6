"""The role and the vendor's package, whose control program a stand-in plays. The last test says what that does not show."""

import json
import os
import pathlib
import subprocess

import pytest

from conftest import EPHEMERAL, SECRET, play

OLD, NEW = "1.300064.0b1337-1", "1.300065.0b1400-1"


def sentence(done):
    """Words of a failed run, wrapped or not."""
    return " ".join((done.stdout + done.stderr).replace("\\n", " ").split())


def test_it_runs_with_what_was_declared(host):
    assert "ActiveState=active" in host.started() and host.out("systemctl is-enabled amazon-cloudwatch-agent") == "enabled"
    took = host.took()["configuration"]
    assert took == json.loads(host.out("cat /etc/botops/cloudwatch_agent.json"))
    assert took["logs"]["logs_collected"]["journald"]["collect_list"][0]["units"] == ["bot-paper.service"]
    assert host.version() == OLD


def test_each_cloud_and_rack_has_its_own_way_to_rights(downloads, brought):
    assert "shared_credential" not in downloads.took()["common"] and downloads.out("ls /etc/botops") == "cloudwatch_agent.json"
    assert '"/etc/botops/cloudwatch_agent.credentials"' in brought.took()["common"]
    assert brought.out("stat -c '%a %U' /etc/botops/cloudwatch_agent.credentials") == "600 root"
    assert SECRET in brought.out("cat /etc/botops/cloudwatch_agent.credentials")
    assert brought.out(f"grep -rlsI {SECRET} /etc /opt /var/lib/botops /run /var/log || true") == "/etc/botops/cloudwatch_agent.credentials"
    assert not downloads.out("ls /var/cache/botops/cloudwatch_agent 2>/dev/null || true"), "what was downloaded is not kept"


def test_a_change_restarts_it_and_nothing_else_does(host):
    before = host.started()
    done = play(limit=host.name)
    assert done.returncode == 0 and "changed=0" in done.stdout and host.started() == before
    done = play(limit=host.name, cloudwatch_agent_interval_seconds=30)
    assert done.returncode == 0 and host.started() != before, done.stdout
    assert host.took()["configuration"]["agent"]["metrics_collection_interval"] == 30
    assert play(limit=host.name).returncode == 0 and host.took()["configuration"]["agent"]["metrics_collection_interval"] == 60


def test_what_the_translator_refuses_is_put_back(host):
    """The declared value is good; a drop of poison on the host's side makes the control program say no, as an agent too old for a section does."""
    before, config = host.started(), host.out("cat /etc/botops/cloudwatch_agent.json")
    ctl = "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
    host.out(f"cp {ctl} /srv/ctl && sed -i '/^def judge/a \\    sys.exit(\"E! Invalid Json input schema: journald is not allowed\")' {ctl}")
    done = play(limit=host.name, cloudwatch_agent_interval_seconds=10)
    host.out(f"cp /srv/ctl {ctl}")
    assert done.returncode != 0 and "journald is not allowed" in sentence(done) and "the old ones were put back" in sentence(done)
    assert host.out("cat /etc/botops/cloudwatch_agent.json") == config and host.started() == before
    done = play(limit=host.name)
    assert done.returncode == 0 and "changed=0" in done.stdout


@pytest.mark.skipif(not os.environ.get("BOTOPS_CLOUDWATCH_SCHEMA"), reason="BOTOPS_CLOUDWATCH_SCHEMA does not name the vendor's schema")
def test_the_stand_in_judges_by_the_vendors_schema(host):
    wrong = {"agent": {}, "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/x", "retention_in_days": 31}]}}}}
    said = host.out(
        f"echo '{json.dumps(wrong)}' > /srv/wrong.json; "
        "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m auto -c file:/srv/wrong.json 2>&1 || true"
    )
    assert "Invalid Json input schema" in said and "31 is not one of" in said


def test_an_upgrade_is_asked_for_by_version(downloads):
    url = "https://packages.example.com/debian/amd64/1.300065.0b1400/amazon-cloudwatch-agent.deb"
    done = play(limit=downloads.name, cloudwatch_agent_version="1.300065.0b1400", cloudwatch_agent_url=url)
    assert done.returncode == 0 and downloads.version() == NEW and "ActiveState=active" in downloads.started(), done.stdout
    done = play(limit=downloads.name, cloudwatch_agent_version="1.300065.0b1400", cloudwatch_agent_url="https://packages.example.com/nowhere.deb")
    assert done.returncode == 0 and "changed=0" in done.stdout, "what is there is not downloaded again"


@pytest.mark.parametrize("directory", ["stranger", "tampered"])
def test_what_the_vendor_did_not_sign_is_not_installed(downloads, directory):
    url = f"https://packages.example.com/debian/amd64/{directory}/amazon-cloudwatch-agent.deb"
    before = downloads.version(), downloads.started()
    done = play(limit=downloads.name, cloudwatch_agent_version="9.9", cloudwatch_agent_url=url)
    assert done.returncode != 0 and "is not signed by the key" in sentence(done) and "nothing was installed" in sentence(done)
    assert (downloads.version(), downloads.started()) == before
    assert not downloads.out("ls /var/cache/botops/cloudwatch_agent 2>/dev/null || true"), "what was refused is not kept"


def test_another_file_of_the_control_node_is_an_upgrade(brought):
    newer = EPHEMERAL / "newer.deb"
    done = play(limit=brought.name, cloudwatch_agent_package=str(newer), cloudwatch_agent_checksum="0" * 64)
    assert done.returncode != 0 and brought.version() == OLD, "its checksum is another"
    checksum = subprocess.run(["sha256sum", newer], capture_output=True, text=True, check=True).stdout.split()[0]
    brought.out("rm /var/cache/botops/cloudwatch_agent/amazon-cloudwatch-agent.deb")
    done = play(limit=brought.name, cloudwatch_agent_package=str(newer), cloudwatch_agent_checksum=checksum)
    assert done.returncode == 0 and brought.version() == NEW and "ActiveState=active" in brought.started(), done.stdout
    assert "changed=0" in play(limit=brought.name, cloudwatch_agent_package=str(newer), cloudwatch_agent_checksum=checksum).stdout


def test_the_vendors_own_program_takes_it(brought):
    package = os.environ.get("BOTOPS_CLOUDWATCH_DEB")
    if not package:
        reason = (
            "BOTOPS_CLOUDWATCH_DEB names no package of the vendor's. Not shown therefore: that the vendor's translator takes the configuration, that its agent "
            "starts with it, and that anything arrives in CloudWatch"
        )
        print("not shown:", reason)
        pytest.skip(reason)
    subprocess.run(["docker", "cp", str(pathlib.Path(package)), f"{brought.container}:/srv/vendor.deb"], check=True)
    home = "/srv/vendor/opt/aws/amazon-cloudwatch-agent"
    brought.out(
        f"rm -rf /srv/vendor; dpkg-deb -x /srv/vendor.deb /srv/vendor; mkdir -p /srv/vendor/in; cp /etc/botops/cloudwatch_agent.json /srv/vendor/in/; "
        f"{home}/bin/config-translator --input-dir /srv/vendor/in --output /srv/vendor/out.toml --mode onPremise --multi-config remove; "
        "test -s /srv/vendor/out.toml"
    )
