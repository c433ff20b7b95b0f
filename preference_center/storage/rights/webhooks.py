"""The outbox of webhooks to the company about requests: the queue is the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.storage.db.database import Connection

RETENTION = timedelta(days=30)
"""How long the outcome of a webhook is kept."""


@dataclass(frozen=True, slots=True)
class ClaimedWebhook:
    """One webhook that this worker holds until its lease ends."""

    id: UUID
    request_id: UUID
    kind: str
    created_at: datetime
    attempts: int


def insert_webhook(
    connection: Connection, webhook_id: UUID, request_id: UUID, kind: str, now: datetime
) -> None:
    """Queue a webhook of this kind about a request."""
    connection.execute(
        """INSERT INTO rights_webhook (id, request_id, kind, created_at, next_at)
        VALUES (%s, %s, %s, %s, %s)""",
        (webhook_id, request_id, kind, now, now),
    )


def count_due_webhooks(connection: Connection, now: datetime) -> int:
    """How many are due (to 1,000)."""
    row = connection.execute(
        """SELECT count(*) FROM (SELECT FROM rights_webhook WHERE next_at <= %s LIMIT 1000)
            AS due""",
        (now,),
    ).fetchone()
    assert row
    return int(row[0])


def claim_webhook(
    connection: Connection, *, now: datetime, until: datetime
) -> ClaimedWebhook | None:
    """Claim the webhook that has been due for longest; the lease ends at `until`."""
    row = connection.execute(
        """WITH due AS (SELECT id FROM rights_webhook WHERE next_at <= %(now)s
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
        UPDATE rights_webhook w SET next_at = %(until)s, attempts = attempts + 1
        FROM due WHERE w.id = due.id
        RETURNING w.id, w.request_id, w.kind, w.created_at, w.attempts""",
        {"now": now, "until": until},
    ).fetchone()
    return ClaimedWebhook(*row) if row else None


def settle_webhook(
    connection: Connection, webhook_id: UUID, outcome: str, next_at: datetime | None
) -> None:
    """Record how an attempt ended; without `next_at` the webhook is done.

    One that was delivered stays so, whatever a worker that lost its lease reports.
    """
    connection.execute(
        """UPDATE rights_webhook SET outcome = %s, next_at = %s
        WHERE id = %s AND next_at IS NOT NULL""",
        (outcome, next_at, webhook_id),
    )


def purge_webhooks(connection: Connection, now: datetime) -> int:
    """Delete those that have been done for RETENTION; returns how many."""
    return connection.execute(
        "DELETE FROM rights_webhook WHERE next_at IS NULL AND created_at < %s", (now - RETENTION,)
    ).rowcount
