"""The outbox of announcements to the company's webhook: the queue is the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.storage.db.database import Connection


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """One batch that this worker holds until its lease ends: the notices of a range of `seq`."""

    id: UUID
    version: str
    first_seq: int
    last_seq: int
    created_at: datetime
    attempts: int


def insert_batch(
    connection: Connection, batch_id: UUID, version: str, seqs: Sequence[int], now: datetime
) -> None:
    """Queue the notices from the first to the last of `seqs`."""
    connection.execute(
        """INSERT INTO policy_webhook (id, version, first_seq, last_seq, created_at, next_at)
        VALUES (%s, %s, %s, %s, %s, %s)""",
        (batch_id, version, seqs[0], seqs[-1], now, now),
    )


def last_queued_seq(connection: Connection, version: str) -> int:
    """The last notice of this version that is in a batch; 0 if none is."""
    row = connection.execute(
        "SELECT COALESCE(max(last_seq), 0) FROM policy_webhook WHERE version = %s", (version,)
    ).fetchone()
    assert row
    return int(row[0])


def next_batch_seqs(connection: Connection, version: str, after: int, limit: int) -> list[int]:
    """The `seq` of the next notices after one, at most `limit`."""
    rows = connection.execute(
        """SELECT seq FROM policy_notice WHERE version = %s AND seq > %s
        ORDER BY seq LIMIT %s""",
        (version, after, limit),
    )
    return [seq for (seq,) in rows]


def count_due_batches(connection: Connection, now: datetime) -> int:
    """How many are due (to 1,000)."""
    row = connection.execute(
        """SELECT count(*) FROM (SELECT FROM policy_webhook WHERE next_at <= %s LIMIT 1000)
            AS due""",
        (now,),
    ).fetchone()
    assert row
    return int(row[0])


def claim_batch(connection: Connection, *, now: datetime, until: datetime) -> ClaimedBatch | None:
    """Claim the batch that has been due for longest; the lease ends at `until`."""
    row = connection.execute(
        """WITH due AS (SELECT id FROM policy_webhook WHERE next_at <= %(now)s
            ORDER BY next_at, first_seq LIMIT 1 FOR UPDATE SKIP LOCKED)
        UPDATE policy_webhook w SET next_at = %(until)s, attempts = attempts + 1
        FROM due WHERE w.id = due.id
        RETURNING w.id, w.version, w.first_seq, w.last_seq, w.created_at, w.attempts""",
        {"now": now, "until": until},
    ).fetchone()
    return ClaimedBatch(*row) if row else None


def settle_batch(
    connection: Connection, batch_id: UUID, outcome: str, next_at: datetime | None
) -> None:
    """Record how an attempt ended; without `next_at` the batch is done.

    One that was delivered stays so, whatever a worker that lost its lease reports.
    """
    connection.execute(
        """UPDATE policy_webhook SET outcome = %s, next_at = %s
        WHERE id = %s AND next_at IS NOT NULL""",
        (outcome, next_at, batch_id),
    )
