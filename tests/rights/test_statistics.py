"""Months are counted once they are over, and nobody can be found in the counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import SHARING
from preference_center.core.small_cells import MonthlyCell
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.rights.retention import count_finished_months, list_counts
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


def test_a_month_is_counted_when_it_is_over(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    assert count_finished_months(clock()) == []

    clock.now = datetime(2026, 12, 1, tzinfo=UTC)

    assert count_finished_months(clock()) == [NOVEMBER]
    assert run_in_transaction(list_counts) == [
        (NOVEMBER, MonthlyCell("opted_out", "acme.news", "test", "", 12))
    ]


def test_sale_and_sharing_are_counted_as_a_scope_of_their_own(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    opted_out(11, SHARING, first=100)
    clock.now = datetime(2026, 12, 24, tzinfo=UTC)

    count_finished_months(clock())

    counted = {cell.scope: cell.count for _, cell in run_in_transaction(list_counts)}
    assert counted == {"acme.news": 12, SHARING: 11}


def test_a_small_topic_is_not_told_apart(clock: Clock) -> None:
    opted_out(12, "acme.news", first=1)
    opted_out(1, "acme.offers", first=100)
    clock.now = datetime(2026, 12, 24, tzinfo=UTC)

    count_finished_months(clock())

    assert [(cell.scope, cell.count) for _, cell in run_in_transaction(list_counts)] == [
        ("other", 13)
    ]


def test_a_month_is_counted_once_and_none_is_left_out(clock: Clock) -> None:
    opted_out(10, "acme.news", first=1)
    clock.now = START + timedelta(days=40)
    opted_out(11, "acme.news", first=100)
    clock.now = START + timedelta(days=80)

    assert [month.month for month in count_finished_months(clock())] == [11, 12, 1]
    assert count_finished_months(clock()) == []
    assert [cell.count for _, cell in run_in_transaction(list_counts)] == [11, 10]


def test_an_empty_ledger_has_no_month(clock: Clock) -> None:
    assert count_finished_months(clock() + timedelta(days=400)) == []
