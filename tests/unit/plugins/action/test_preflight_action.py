"""The action plugin inside Ansible: where values come from, what they become, and what is shown of them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
SITE = {"name": "a.example.com", "certificate": {"type": "none"}, "locations": [{"path": "/", "respond": {"body": "x"}}]}
BOT = {"name": "paper", "module": "paper_bot", "source": {"type": "git", "url": "https://example.com/b.git"}, "secrets": {"KEY": "canary-secret"}}


@pytest.fixture
def preflight(tmp_path):
    def run(role, extra=None, then=None, others=(), **variables):
        tasks = [
            # Makes the role's defaults known to the play and does nothing.
            {"name": "Role", "ansible.builtin.import_role": {"name": f"botops.fleet.{role}", "rolespec_validate": False}, "tags": ["never"]},
            {"name": "Preflight", "botops.fleet.preflight": {"role": role, "others": list(others)}, "register": "asked"},
            {"name": "Show", "ansible.builtin.debug": {"msg": "FOUND {{ %s }}" % (then or "'nothing'")}},
        ]
        play = {"name": "Preflight", "hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-vvv", "-i", "localhost,", str(tmp_path / "play.yml"),
             "-e", json.dumps(extra or {})],
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "facts")},
            capture_output=True, text=True, timeout=120, check=False,
        )
        return done.stdout + done.stderr

    return run


def test_text_from_the_command_line_is_coerced_and_templates_are_resolved(preflight):
    said = preflight(
        "hardening", extra={"hardening_unattended_reboot": "no", "hardening_rollback_seconds": "600"}, port=2222,
        hardening_ssh_ports=["{{ port }}"], hardening_firewall_rules_web=[{"port": [80], "route": "no"}],
        then="[asked.typed.unattended_reboot, asked.typed.rollback_seconds + 1, asked.typed.ssh_ports, "
             "asked.typed.all_firewall_rules.hardening_firewall_rules_web[0].route]",
    )
    assert "FOUND [False, 601, [2222], False]" in said, said


def test_a_secret_arrives_and_is_shown_at_no_verbosity(preflight, tmp_path):
    said = preflight("bot_app", bot_app_bots=[BOT], then="asked.typed.bots[0].secrets.KEY | length")
    assert "FOUND 13" in said and "canary" not in said, said
    assert not any("canary" in path.read_text() for path in tmp_path.glob("facts/*"))


def test_parts_of_a_host_are_compared(preflight):
    said = preflight("nginx", nginx_sites=[SITE], nginx_status_port=2222, hardening_ssh_ports=[2222])
    assert "nginx_status_port: port 2222 is taken by hardening_ssh_ports[0], and one of the two would not start" in said, said
    # A part whose variables make no sense is refused by its own role.
    assert "FOUND nothing" in preflight("nginx", nginx_sites=[SITE], bot_app_bots="paper")


def test_what_cannot_be_resolved_names_its_variable(preflight):
    assert "hardening_motd: 'nowhere' is undefined" in preflight("hardening", hardening_motd="{{ nowhere }}")


def test_other_roles_variables_come_typed_and_with_their_own_defaults(preflight):
    then = ("[asked.others.hardening.ssh_ports, asked.others.hardening.umask, asked.others.backups.repositories | length, "
            "asked.others.hardening.all_firewall_rules.hardening_firewall_rules_web | length]")
    said = preflight("compliance", others=["hardening", "backups"], hardening_ssh_ports=["2222"], then=then,
                     hardening_firewall_rules_web=[{"port": [80]}], backups_repositories=[], compliance_accounts=[])  # fmt: skip
    assert "FOUND [[2222], '027', 0, 1]" in said, said


def test_another_role_whose_variables_make_no_sense_is_named(preflight):
    said = preflight("compliance", others=["hardening"], hardening_ssh_ports=["ssh"], compliance_accounts=[])
    assert "hardening_ssh_ports[0]: must be one whole number" in said and "FOUND" not in said.replace("FOUND {{", ""), said
