"""A role's variables as its preflight reads them: its defaults, what a test changes, typed by its argument specification."""

from __future__ import annotations

import importlib
import pathlib

import yaml

from ansible_collections.botops.fleet.plugins.module_utils._preflight import _typed

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
CHECKS = "ansible_collections.botops.fleet.plugins.module_utils._preflight."


def read(role, file):
    return yaml.safe_load((ROLES / role / file).read_text()) or {}


def preflight(role, context=None, **changes):
    """(what the role reads, the sentences), as the action plugin makes them."""
    given = {name: value for name, value in read(role, "defaults/main.yml").items() if "{{" not in str(value)}
    given.update(changes)
    checks = importlib.import_module(CHECKS + role)
    families = getattr(checks, "FAMILIES", ())
    options = _typed.with_families(_typed.options_of(read(role, "meta/argument_specs.yml")["argument_specs"]), given, families)
    values, said = _typed.typed(options, {name: value for name, value in given.items() if name in options}, getattr(checks, "MULTILINE", ()))
    said = said or checks.check({**values, **(context or {})})
    return _typed.short(role, values, families), said


def refusals(role, context=None, **changes):
    """The sentences of that role's preflight."""
    return preflight(role, context, **changes)[1]


def typed_values(role, **changes):
    """What the role's variables and templates read."""
    return preflight(role, **changes)[0]
