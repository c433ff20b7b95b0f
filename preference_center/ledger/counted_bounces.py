"""Counted bounces, per address and by keyed digest only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.infra.db.transactions import Connection

_PURGE_LIMIT = 1000
"""More than one request inserts, so that expired ones can't accumulate."""


@dataclass(frozen=True, slots=True)
class CountedBounce:
    """One bounce: the exact digest of its address, its code, and the time (UTC)."""

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
"""An array, since a subquery of IN may be evaluated again for each row, and find more rows."""


def insert_bounces(
    connection: Connection, bounces: Sequence[CountedBounce], since: datetime
) -> None:
    """Store these, each once however often it is reported, and delete some older than `since`."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT,
            # All writers use the same order, to avoid deadlocks.
            [(b.id, b.digest, b.code, b.at) for b in sorted(bounces, key=lambda b: b.id)],
        )
    connection.execute(_PURGE, (since, _PURGE_LIMIT))


def list_bounces(
    connection: Connection, digests: Collection[bytes], since: datetime
) -> dict[bytes, list[CountedBounce]]:
    """The bounces after `since`, by the digest of their address."""
    found: defaultdict[bytes, list[CountedBounce]] = defaultdict(list)
    for row in connection.execute(_SELECT, {"digests": list(digests), "since": since}):
        bounce = CountedBounce(*row)
        found[bounce.digest].append(bounce)
    return found
