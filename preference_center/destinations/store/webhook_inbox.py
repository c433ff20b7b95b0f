"""Webhooks of tools as they arrived, sealed: stored, processed, then deleted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import webhook_context

BODY_RETENTION = timedelta(days=7)
"""How long a body is kept after it was received, for replays. It is kept longer while it is not
processed, or has an open question (`undecided_events`)."""

INGESTED_OUTCOME = "ingested"
"""The outcome of one whose events were recorded, or needed no record."""
UNREADABLE_OUTCOME = "unreadable"
"""The outcome of one that its integration cannot parse."""

INSERT_WEBHOOK = """
INSERT INTO webhook_inbox (id, destination_id, body_digest, body, received_at, next_at)
VALUES (%(id)s, %(destination)s, %(body_digest)s, %(body)s, %(now)s, %(now)s)
ON CONFLICT (destination_id, body_digest) DO NOTHING RETURNING id
"""
MAX_CLAIMED_BYTES = 4_000_000
"""How much is held in memory, and processed within one lease."""


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """One verified body, held until its lease ends."""

    id: UUID
    body: bytes
    received_at: datetime
    attempts: int


def insert_webhook(
    connection: Connection,
    keys: Keys,
    webhook_id: UUID,
    destination: int,
    body: bytes,
    now: datetime,
) -> bool:
    """Store a body to be processed; False if the tool had sent the same one before."""
    body_digest = keys.digest_sha256(hashlib.sha256(body).digest())
    sealed = _seal_body(keys, body, webhook_id)
    given = {"id": webhook_id, "destination": destination, "body": sealed, "now": now}
    given |= {"body_digest": body_digest}
    return connection.execute(INSERT_WEBHOOK, given).fetchone() is not None


def consume_webhook_token(
    connection: Connection,
    keys: Keys,
    webhook_id: UUID,
    destination: int,
    token: str,
    now: datetime,
) -> bool:
    """Record that this webhook used a token; False if another webhook did before."""
    row = connection.execute(
        """INSERT INTO used_webhook_token AS u (destination_id, token_digest, webhook_id, used_at)
        VALUES (%s, %s, %s, %s)
        ON CONFLICT (destination_id, token_digest) DO UPDATE SET used_at = u.used_at
        WHERE u.webhook_id = EXCLUDED.webhook_id RETURNING u.webhook_id""",
        (destination, keys.digest_sha256(hashlib.sha256(token.encode()).digest()), webhook_id, now),
    ).fetchone()
    return row is not None


def count_due_webhooks(connection: Connection, now: datetime) -> dict[int, int]:
    """Destinations with webhooks to be processed, and how many (to 10,000).

    Whatever the destination's status (I13).
    """
    rows = connection.execute(
        """SELECT d.id, (SELECT count(*) FROM (SELECT FROM webhook_inbox
            WHERE destination_id = d.id AND next_at <= %s LIMIT 10000) AS due)
        FROM destination d""",
        (now,),
    )
    return {row[0]: row[1] for row in rows if row[1]}


def claim_webhooks(
    connection: Connection,
    keys: Keys,
    destination: int,
    *,
    now: datetime,
    until: datetime,
    limit: int,
) -> list[StoredWebhook]:
    """Claim up to `limit` webhooks, the oldest first, until `until`.

    Together they have at most MAX_CLAIMED_BYTES, unless a single one has more.
    """
    rows = connection.execute(
        """WITH due AS (
            SELECT id, next_at, octet_length(body) AS size
            FROM webhook_inbox WHERE destination_id = %s AND next_at <= %s
            ORDER BY next_at, id LIMIT %s FOR UPDATE SKIP LOCKED
        ), within_size AS (
            SELECT id, sum(size) OVER (ORDER BY next_at, id) - size AS preceding_bytes FROM due
        )
        UPDATE webhook_inbox p SET next_at = %s, attempts = attempts + 1 FROM within_size
        WHERE p.id = within_size.id AND within_size.preceding_bytes < %s
        RETURNING p.id, p.body, p.received_at, p.attempts""",
        (destination, now, limit, until, MAX_CLAIMED_BYTES),
    )
    found = [
        StoredWebhook(number, _open_body(keys, body, number), at, attempts)
        for number, body, at, attempts in rows
    ]
    return sorted(found, key=lambda webhook: (webhook.received_at, webhook.id))


def record_processed(connection: Connection, webhook_ids: Sequence[UUID], outcome: str) -> None:
    """Mark these as done with this outcome; they are kept for a while, for replays."""
    connection.execute(
        "UPDATE webhook_inbox SET next_at = NULL, outcome = %s WHERE id = ANY(%s)",
        (outcome[:200], list(webhook_ids)),
    )


def defer_webhook(connection: Connection, webhook_id: UUID, at: datetime, reason: str) -> None:
    """It could not be processed: retry at `at`."""
    connection.execute(
        "UPDATE webhook_inbox SET next_at = %s, outcome = %s WHERE id = %s",
        (at, reason[:200], webhook_id),
    )


def replay_webhooks(
    connection: Connection, destination: int, since: datetime, now: datetime
) -> int:
    """Process again all that were received since then and are still stored; returns how many."""
    return connection.execute(
        """UPDATE webhook_inbox SET next_at = %s, attempts = 0
        WHERE destination_id = %s AND received_at >= %s AND next_at IS NULL""",
        (now, destination, since),
    ).rowcount


def requeue_webhooks(
    connection: Connection, webhook_ids: Sequence[UUID], now: datetime
) -> set[int]:
    """Process these again; returns the destinations that they came from."""
    rows = connection.execute(
        """UPDATE webhook_inbox SET next_at = %s, attempts = 0
        WHERE id = ANY(%s) AND next_at IS NULL RETURNING destination_id""",
        (now, list(webhook_ids)),
    )
    return {row[0] for row in rows}


def count_unreadable(connection: Connection, destination: int) -> int:
    """How many of the stored ones could not be parsed."""
    row = connection.execute(
        """SELECT count(*) FROM webhook_inbox
        WHERE destination_id = %s AND next_at IS NULL AND outcome = %s""",
        (destination, UNREADABLE_OUTCOME),
    ).fetchone()
    return row[0] if row else 0


def purge_webhooks(connection: Connection, now: datetime) -> None:
    """Delete webhooks older than RETENTION; no vendor's signature is valid for that long.

    Never one that was acknowledged and is neither recorded nor decided (I1).
    """
    connection.execute(
        """DELETE FROM webhook_inbox p WHERE received_at < %s AND next_at IS NULL
        AND NOT EXISTS (SELECT FROM undecided_event u
            WHERE u.webhook_id = p.id AND u.decided_at IS NULL)""",
        (now - BODY_RETENTION,),
    )
    connection.execute("DELETE FROM used_webhook_token WHERE used_at < %s", (now - BODY_RETENTION,))


def _seal_body(keys: Keys, body: bytes, webhook_id: UUID) -> bytes:
    return keys.seal(base64.b64encode(body).decode(), context=webhook_context(webhook_id))


def _open_body(keys: Keys, body: bytes, webhook_id: UUID) -> bytes:
    return base64.b64decode(keys.open(body, context=webhook_context(webhook_id)))
