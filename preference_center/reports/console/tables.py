"""The tables of a report, as the page and the CSV files show them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from preference_center.core.tabular import to_spreadsheet_text

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
