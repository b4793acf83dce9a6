# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all aws_* modules share: options, calls chosen by what a lost answer means, errors as sentences, tags, the way out."""

from __future__ import annotations

import re

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.botops.fleet.plugins.module_utils._aws.answers import may_have_taken_effect
from ansible_collections.botops.fleet.plugins.module_utils._cloud import AWS_ENDPOINT
from ansible_collections.botops.fleet.plugins.module_utils._resource import LIFE_CYCLE, Adapter, Ambiguous, Failure, Gone, converge_and_leave, not_yet

try:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
except ImportError:
    AnsibleAWSModule = None
try:
    import botocore.exceptions as known
    from botocore.config import Config
    from botocore.parsers import ResponseParserError
except ImportError:  # told by AnsibleAWSModule
    known = Config = ResponseParserError = None

MISSING = re.compile(r"NotFound|NoSuch|DoesNotExist|NotExist$")
DENIED = ("AuthFailure", "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch",
          "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException")
THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException")


# The names that AnsibleAWSModule reads; written out, so that the documentation is complete without amazon.aws.
CONNECTION = {
    "region": {"type": "str", "aliases": ["aws_region"], "fallback": (env_fallback, ["AWS_REGION", "AWS_DEFAULT_REGION"])},
    "profile": {"type": "str", "aliases": ["aws_profile"], "fallback": (env_fallback, ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])},
    "access_key": {
        "type": "str", "aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False,
        "fallback": (env_fallback, ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]),
    },
    "secret_key": {
        "type": "str", "aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True,
        "fallback": (env_fallback, ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]),
    },
    "session_token": {
        "type": "str", "aliases": ["aws_session_token"], "no_log": True, "fallback": (env_fallback, ["AWS_SESSION_TOKEN"])
    },
    "endpoint_url": {"type": "str", "aliases": ["aws_endpoint_url"], "fallback": (env_fallback, AWS_ENDPOINT)},
    "aws_ca_bundle": {"type": "path", "fallback": (env_fallback, ["AWS_CA_BUNDLE"])},
    "validate_certs": {"type": "bool", "default": True},
}


def spec(tagged=True, **own):
    """The options of a module: the connection's, the life cycle's, tags, its own."""
    shared = {
        **CONNECTION,
        **LIFE_CYCLE,
    }
    if tagged:
        shared.update(tags={"type": "dict", "aliases": ["resource_tags"]}, purge_tags={"type": "bool", "default": True})
    return {**shared, **own}


class Aws:
    """Clients of the account and region that the module was told, one a service and way of retrying."""

    def __init__(self, module):
        self.module = module
        self.region = module.region
        self._clients = {}

    def client(self, service, once, **where):
        key = (service, once, tuple(sorted(where.items())))
        if key not in self._clients:
            # What creates is sent once: after a lost answer the thing is looked for, not made again.
            retries = {"total_max_attempts": 1} if once else {"mode": "standard", "max_attempts": 6}
            self._clients[key] = self.module.client(service, config=Config(retries=retries), **where)
        return self._clients[key]

    def api(self, service, **where):
        """`where` may name another region or credentials (region=…, aws_access_key_id=…)."""
        return Api(self, service, where)


class Api:
    """Calls of one service. Reading and writing may be repeated by botocore; creating may not."""

    def __init__(self, aws, service, where):
        self.aws, self.service, self.where = aws, service, where

    def read(self, operation, **request):
        return self._call(operation, request, "reading")

    def pages(self, operation, key, **request):
        """All items of a listing."""
        client = self.aws.client(self.service, False, **self.where)
        if not client.can_paginate(operation):
            return self.read(operation, **request)[key]
        try:
            return [item for page in client.get_paginator(operation).paginate(**request) for item in page.get(key) or []]
        except (known.ClientError, known.BotoCoreError, ResponseParserError) as error:
            raise in_words(error, self.service, operation) from error

    def write(self, operation, **request):
        return self._call(operation, request, "writing")

    def create(self, operation, **request):
        return self._call(operation, request, "creating")

    def _call(self, operation, request, why):
        client = self.aws.client(self.service, why == "creating", **self.where)
        try:
            return getattr(client, operation)(**request)
        except (known.ClientError, known.BotoCoreError, ResponseParserError) as error:
            problem = in_words(error, self.service, operation)
            if why == "creating" and may_have_taken_effect(error):
                raise Ambiguous(str(problem)) from error
            raise problem from error


def in_words(error, service, operation):
    """The exception with a sentence for what botocore raised."""
    what = "%s:%s" % (service, "".join(part.capitalize() for part in operation.split("_")))
    if isinstance(error, known.ClientError):
        about = error.response.get("Error", {})
        code, message = about.get("Code") or "", (about.get("Message") or "").strip()
        if MISSING.search(code):
            return Gone("%s: %s" % (what, message or code))
        if code in DENIED:
            return Failure("AWS refused the credentials for %s (%s: %s)" % (what, code, message))
        if code in THROTTLED:
            return Failure("AWS throttles %s (%s); run the task again in a minute" % (what, code))
        return Failure("AWS refused %s (%s): %s" % (what, code, message))
    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return Failure("there are no AWS credentials: give profile, or set AWS_PROFILE or AWS_ACCESS_KEY_ID in the environment")
    if isinstance(error, known.ParamValidationError):
        return Failure("%s: %s" % (what, " ".join(str(error).split())))
    return Failure("AWS could not be asked for %s: %s" % (what, error))


def run(adapter_class, argument_spec, **constraints):
    """`main()` of every module."""
    if AnsibleAWSModule is None:
        AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **constraints).fail_json(
            msg="The collection amazon.aws is missing: ansible-galaxy collection install amazon.aws"
        )
    module = AnsibleAWSModule(default_args=False, argument_spec=argument_spec, supports_check_mode=True, **constraints)

    def begin():
        if module.params["wait_timeout"] < 1:
            raise Failure("wait_timeout is seconds and must be at least 1.")
        return adapter_class(Aws(module), module.params, module.check_mode, module.log)

    # Its own warn() makes ansible-core 2.19 complain.
    converge_and_leave(module, begin, module._module.warn)


# --- tags


def tag_dict(tags, key="Key", value="Value"):
    return {tag[key]: tag.get(value) or "" for tag in tags or []}


def tag_list(tags, key="Key", value="Value"):
    return [{key: name, value: tags[name]} for name in sorted(tags)]


def tag_lines(tags):
    """Tags in the form in which they are compared and shown: a list, so that one too many is a difference."""
    return ["%s=%s" % (name, tags[name]) for name in sorted(tags) if not name.startswith("aws:")]


def target_tags(have, params):
    """The tags as they shall be, or None when they are left alone."""
    if params["tags"] is None:
        return None
    given = {str(name): "" if value is None else str(value) for name, value in params["tags"].items()}
    return given if params["purge_tags"] else {**{k: v for k, v in have.items() if not k.startswith("aws:")}, **given}


def tag_steps(have, want):
    """({tags to set}, [keys to remove])."""
    have = {name: value for name, value in have.items() if not name.startswith("aws:")}
    return {name: value for name, value in want.items() if have.get(name) != value}, sorted(set(have) - set(want))


class AwsAdapter(Adapter):
    """An adapter with the parts that most AWS resources have in common."""

    service = None
    identities = ()
    #: what is returned beside the managed fields, and known only when the resource is there
    computed = ("arn", "status")

    def planned(self, wanted):
        known = dict(wanted)
        if "tags" in known:
            known["tags"] = {str(key): str(value) for key, value in (self.params["tags"] or {}).items()}
        if "name" in self.params:
            known["name"] = self.params["name"]
        return {**known, **{name: not_yet(self.title) for name in self.computed}}

    @property
    def api(self):
        return self.client.api(self.service)

    def tags_of(self, raw):
        return {}

    def current_tags(self, raw):
        return tag_lines(self.tags_of(raw))

    def wanted_tags(self, raw):
        want = target_tags(self.tags_of(raw) if raw else {}, self.params)
        return None if want is None else tag_lines(want)

    def update_tags(self, raw, set_tags, unset_tags):
        """Bring tags up to date with the two functions of the service."""
        add, remove = tag_steps(self.tags_of(raw), target_tags(self.tags_of(raw), self.params))
        if add:
            set_tags(add)
        if remove:
            unset_tags(remove)
