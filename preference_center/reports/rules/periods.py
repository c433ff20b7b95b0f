"""The days that a report is about. Days, weeks and months are those of UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

MAX_DAYS = 366
"""The longest period, so that what a report reads has a limit."""


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the last, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


class PeriodProblem(StrEnum):
    """Why two dates are no period."""

    NOT_A_DATE = "not_a_date"
    WRONG_ORDER = "wrong_order"
    IN_FUTURE = "in_future"
    TOO_LONG = "too_long"


class Unit(StrEnum):
    """What counts over time are grouped by; a week begins on Monday (ISO 8601)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


MAX_BARS = 93
"""How many days, weeks or months are shown at once."""
_MONTH, _HALF_YEAR = 31, 184  # days, at most


def parse_period(first: str, last: str, today: date) -> Period | PeriodProblem:
    """The period of two dates as forms send them, `2026-11-27`."""
    try:
        period = Period(date.fromisoformat(first.strip()), date.fromisoformat(last.strip()))
    except ValueError:
        return PeriodProblem.NOT_A_DATE
    if period.first > period.last:
        return PeriodProblem.WRONG_ORDER
    if period.last > today:
        return PeriodProblem.IN_FUTURE
    return period if period.days <= MAX_DAYS else PeriodProblem.TOO_LONG


def quarter_of(day: date) -> Period:
    """The calendar quarter of a day."""
    first = date(day.year, day.month - (day.month - 1) % 3, 1)
    return Period(first, _month_after(first.replace(month=first.month + 2)) - timedelta(days=1))


def last_quarter(today: date) -> Period:
    """The calendar quarter before this one."""
    return quarter_of(quarter_of(today).first - timedelta(days=1))


def this_quarter(today: date) -> Period:
    """The calendar quarter, to today."""
    return Period(quarter_of(today).first, today)


def last_month(today: date) -> Period:
    """The calendar month before this one."""
    last = today.replace(day=1) - timedelta(days=1)
    return Period(last.replace(day=1), last)


def last_days(today: date, days: int) -> Period:
    """That many days, to today."""
    return Period(today - timedelta(days=days - 1), today)


def this_year(today: date) -> Period:
    """The calendar year, to today."""
    return Period(date(today.year, 1, 1), today)


def default_unit(period: Period) -> Unit:
    """Days for a month, weeks for half a year, else months."""
    if period.days <= _MONTH:
        return Unit.DAY
    return Unit.WEEK if period.days <= _HALF_YEAR else Unit.MONTH


def units_of(period: Period, unit: Unit) -> list[date]:
    """The first day of each unit that the period touches, the oldest first."""
    day = start_of(period.first, unit)
    starts = []
    while day <= period.last:
        starts.append(day)
        day = _next(day, unit)
    return starts


def start_of(day: date, unit: Unit) -> date:
    """The first day of the unit that a day is in."""
    match unit:
        case Unit.DAY:
            return day
        case Unit.WEEK:
            return day - timedelta(days=day.weekday())
        case Unit.MONTH:
            return day.replace(day=1)


def _next(day: date, unit: Unit) -> date:
    match unit:
        case Unit.DAY:
            return day + timedelta(days=1)
        case Unit.WEEK:
            return day + timedelta(days=7)
        case Unit.MONTH:
            return _month_after(day)


def _month_after(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
