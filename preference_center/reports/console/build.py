"""`ReportTables` builds the tables of a report from its facts, for the page and the CSV files."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from preference_center.catalogue import Catalogue
from preference_center.contacts.words import scope_title, source_title
from preference_center.core.deadlines import TARGET, WINDOW
from preference_center.core.events import ALL_MARKETING, OBJECTION_KINDS, RESERVED_SCOPES, EventKind
from preference_center.core.small_cells import MIN_CELL, OTHER, MonthlyCell, merge_small_cells
from preference_center.core.tabular import to_spreadsheet_text
from preference_center.destinations.rules.promise import DAY
from preference_center.reports.console import words
from preference_center.reports.console.words import ReportFacts
from preference_center.reports.rules import (
    OPT_IN_KINDS,
    Unit,
    break_down,
    start_of,
    units_of,
)
from preference_center.rights.words import kind_words
from preference_center.web.console.charts import BarChart, bar_chart
from preference_center.web.languages import page_language

Value = str | int | timedelta | date | None


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table; the first `texts` cells of a row are text, the first of them is its heading.

    `name` is that of its CSV file. None is a count that is not stated, since it is small.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    empty: str
    notes: Sequence[str] = ()
    texts: int = 1

    @property
    def heads(self) -> list[str | tuple[str, str]]:
        """The titles; those of numbers with the class of their column."""
        texts, numbers = self.columns[: self.texts], self.columns[self.texts :]
        return [*texts, *((title, "number") for title in numbers)]


def format_cell(
    value: Value,
    number: Callable[[int], str],
    duration: Callable[[timedelta], str],
    day: Callable[[date], str],
) -> str:
    """A cell as people read it."""
    match value:
        case None:
            return "–"
        case int():
            return number(value)
        case timedelta():
            return duration(value)
        case date():
            return day(value)
        case _:
            return value


def to_csv(table: ReportTable) -> str:
    """The table as CSV (RFC 4180): times in seconds, what is not stated is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_csv_cell(title) for title in table.columns])
    writer.writerows([[_csv_cell(value) for value in row] for row in table.rows])
    return text.getvalue()


def _csv_cell(value: Value) -> str | int:
    match value:
        case None:
            return ""
        case int():
            return value
        case timedelta():
            return round(value.total_seconds())
        case date():
            return value.isoformat()
        case _:
            return to_spreadsheet_text(value)


@dataclass(frozen=True, slots=True)
class ReportTables:
    """Makes each table; `exact_requests`: the reader may open the requests themselves."""

    facts: ReportFacts
    catalogue: Catalogue
    exact_requests: bool

    def by_name(self) -> Mapping[str, Callable[[], ReportTable]]:
        """What makes the table of each name, in the order of the page."""
        return {
            "times": self.times,
            "requests": self.requests,
            "over-time": self.over_time,
            "sources": self.sources,
            "topics": self.topics,
            "brands": self.brands,
            "reasons": self.reasons,
        }

    def times(self) -> ReportTable:
        """How long each tool took, and what was past a limit."""
        waiting = {each.destination: each.count for each in self.facts.overdue}
        times = {each.destination: each for each in self.facts.times}
        rows: list[list[Value]] = []
        for name in sorted({*times, *waiting}):
            found = times.get(name)
            rows.append(
                [
                    name,
                    found.count if found else 0,
                    found.percentile(0.5) if found else None,
                    found.percentile(0.95) if found else None,
                    found.longest if found else None,
                    *(found.count_from(bound) if found else 0 for bound in (DAY, TARGET, WINDOW)),
                    waiting.get(name, 0),
                ]
            )
        return ReportTable(
            "times",
            _("Time to reflect, by tool"),
            [
                _("Destination"),
                _("Pushes"),
                _("p50, about"),
                _("p95, about"),
                _("Longest"),
                _("24 h or more"),
                _("48 h or more"),
                _("72 h or more"),
                _("Waiting past 72 h now"),
            ],
            rows,
            _("No opt-out was pushed to a tool in this period."),
            [
                _(
                    "From when an opt-out reached the company until a push of it was confirmed, or"
                    " the tool did not know the address. p50 and p95 are interpolated within fixed"
                    " bounds; the counts and the longest time are exact."
                ),
                _(
                    "Counted by address and destination, on the day of the push: also back-fills"
                    " of a new destination and repeats after drift, each from when it became due."
                ),
            ],
        )

    def requests(self) -> ReportTable:
        """What became of the requests, by law and kind."""
        rows: list[list[Value]] = [
            [
                words.law_title(row.law),
                kind_words(row.kind),
                *(
                    count if self.exact_requests or not 0 < count < MIN_CELL else None
                    for count in (row.in_time, row.late, row.open, row.overdue, row.ended)
                ),
            ]
            for row in self.facts.requests
        ]
        notes = [
            _(
                "Requests that were received in this period, as they are now. An extension counts"
                " as the deadline, and a stopped clock does not run out."
            )
        ]
        return ReportTable(
            "requests",
            _("Data-subject requests, by law and kind"),
            [
                _("Law"),
                _("Kind"),
                _("In time"),
                _("Late"),
                _("Still open"),
                _("Open, late"),
                _("Withdrawn or lapsed"),
            ],
            rows,
            _("No request was received in this period."),
            notes if self.exact_requests else [*notes, small_note()],
            texts=2,
        )

    def over_time(self) -> ReportTable:
        """Opt-outs and opt-ins by day, week or month."""
        steps = self._steps()
        rows: list[list[Value]] = [[start, out, in_, in_ - out] for start, out, in_ in steps]
        by_day = self.facts.counts.by_day
        retracted = sum(n for (_day, kind), n in by_day.items() if kind == EventKind.RETRACTED)
        notes = [
            _(
                "Complaints count as opt-outs. Each counts on the day it was recorded, whatever"
                " its own date: also those of an imported list."
            )
        ]
        if retracted:
            notes.append(
                ngettext(
                    "%(num)s retraction was recorded. It takes nothing from the counts.",
                    "%(num)s retractions were recorded. They take nothing from the counts.",
                    retracted,
                )
            )
        return ReportTable(
            "over-time",
            _("Opt-outs and opt-ins over time"),
            [self._unit_title(), *_columns()],
            rows if any(out or in_ for _start, out, in_ in steps) else [],
            _nothing(),
            notes,
        )

    def chart(self) -> BarChart:
        """The same as bars."""
        steps = self._steps()
        return bar_chart(
            _("Opt-outs and opt-ins over time; the table has the numbers"),
            [_("Opt-outs"), _("Opt-ins")],
            [words.day(start) for start, _out, _in in steps],
            [[out, in_] for _start, out, in_ in steps],
        )

    def sources(self) -> ReportTable:
        """How opt-outs reached the company."""
        return self._breakdown(
            "sources",
            _("By source"),
            _("Source"),
            ((row.source, row.kind, row.count) for row in self.facts.counts.rows),
            lambda key: source_title(key, str),
        )

    def topics(self) -> ReportTable:
        """What they covered."""
        return self._breakdown(
            "topics",
            _("By topic"),
            _("Topic"),
            ((row.scope, row.kind, row.count) for row in self.facts.counts.rows),
            lambda key: scope_title(key, self.catalogue),
        )

    def brands(self) -> ReportTable:
        """Whose topics they were about."""
        return self._breakdown(
            "brands",
            _("By brand"),
            _("Brand"),
            ((self._brand_of(row.scope), row.kind, row.count) for row in self.facts.counts.rows),
            self._brand_title,
        )

    def reasons(self) -> ReportTable:
        """Why people unsubscribed, as far as they said."""
        cells = merge_small_cells(
            MonthlyCell("", each.scope, each.reason, "", each.count) for each in self.facts.survey
        )
        rows: list[list[Value]] = [
            [_("others"), _("others"), cell.count]
            if cell.scope == OTHER
            else [
                scope_title(cell.scope, self.catalogue),
                words.survey_reason(cell.source),
                cell.count,
            ]
            for cell in sorted(cells, key=lambda cell: (cell.scope == OTHER, -cell.count))
        ]
        return ReportTable(
            "reasons",
            _("Why people unsubscribed"),
            [_("Topic"), _("Reason"), _("Answers")],
            rows,
            _("Nobody gave a reason, or fewer than %(least)s did.", least=MIN_CELL),
            [_("Counted by whole months: those that this period touches."), small_note()],
            texts=2,
        )

    def _breakdown(
        self,
        name: str,
        title: str,
        heading: str,
        counts: Iterable[tuple[str, str, int]],
        title_of: Callable[[str], str],
    ) -> ReportTable:
        rows: list[list[Value]] = [
            [
                _("others") if row.key == OTHER else title_of(row.key),
                row.opt_outs,
                row.opt_ins,
                row.net,
            ]
            for row in break_down(counts)
        ]
        return ReportTable(name, title, [heading, *_columns()], rows, _nothing(), [small_note()])

    def _steps(self) -> list[tuple[date, int, int]]:
        """Each day, week or month with its opt-outs and opt-ins."""
        unit = self.facts.unit
        out: Counter[date] = Counter()
        in_: Counter[date] = Counter()
        for (day, kind), count in self.facts.counts.by_day.items():
            if kind in OBJECTION_KINDS:
                out[start_of(day, unit)] += count
            elif kind in OPT_IN_KINDS:
                in_[start_of(day, unit)] += count
        return [(start, out[start], in_[start]) for start in units_of(self.facts.period, unit)]

    def _unit_title(self) -> str:
        titles = {Unit.DAY: _("Day"), Unit.WEEK: _("Week from"), Unit.MONTH: _("Month from")}
        return str(titles[self.facts.unit])

    def _brand_of(self, scope: str) -> str:
        topic = self.catalogue.topics.get(scope)
        if topic:
            return topic.brand
        return ALL_MARKETING if scope in RESERVED_SCOPES else ""

    def _brand_title(self, key: str) -> str:
        if key in self.catalogue.brands:
            return self.catalogue.localize(self.catalogue.brands[key].name, page_language())
        return str(_("every brand") if key else _("a topic that the catalogue has no longer"))


def small_note() -> str:
    """Why a count is missing."""
    return str(
        _(
            "Counts below %(least)s are merged as “others”, or left out (–), so that they show"
            " nobody.",
            least=MIN_CELL,
        )
    )


def _columns() -> list[str]:
    return [str(_("Opt-outs")), str(_("Opt-ins")), str(_("Net"))]


def _nothing() -> str:
    return str(_("No opt-out and no opt-in was recorded in this period."))
