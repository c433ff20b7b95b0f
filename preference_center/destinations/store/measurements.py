"""What monitoring reads of the database. Each query reads a limited number of rows by an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from preference_center.destinations.rules.destination import DestinationStatus, status_label
from preference_center.infra.db.transactions import Connection

MAX_PENDING = 10_000
"""Pending rows are counted up to here, for all destinations together ..."""
MIN_PENDING = 100
"""... but up to this many for each."""
MAX_EMAILS = 10_000


@dataclass(frozen=True, slots=True)
class PendingRows:
    """Rows that wait for one destination; `due_at` is the earliest deadline of them."""

    destination: str
    status_label: str
    count: int
    due_at: datetime | None


def list_pending(connection: Connection) -> list[PendingRows]:
    """What waits for each destination, by name; counted up to its share of MAX_PENDING."""
    rows = connection.execute(
        """WITH row_limit AS MATERIALIZED (
            SELECT GREATEST(%s, %s / GREATEST(count(*), 1)) AS max_rows FROM destination)
        SELECT d.name, d.status, d.retry_at, found.count, found.earliest
        FROM destination d CROSS JOIN LATERAL (
            SELECT count(*) AS count, min(first.due_at) AS earliest FROM (
                SELECT s.due_at FROM sync_state s
                WHERE s.destination_id = d.id AND s.due_at IS NOT NULL
                ORDER BY s.due_at LIMIT (SELECT max_rows FROM row_limit)) AS first) AS found
        ORDER BY d.name""",
        (MIN_PENDING, MAX_PENDING),
    )
    return [
        PendingRows(name, status_label(DestinationStatus(status), retry_at), count, due_at)
        for name, status, retry_at, count, due_at in rows
    ]


def load_due_emails(connection: Connection, now: datetime) -> tuple[int, datetime | None]:
    """How many emails are due (to MAX_EMAILS), and since when the first of them."""
    row = connection.execute(
        """SELECT count(*), min(next_at) FROM (SELECT next_at FROM outgoing_mail
            WHERE next_at <= %s ORDER BY next_at LIMIT %s) AS due""",
        (now, MAX_EMAILS),
    ).fetchone()
    assert row  # an aggregate
    return row[0], row[1]
