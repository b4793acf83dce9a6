"""What restic does not ask an S3 store: whether there is such a bucket (restic would make it, without versioning and without a policy), and what time it is."""

from __future__ import annotations

import datetime
import email.utils
import hashlib
import hmac
import ssl
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 20
QUERY = "list-type=2&max-keys=1"


def parts(repository: str) -> tuple[str, str]:
    """(URL of the store, bucket) of restic's way to write it: s3:https://HOST/BUCKET/PREFIX, s3:HOST/BUCKET/PREFIX."""
    text = repository.removeprefix("s3:").lstrip("/")
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "https", text
    host, _slash, path = rest.partition("/")
    return f"{scheme}://{host}", path.strip("/").partition("/")[0]


def headers(url: str, bucket: str, environment: dict, moment: datetime.datetime) -> dict:
    """AWS Signature Version 4 of a request for a bucket's first key. Without keys the request goes unsigned."""
    host = url.partition("://")[2]
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not (key and secret):
        return {}
    region = environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    stamp, nothing = moment.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(b"").hexdigest()
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    signed = {"host": host, "x-amz-content-sha256": nothing, "x-amz-date": stamp}
    if environment.get("AWS_SESSION_TOKEN"):
        signed["x-amz-security-token"] = environment["AWS_SESSION_TOKEN"]
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"GET\n/{urllib.parse.quote(bucket)}\n{QUERY}\n{lines}\n{names}\n{nothing}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = ("AWS4" + secret).encode()
    for word in (*scope.split("/"), text):
        signature = hmac.new(signature, word.encode(), hashlib.sha256).digest()
    authorization = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature.hex()}"
    return {**{name: value for name, value in signed.items() if name != "host"}, "Authorization": authorization}


def bucket_exists(repository: str, environment: dict, ca: str = "") -> bool:
    """False when the store says that there is none. Whatever else goes wrong is restic's to say.

    :param repository: as restic has it, with the prefix C(s3:).
    :param environment: restic's own, with the keys.
    :param ca: path of the store's authority in PEM, or nothing for those of the system.
    """
    url, bucket = parts(repository)
    told = headers(url, bucket, environment, datetime.datetime.now(datetime.timezone.utc))
    status, _headers = _answer(f"{url}/{urllib.parse.quote(bucket)}?{QUERY}", told, ca)
    return status != 404


def clock_ahead(repository: str, ca: str = "") -> float:
    """Seconds that this host's clock is ahead of the store's, by the date in whatever it answers; 0 where nobody knows.

    A signature that is a quarter of an hour off is refused with 403, and the answer to restic's first request, a HEAD, has no room for the reason.

    :param repository: as restic has it, with the prefix C(s3:).
    :param ca: path of the store's authority in PEM, or nothing for those of the system.
    """
    _status, told = _answer(parts(repository)[0], {}, ca)
    date = told.get("Date")
    try:
        return (datetime.datetime.now(datetime.timezone.utc) - email.utils.parsedate_to_datetime(date)).total_seconds() if date else 0.0
    except (TypeError, ValueError):
        return 0.0


def _answer(url: str, told: dict, ca: str) -> tuple[int, dict]:
    """(status, headers) of an answer, whatever it is; (0, {}) of none."""
    context = ssl.create_default_context(cafile=ca or None) if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=told), timeout=TIMEOUT, context=context) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)
    except OSError:
        return 0, {}
