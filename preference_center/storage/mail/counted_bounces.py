"""Counting bounces, per address and by keyed digest only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.storage.db.database import Connection

_PURGE_LIMIT = 1000
"""More than are kept at once, so that old ones can't pile up."""


@dataclass(frozen=True, slots=True)
class CountedBounce:
    """One bounce: of whom, read as which code, when (UTC)."""

    id: UUID
    digest: bytes
    code: str
    at: datetime


_INSERT = """
INSERT INTO counted_bounce (id, digest, code, at) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""
_SELECT = """
SELECT id, digest, code, at FROM counted_bounce
WHERE digest = ANY(%(digests)b::bytea[]) AND at > %(since)s
"""
_PURGE = """
DELETE FROM counted_bounce WHERE id = ANY(ARRAY(
    SELECT id FROM counted_bounce WHERE at <= %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
))
"""
"""An array, since a subquery of IN may be run again for each row, and take more."""


def insert_bounces(
    connection: Connection, bounces: Sequence[CountedBounce], since: datetime
) -> None:
    """Count these, each once however often it is told, and forget those up to `since`."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT,
            # In one order for all writers, so that none waits in a ring.
            [(b.id, b.digest, b.code, b.at) for b in sorted(bounces, key=lambda b: b.id)],
        )
    connection.execute(_PURGE, (since, _PURGE_LIMIT))


def list_bounces(
    connection: Connection, digests: Collection[bytes], since: datetime
) -> dict[bytes, list[CountedBounce]]:
    """What was counted after `since`, by address."""
    found: defaultdict[bytes, list[CountedBounce]] = defaultdict(list)
    for row in connection.execute(_SELECT, {"digests": list(digests), "since": since}):
        bounce = CountedBounce(*row)
        found[bounce.digest].append(bounce)
    return found
