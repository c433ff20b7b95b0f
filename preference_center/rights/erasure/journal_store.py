"""Store how far this database has the erasure journal, and what the journal has not yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.rights.erasure.journal_chain import Head, JournalEntry, JournalFile
from preference_center.rights.erasure.store import number_entries
from preference_center.rights.rules.requests import Extent

_LOCK = 0x65726173
"""Advisory lock of the process that writes the journal: those that erase need not wait for it."""


def load_head(connection: Connection) -> Head | None:
    """How far this database has the journal; None if it was never said to have one."""
    row = connection.execute(
        "SELECT last_file, head FROM erasure_journal WHERE head IS NOT NULL"
    ).fetchone()
    return Head(row[0], bytes(row[1])) if row else None


def load_last_entry(connection: Connection) -> int:
    """The number of the last erasure that this database knows; 0 before the first."""
    row = connection.execute("SELECT last_entry FROM erasure_journal").fetchone()
    return row[0] if row else 0


def save_head(connection: Connection, head: Head) -> None:
    """Record that this database has the journal up to there."""
    connection.execute(
        """INSERT INTO erasure_journal (id, last_file, head) VALUES (1, %(file)s, %(hash)s)
        ON CONFLICT (id) DO UPDATE SET last_file = EXCLUDED.last_file, head = EXCLUDED.head""",
        {"file": head.number, "hash": head.hash},
    )


def knows_all(connection: Connection, file: JournalFile) -> bool:
    """Whether this database has every erasure of a file."""
    return len(find_known(connection, file.entries)) == len(file.entries)


def find_known(connection: Connection, entries: Sequence[JournalEntry]) -> set[UUID]:
    """The ids of those of these erasures that this database has."""
    ids = [each.erasure_id for each in entries if each.erasure_id]
    rows = connection.execute("SELECT id FROM erasure WHERE id = ANY(%s)", (ids,))
    return {row[0] for row in rows}


MAX_UNWRITTEN = 1_000


def count_unwritten(connection: Connection) -> int:
    """How many erasures the journal has not yet (to MAX_UNWRITTEN)."""
    row = connection.execute(
        """SELECT count(*) FROM (SELECT FROM erasure
            WHERE entry IS NOT NULL AND journaled_at IS NULL LIMIT %s) AS unwritten""",
        (MAX_UNWRITTEN,),
    ).fetchone()
    assert row
    return int(row[0])


def lock_unwritten(connection: Connection, limit: int) -> list[JournalEntry]:
    """The next erasures that the journal has not yet; other writers wait for the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    key_id = services().keys.digest_id
    rows = connection.execute(
        """SELECT e.id, e.entry, e.begun_at, e.extent, a.channel, a.digest, e.contact_id
        FROM erasure e LEFT JOIN address a ON a.id = e.address_id
        WHERE e.entry IS NOT NULL AND e.journaled_at IS NULL ORDER BY e.entry LIMIT %s""",
        (limit,),
    )
    return [
        JournalEntry(
            number,
            begun_at,
            Extent(extent),
            key_id,
            Channel(channel) if channel else None,
            bytes(digest) if digest else None,
            contact_id,
            erasure_id,
        )
        for erasure_id, number, begun_at, extent, channel, digest, contact_id in rows
    ]


def mark_written(connection: Connection, ids: Collection[UUID], now: datetime) -> None:
    """Record that the journal has these erasures."""
    connection.execute("UPDATE erasure SET journaled_at = %s WHERE id = ANY(%s)", (now, list(ids)))


def mark_unwritten(connection: Connection) -> None:
    """Have every erasure of this database written to the journal that it has from now on."""
    rows = connection.execute("SELECT id FROM erasure WHERE entry IS NULL")
    number_entries(connection, [row[0] for row in rows])
    connection.execute("UPDATE erasure SET journaled_at = NULL WHERE journaled_at IS NOT NULL")
    connection.execute("UPDATE erasure_journal SET last_file = NULL, head = NULL")


def record_replayed(connection: Connection, file: JournalFile, now: datetime) -> None:
    """Record that this database has the journal up to this file."""
    mark_written(connection, [each.erasure_id for each in file.entries if each.erasure_id], now)
    save_head(connection, file.head)
    record_last_entry(connection, max((each.number for each in file.entries), default=0), now)


def record_last_entry(connection: Connection, number: int, now: datetime) -> None:
    """Record that the numbers up to this one are taken by what was replayed."""
    connection.execute(
        """INSERT INTO erasure_journal AS j (id, last_entry, replayed_at) VALUES (1, %(n)s, %(now)s)
        ON CONFLICT (id) DO UPDATE SET last_entry = GREATEST(j.last_entry, %(n)s),
            replayed_at = %(now)s""",
        {"n": number, "now": now},
    )
