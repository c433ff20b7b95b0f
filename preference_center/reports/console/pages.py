"""The console shows the report, and each of its tables as CSV.

The page's form and links say which days the report is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Any

from flask import Response, abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.events import format_receipt_code
from preference_center.core.staff import Permission
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.reports.console import words
from preference_center.reports.console.build import ReportTables, Value, format_cell, to_csv
from preference_center.reports.console.words import load_facts
from preference_center.reports.rules import (
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
from preference_center.reports.store import load_progress
from preference_center.web.console.frame import may, render_page


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


def reports() -> ResponseReturnValue:
    """All tables of a period; by default of the last quarter."""
    choice, tables = _load()
    answer, kind = words.answer(tables.facts)
    return render_page(
        "reports/report",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if choice.problem else HTTPStatus.OK,
        choice=choice,
        problem=choice.problem,
        links=list(period_links(services().now(), choice.period)),
        units=list(unit_titles().items()),
        answer=answer,
        answer_kind=kind,
        title=words.period_title(choice.period),
        coverage=list(words.coverage(tables.facts)),
        tables={name: make() for name, make in tables.by_name().items()},
        chart=tables.chart(),
        late_requests=tables.facts.late_requests if may(Permission.VIEW_REQUESTS) else (),
        reference_of=format_receipt_code,
        law_title=words.law_title,
        printed_at=services().now(),
        show=_show,
        csv_url=lambda name: url_for("console.report_csv", name=name, **choice.arguments),
    )


def report_csv(name: str) -> ResponseReturnValue:
    """One table of a report; 404 for a name that none has."""
    choice, tables = _load()
    make = tables.by_name().get(name)
    if make is None or choice.problem:
        abort(HTTPStatus.NOT_FOUND)
    period = choice.period
    response = Response(to_csv(make()), content_type="text/csv; charset=utf-8")
    response.headers.set(
        "Content-Disposition",
        "attachment",
        filename=f"{name}-{period.first.isoformat()}-{period.last.isoformat()}.csv",
    )
    return response


def _load() -> tuple[ReportChoice, ReportTables]:
    now = services().now()
    progress = run_in_transaction(load_progress)
    choice = read_choice(now, progress.first_day)
    facts = run_in_transaction(lambda c: load_facts(c, choice.period, choice.unit, now))
    exact_requests = may(Permission.VIEW_REQUESTS)
    return choice, ReportTables(facts, current_catalogue_or_empty(), exact_requests)


def _show(value: Value) -> str:
    return format_cell(value, words.number, words.duration, words.day)
