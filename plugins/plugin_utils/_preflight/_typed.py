# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role's variables as its argument specification types them. Ansible's validator coerces; what it would misread is refused first."""

from __future__ import annotations

import re

from ansible.module_utils.common import validation
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import BOOLEANS_FALSE, BOOLEANS_TRUE

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def options_of(specs):
    """The options of all entry points, by name. What only another entry point needs is required there alone."""
    found = {}
    for entry_point, spec in sorted(specs.items(), key=lambda item: item[0] != "main"):
        for name, option in (spec.get("options") or {}).items():
            found.setdefault(name, option if entry_point == "main" else {**option, "required": False})
    return found


def with_families(options, names, families):
    """With the options of all variables that are named <family>_<anything>: each is judged as <family>."""
    more = {name: options[family] for family in families for name in names if name.startswith(family + "_") and name not in options}
    return {**options, **more}


def short(role, values, families=()):
    """What the role reads: names without its prefix, and under all_<family> the variables of a family by their full names."""
    found = {name[len(role) + 1 :]: value for name, value in values.items()}
    for family in families:
        members = sorted(name for name in values if name == family or name.startswith(family + "_"))
        found["all_" + family[len(role) + 1 :]] = {name: values[name] for name in members}
    return found


def typed(options, given, multiline=()):
    """(typed values, sentences). `multiline` names the options, with dots for inner ones, that may hold line breaks."""
    said = ["%s: is missing; write it" % name for name, option in options.items() if option.get("required") and name not in given]
    for name, value in given.items():
        said += misread(name, name, options[name], value, multiline)
    result = ArgumentSpecValidator(options).validate(given)
    said = said or [text.rstrip(".") for text in result.error_messages]
    if said:
        return {}, [remove_values(text, result._no_log_values) for text in said]
    return {name: without_absent(options[name], value) for name, value in result.validated_parameters.items()}, []


def misread(where, path, option, value, multiline):
    """Sentences about what is not of its type, and about what Ansible would take for it: nulls, text for lists, booleans for numbers."""
    kind = option.get("type", "str")
    if value is None:
        return ["%s: has no value (null); write one, or leave the line out" % where]
    if kind == "list":
        # A number cannot be taken apart: `port: 80` is a list of one, as everywhere in Ansible. A text may be meant as several.
        if option.get("elements") in ("int", "str") and isinstance(value, int) and not isinstance(value, bool):
            return []
        if not isinstance(value, (list, tuple)):
            return ["%s: must be a list, not %s; write [%s]" % (where, shown(option, value), example(option, value))]
        element = {**option, "type": option.get("elements", "raw")}
        return [text for index, item in enumerate(value) for text in misread("%s[%d]" % (where, index), path, element, item, multiline)]
    if kind == "dict":
        if not isinstance(value, dict):
            return ["%s: must hold keys with values, not %s; write them as {key: value}" % (where, shown(option, value))]
        if option.get("options"):
            return misread_keys(where, path, option["options"], value, multiline)
    if kind in ONE:
        if said := misread_one(kind, option, value):
            return ["%s: %s" % (where, said)]
    return unprintable(where, path, value, multiline)


def misread_keys(where, path, options, value, multiline):
    said = ["%s.%s: is missing; write it" % (where, key) for key, option in options.items() if option.get("required") and key not in value]
    for key, item in value.items():
        if key in options:
            said += misread("%s.%s" % (where, key), "%s.%s" % (path, key), options[key], item, multiline)
        else:
            said.append("%s.%s: unknown key; known are %s" % (where, key, ", ".join(sorted(options))))
    return said


ONE = {
    "str": ("one text", validation.check_type_str), "path": ("one path", validation.check_type_str),
    "int": ("one whole number", validation.check_type_int), "float": ("one number", validation.check_type_float),
    "bool": ("true or false", validation.check_type_bool),
}


def misread_one(kind, option, value):
    wanted, coerce = ONE[kind]
    choices = option.get("choices") or ()
    boolean = isinstance(value, bool)
    if isinstance(value, (list, tuple, dict)) or (boolean and kind in ("int", "float")):
        return "must be %s, not %s" % (wanted, shown(option, value))
    # YAML reads a bare no as false: Ansible's validator puts the one choice back that can be meant.
    if boolean and kind in ("str", "path") and len((BOOLEANS_TRUE if value else BOOLEANS_FALSE).intersection(choices)) != 1:
        return "must be %s, not %s; put it in quotes" % (wanted, shown(option, value))
    try:
        coerced = coerce(value)
    except TypeError:
        return "must be %s, not %s" % (wanted, shown(option, value))
    if choices and not boolean and coerced not in choices:
        return "%s is none of %s; write one of them" % (shown(option, value), ", ".join(map(str, choices)))
    return ""


def unprintable(where, path, value, multiline):
    """One line stays one line in units and configuration files."""
    if path in multiline:
        return []
    if isinstance(value, str) and CONTROL.search(value):
        return ["%s: holds a line break or another control character; write it in one line" % where]
    inner = []
    if isinstance(value, dict):
        inner = [("%s.%s" % (where, str(key).splitlines()[0] if str(key) else key), part) for key, item in value.items() for part in (key, item)]
    elif isinstance(value, (list, tuple)):
        inner = [("%s[%d]" % (where, index), item) for index, item in enumerate(value)]
    return [text for place, item in inner for text in unprintable(place, path, item, multiline)]


def shown(option, value):
    if secret(option):
        return "what is there"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "the text %r" % text[:60] if isinstance(value, str) else text


def example(option, value):
    if secret(option) or isinstance(value, dict) or not str(value).strip():
        return "{…}" if option.get("elements") == "dict" else "…"
    return ", ".join(part.strip() for part in str(value)[:60].strip("[]").split(","))


def secret(option):
    return bool(option.get("no_log")) or any(secret(inner) for inner in (option.get("options") or {}).values())


def without_absent(option, value):
    """The validator adds a null for each key that is not there."""
    inner = option.get("options")
    if inner and isinstance(value, list):
        return [without_absent(option, item) for item in value]
    if inner and isinstance(value, dict):
        return {key: without_absent(inner[key], item) for key, item in value.items() if item is not None}
    return value
