"""Responses to writes with an Idempotency-Key, stored for a day for its repeats."""

from __future__ import annotations

from datetime import datetime, timedelta

from preference_center.infra.db.transactions import Connection

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
