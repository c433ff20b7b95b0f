"""Which days a report is about, as its form and links say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _

from preference_center.reports.rules.periods import (
    MAX_BARS,
    MAX_DAYS,
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


@dataclass(frozen=True, slots=True)
class ReportChoice:
    """The period and its unit; `problem` says what to fix, the default is shown then.

    `first` and `last` are what the fields show: also what was wrong with them.
    """

    period: Period
    unit: Unit
    first: str
    last: str
    problem: str = ""

    @property
    def arguments(self) -> dict[str, Any]:
        """The query of this report."""
        return {"from": self.period.first, "until": self.period.last, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class PeriodLink:
    """A period that one click shows."""

    title: str
    url: str
    is_current: bool


def read_choice(now: datetime, first_day: date | None) -> ReportChoice:
    """What the query asks for; else the last quarter, or this one if nothing is older."""
    today = now.astimezone(UTC).date()
    period = last_quarter(today)
    if first_day is None or first_day > period.last:
        period = this_quarter(today)
    first, last = request.args.get("from", "")[:20], request.args.get("until", "")[:20]
    problem = ""
    if first or last:
        found = parse_period(first, last, today)
        if isinstance(found, PeriodProblem):
            problem = _problem_text(found)
        else:
            period = found
    if not problem:
        first, last = period.first.isoformat(), period.last.isoformat()
    return ReportChoice(period, _read_unit(period), first, last, problem)


def period_links(now: datetime, shown: Period) -> Iterator[PeriodLink]:
    """The usual periods."""
    today = now.astimezone(UTC).date()
    periods = (
        (_("Last quarter"), last_quarter(today)),
        (_("This quarter"), this_quarter(today)),
        (_("Last month"), last_month(today)),
        (_("Last 30 days"), last_days(today, 30)),
        (_("This year"), this_year(today)),
    )
    for title, period in periods:
        arguments: dict[str, Any] = {"from": period.first, "until": period.last}
        yield PeriodLink(str(title), url_for("console.reports", **arguments), period == shown)


def unit_titles() -> dict[Unit, str]:
    """The units by name."""
    return {Unit.DAY: _("By day"), Unit.WEEK: _("By week"), Unit.MONTH: _("By month")}


def _read_unit(period: Period) -> Unit:
    """The unit that was asked for, unless it has too many bars for the period."""
    try:
        unit = Unit(request.args.get("unit", ""))
    except ValueError:
        return default_unit(period)
    return unit if len(units_of(period, unit)) <= MAX_BARS else default_unit(period)


def _problem_text(problem: PeriodProblem) -> str:
    texts = {
        PeriodProblem.NOT_A_DATE: _("Enter both dates, each as year-month-day: 2026-11-27."),
        PeriodProblem.WRONG_ORDER: _("The first day comes after the last: exchange them."),
        PeriodProblem.IN_FUTURE: _("The last day lies in the future: choose today or earlier."),
        PeriodProblem.TOO_LONG: _("That is too long: choose at most %(days)s days.", days=MAX_DAYS),
    }
    return str(texts[problem])
