"""A role documents what it takes: its argument specs name its defaults, and what has none is required."""

import pathlib
import re

import pytest
import yaml

ROLES = sorted(path.parent.parent for path in (pathlib.Path(__file__).resolve().parents[3] / "roles").glob("*/meta/argument_specs.yml"))


def options(role):
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_argument_specs_name_the_same_variables(role):
    defaults = set(yaml.safe_load((role / "defaults/main.yml").read_text()) or {})
    documented = options(role)
    required = {name for name, option in documented.items() if option.get("required")}
    assert defaults - set(documented) == set(), "without documentation"
    assert set(documented) - defaults - required == set(), "neither a default nor required"
    assert all(name.startswith(role.name + "_") for name in documented)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_a_readme_and_a_table_of_contents(role):
    assert (role / "README.md").stat().st_size > 500
    assert len((role / "tasks/main.yml").read_text().splitlines()) <= 120


def test_every_role_is_looked_at():
    assert {role.name for role in ROLES} == {path.name for path in ROLES[0].parent.iterdir() if path.is_dir()}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_reads_typed_values_and_never_its_public_variables(role):
    """-e gives text, and the text "no" is true: what preflight typed is in _<role>_vars."""
    names = "|".join(sorted(options(role), key=len, reverse=True))
    read = re.compile(r"(?<![\w.'/\"-])(%s)\b(?!:|=)" % names)
    found = []
    for path in [*role.glob("tasks/*.yml"), *role.glob("vars/*.yml"), *role.glob("templates/*")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if read.search(line.split("#")[0]):
                found.append(f"{path.relative_to(role)}:{number}: {line.strip()}")
    assert found == []
