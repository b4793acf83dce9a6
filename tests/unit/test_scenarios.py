"""The workflow knows every scenario, and its matrix of releases reaches the hosts of each."""

import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())


# Roles that run on the control node: tests/cloud runs their playbooks against emulated vendors.
WITHOUT_HOSTS = {"fleet"}


def test_every_role_has_a_scenario_of_its_name():
    assert {path.name for path in ROOT.glob("roles/*")} - WITHOUT_HOSTS <= set(SCENARIOS)


def test_the_lowest_core_that_is_claimed_is_tested():
    claimed = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    cores = [entry["core"] for entry in WORKFLOW["jobs"]["core"]["strategy"]["matrix"]["include"]]
    assert claimed == f">={min(cores, key=lambda core: int(core.split('.')[1]))}.0"


def test_the_workflow_runs_every_scenario():
    assert sorted(WORKFLOW["jobs"]["molecule"]["strategy"]["matrix"]["scenario"]) == SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_matrix_chooses_the_release(name):
    platforms = (yaml.safe_load((ROOT / f"molecule/{name}/molecule.yml").read_text()) or {}).get("platforms", [])
    # Without platforms of its own a scenario has the shared ones, which follow the matrix.
    assert not platforms or any(platform["release"].startswith("${MOLECULE_RELEASE:-") for platform in platforms)
