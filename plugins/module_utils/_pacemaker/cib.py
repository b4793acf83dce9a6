# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pure functions from a declaration to a changed CIB. Nothing here talks to a cluster.

What the module made carries a mark inside the CIB itself: a tag (TAG) that refers to every element it owns. That is how
an element that is no longer declared is told from one that somebody else made, on whichever node the question is asked.
"""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET

TAG = "botops-fleet"
BOOTSTRAP = "cib-bootstrap-options"
# Set at run time by `crm_resource --disable`, `--unmanage` and friends: an operator's decision, which a declaration that
# does not speak of it leaves alone.
RUNTIME_META = ("target-role", "is-managed", "maintenance")
SECRET = re.compile(r"passw|secret|token|private|access_key|session_key", re.IGNORECASE)
NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
RESOURCE_TAGS = ("primitive", "group", "clone")


class Invalid(Exception):
    """The declaration contradicts itself; the text says where and what to write instead."""


def text(value):
    """As Pacemaker writes it: lower-case booleans, everything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def nvset(tag, owner, values):
    element = ET.Element(tag, id="%s-%s" % (owner, tag))
    for name in sorted(values):
        ET.SubElement(element, "nvpair", id="%s-%s" % (element.get("id"), name), name=name, value=text(values[name]))
    return element


# --- from the declaration to elements -------------------------------------------------------------------


def agent_attributes(agent):
    parts = agent.split(":")
    if parts[0] == "ocf" and len(parts) == 3:
        return {"class": "ocf", "provider": parts[1], "type": parts[2]}
    if parts[0] in ("systemd", "stonith", "lsb", "service") and len(parts) == 2:
        return {"class": parts[0], "type": parts[1]}
    raise Invalid("agent %r is not known: write ocf:PROVIDER:NAME, systemd:UNIT or stonith:AGENT" % agent)


def primitive(spec):
    element = ET.Element("primitive", id=spec["id"], **agent_attributes(spec["agent"]))
    if spec.get("options"):
        element.append(nvset("instance_attributes", spec["id"], spec["options"]))
    if spec.get("meta"):
        element.append(nvset("meta_attributes", spec["id"], spec["meta"]))
    if spec.get("operations"):
        operations = ET.SubElement(element, "operations")
        for operation in spec["operations"]:
            settings = {name: text(value) for name, value in operation.items() if value is not None}
            settings.setdefault("interval", "0s")
            settings["id"] = "%s-%s-%s" % (spec["id"], settings["name"], settings["interval"])
            ET.SubElement(operations, "op", settings)
    return element


def resources(declared, groups):
    by_id = {}
    for spec in declared:
        if spec["id"] in by_id:
            raise Invalid("resource %s is declared twice" % spec["id"])
        by_id[spec["id"]] = spec
    made, placed = [], {}
    for group in groups:
        element = ET.Element("group", id=group["id"])
        if group.get("meta"):
            element.append(nvset("meta_attributes", group["id"], group["meta"]))
        for member in group["members"]:
            if member not in by_id:
                raise Invalid("group %s names the member %s, which is not declared as a resource" % (group["id"], member))
            if member in placed:
                raise Invalid("resource %s is a member of %s and of %s" % (member, placed[member], group["id"]))
            placed[member] = group["id"]
            element.append(primitive(by_id[member]))
        if not group["members"]:
            raise Invalid("group %s has no members" % group["id"])
        made.append(element)
    for spec in declared:
        if spec["id"] in placed:
            continue
        element = primitive(spec)
        if spec.get("clone") is not None:
            clone = ET.Element("clone", id="%s-clone" % spec["id"])
            if spec["clone"]:
                clone.append(nvset("meta_attributes", clone.get("id"), spec["clone"]))
            clone.append(element)
            element = clone
        made.append(element)
    return made


def constraint(spec):
    kind = spec["type"]
    score = text(spec.get("score") or "INFINITY")
    if kind == "location":
        need(spec, "resource", "node")
        fallback = "location-%s-%s" % (spec["resource"], spec["node"])
        settings = {"rsc": spec["resource"], "node": spec["node"], "score": score}
        tag = "rsc_location"
    elif kind == "colocation":
        need(spec, "resource", "with")
        fallback = "colocation-%s-%s" % (spec["resource"], spec["with"])
        settings = {"rsc": spec["resource"], "with-rsc": spec["with"], "score": score}
        tag = "rsc_colocation"
    else:
        need(spec, "first", "then")
        fallback = "order-%s-%s" % (spec["first"], spec["then"])
        settings = {"first": spec["first"], "then": spec["then"], "kind": spec.get("kind") or "Mandatory"}
        if spec.get("symmetrical") is not None:
            settings["symmetrical"] = text(spec["symmetrical"])
        tag = "rsc_order"
    return ET.Element(tag, id=spec.get("id") or fallback, **settings)


def need(spec, *names):
    for name in names:
        if not spec.get(name):
            raise Invalid("a %s constraint needs %s: %s" % (spec["type"], " and ".join(names), spec))


def topology(levels):
    made = []
    for node in sorted(levels):
        for index, devices in enumerate(levels[node], start=1):
            made.append(
                ET.Element("fencing-level", id="fencing-%s-%d" % (node, index), target=node, index=str(index),
                           devices=",".join(devices))
            )
    return made


def alert(spec):
    element = ET.Element("alert", id=spec["id"], path=spec["path"])
    if spec.get("meta"):
        element.append(nvset("meta_attributes", spec["id"], spec["meta"]))
    if spec.get("options"):
        element.append(nvset("instance_attributes", spec["id"], spec["options"]))
    if spec.get("select"):
        select = ET.SubElement(element, "select")
        for kind in spec["select"]:
            ET.SubElement(select, "select_%s" % kind)
    for index, value in enumerate(spec.get("recipients") or [], start=1):
        ET.SubElement(element, "recipient", id="%s-recipient-%d" % (spec["id"], index), value=value)
    return element


# --- comparing --------------------------------------------------------------------------------------------


def canonical(element):
    """What an element means, whatever its ids and the order of its name-value pairs."""
    nested = element.tag in ("nvpair", "op", "instance_attributes", "meta_attributes", "operations", "recipient")
    attributes = tuple(sorted((k, v) for k, v in element.attrib.items() if not (nested and k == "id")))
    children = [canonical(child) for child in element if len(child) or child.attrib or child.tag.startswith("select")]
    if element.tag != "group":  # the order of a group's members is the order they start in
        children.sort()
    else:
        children = sorted(c for c in children if c[0] != "primitive") + [c for c in children if c[0] == "primitive"]
    return element.tag, attributes, tuple(children)


def keep_runtime_meta(now, wanted, notes):
    """Carry over what an operator set by hand on a resource, unless the declaration says something about it."""
    known = {element.get("id"): element for element in now.iter() if element.tag in RESOURCE_TAGS}
    for element in wanted.iter():
        if element.tag not in RESOURCE_TAGS or element.get("id") not in known:
            continue
        there = known[element.get("id")].find("meta_attributes")
        mine = element.find("meta_attributes")
        declared = {pair.get("name") for pair in mine} if mine is not None else set()
        for pair in list(there) if there is not None else []:
            if pair.get("name") in RUNTIME_META and pair.get("name") not in declared:
                if mine is None:
                    mine = nvset("meta_attributes", element.get("id"), {})
                    element.insert(0, mine)
                mine.append(copy.deepcopy(pair))
                notes.append("%s keeps %s=%s, which was set by hand" % (element.get("id"), pair.get("name"), pair.get("value")))


def section(configuration, name):
    found = configuration.find(name)
    return found if found is not None else ET.SubElement(configuration, name)


def replace_children(parent, wanted, owned, purge, notes):
    """Bring the elements we own to what is wanted; leave every other child of the section alone."""
    wanted_ids = {element.get("id") for element in wanted}
    now = {child.get("id"): child for child in parent}
    for element in wanted:
        there = now.get(element.get("id"))
        if there is None:
            parent.append(element)
            continue
        if element.tag in RESOURCE_TAGS:
            keep_runtime_meta(there, element, notes)
        if canonical(there) != canonical(element):
            parent.insert(list(parent).index(there), element)
            parent.remove(there)
    inside = {e.get("id") for element in wanted for e in element.iter() if e.tag in RESOURCE_TAGS}
    for child in list(parent):
        if child.get("id") in wanted_ids:
            continue
        # A resource that moved into a group, or out of one, must not stay where it was.
        if child.get("id") in inside or (purge and child.get("id") in owned):
            parent.remove(child)


def set_pairs(parent, set_tag, set_id, values, owned, purge):
    """Name-value pairs of a shared set: a pair that exists somewhere in the section is changed where it is."""
    ids = set()
    for name in sorted(values):
        there = [pair for pair in parent.iter("nvpair") if pair.get("name") == name]
        for pair in there:
            pair.set("value", text(values[name]))
        if not there:
            holder = next((child for child in parent if child.get("id") == set_id), None)
            if holder is None:
                holder = ET.SubElement(parent, set_tag, id=set_id)
            there = [ET.SubElement(holder, "nvpair", id="%s-%s" % (set_id, name), name=name, value=text(values[name]))]
        ids.update(pair.get("id") for pair in there)
    if purge:
        for holder in parent:
            for pair in list(holder):
                if pair.get("id") in owned and pair.get("id") not in ids:
                    holder.remove(pair)
    return ids


def owned_ids(configuration):
    return {reference.get("id") for tag in configuration.iter("tag") if tag.get("id") == TAG for reference in tag}


def drop_dangling(configuration, gone, notes):
    """Constraints that others made (a move by hand, say) must not refer to a resource that is being removed."""
    constraints = configuration.find("constraints")
    for element in list(constraints) if constraints is not None else []:
        named = {element.get(name) for name in ("rsc", "with-rsc", "first", "then")}
        if named & gone:
            constraints.remove(element)
            notes.append("the constraint %s went with the resource it named" % element.get("id"))


def apply(root, wanted):
    """The CIB as it should be, from the CIB as it is. Returns (new root, notes)."""
    new, notes = copy.deepcopy(root), []
    configuration = section(new, "configuration")
    owned, purge = owned_ids(configuration), wanted.get("purge", True)
    ids = set()
    for name, set_tag, set_id, values in (
        ("crm_config", "cluster_property_set", BOOTSTRAP, wanted.get("properties")),
        ("rsc_defaults", "meta_attributes", "rsc-options", wanted.get("resource_defaults")),
        ("op_defaults", "meta_attributes", "op-options", wanted.get("operation_defaults")),
    ):
        parent = configuration.find(name)
        if parent is None and not values:
            continue
        ids |= set_pairs(section(configuration, name), set_tag, set_id, values or {}, owned, purge)
    before = resource_ids(configuration)
    lists = (
        ("resources", resources(wanted.get("resources") or [], wanted.get("groups") or [])),
        ("constraints", [constraint(spec) for spec in wanted.get("constraints") or []]),
        ("fencing-topology", topology(wanted.get("fencing_topology") or {})),
        ("alerts", [alert(spec) for spec in wanted.get("alerts") or []]),
    )
    for name, elements in lists:
        seen = [element.get("id") for element in elements]
        for twice in sorted({i for i in seen if seen.count(i) > 1}):
            raise Invalid("%s: the id %s is used twice" % (name, twice))
        for identifier in seen:
            if not NAME.match(identifier):
                raise Invalid("%s: %r cannot be an id: letters, digits, '_', '-' and '.', not a digit first" % (name, identifier))
        if configuration.find(name) is None and not elements:
            continue
        replace_children(section(configuration, name), elements, owned, purge, notes)
        ids.update(seen)
    gone = before - resource_ids(configuration)
    drop_dangling(configuration, gone, notes)
    check_references(configuration)
    mark(configuration, ids if purge else ids | owned)
    return new, notes


def resource_ids(configuration):
    return {element.get("id") for element in section(configuration, "resources").iter() if element.tag in RESOURCE_TAGS}


def check_references(configuration):
    known = resource_ids(configuration)
    constraints = configuration.find("constraints")
    for element in constraints if constraints is not None else []:
        for name in ("rsc", "with-rsc", "first", "then"):
            if element.get(name) and element.get(name) not in known:
                raise Invalid("constraint %s names %s, and there is no such resource" % (element.get("id"), element.get(name)))
    levels = configuration.find("fencing-topology")
    for element in levels if levels is not None else []:
        for device in element.get("devices", "").split(","):
            if device not in known:
                raise Invalid("the fencing level %s names the device %s, which is not declared" % (element.get("id"), device))


def mark(configuration, ids):
    present = {element.get("id") for element in configuration.iter() if element.tag not in ("tag", "obj_ref")}
    ids = sorted(i for i in ids if i in present)
    tags = section(configuration, "tags")
    there = next((tag for tag in tags if tag.get("id") == TAG), None)
    if there is not None and [reference.get("id") for reference in there] == ids:
        return
    if there is not None:
        tags.remove(there)
    if ids:
        element = ET.SubElement(tags, "tag", id=TAG)
        for identifier in ids:
            ET.SubElement(element, "obj_ref", id=identifier)
    if not len(tags):
        configuration.remove(tags)


# --- showing ----------------------------------------------------------------------------------------------


def readable(root):
    """One line an element, for a diff that a person reads: no ids of pairs, no marks, no secrets."""
    lines = []
    configuration = root.find("configuration")
    for name in ("crm_config", "rsc_defaults", "op_defaults", "resources", "constraints", "fencing-topology", "alerts"):
        parent = configuration.find(name) if configuration is not None else None
        if parent is None:
            continue
        lines.append("%s:" % name)
        children = list(parent)
        if name not in ("resources", "alerts"):
            children.sort(key=lambda child: child.get("id") or "")
        for child in children:
            lines.extend(describe(child, 1))
    return "\n".join(lines) + "\n"


def describe(element, depth):
    pad = "  " * depth
    if element.tag == "nvpair":
        value = element.get("value", "")
        if SECRET.search(element.get("name", "")) and not value.startswith(("lrm://", "/")):
            value = "[secret]"
        return ["%s%s=%s" % (pad, element.get("name"), value)]
    if element.tag in ("cluster_property_set", "instance_attributes", "operations"):
        own, depth = [], depth - 1
    elif element.tag == "meta_attributes":
        own = ["%smeta" % pad]
    else:
        shown = ["%s=%s" % (k, v) for k, v in sorted(element.attrib.items()) if not (element.tag == "op" and k == "id")]
        own = ["%s%s %s" % (pad, element.tag, " ".join(shown))]
    children = list(element)
    if element.tag in ("instance_attributes", "meta_attributes", "cluster_property_set"):
        children.sort(key=lambda child: child.get("name") or "")
    return own + [line for child in children for line in describe(child, depth + 1)]
