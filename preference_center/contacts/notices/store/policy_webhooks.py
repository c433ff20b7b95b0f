"""The outbox of announcements to the company's webhook: the queue is the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.infra.company_webhooks import ClaimedRow, Outbox
from preference_center.infra.db.transactions import Connection


@dataclass(frozen=True, slots=True)
class ClaimedBatch(ClaimedRow):
    """The notices of a range of `seq`."""

    version: str
    first_seq: int
    last_seq: int


OUTBOX = Outbox("policy_webhook", ClaimedBatch)


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
