"""A write with a repeated Idempotency-Key returns the response of the first request.

Responses are stored for a day for these repeats.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request

from preference_center.core.errors import PreferenceCenterError
from preference_center.infra.context import read_body, services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.web.api.keys import ApiKey
from preference_center.web.api.problems import (
    IDEMPOTENCY_KEY_REUSED,
    INVALID_IDEMPOTENCY_KEY,
    ApiError,
)

RETENTION = timedelta(hours=24)


_PURGE_LIMIT = 10
"""Per stored response: more than one, so that expired ones can't accumulate."""


_SELECT = """
SELECT ciphertext FROM idempotent_response
WHERE digest = %(digest)s AND stored_at > %(expired_at)s
"""


_INSERT = """
INSERT INTO idempotent_response AS k (digest, ciphertext, stored_at)
VALUES (%(digest)s, %(ciphertext)s, %(now)s)
ON CONFLICT (digest) DO UPDATE SET ciphertext = EXCLUDED.ciphertext, stored_at = EXCLUDED.stored_at
WHERE k.stored_at <= %(expired_at)s
RETURNING 1
"""


_PURGE = """
DELETE FROM idempotent_response WHERE digest = ANY(ARRAY(
    SELECT digest FROM idempotent_response WHERE stored_at <= %(expired_at)s
    ORDER BY stored_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
"""An array, since a subquery of IN may be evaluated again for each row, and find more rows."""


def find_response(connection: Connection, digest: bytes, now: datetime) -> bytes | None:
    """The sealed response stored under `digest`, unless it is older than RETENTION."""
    row = connection.execute(_SELECT, {"digest": digest, "expired_at": now - RETENTION}).fetchone()
    return row[0] if row else None


def insert_response(
    connection: Connection, digest: bytes, ciphertext: bytes, now: datetime
) -> bool:
    """Store a response; False if there is one already. Deletes a few older than RETENTION.

    Waits for a concurrent transaction that inserts one under the same digest.
    """
    given = {"digest": digest, "ciphertext": ciphertext, "now": now, "expired_at": now - RETENTION}
    inserted = connection.execute(_INSERT, given).fetchone() is not None
    purge_responses(connection, now, limit=_PURGE_LIMIT)
    return inserted


def purge_responses(connection: Connection, now: datetime, *, limit: int) -> int:
    """Delete at most `limit` responses older than RETENTION; returns how many."""
    return connection.execute(_PURGE, {"expired_at": now - RETENTION, "limit": limit}).rowcount


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
        sealed = run_autocommit(lambda c: find_response(c, self.key_digest, context.now()))
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
        if not insert_response(connection, self.key_digest, ciphertext, context.now()):
            raise ConcurrentRequest("a concurrent request with this Idempotency-Key has committed")
