"""Answers to writes that carry an Idempotency-Key, kept for a day for its repeats."""

from __future__ import annotations

from datetime import datetime, timedelta

from preference_center.storage.db.database import Connection

RETENTION = timedelta(hours=24)

_PURGE_LIMIT = 10
"""More than are kept, so that old ones can't pile up; few enough not to be felt."""

_SELECT = "SELECT ciphertext FROM kept_answer WHERE digest = %(digest)s AND kept_at > %(old)s"
_INSERT = """
INSERT INTO kept_answer AS k (digest, ciphertext, kept_at)
VALUES (%(digest)s, %(ciphertext)s, %(now)s)
ON CONFLICT (digest) DO UPDATE SET ciphertext = EXCLUDED.ciphertext, kept_at = EXCLUDED.kept_at
WHERE k.kept_at <= %(old)s
RETURNING 1
"""
_PURGE = """
DELETE FROM kept_answer WHERE digest = ANY(ARRAY(
    SELECT digest FROM kept_answer WHERE kept_at <= %(old)s
    ORDER BY kept_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
))
"""
"""An array, since a subquery of IN may be run again for each row, and take more."""


def find_response(connection: Connection, digest: bytes, now: datetime) -> bytes | None:
    """The sealed answer kept under `digest`, unless it is older than KEPT."""
    row = connection.execute(_SELECT, {"digest": digest, "old": now - RETENTION}).fetchone()
    return row[0] if row else None


def insert_response(
    connection: Connection, digest: bytes, ciphertext: bytes, now: datetime
) -> bool:
    """Keep an answer, and forget a few that are older than KEPT; False if one stands there.

    Waits for a transaction that has one under the same digest, and sees what becomes of it.
    """
    given = {"digest": digest, "ciphertext": ciphertext, "now": now, "old": now - RETENTION}
    kept = connection.execute(_INSERT, given).fetchone() is not None
    purge_responses(connection, now, limit=_PURGE_LIMIT)
    return kept


def purge_responses(connection: Connection, now: datetime, *, limit: int) -> int:
    """Delete at most so many answers older than KEPT; how many there were."""
    return connection.execute(_PURGE, {"old": now - RETENTION, "most": limit}).rowcount
