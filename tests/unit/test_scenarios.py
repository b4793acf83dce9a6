"""The workflow knows every scenario, and its matrix of releases reaches the hosts of each."""

import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())


def test_the_workflow_runs_every_scenario():
    assert sorted(WORKFLOW["jobs"]["molecule"]["strategy"]["matrix"]["scenario"]) == SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_matrix_chooses_the_release(name):
    platforms = (yaml.safe_load((ROOT / f"molecule/{name}/molecule.yml").read_text()) or {}).get("platforms", [])
    # Without platforms of its own a scenario has the shared ones, which follow the matrix.
    assert not platforms or any(platform["release"].startswith("${MOLECULE_RELEASE:-") for platform in platforms)
