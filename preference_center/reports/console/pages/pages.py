"""The report, and each of its tables as CSV."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, abort, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.events import format_receipt_code
from preference_center.core.staff import Permission
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.reports.console.build import ReportTables
from preference_center.reports.console.pages.choices import (
    ReportChoice,
    period_links,
    read_choice,
    unit_titles,
)
from preference_center.reports.console.tables import Value, format_cell, to_csv
from preference_center.reports.console.words import words
from preference_center.reports.console.words.facts import load_facts
from preference_center.reports.store.daily_counts import load_progress
from preference_center.web.console.frame import may, render_page


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
