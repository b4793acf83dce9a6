# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One present/absent life cycle for everything that lives behind an API.

A resource is described by an adapter (a subclass of `Adapter`); `converge` brings it to the wanted state:
find by name and tag, compare what was normalised on both sides, tell the difference, create or update or delete, wait.
Everything above `Adapter` is pure or takes its clock as an argument.
"""

from __future__ import annotations

import json
import time

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0
# How long a thing is looked for whose creation got no answer.
LOOKUP_SECONDS = 20
HIDDEN = "[secret]"
NOT_YET = ", not there yet)"
# The options of the life cycle, for every module's argument specification.
LIFE_CYCLE = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 600},
}


class Failure(Exception):
    """Something the operator has to know, as one readable sentence."""


class Gone(Failure):
    """The thing is not there (any more)."""


class Ambiguous(Failure):
    """A request was sent and it is not known whether it took effect."""


class NotUnique(Failure):
    """A name means more than one thing."""


class TimedOut(Failure):
    """Something was looked at until the end, and was not as it was waited for."""


# --- comparing


def canonical(value):
    """The same data in a form in which equal meaning compares equal: no nulls in maps, tuples as lists."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value, key=str) if value[key] is not None}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    return value


def sort_key(value):
    return json.dumps(canonical(value), sort_keys=True, default=str)


def unordered(items):
    """A list whose order and repetitions mean nothing, in its one canonical order."""
    by_key = {sort_key(item): canonical(item) for item in items or []}
    return [by_key[key] for key in sorted(by_key)]


def covers(have, want):
    """Whether `have` is as `want` says. A map may have more keys than are wanted; a list may not have more items."""
    if want is None:
        return True
    if isinstance(want, dict):
        return isinstance(have, dict) and all(covers(have.get(key), value) for key, value in want.items())
    if isinstance(want, (list, tuple)):
        return isinstance(have, (list, tuple)) and len(have) == len(want) and all(covers(mine, other) for mine, other in zip(have, want))
    return have == want


def merged(have, want):
    """`have` after `want` was applied to it."""
    if want is None:
        return have
    if isinstance(have, dict) and isinstance(want, dict):
        result = dict(have)
        for key, value in want.items():
            if value is not None:
                result[key] = merged(have.get(key), value)
        return result
    if isinstance(have, list) and isinstance(want, list) and len(have) == len(want):
        return [merged(mine, other) for mine, other in zip(have, want)]
    return canonical(want)


def differences(current, wanted):
    """The fields of `wanted` that `current` does not have: {field: (before, after)}. What is None is left alone."""
    return {
        field: (current.get(field), merged(current.get(field), value))
        for field, value in wanted.items()
        if value is not None and not covers(current.get(field), value)
    }


def target_list(have, want, purge):
    """What a list without order shall become: None leaves it alone, an empty list empties it, but only with `purge`."""
    if want is None:
        return None
    return unordered(want if purge else list(have or []) + list(want))


def list_steps(have, want):
    """What has to be added to and removed from `have`: ([…], […]), both in canonical order."""
    mine = {sort_key(item): item for item in have or []}
    other = {sort_key(item): item for item in want or []}
    return [other[key] for key in sorted(other.keys() - mine.keys())], [mine[key] for key in sorted(mine.keys() - other.keys())]


# --- what an earlier task would create


def not_yet(what):
    """Stands in check mode for a value that exists only once `what` was created."""
    return what if is_not_yet(what) else "(%s%s" % (what, NOT_YET)


def is_not_yet(value):
    return isinstance(value, str) and NOT_YET in value


class Nothing(dict):
    """A resource that is not there: whatever is looked up in it is empty."""

    def __missing__(self, key):
        return Nothing()


# --- telling


def hide(view, secrets):
    """A copy of `view` in which the named fields only show that they are there."""
    return {field: (HIDDEN if field in secrets and value else value) for field, value in view.items()}


def diff_of(title, before, after, secrets=()):
    """Ansible's diff for one resource. Empty maps mean that it is not there."""
    if before and after:
        # A secret that changes must still be seen to change.
        hidden = {field: (HIDDEN, HIDDEN + " (new)") for field in secrets if field in after and before.get(field) != after[field]}
        before = {**hide(before, secrets), **{field: pair[0] for field, pair in hidden.items()}}
        after = {**hide(after, secrets), **{field: pair[1] for field, pair in hidden.items()}}
    else:
        before, after = hide(before, secrets), hide(after, secrets)
    return {"before_header": title, "after_header": title, "before": canonical(before), "after": canonical(after)}


def outcome(key, changed, shown, diff=None, warnings=(), actions=()):
    """What every module of the family returns. One place, so that all of them look alike."""
    result = {"changed": changed, key: shown, "actions": list(actions)}
    if diff is not None:
        result["diff"] = diff
    if warnings:
        result["warnings"] = list(warnings)
    return result


def several(title, matches, by_id=False):
    """The sentence for more than one match. `matches` are short descriptions, one each."""
    advice = "Name the one you mean by its id, or remove or rename the others." if by_id else "Remove or rename the others first."
    return "%s is not unique: %d match (%s). Nothing was changed. %s" % (title, len(matches), "; ".join(matches), advice)


# --- waiting


def wait_for(probe, what, timeout, log=None, sleep=None, clock=None):
    """Call `probe` with growing pauses until it gives a result; it returns (result or None, what it saw)."""
    sleep, clock = sleep or time.sleep, clock or time.monotonic
    end = clock() + timeout
    pause, last = FIRST_PAUSE, None
    while True:
        result, seen = probe()
        if result is not None:
            return result
        if log and seen != last:
            log("waiting for %s: %s" % (what, seen))
        last = seen
        left = end - clock()
        if left <= 0:
            raise TimedOut("Gave up waiting for %s after %d s; it was last seen as: %s. Running the task again goes on waiting." % (what, timeout, seen))
        sleep(min(pause, max(left, 0.001)))
        pause = min(pause * 1.5, LONGEST_PAUSE)


# --- the life cycle


class Adapter:
    """What `converge` needs to know about one kind of resource. Adapters talk to the API; the rest is data."""

    #: noun in messages, and key of the result
    kind = "resource"
    #: fields that cannot be changed after creation: {field: what the operator can do instead}
    immutable = {}
    #: fields whose values never appear in a diff
    secrets = ()
    #: whether what was asked for can be found before it is finished; if not, a creation without an answer is never repeated
    visible_at_once = True
    #: whether creating takes further requests, which `update` sends
    created_in_steps = False
    #: options that name one certain resource, and so cannot be looked up while an earlier task has yet to create it
    identities = ("id",)

    def __init__(self, client, params, check_mode=False, log=None):
        self.client = client
        self.params = params
        self.check_mode = check_mode
        self.log = log or (lambda text: None)
        self.actions = []
        self.warnings = []
        self._seen = None

    @property
    def title(self):
        return "%s %s" % (self.kind.replace("_", " "), self.params["name"])

    def did(self, text):
        """Note a step that was taken; the list is part of the result."""
        self.actions.append(text)
        self.log("%s: %s" % (self.title, text))

    def validate(self):
        """Refuse what can be known to be wrong without asking the API."""

    def find(self):
        """All resources that the parameters may mean, as the API gives them."""
        raise NotImplementedError

    def describe(self, raw):
        """How one of several matches is told apart."""
        return "id %s" % raw["id"]

    def current(self, raw):
        """The managed fields of an existing resource, normalised."""
        raise NotImplementedError

    def seen(self, raw):
        """`current`, asked for once as long as nothing is written: some of it costs requests."""
        if self._seen is None or self._seen[0] is not raw:
            self._seen = (raw, self.current(raw))
        return self._seen[1]

    def forget(self):
        """What was seen no longer holds."""
        self._seen = None

    def wanted(self, raw):
        """The managed fields as they shall be, normalised; None leaves a field alone. `raw` is None before creation."""
        raise NotImplementedError

    def check_creation(self, wanted):
        """Refuse a creation that must fail, with a better sentence than the API's. Runs in check mode, too."""

    def check_update(self, raw, changes):
        """Refuse an update that must fail or would do harm. Runs in check mode, too."""

    def check_deletion(self, raw):
        """Refuse a deletion that must fail or would do harm. Runs in check mode, too."""

    def remarks(self, raw):
        """What the operator should know of a resource that is there, although it is as declared."""
        return []

    def create(self, wanted):
        raise NotImplementedError

    def update(self, raw, changes, wanted):
        """Apply `changes` ({field: (before, after)}) and return the resource as it is then."""
        raise NotImplementedError

    def delete(self, raw):
        raise NotImplementedError

    def settled(self, raw):
        """(the resource when it is usable else None, what is seen now). Asked again until it is."""
        return raw, "ready"

    def vanished(self, raw):
        """(True when a deleted resource has really gone else None, what is seen now)."""
        return True, "gone"

    def shape(self, raw):
        """The resource as the module returns it."""
        return raw

    def planned(self, wanted):
        """What `shape` would return of a resource that is yet to be created: what is known, and placeholders that say so."""
        known = {name: value for name, value in {**self.params, **wanted}.items() if value is not None}
        return {name: known.get(name, empty if empty == [] else not_yet(self.title)) for name, empty in self.shape(Nothing()).items()}


def _only(adapter):
    found = adapter.find()
    if len(found) > 1:
        raise NotUnique(several(adapter.title, [adapter.describe(one) for one in found], "id" in adapter.params))
    return found[0] if found else None


def _look_for(adapter):
    """(what a creation without an answer left behind, or None; why that cannot be told, or None)."""
    problem = None

    def probe():
        nonlocal problem
        try:
            found, problem = _only(adapter), None
        except NotUnique:
            raise
        except Failure as error:
            found, problem = None, error
        return found, problem or "not listed"

    try:
        return wait_for(probe, "%s to show up" % adapter.title, LOOKUP_SECONDS, adapter.log), None
    except TimedOut:
        return None, problem


def _create(adapter, wanted):
    """Create once. If the answer was lost, look for the result; only where that says that there is none, try once more."""
    for last_try in (False, True):
        try:
            return adapter.create(wanted)
        except Ambiguous as lost:
            adapter.warnings.append("The answer to creating %s was lost (%s), so it was looked for by name before going on." % (adapter.title, lost))
            found, problem = _look_for(adapter)
            if found is not None:
                return found
            if problem is not None:
                raise Failure(
                    "Creating %s got no clear answer (%s), and looking for it failed as well (%s), so it may exist. Nothing was sent twice. Run "
                    "the task again when the API answers; it looks for what is there first." % (adapter.title, lost, problem)
                ) from None
            if last_try or not adapter.visible_at_once:
                raise Failure(
                    "Creating %s got no clear answer (%s) and it is not listed, but it may still appear. Run the task again in some minutes; it "
                    "looks for what is there first, so nothing is created twice." % (adapter.title, lost)
                ) from None
    raise AssertionError("not reached")


def _settle(adapter, raw):
    if not adapter.params.get("wait", True):
        return raw
    return wait_for(lambda: adapter.settled(raw), adapter.title, adapter.params.get("wait_timeout") or 600, adapter.log)


def _present(adapter):
    raw = _only(adapter)
    if raw is None:
        wanted = adapter.wanted(None)
        adapter.check_creation(wanted)
        diff = diff_of(adapter.title, {}, {k: v for k, v in wanted.items() if v is not None}, adapter.secrets)
        if adapter.check_mode:
            return outcome(adapter.kind, True, adapter.planned(wanted), diff, adapter.warnings, adapter.actions)
        raw = _create(adapter, wanted)
        adapter.forget()
        adapter.did("created")
        raw = _settle(adapter, raw)
        # What was found after a lost answer may be half done, too.
        if adapter.created_in_steps or adapter.warnings:
            left = differences(adapter.seen(raw), adapter.wanted(raw))
            if left and not set(left) & set(adapter.immutable):
                raw = _settle(adapter, adapter.update(raw, left, adapter.wanted(raw)) or raw)
                adapter.forget()
        return _finish(adapter, True, raw, diff)

    current, wanted = adapter.seen(raw), adapter.wanted(raw)
    changes = differences(current, wanted)
    refused = [field for field in adapter.immutable if field in changes]
    if refused:
        raise Failure(
            "%s exists and differs in what cannot be changed: %s. Nothing was changed."
            % (
                adapter.title,
                "; ".join(
                    "%s is %s, wanted is %s (%s)" % (field, json.dumps(changes[field][0]), json.dumps(changes[field][1]), adapter.immutable[field])
                    for field in refused
                ),
            )
        )
    shown = {field: current.get(field) for field in wanted if wanted[field] is not None}
    after = dict(shown, **{field: pair[1] for field, pair in changes.items()})
    diff = diff_of(adapter.title, shown, after, adapter.secrets)
    adapter.warnings.extend(adapter.remarks(raw))
    if changes:
        adapter.check_update(raw, changes)
    if adapter.check_mode:
        return outcome(adapter.kind, bool(changes), adapter.shape(raw), diff, adapter.warnings, adapter.actions)
    if changes:
        raw = adapter.update(raw, changes, wanted) or raw
        adapter.forget()
    raw = _settle(adapter, raw)
    return _finish(adapter, bool(changes), raw, diff)


def _finish(adapter, changed, raw, diff):
    if changed and adapter.params.get("wait", True):
        left = sorted(differences(adapter.seen(raw), adapter.wanted(raw)))
        if left:
            adapter.warnings.append("%s was accepted, but the API still reports other values for: %s." % (adapter.title, ", ".join(left)))
    return outcome(adapter.kind, changed, adapter.shape(raw), diff, adapter.warnings, adapter.actions)


def _not_there(adapter):
    return outcome(adapter.kind, False, {}, diff_of(adapter.title, {}, {}), adapter.warnings, adapter.actions)


def _absent(adapter):
    raw = _only(adapter)
    if raw is None:
        return _not_there(adapter)
    try:
        adapter.check_deletion(raw)
        diff = diff_of(adapter.title, adapter.current(raw), {}, adapter.secrets)
        if adapter.check_mode:
            return outcome(adapter.kind, True, adapter.shape(raw), diff, adapter.warnings, adapter.actions)
        adapter.delete(raw)
    except Gone:
        return _not_there(adapter)  # somebody else was faster
    adapter.did("deleted")
    if adapter.params.get("wait", True):
        wait_for(
            lambda: adapter.vanished(raw),
            "%s to go" % adapter.title,
            adapter.params.get("wait_timeout") or 600,
            adapter.log,
        )
    return outcome(adapter.kind, True, adapter.shape(raw), diff, adapter.warnings, adapter.actions)


def converge(adapter):
    """Bring the resource to `state` and tell what was done. Raises `Failure` with a sentence."""
    if adapter.check_mode and any(is_not_yet(adapter.params.get(name)) for name in adapter.identities):
        adapter.warnings.append("%s does not exist yet; an earlier task would create it, so what would change cannot be told." % adapter.title)
        return outcome(adapter.kind, True, adapter.planned({}), diff_of(adapter.title, {}, {}), adapter.warnings, adapter.actions)
    adapter.validate()
    return _absent(adapter) if adapter.params["state"] == "absent" else _present(adapter)


def converge_and_leave(module, begin, warn):
    """The end of a module's `main()`: converge the adapter that `begin` returns, and exit with the result, or with a `Failure`'s sentence.

    The only place that ends the process. `warn` shows a warning.
    """
    adapter = None
    try:
        adapter = begin()
        result = converge(adapter)
    except Failure as error:
        module.fail_json(msg=str(error), actions=adapter.actions if adapter else [])
    if not module._diff:
        result.pop("diff", None)
    for warning in result.pop("warnings", []):
        warn(warning)
    module.exit_json(**result)
