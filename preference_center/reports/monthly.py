"""This module counts deliveries per day, and keeps the counts of each month that is over.

They are by what can't be traced to a person, and small cells are merged. Both are of daily counts,
so that no month is counted from the ledger or the deliveries, which grow for years.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.core.small_cells import MonthlyCell, merge_small_cells
from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection, fetch_count, run_in_transaction
from preference_center.reports.store import CHUNK_SIZE, RECORDING_SPAN, load_progress

DELIVERY = "delivery"
"""`MonthlyCell.what` of deliveries; its source is the destination. Events have their kind."""


_COUNT_DELIVERIES = """
WITH progress AS MATERIALIZED (
    SELECT delivery_id FROM daily_count_progress FOR UPDATE SKIP LOCKED
), chunk AS MATERIALIZED (
    SELECT d.id, d.at, d.destination_id, d.outcome FROM progress p, LATERAL (
        SELECT * FROM delivery WHERE id > p.delivery_id ORDER BY id LIMIT %(size)s) AS d
), recent AS (
    SELECT min(id) AS id FROM chunk WHERE at >= %(until)s
), complete AS MATERIALIZED (
    SELECT chunk.* FROM chunk, recent WHERE recent.id IS NULL OR chunk.id < recent.id
), added AS (
    INSERT INTO daily_delivery_count AS c (day, destination_id, outcome, count)
    SELECT (at AT TIME ZONE 'UTC')::date, destination_id, outcome, count(*)
    FROM complete GROUP BY 1, 2, 3
    ON CONFLICT (day, destination_id, outcome) DO UPDATE SET count = c.count + EXCLUDED.count
), moved AS (
    UPDATE daily_count_progress SET
        delivery_id = COALESCE((SELECT max(id) FROM complete), delivery_id),
        delivered_until = CASE WHEN (SELECT count(*) FROM complete) = %(size)s
            THEN (SELECT max(at) FROM complete) - %(span)s ELSE %(until)s END
    WHERE EXISTS (SELECT FROM progress)
)
SELECT count(*) FROM complete
"""


_MONTH = f"""
SELECT kind, scope, source, '', sum(count)::bigint FROM daily_count
WHERE day >= %(start)s AND day < %(end)s GROUP BY 1, 2, 3
UNION ALL
SELECT '{DELIVERY}', '', COALESCE(t.name, ''), d.outcome, sum(d.count)::bigint
FROM daily_delivery_count d LEFT JOIN destination t ON t.id = d.destination_id
WHERE d.day >= %(start)s AND d.day < %(end)s GROUP BY 3, 4
"""  # noqa: S608 - a constant


def count_deliveries(now: datetime, max_chunks: int | None = None) -> int:
    """Count those of up to `max_chunks` chunks; None: all. Returns how many were counted.

    Those of the last hour wait: a transaction that runs may add one with a lower id. Nothing,
    while another process counts. Raises Unavailable.
    """
    given = {"size": CHUNK_SIZE, "until": now - RECORDING_SPAN, "span": RECORDING_SPAN}
    counted = chunks = 0
    while max_chunks is None or chunks < max_chunks:
        count = run_in_transaction(lambda c: fetch_count(c, _COUNT_DELIVERIES, given))
        counted, chunks = counted + count, chunks + 1
        if count < CHUNK_SIZE:
            break
    return counted


def store_finished_months() -> list[date]:
    """Store the counts of months whose days are all counted; returns them. Raises Unavailable."""

    def store(connection: Connection) -> list[date]:
        months = _list_uncounted(connection)
        for month in months:
            given = {"start": month, "end": _next_month(month)}
            rows = connection.execute(_MONTH, given)
            cells = merge_small_cells([MonthlyCell(*row) for row in rows])
            _insert_counts(connection, month, cells)
        return months

    return run_in_transaction(store)


def list_counts(connection: Connection) -> list[tuple[date, MonthlyCell]]:
    """All counts, the newest month first."""
    rows = connection.execute(
        """SELECT month, what, scope, source, outcome, count FROM monthly_count
        ORDER BY month DESC, what, scope, source, outcome"""
    )
    return [(row[0], MonthlyCell(*row[1:])) for row in rows]


def _list_uncounted(connection: Connection) -> list[date]:
    """Months that are counted by day and not stored; none while days are counted again."""
    progress = load_progress(connection)
    row = connection.execute("SELECT delivered_until FROM daily_count_progress").fetchone()
    delivered_until = row[0] if row else None
    if progress.first_day is None or progress.counted_until is None or delivered_until is None:
        return []
    counted_until = min(progress.counted_until, delivered_until).astimezone(UTC).date()
    month = progress.first_day.replace(day=1)
    if progress.rebuilt_since == progress.first_day != month:  # older days are not counted
        month = _next_month(month)
    last = connection.execute("SELECT max(month) FROM monthly_count").fetchone()
    if last and last[0]:
        month = max(month, _next_month(last[0]))
    months = []
    while _next_month(month) <= counted_until:
        months.append(month)
        month = _next_month(month)
    return months


def _insert_counts(connection: Connection, month: date, cells: Sequence[MonthlyCell]) -> None:
    connection.cursor().executemany(
        """INSERT INTO monthly_count (month, what, scope, source, outcome, count)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        [(month, c.what, c.scope, c.source, c.outcome, c.count) for c in cells],
    )


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


class DailyDeliveryCountRow(db.Model):  # type: ignore[misc,name-defined]
    """Deliveries of one day (UTC); nothing about whom. `daily_count_progress` has how far."""

    __tablename__ = "daily_delivery_count"
    day: Mapped[date] = mapped_column(primary_key=True)
    destination_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class MonthlyCountRow(db.Model):  # type: ignore[misc,name-defined]
    """Events and deliveries of a month that is over; no ids, no small cells."""

    __tablename__ = "monthly_count"
    month: Mapped[date] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
