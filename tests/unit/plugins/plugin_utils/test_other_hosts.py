"""A bot's settings that come from a third host, read from the other member and the witness."""

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.botops.fleet.plugins.plugin_utils import _pair
from ansible_collections.botops.fleet.plugins.plugin_utils._other_hosts import variables

INVENTORY = {
    "all": {
        "hosts": {"localhost": {"fleet_outputs": {"bot": "paper"}}},
        "children": {
            "cluster_nodes": {
                "hosts": {"alpha": {"ansible_host": "192.0.2.1"}, "beta": {"ansible_host": "192.0.2.2"}},
                "vars": {"bot_app_bots": [{"name": "{{ hostvars.localhost.fleet_outputs.bot }}"}]},
            },
            "cluster_witness": {"hosts": {"gamma": {}}},
        },
    },
}


@pytest.fixture
def hostvars(tmp_path):
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "inventory.yml")])
    return HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)


def test_what_runs_follows_from_a_bot_whose_name_a_third_host_tells(hostvars):
    groups = {"cluster_nodes": ["alpha", "beta"], "cluster_witness": ["gamma"]}
    assert [group["id"] for group in _pair.cluster(groups, hostvars)["groups"]] == ["paper"]
    assert _pair.addresses(groups, hostvars) == {"alpha": "192.0.2.1", "beta": "192.0.2.2"}
    assert _pair.network(groups, hostvars, "beta")["peers"] == ["192.0.2.1"]


def test_it_is_a_mapping_like_any_other(hostvars):
    alpha = variables(hostvars, "alpha")
    assert alpha["ansible_host"] == "192.0.2.1" and alpha.get("nothing") is None and "bot_app_bots" in alpha
    assert len(alpha) == len(list(alpha)) > 2
    assert variables({"alpha": {"x": 1}}, "alpha") == {"x": 1}
