"""Months are counted once they are over, and nobody can be found in the counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import SHARING
from preference_center.core.small_cells import MonthlyCell
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction, transaction
from preference_center.ledger import record
from preference_center.reports.monthly import (
    DELIVERY,
    count_deliveries,
    list_counts,
    store_finished_months,
)
from preference_center.reports.store import count_new_events, rebuild
from tests.clock import START, Clock
from tests.ledger.changes import change

pytestmark = pytest.mark.usefixtures("in_context")

NOVEMBER = date(2026, 11, 1)


def opted_out(people: int, scope: str, *, first: int) -> None:
    record(
        [
            change(
                first + number,
                scope=scope,
                address=parse_address(f"p{first + number}@example.com", Channel.EMAIL),
            )
            for number in range(people)
        ]
    )


def count_all(now: datetime) -> list[date]:
    count_new_events(now)
    count_deliveries(now)
    return store_finished_months()


def delivered(count: int, outcome: str = "sent") -> None:
    run_in_transaction(lambda connection: insert_deliveries(connection, count, outcome))


def insert_deliveries(connection: Connection, count: int, outcome: str) -> None:
    connection.execute(
        """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
        SELECT 7, 1, 1, %s, '', %s FROM generate_series(1, %s)""",
        (outcome, services().now(), count),
    )


def counted_deliveries() -> list[tuple[date, str, int]]:
    return run_in_transaction(
        lambda connection: connection.execute(
            "SELECT day, outcome, count FROM daily_delivery_count ORDER BY 1, 2"
        ).fetchall()
    )


def test_a_month_is_counted_when_it_is_over(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    assert count_all(clock()) == []

    clock.now = datetime(2026, 12, 2, tzinfo=UTC)

    assert count_all(clock()) == [NOVEMBER]
    assert run_in_transaction(list_counts) == [
        (NOVEMBER, MonthlyCell("opted_out", "acme.news", "test", "", 12))
    ]


def test_sale_and_sharing_are_counted_as_a_scope_of_their_own(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    opted_out(11, SHARING, first=100)
    clock.now = datetime(2026, 12, 24, tzinfo=UTC)

    count_all(clock())

    counted = {cell.scope: cell.count for _, cell in run_in_transaction(list_counts)}
    assert counted == {"acme.news": 12, SHARING: 11}


def test_a_small_topic_is_not_told_apart(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    opted_out(1, "acme.offers", first=100)
    clock.now = datetime(2026, 12, 24, tzinfo=UTC)

    count_all(clock())

    assert [(cell.scope, cell.count) for _, cell in run_in_transaction(list_counts)] == [
        ("other", 13)
    ]


def test_a_month_is_counted_once_and_none_is_left_out(clock: Clock) -> None:
    opted_out(10, "acme.news", first=1)
    clock.now = START + timedelta(days=40)
    opted_out(11, "acme.news", first=100)
    clock.now = START + timedelta(days=80)

    assert [month.month for month in count_all(clock())] == [11, 12, 1]
    assert count_all(clock()) == []
    assert [cell.count for _, cell in run_in_transaction(list_counts)] == [11, 10]


def test_an_empty_ledger_has_no_month(clock: Clock) -> None:
    assert count_all(clock() + timedelta(days=400)) == []


def test_deliveries_are_counted_by_day_and_each_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_center.reports.monthly.CHUNK_SIZE", 4)
    delivered(5)
    delivered(2, "absent")
    clock.advance(timedelta(days=1))
    delivered(3)
    count_new_events(clock())  # makes the row of the progress
    assert [count_deliveries(clock(), max_chunks=1) for _ in range(3)] == [4, 3, 0]

    clock.advance(timedelta(days=1))

    assert count_deliveries(clock()) == 3
    assert counted_deliveries() == [
        (START.date(), "absent", 2),
        (START.date(), "sent", 5),
        (START.date() + timedelta(days=1), "sent", 3),
    ]


def test_a_delivery_that_is_recorded_late_is_not_left_out(clock: Clock) -> None:
    """Its transaction took an id before one that ended earlier."""
    count_new_events(clock())
    with transaction() as late:
        insert_deliveries(late, 2, "sent")
        delivered(3)
        assert count_deliveries(clock() + timedelta(minutes=5)) == 0
    clock.advance(timedelta(hours=2))
    assert count_deliveries(clock()) == 5


def test_a_month_waits_for_its_last_deliveries(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    delivered(20)
    clock.now = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
    assert count_all(clock()) == []

    clock.advance(timedelta(hours=1))

    assert count_all(clock()) == [NOVEMBER]
    assert [
        (cell.what, cell.outcome, cell.count) for _, cell in run_in_transaction(list_counts)
    ] == [
        (DELIVERY, "sent", 20),
        ("opted_out", "", 12),
    ]


def test_a_month_of_which_some_days_are_left_out_is_not_counted(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    clock.now = datetime(2026, 12, 24, tzinfo=UTC)
    opted_out(12, "acme.news", first=100)
    rebuild(date(2026, 12, 20), "test")
    clock.now = datetime(2027, 2, 2, tzinfo=UTC)
    assert count_all(clock()) == [date(2027, 1, 1)]
