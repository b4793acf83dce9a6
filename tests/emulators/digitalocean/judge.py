"""The vendor's OpenAPI document as the judge of both sides: what was sent, and what this emulator answered."""

from __future__ import annotations

import json
import threading
from urllib.parse import urlsplit


class _Request:
    def __init__(self, method, path, query, headers, body):
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        self.host_url = "https://api.digitalocean.com"
        self.path = path
        self.method = method.lower()
        self.body = body or None
        self.content_type = headers.get("content-type") or "application/json"
        self.parameters = RequestParameters(query=ImmutableMultiDict(query), header=Headers(list(headers.items())))


class _Response:
    def __init__(self, status, headers, data):
        from werkzeug.datastructures import Headers

        self.status_code = status
        self.data = data
        self.content_type = headers.get("content-type", "application/json")
        self.headers = Headers(list(headers.items()))


def correct(document):
    """The two places where the document contradicts itself; nothing else of it is changed."""
    schemas, parameters = document["components"]["schemas"], document["components"]["parameters"]
    # The list of droplet actions lacks a name that the discriminator beside it maps to a schema.
    body = document["paths"]["/v2/droplets/{droplet_id}/actions"]["post"]["requestBody"]["content"]["application/json"]
    known = schemas["droplet_action"]["properties"]["type"]["enum"]
    known.extend(name for name in body["schema"]["discriminator"]["mapping"] if name not in known)
    # Parameters in the path that are written as properties that must not be sent.
    for parameter in parameters.values():
        choices = parameter.get("schema", {}).get("anyOf", [])
        for index, choice in enumerate(choices):
            name = choice.get("$ref", "").rpartition("/")[2]
            if schemas.get(name, {}).get("readOnly"):
                choices[index] = {key: value for key, value in schemas[name].items() if key != "readOnly"}


class Judge:
    """Collects violations as sentences. Equal exchanges are judged once: validation costs milliseconds."""

    def __init__(self, path):
        from openapi_core import Config, OpenAPI

        with open(path, encoding="utf-8") as handle:
            document = json.load(handle)
        correct(document)
        self.openapi = OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))
        self.violations = []
        self.judged = 0
        self._seen = set()
        self._lock = threading.Lock()

    def exchange(self, method, target, headers, body, status, answer_headers, answer):
        parts = urlsplit(target)
        key = hash((method, target, body, status, answer))
        with self._lock:
            if key in self._seen:
                return
            self._seen.add(key)
            self.judged += 1
            from urllib.parse import parse_qsl

            request = _Request(method, parts.path.rstrip("/"), parse_qsl(parts.query, keep_blank_values=True), headers, body)
            # What was refused with 4xx was rightly refused: only requests that were accepted must be valid ones.
            if status < 400:
                self._collect(f"{method} {target} {body.decode(errors='replace')[:400]}", self.openapi.validate_request, request)
            self._collect(
                f"{method} {target} answered {status} {answer.decode(errors='replace')[:400]}",
                self.openapi.validate_response,
                request,
                _Response(status, answer_headers, answer),
            )

    def _collect(self, what, validate, *exchange):
        from openapi_core.exceptions import OpenAPIError

        try:
            validate(*exchange)
        except OpenAPIError as error:
            self.violations.append(f"{what}: {_reason(error)}")


def _reason(error):
    """The innermost reasons: openapi-core wraps what jsonschema found several times."""
    schema_errors = getattr(error.__cause__, "schema_errors", None) or getattr(error, "schema_errors", None)
    if schema_errors:
        found = []
        for one in schema_errors:
            where = "/".join(str(part) for part in one.absolute_path)
            found.append(f"{where}: {one.message[:300]}")
            found.extend(f"  {'/'.join(str(p) for p in sub.absolute_path)}: {sub.message[:200]}" for sub in (one.context or [])[:6])
        return "; ".join(found)
    return f"{type(error).__name__}: {error} {error.__cause__ or ''}"
