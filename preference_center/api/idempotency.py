"""Repeated writes under one Idempotency-Key: the first one's answer, once more.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, cast

from flask import Response, request

from preference_center.api.problems import IDEMPOTENCY_KEY_REUSED, INVALID_IDEMPOTENCY_KEY, ApiError
from preference_center.errors import PreferenceCenterError
from preference_center.extensions import services
from preference_center.http_body import read_body
from preference_center.storage.access import idempotency
from preference_center.storage.access.api_keys import ApiKey
from preference_center.storage.db.database import Connection, run_autocommit

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
"""Says that an answer was given before, as Stripe's does."""

IDEMPOTENCY_KEY_PARAMETER = {
    "name": IDEMPOTENCY_KEY_HEADER,
    "in": "header",
    "description": "A UUID or the like, new for each write. Repeated with the same body within"
    f" 24 hours, nothing is written, and the first answer comes again with `{REPLAYED_HEADER}: "
    "true`.",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
}

_KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")
_STORED_HEADERS = ("Content-Type", "Location")


class ConcurrentRequest(PreferenceCenterError):
    """Another request with the same key has been answered meanwhile; nothing was written."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """What this request would be a repeat of.

    `digest` stands for the API key and its Idempotency-Key, which senders may have made of
    an address (I12); `request` for method, path and body.
    """

    key_digest: bytes
    request_hash: str

    @classmethod
    def from_request(cls, key: ApiKey) -> IdempotentRequest | None:
        """What the request says; None without the header. Raises Refused."""
        given = request.headers.get(IDEMPOTENCY_KEY_HEADER)
        if given is None:
            return None
        text = given.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':  # a string of RFC 8941, as drafted
            text = text[1:-1]
        if not _KEY_PATTERN.fullmatch(text):
            raise ApiError(INVALID_IDEMPOTENCY_KEY, INVALID_IDEMPOTENCY_KEY.remedy)
        target = f"{request.method} {request.full_path}\n".encode()
        return cls(
            services().keys.digest(f"idempotency-key\n{key.name}\n{text}"),
            hashlib.sha256(target + read_body()).hexdigest(),
        )

    def stored_response(self) -> Response | None:
        """The answer given before, if any. Raises Refused if that was to another request."""
        context = services()
        found = run_autocommit(
            lambda c: idempotency.find_response(c, self.key_digest, context.now())
        )
        if found is None:
            return None
        kept = cast("dict[str, Any]", json.loads(context.keys.open(found, context=self.key_digest)))
        if kept["request"] != self.request_hash:
            raise ApiError(IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_REUSED.remedy)
        response = Response(kept["body"], kept["status"], kept["headers"])
        response.headers["Cache-Control"] = "no-store"
        response.headers[REPLAYED_HEADER] = "true"
        return response

    def store_response(self, connection: Connection, response: Response) -> None:
        """Keep `response` in the transaction of the write. Raises Overtaken."""
        context = services()
        headers = {
            name: response.headers[name] for name in _STORED_HEADERS if name in response.headers
        }
        kept = {
            "request": self.request_hash,
            "status": response.status_code,
            "headers": headers,
            "body": response.get_data(as_text=True),
        }
        ciphertext = context.keys.seal(json.dumps(kept), context=self.key_digest)
        if not idempotency.insert_response(connection, self.key_digest, ciphertext, context.now()):
            raise ConcurrentRequest("another request with this Idempotency-Key was quicker")
