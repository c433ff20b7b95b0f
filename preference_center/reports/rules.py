"""These rules break down opt-outs and opt-ins without small cells, and parse a report's period.

Counts are by source, topic or brand. Days, weeks and months are those of UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from preference_center.core.events import OBJECTION_KINDS, EventKind
from preference_center.core.small_cells import OTHER, MonthlyCell, merge_small_cells

OPT_IN_KINDS = (EventKind.OPTED_IN,)


COUNTED_KINDS = (*OBJECTION_KINDS, *OPT_IN_KINDS, EventKind.RETRACTED)
"""The kinds of events that a report reads."""


_OUT, _IN = "out", "in"


@dataclass(frozen=True, slots=True)
class OptOutCounts:
    """Opt-outs and opt-ins of one source, topic or brand; None if merged into OTHER, or left out.

    `key` is OTHER for the merged ones.
    """

    key: str
    opt_outs: int | None = None
    opt_ins: int | None = None

    @property
    def net(self) -> int | None:
        """How many more opted in than out; None if either is not stated."""
        if self.opt_outs is None or self.opt_ins is None:
            return None
        return self.opt_ins - self.opt_outs


def break_down(counts: Iterable[tuple[str, str, int]]) -> list[OptOutCounts]:
    """One row per key of these triples of a key, an event's kind and a count; most opt-outs first.

    A count of zero is stated, a small one is not: it is merged with others into OTHER, or left
    out, as `merge_small_cells` has it. OTHER comes last.
    """
    totals: Counter[tuple[str, str]] = Counter()
    keys: set[str] = set()
    for key, kind, count in counts:
        direction = _OUT if kind in OBJECTION_KINDS else _IN if kind in OPT_IN_KINDS else None
        if direction:
            totals[direction, key] += count
            keys.add(key)
    cells = [MonthlyCell(what, key, "", "", count) for (what, key), count in totals.items()]
    stated = {(cell.what, cell.scope): cell.count for cell in merge_small_cells(cells)}
    if any(key == OTHER for _, key in stated):
        keys.add(OTHER)

    def find(what: str, key: str) -> int | None:
        return stated.get((what, key), None if (what, key) in totals else 0)

    rows = [OptOutCounts(key, find(_OUT, key), find(_IN, key)) for key in keys]
    return sorted(rows, key=lambda row: (row.key == OTHER, -(row.opt_outs or 0), row.key))


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
