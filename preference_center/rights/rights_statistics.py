"""Monthly counts of events and deliveries, by what can't be traced to a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from preference_center.core.small_cells import MonthlyCell
from preference_center.infra.db.transactions import Connection

DELIVERY = "delivery"
"""`MonthlyCell.what` of deliveries; its source is the destination. Events have their kind."""

_EVENTS = """
SELECT kind, scope, source, '', count(*) FROM event
WHERE recorded_at >= %(start)s AND recorded_at < %(end)s GROUP BY 1, 2, 3
"""
_DELIVERY_COUNTS = f"""
SELECT '{DELIVERY}', '', COALESCE(t.name, ''), d.outcome, count(*)
FROM delivery d LEFT JOIN destination t ON t.id = d.destination_id
WHERE d.at >= %(start)s AND d.at < %(end)s GROUP BY 3, 4
"""  # noqa: S608 - a constant


def count_month(connection: Connection, start: datetime, end: datetime) -> list[MonthlyCell]:
    """Count what was recorded from `start` until before `end` (UTC). Reads the whole ledger."""
    times = {"start": start, "end": end}
    rows = [*connection.execute(_EVENTS, times), *connection.execute(_DELIVERY_COUNTS, times)]
    return [MonthlyCell(*row) for row in rows]


def first_month(connection: Connection) -> datetime | None:
    """When the first event was recorded; None in an empty ledger."""
    row = connection.execute("SELECT recorded_at FROM event ORDER BY seq LIMIT 1").fetchone()
    return row[0] if row else None


def last_counted_month(connection: Connection) -> date | None:
    """The newest month that has counts."""
    row = connection.execute("SELECT max(month) FROM monthly_count").fetchone()
    return row[0] if row else None


def insert_counts(connection: Connection, month: date, cells: Sequence[MonthlyCell]) -> None:
    """Store the counts of a month. Safe to repeat."""
    connection.cursor().executemany(
        """INSERT INTO monthly_count (month, what, scope, source, outcome, count)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        [(month, c.what, c.scope, c.source, c.outcome, c.count) for c in cells],
    )


def list_counts(connection: Connection) -> list[tuple[date, MonthlyCell]]:
    """All counts, the newest month first."""
    rows = connection.execute(
        """SELECT month, what, scope, source, outcome, count FROM monthly_count
        ORDER BY month DESC, what, scope, source, outcome"""
    )
    return [(row[0], MonthlyCell(*row[1:])) for row in rows]
