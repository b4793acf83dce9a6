"""A firewall rule is described to operators by the role and to Ansible by the module: both say the same."""

import pathlib

import yaml

from ansible_collections.botops.fleet.plugins.modules import ufw_ruleset

ROOT = pathlib.Path(__file__).resolve().parents[3]


def essence(options):
    """No default and an empty one are the same here: nothing is matched by."""
    return {
        name: (about.get("type", "str"), about.get("elements"), about.get("default") or None, sorted(about.get("choices", [])), about.get("required", False))
        for name, about in options.items()
    }


def test_the_role_and_the_module_describe_a_rule_alike():
    specification = yaml.safe_load((ROOT / "roles/hardening/meta/argument_specs.yml").read_text())
    role = specification["argument_specs"]["main"]["options"]["hardening_firewall_rules"]["options"]
    documented = yaml.safe_load(ufw_ruleset.DOCUMENTATION)["options"]["rules"]["suboptions"]
    assert essence(role) == essence(ufw_ruleset.RULE) == essence(documented)
