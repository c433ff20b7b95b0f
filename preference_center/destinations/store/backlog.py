"""What is still to be pushed to each destination, for support."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from preference_center.destinations.rules.destination import DestinationStatus, status_label
from preference_center.infra.db.transactions import Connection


@dataclass(frozen=True, slots=True)
class DestinationBacklog:
    """One destination and how many addresses wait for it.

    `due_at` is the earliest deadline among them. `retry_at` is set while its circuit is
    open, for `reason`. `drifted_count` of them had been confirmed there and were found missing,
    which has happened `drift_total` times in all.
    """

    destination: str
    status: DestinationStatus
    reason: str
    retry_at: datetime | None
    pending_count: int
    due_at: datetime | None
    drifted_count: int
    drift_total: int

    @property
    def status_label(self) -> str:
        """See `destination.status_label`."""
        return status_label(self.status, self.retry_at)


def load_backlogs(connection: Connection) -> dict[str, DestinationBacklog]:
    """All destinations by name, also those without pending rows."""
    rows = connection.execute(
        """SELECT d.name, d.status, d.reason, d.retry_at, count(s.due_at), min(s.due_at),
            count(s.due_at) FILTER (WHERE s.outcome = 'drift'),
            COALESCE((SELECT v.drift FROM verification v WHERE v.destination_id = d.id), 0)
        FROM destination d
        LEFT JOIN sync_state s ON s.destination_id = d.id AND s.due_at IS NOT NULL
        GROUP BY d.id ORDER BY d.name"""
    )
    return {row[0]: DestinationBacklog(row[0], DestinationStatus(row[1]), *row[2:]) for row in rows}


def count_pending(connection: Connection, destination: int, limit: int | None = None) -> int:
    """How many addresses wait for it, counted to `limit`."""
    row = connection.execute(
        """SELECT count(*) FROM (SELECT FROM sync_state
            WHERE destination_id = %s AND due_at IS NOT NULL LIMIT %s) AS pending""",
        (destination, limit),
    ).fetchone()
    assert row  # an aggregate
    return int(row[0])


def count_bulk_progress(connection: Connection, destination: int) -> tuple[int, int]:
    """How many addresses of the backfill and of lists are settled, and how many there are."""
    row = connection.execute(
        """SELECT count(*) FILTER (WHERE due_at IS NULL), count(*) FROM sync_state
        WHERE destination_id = %s AND bulk""",
        (destination,),
    ).fetchone()
    assert row  # an aggregate
    return row[0], row[1]
