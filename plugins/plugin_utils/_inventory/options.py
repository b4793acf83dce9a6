# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the file's `sources` to source objects: every option typed, every mistake a sentence with its place."""

from __future__ import annotations

import difflib
import re

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.aws import AwsSource
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.digitalocean import DigitalOceanSource
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.gather import POLICIES
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.hosts import STATES, tag_filter
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.secret import literals
from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.static import StaticSource

TYPES = {source.TYPE: source for source in (DigitalOceanSource, AwsSource, StaticSource)}
COMMON = {
    "type": {"type": "str", "required": True, "choices": list(TYPES)},
    "name": {"type": "str"},
    "address": {"type": "str", "choices": ["private", "public", "auto"], "default": "auto"},
    "jump_host": {"type": "str"},
    "user": {"type": "str"},
    "vars": {"type": "dict", "default": {}},
    "tags": {"type": "raw"},
    "states": {"type": "list", "elements": "str", "choices": list(STATES)},
    "regions": {"type": "list", "elements": "str"},
    "on_error": {"type": "str", "choices": list(POLICIES), "default": "fail"},
}
CREDENTIALS = ("access_key", "secret_key", "aws_access_key", "aws_secret_key", "aws_access_key_id", "aws_secret_access_key",
               "session_token", "security_token", "aws_session_token")
NAME = re.compile(r"^[a-z][a-z0-9_]*$")
JUMP = re.compile(r"^([A-Za-z0-9._-]+@)?([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$")


def argument_spec(kind):
    return {**COMMON, **TYPES[kind].SPEC}


def _check_one(index, given):
    """(validated options, sentences) of one entry of `sources`."""
    where = "sources[%d]" % index
    if not isinstance(given, dict):
        return None, ["%s must be a mapping with a type, for example {type: digitalocean}" % where]
    kind = given.get("type")
    if kind not in TYPES:
        near = difflib.get_close_matches(str(kind), TYPES, 1)
        hint = "; did you mean %s?" % near[0] if near else ""
        return None, ["%s.type is %s, which is not a source: use one of %s%s" % (where, kind or "missing", ", ".join(TYPES), hint)]
    where = "%s (%s)" % (where, given.get("name") or kind)
    spec = argument_spec(kind)
    said = []
    for key in given:
        if key in spec:
            continue
        if key in CREDENTIALS:
            said.append("%s: %s is not an option: credentials come from profile, role_arn or the environment" % (where, key))
            continue
        near = difflib.get_close_matches(str(key), spec, 1)
        hint = "did you mean %s?" % near[0] if near else "it knows %s." % ", ".join(sorted(spec))
        said.append("%s: there is no option %s; %s" % (where, key, hint))
    if said:
        return None, said
    checked = ArgumentSpecValidator(spec, **TYPES[kind].RULES).validate(given)
    if checked.error_messages:
        return None, ["%s: %s" % (where, message) for message in checked.error_messages]
    options = checked.validated_parameters
    options["name"] = options["name"] or kind
    if not NAME.match(options["name"]):
        said.append("%s: name must be lower-case letters, digits and underscores, because a group is named after it" % where)
    if options["jump_host"] and not JUMP.match(options["jump_host"]):
        said.append("%s: jump_host must be [USER@]HOST[:PORT], not %s" % (where, options["jump_host"]))
    try:
        options["tags"] = tag_filter(options["tags"])
        said += ["%s: %s" % (where, sentence) for sentence in TYPES[kind].check(options)]
    except InventoryError as error:
        said.append("%s: %s" % (where, error))
    return options, said


def refuse_literals(raw):
    """Before any template is rendered: afterwards nobody can tell where a secret came from."""
    said = literals(raw)
    if said:
        raise InventoryError("\n".join(said))


def make_sources(given, context):
    """Source objects from validated options. All mistakes of all sources are told at once."""
    if not isinstance(given, list) or not given:
        raise InventoryError("sources must be a list with at least one entry, for example [{type: digitalocean}]")
    said, checked = [], []
    for index, entry in enumerate(given):
        options, sentences = _check_one(index, entry)
        said += sentences
        if not sentences:
            checked.append(options)
            if options["on_error"] == "stale" and not context.cache:
                said.append("sources[%d] (%s): on_error: stale needs cache: true, or there is nothing to fall back to"
                            % (index, options["name"]))
    names = [options["name"] for options in checked]
    for name in sorted({name for name in names if names.count(name) > 1}):
        said.append("sources: %d of them are called %s; give each its own name" % (names.count(name), name))
    if said:
        raise InventoryError("\n".join(said))
    return [TYPES[options["type"]](options, context) for options in checked]
