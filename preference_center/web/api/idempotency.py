"""Idempotent writes: a repeated Idempotency-Key returns the response of the first request.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from preference_center.core.errors import PreferenceCenterError
from preference_center.infra.context import read_body, services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.web.api import access_idempotency
from preference_center.web.api.api_keys import ApiKey
from preference_center.web.api.problems import (
    IDEMPOTENCY_KEY_REUSED,
    INVALID_IDEMPOTENCY_KEY,
    ApiError,
)

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
"""Response header of a replayed response; Stripe uses the same name."""

IDEMPOTENCY_KEY_PARAMETER = {
    "name": IDEMPOTENCY_KEY_HEADER,
    "in": "header",
    "description": "A UUID or similar, new for each write. If it is repeated with the same body"
    " within 24 hours, nothing is written, and the first response is returned with"
    f" `{REPLAYED_HEADER}: true`.",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
}

_KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")
_STORED_HEADERS = ("Content-Type", "Location")


class ConcurrentRequest(PreferenceCenterError):
    """A concurrent request with the same key has committed; this one wrote nothing."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The identity of a request with an Idempotency-Key.

    `key_digest` is a digest of the API key and its Idempotency-Key, which a sender may have
    derived from an address (I12); `request_hash` covers method, path and body.
    """

    key_digest: bytes
    request_hash: str

    @classmethod
    def from_request(cls, key: ApiKey) -> IdempotentRequest | None:
        """The identity of the current request; None without the header. Raises ApiError."""
        header = request.headers.get(IDEMPOTENCY_KEY_HEADER)
        if header is None:
            return None
        text = header.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':  # an RFC 8941 string, as in the draft
            text = text[1:-1]
        if not _KEY_PATTERN.fullmatch(text):
            raise ApiError(INVALID_IDEMPOTENCY_KEY, INVALID_IDEMPOTENCY_KEY.remedy)
        target = f"{request.method} {request.full_path}\n".encode()
        return cls(
            services().keys.digest(f"idempotency-key\n{key.name}\n{text}"),
            hashlib.sha256(target + read_body()).hexdigest(),
        )

    def stored_response(self) -> Response | None:
        """The stored response, if any. Raises ApiError if it belongs to another request."""
        context = services()
        sealed = run_autocommit(
            lambda c: access_idempotency.find_response(c, self.key_digest, context.now())
        )
        if sealed is None:
            return None
        stored: dict[str, Any] = json.loads(context.keys.open(sealed, context=self.key_digest))
        if stored["request"] != self.request_hash:
            raise ApiError(IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_REUSED.remedy)
        response = Response(stored["body"], stored["status"], stored["headers"])
        response.headers["Cache-Control"] = "no-store"
        response.headers[REPLAYED_HEADER] = "true"
        return response

    def store_response(self, connection: Connection, response: Response) -> None:
        """Store `response` in the transaction of the write. Raises ConcurrentRequest."""
        context = services()
        headers = {
            name: response.headers[name] for name in _STORED_HEADERS if name in response.headers
        }
        content = {
            "request": self.request_hash,
            "status": response.status_code,
            "headers": headers,
            "body": response.get_data(as_text=True),
        }
        ciphertext = context.keys.seal(json.dumps(content), context=self.key_digest)
        if not access_idempotency.insert_response(
            connection, self.key_digest, ciphertext, context.now()
        ):
            raise ConcurrentRequest("a concurrent request with this Idempotency-Key has committed")
