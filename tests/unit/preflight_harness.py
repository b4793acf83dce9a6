"""A role's variables as its preflight reads them: its defaults, what a test changes, typed by its argument specification."""

from __future__ import annotations

import importlib
import pathlib

import yaml

from ansible_collections.botops.fleet.plugins.plugin_utils._preflight import _typed

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
CHECKS = "ansible_collections.botops.fleet.plugins.plugin_utils._preflight."


def read(role, file):
    return yaml.safe_load((ROLES / role / file).read_text()) or {}


def judged(role, changes):
    """(the role's checks, its typed variables by their full names, sentences about types)."""
    given = {name: value for name, value in read(role, "defaults/main.yml").items() if "{{" not in str(value)}
    given.update(changes)
    checks = importlib.import_module(CHECKS + role)
    options = _typed.with_families(
        _typed.options_of(read(role, "meta/argument_specs.yml")["argument_specs"]), given, getattr(checks, "FAMILIES", ())
    )
    values, said = _typed.typed(options, {name: value for name, value in given.items() if name in options}, getattr(checks, "MULTILINE", ()))
    return checks, values, said


def refusals(role, context=None, **changes):
    """The sentences of that role's preflight."""
    checks, values, said = judged(role, changes)
    return said or checks.check({**values, **(context or {})})


def typed_values(role, **changes):
    """What the role's variables and templates read."""
    checks, values, said = judged(role, changes)
    assert not said, said
    return _typed.short(role, values, getattr(checks, "FAMILIES", ()))


def listens(role, **changes):
    """(variable, address, port) of all on which that role's services would listen."""
    checks, values, said = judged(role, changes)
    assert not said, said
    return checks.listens(values)
