"""The exchange's client: one kept connection, one attempt a call. Sending again is the trader's decision."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import urllib.parse

from .config import Config


class Unanswered(Exception):
    """No usable answer: the order may or may not have arrived, so only the same id may be sent again."""


class Exchange:
    TIMEOUT = 2.0

    def __init__(self, config: Config) -> None:
        self._url = urllib.parse.urlsplit(config.base_url)
        self._config = config
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def place(self, body: dict) -> tuple[int, dict]:
        data = json.dumps(body, sort_keys=True).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Host": self._config.host,
            "X-PM-Key-Id": self._config.api_key_id,
            "X-PM-Signature": hmac.new(self._config.private_key.encode(), data, hashlib.sha256).hexdigest(),
        }
        try:
            connection = self._connection or self._connect()
            self._connection = connection
            connection.request("POST", f"{self._url.path}/orders", data, headers)
            response = connection.getresponse()
            status, raw = response.status, response.read()
            answer = json.loads(raw)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unanswered(str(error) or type(error).__name__) from error
        if status >= 500 or status == 429 or not isinstance(answer, dict):
            raise Unanswered(f"status {status}")
        return status, answer

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self.TIMEOUT)
