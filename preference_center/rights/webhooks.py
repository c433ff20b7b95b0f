"""The outbox of webhooks to the company about requests: the queue is the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.infra.company_webhooks import ClaimedRow, Outbox
from preference_center.infra.db.transactions import Connection

RETENTION = timedelta(days=30)
"""How long the outcome of a webhook is kept."""


@dataclass(frozen=True, slots=True)
class ClaimedWebhook(ClaimedRow):
    """What one is about."""

    request_id: UUID
    kind: str


OUTBOX = Outbox("rights_webhook", ClaimedWebhook)


def insert_webhook(
    connection: Connection, webhook_id: UUID, request_id: UUID, kind: str, now: datetime
) -> None:
    """Queue a webhook of this kind about a request."""
    connection.execute(
        """INSERT INTO rights_webhook (id, request_id, kind, created_at, next_at)
        VALUES (%s, %s, %s, %s, %s)""",
        (webhook_id, request_id, kind, now, now),
    )


def purge_webhooks(connection: Connection, now: datetime) -> int:
    """Delete those that have been done for RETENTION; returns how many."""
    return connection.execute(
        "DELETE FROM rights_webhook WHERE next_at IS NULL AND created_at < %s", (now - RETENTION,)
    ).rowcount
