"""Count each month once it is over, before what it is counted from may expire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from preference_center.core.small_cells import merge_small_cells
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights import rights_statistics


def count_finished_months(now: datetime) -> list[date]:
    """Count the months that are over and have no counts yet; returns them. Raises Unavailable."""
    months = run_in_transaction(lambda connection: list(_uncounted(connection, now)))
    for month in months:
        run_in_transaction(lambda connection, month=month: _count(connection, month))  # type: ignore[misc]
    return months


def _uncounted(connection: Connection, now: datetime) -> Iterator[date]:
    first = rights_statistics.first_month(connection)
    last = rights_statistics.last_counted_month(connection)
    if first is None:
        return
    month = _next_month(last) if last else first.astimezone(UTC).date().replace(day=1)
    while month < now.astimezone(UTC).date().replace(day=1):
        yield month
        month = _next_month(month)


def _count(connection: Connection, month: date) -> None:
    cells = rights_statistics.count_month(
        connection, _midnight(month), _midnight(_next_month(month))
    )
    rights_statistics.insert_counts(connection, month, merge_small_cells(cells))


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
