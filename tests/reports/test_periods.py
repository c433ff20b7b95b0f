"""The days of a report."""

from __future__ import annotations

from datetime import date

import pytest

from preference_center.reports.rules import (
    MAX_BARS,
    Period,
    PeriodProblem,
    Unit,
    default_unit,
    last_days,
    last_month,
    last_quarter,
    parse_period,
    this_quarter,
    this_year,
    units_of,
)

TODAY = date(2026, 2, 10)


def test_the_periods_that_a_link_offers() -> None:
    assert last_quarter(TODAY) == Period(date(2025, 10, 1), date(2025, 12, 31))
    assert last_quarter(date(2026, 12, 31)) == Period(date(2026, 7, 1), date(2026, 9, 30))
    assert this_quarter(TODAY) == Period(date(2026, 1, 1), TODAY)
    assert last_month(date(2024, 3, 31)) == Period(date(2024, 2, 1), date(2024, 2, 29))
    assert last_days(TODAY, 30) == Period(date(2026, 1, 12), TODAY)
    assert this_year(TODAY).days == 41


@pytest.mark.parametrize(
    "first, last, found",
    [
        ("2026-01-01", " 2026-02-10 ", Period(date(2026, 1, 1), TODAY)),
        ("2026-02-10", "2026-02-10", Period(TODAY, TODAY)),
        ("01/02/2026", "2026-02-10", PeriodProblem.NOT_A_DATE),
        ("2026-02-30", "2026-02-10", PeriodProblem.NOT_A_DATE),
        ("2026-02-10", "2026-02-09", PeriodProblem.WRONG_ORDER),
        ("2026-02-10", "2026-02-11", PeriodProblem.IN_FUTURE),
        ("2020-02-10", "2026-02-10", PeriodProblem.TOO_LONG),
    ],
)
def test_two_dates_are_a_period_or_say_why_not(
    first: str, last: str, found: Period | PeriodProblem
) -> None:
    assert parse_period(first, last, TODAY) == found


def test_units_cover_the_period_and_no_more() -> None:
    period = Period(date(2025, 12, 30), date(2026, 1, 6))
    assert len(units_of(period, Unit.DAY)) == period.days == 8
    assert units_of(period, Unit.WEEK) == [date(2025, 12, 29), date(2026, 1, 5)]  # Mondays
    assert units_of(period, Unit.MONTH) == [date(2025, 12, 1), date(2026, 1, 1)]


@pytest.mark.parametrize("days", [1, 31, 32, 184, 185, 366])
def test_the_default_unit_fits(days: int) -> None:
    period = last_days(TODAY, days)
    assert len(units_of(period, default_unit(period))) <= MAX_BARS
