"""How far this database has the erasure journal, and which of its erasures that has not yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.infra.db.transactions import Connection
from preference_center.rights.rules.model import Extent

_LOCK = 0x65726173
"""Advisory lock of the process that writes the journal."""


@dataclass(frozen=True, slots=True)
class NumberedErasure:
    """An erasure, as the journal is to have it. `digest` is null for a contact without address."""

    number: int
    begun_at: datetime
    extent: Extent
    channel: Channel | None
    digest: bytes | None
    contact_id: UUID | None


def load_last_entry(connection: Connection) -> int:
    """The number of the last erasure that this database knows; 0 before the first."""
    row = connection.execute("SELECT last_entry FROM erasure_journal").fetchone()
    return row[0] if row else 0


def count_unwritten(connection: Connection) -> int:
    """How many erasures the journal has not yet (to 1,000)."""
    row = connection.execute(
        """SELECT count(*) FROM (SELECT FROM erasure
            WHERE entry IS NOT NULL AND journaled_at IS NULL LIMIT 1000) AS unwritten"""
    ).fetchone()
    assert row
    return int(row[0])


def lock_unwritten(connection: Connection, limit: int) -> list[NumberedErasure]:
    """The next erasures that the journal has not yet; other writers wait for the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    rows = connection.execute(
        """SELECT e.entry, e.begun_at, e.extent, a.channel, a.digest, e.contact_id
        FROM erasure e LEFT JOIN address a ON a.id = e.address_id
        WHERE e.entry IS NOT NULL AND e.journaled_at IS NULL ORDER BY e.entry LIMIT %s""",
        (limit,),
    )
    return [
        NumberedErasure(
            number,
            begun_at,
            Extent(extent),
            Channel(channel) if channel else None,
            bytes(digest) if digest else None,
            contact_id,
        )
        for number, begun_at, extent, channel, digest, contact_id in rows
    ]


def mark_written(connection: Connection, numbers: Collection[int], now: datetime) -> None:
    """Record that the journal has these erasures."""
    connection.execute(
        "UPDATE erasure SET journaled_at = %s WHERE entry = ANY(%s)", (now, list(numbers))
    )


def record_replayed(connection: Connection, number: int, now: datetime) -> None:
    """Record that this database has the journal up to this number."""
    connection.execute(
        """INSERT INTO erasure_journal AS j (id, last_entry, replayed_at) VALUES (1, %(n)s, %(now)s)
        ON CONFLICT (id) DO UPDATE SET last_entry = GREATEST(j.last_entry, %(n)s),
            replayed_at = %(now)s""",
        {"n": number, "now": now},
    )
