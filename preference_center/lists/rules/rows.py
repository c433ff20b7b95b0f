"""A row states, by its preset, something about one address: nothing, or one or several statements.

No format of dates is guessed: 03/04/2024 is in April or in March, and an opt-out with a date that
can't be read would count from the time of the import, which outranks everything that the person did
since. So a person states the format, and `DateQuestion` asks which one it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from itertools import product
from typing import Any

from preference_center.core.errors import InvalidInput
from preference_center.core.tabular import normalize_column_name
from preference_center.integrations.base.presets import (
    STATED_GROUP,
    TRUE_WORDS,
    CellCondition,
    ColumnMeaning,
    ColumnNames,
    ImportPreset,
)

_TRUE_VALUES = frozenset({"1", "y", "x", *TRUE_WORDS})


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row. `line` counts from 1, in the file; for a JSON document it is the row's number.

    `cells` are keyed by the normalized names of the columns, `column_names` maps these to the
    names in the file. `index` counts rows from 0; `end_offset` is the byte after the row, where
    the format has one, and `last_line` the line on which it ends.
    """

    index: int
    line: int
    cells: Mapping[str, Any]
    column_names: Mapping[str, str]
    end_offset: int = 0
    last_line: int = 0
    error: str = ""
    """Why it can't be parsed; "" if it can."""


@dataclass(frozen=True, slots=True)
class RowStatement:
    """One statement of a row, as it is written there."""

    column_meaning: ColumnMeaning
    index: int
    """Its number within the row."""
    group: str
    date: str
    evidence: Mapping[str, str] = field(default_factory=dict)


def cell_text(cells: Mapping[str, Any], columns: ColumnNames) -> str:
    """The text of the first of these columns that has any; "" if none has."""
    for column in columns:
        text = _text(cells.get(normalize_column_name(column)))
        if text:
            return text
    return ""


def parse_row_statements(row: FileRow, preset: ImportPreset) -> Iterator[RowStatement]:
    """All statements of the row."""
    number = 0
    for meaning in preset.meanings:
        for cells in _expand_list(row.cells, meaning):
            if all(_matches(when, cells) for when in meaning.conditions):
                for group in _groups(meaning, cells, row.column_names, preset):
                    evidence = {
                        name: cell_text(cells, columns)
                        for name, columns in preset.evidence_columns.items()
                    }
                    yield RowStatement(
                        meaning, number, group, cell_text(cells, meaning.date_columns), evidence
                    )
                    number += 1


def _expand_list(cells: Mapping[str, Any], meaning: ColumnMeaning) -> Iterator[Mapping[str, Any]]:
    """The row itself, or merged with each object of the list in `list_columns`."""
    if not meaning.list_columns:
        yield cells
        return
    for column in meaning.list_columns:
        found = cells.get(normalize_column_name(column))
        for item in found if isinstance(found, list) else ():
            if isinstance(item, Mapping):
                yield {
                    **cells,
                    **{normalize_column_name(str(name)): value for name, value in item.items()},
                }


def _groups(
    meaning: ColumnMeaning,
    cells: Mapping[str, Any],
    column_names: Mapping[str, str],
    preset: ImportPreset,
) -> Iterator[str]:
    stated = _text(cells.get(STATED_GROUP))
    if stated and meaning.default_group:
        yield stated
    elif meaning.group_column_words:
        for key, value in cells.items():
            is_group = key not in preset.known_columns and meaning.has_group_column([key])
            if is_group and _text(value).casefold() in _TRUE_VALUES:
                yield column_names.get(key, key).rpartition(":")[2].strip()
    elif meaning.other_columns_are_groups:
        for key, value in cells.items():
            if key not in preset.known_columns and _text(value).casefold() in _TRUE_VALUES:
                yield column_names.get(key, key).strip()
    else:
        yield from _groups_in_columns(meaning, cells)


def _groups_in_columns(meaning: ColumnMeaning, cells: Mapping[str, Any]) -> Iterator[str]:
    for column in meaning.group_columns:
        found = cells.get(normalize_column_name(column))
        if isinstance(found, list):
            several = [_text(item) for item in found]
        else:
            text = _text(found)
            several = text.split(meaning.group_separator) if meaning.group_separator else [text]
        several = [group.strip() for group in several if group.strip()]
        if several:
            yield from dict.fromkeys(several)
            return
    yield meaning.default_group


def _matches(condition: CellCondition, cells: Mapping[str, Any]) -> bool:
    text = cell_text(cells, condition.columns).casefold()
    if condition.is_whole:
        found = text in condition.prefixes
    else:
        found = text.startswith(condition.prefixes) if condition.prefixes else bool(text)
    return found != condition.negated


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\0", "").strip()  # JSON may have it, and PostgreSQL stores none
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_MAX_PATTERN = 60


_MAX_SHOWN, _MAX_SUGGESTIONS = 3, 3


_MAX_EXAMPLES = 100
"""Enough to tell the format of a file in which some dates are wrong."""


_SAMPLE = datetime(2031, 12, 25, 15, 4, 5, tzinfo=UTC)


_TIMES_OF_SAMPLE = (time(), time(15), time(15, 4), time(15, 4, 5))


_TIME_SHAPE = (
    r"([ T,]+\d{1,2}[:.]\d\d([:.]\d\d([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?"
    r"( ?(Z|UTC|GMT|[+-]\d\d:?\d\d))?)?"
)


_DATE_SHAPE = re.compile(
    rf"(\d{{1,4}}([/.\- ])\d{{1,2}}\2\d{{1,4}}|[A-Za-z]{{3,9}}\.? \d{{1,2}},? \d{{4}}"
    rf"|\d{{1,2}}\.?[ -][A-Za-z]{{3,9}}\.?[ -]\d{{2,4}}){_TIME_SHAPE}"
)


# What exports write for "never": no digit but zero, or the zero times of Go and .NET.
_NO_DATE = re.compile(r"(?:0001-01-01.*|[^1-9]*)", re.DOTALL)


_DATE_PATTERNS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d-%b-%Y", "%d-%b-%y"),
)


_TIME_PATTERNS = (
    *("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"),
    *(", %H:%M", ", %H:%M:%S", ", %I:%M %p", ", %I:%M:%S %p"),
)


_KNOWN_PATTERNS = tuple(d + t for d, t in product(_DATE_PATTERNS, _TIME_PATTERNS))


class UnreadableDates(StrEnum):
    """What becomes of a row whose date can't be read."""

    REFUSE = "refuse"
    """The file is refused until its format is stated."""
    NOW = "now"
    """An opt-out counts from the time of the import."""


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A pattern of `datetime.strptime`; without an hour it is a bare day."""

    pattern: str
    is_day: bool

    def parse(self, text: str, zone: tzinfo) -> datetime | None:
        """The time, in `zone` if the text has none; None if it is written otherwise."""
        try:
            found = datetime.strptime(text, self.pattern)  # noqa: DTZ007 - the zone follows
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=zone)


@cache
def parse_date_format(pattern: str) -> DateFormat:
    """Check a pattern. Raises InvalidInput unless it names day, month and year without doubt."""
    try:
        # A day and month alone are refused at once: Python 3.13 warns of them.
        has_year = re.search("%[yYcxG]", pattern) is not None
        sample = datetime.strptime(_SAMPLE.strftime(pattern), pattern) if has_year else None  # noqa: DTZ007 - no zone is asked for
    except (ValueError, re.error):  # the latter for a directive that occurs twice
        sample = None
    if (
        sample is None
        or len(pattern) > _MAX_PATTERN
        or sample.date() != _SAMPLE.date()
        or sample.time() not in _TIMES_OF_SAMPLE
    ):
        raise InvalidInput(
            "state day, month and year as Python's strptime names them, e.g. %d/%m/%Y for"
            " 25/12/2031, %m/%d/%Y %I:%M %p for 12/25/2031 03:04 PM"
        )
    return DateFormat(pattern, is_day=sample.time() == time())


def is_date_stated(text: str) -> bool:
    """Whether a cell states a date at all: not empty, "never", or a zero time."""
    return _NO_DATE.fullmatch(text) is None


@dataclass(slots=True)
class DateQuestion:
    """The dates of a file that no known format reads, and the formats that read all of them.

    Where none does, since some dates are wrong (31/02/2024), the formats that read the most of
    the first hundred are proposed. Examples are only texts of the shape of a date: another cell
    may hold an address (I12).
    """

    count: int = 0
    lines: list[int] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    patterns: list[str] | None = None

    def add(self, dates: Iterable[tuple[int, str]]) -> None:
        """Add unreadable dates, each with its line."""
        for line, text in dates:
            self.count += 1
            # Few are left after one date; to try all of them takes milliseconds a row.
            self.patterns = _fitting_patterns(text, self.patterns)
            if len(self.lines) < _MAX_EXAMPLES:
                self.lines.append(line)
                self.examples.append(text if _DATE_SHAPE.fullmatch(text) else "")

    def error(self) -> InvalidInput:
        """What to state, with examples from the file."""
        shown = "".join(
            f"\n  line {line}: {text or '(not shown: it does not look like a date)'}"
            for line, text in list(zip(self.lines, self.examples, strict=True))[:_MAX_SHOWN]
        )
        return InvalidInput(
            f"{self.count:,} dates of the file can't be read for certain, and dates are not"
            f' guessed: with a wrong one a "no" could outrank what the person did since.{shown}\n'
            f"{self._suggestion()} If these rows have no usable date, set --unreadable-dates now"
            " (`unreadable_dates` in the API): then they count from the import."
        )

    def _suggestion(self) -> str:
        where = "State the format with --date-format (`date_formats` in the API)"
        fits, how_many = self._likely_patterns()
        if not fits:
            return f"{where}, e.g. %d/%m/%Y for 25/12/2031."
        example = next(each for each in self.examples if _fitting_patterns(each, fits))
        readings = []
        for pattern in fits[:_MAX_SUGGESTIONS]:
            found = parse_date_format(pattern).parse(example, UTC)
            readings.append(f"{pattern}{f' ({found.day} {found:%B %Y})' if found else ''}")
        # If the file has 25/12/2031 too, only one fits.
        reads = "reads" if len(readings) == 1 else "read"
        return f"{where}: {' or '.join(readings)} {reads} {how_many}."

    def _likely_patterns(self) -> tuple[list[str], str]:
        """The formats that read the most dates, and how many these are, in words."""
        if self.patterns:
            return self.patterns, "all of them"
        counts = Counter(each for text in self.examples for each in _fitting_patterns(text))
        most = max(counts.values(), default=0)
        likely = [each for each in _KNOWN_PATTERNS if most and counts[each] == most]
        return likely, f"{most} of the first {len(self.examples)}; repeat it for the others"

    def to_json(self) -> dict[str, Any]:
        """The JSON that is stored between two steps."""
        return {
            "count": self.count,
            "lines": self.lines,
            "examples": self.examples,
            "patterns": self.patterns,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> DateQuestion:
        """Parse the output of `to_json`."""
        return cls(**stored) if stored else cls()


def _fitting_patterns(text: str, among: Sequence[str] | None = None) -> list[str]:
    if not _DATE_SHAPE.fullmatch(text):
        return []
    patterns = _KNOWN_PATTERNS if among is None else among
    return [each for each in patterns if parse_date_format(each).parse(text, UTC)]


_EPOCH = re.compile(r"\d{9,10}(?:\.\d+)?|\d{12,13}")


_MIN_MILLISECONDS = 1e11
"""The largest number of seconds; a larger one would be after the year 5000."""


# As Go prints a time, which listmonk exports: 2024-01-02 10:00:00.12345 +0000 UTC m=+0.1
_GO_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? ([+-]\d{4}) \S+(?: m=[+-][\d.]+)?"
)


# RFC 5322 3.3. Its parser is lenient: "Nov 26, 2024 3:04 PM" would lose the PM.
_MAIL_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, ?)?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)?"
    r"(?: (?:[+-]\d{4}|[A-Z]{1,5}))?"
)


_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")


def parse_timestamp(
    text: str, zone: tzinfo, *, end_of_day: bool, formats: Sequence[DateFormat] = ()
) -> datetime | None:
    """The time in UTC; None if it can't be parsed, or is ambiguous (03/04/2024).

    The `formats`, else ISO 8601, seconds or milliseconds since 1970, RFC 5322 and Go's format. A
    time without a zone is in `zone`. A bare date is the end of its day or its beginning.
    """
    text = text.strip()
    try:
        for each in formats:
            if stated := each.parse(text, zone):
                return _end_of_day(stated, end_of_day=end_of_day and each.is_day)
        if _EPOCH.fullmatch(text):
            number = float(text)
            return datetime.fromtimestamp(number / (1000 if number > _MIN_MILLISECONDS else 1), UTC)
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text).date()
            return _end_of_day(datetime.combine(day, time.min, zone), end_of_day=end_of_day)
        if go := _GO_TIMESTAMP.fullmatch(text):
            return datetime.strptime(f"{go[1]} {go[2]}", "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
        is_mail = _MAIL_DATE.fullmatch(text)
        moment = parsedate_to_datetime(text) if is_mail else datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def _end_of_day(moment: datetime, *, end_of_day: bool) -> datetime:
    return (moment + timedelta(days=1, seconds=-1) if end_of_day else moment).astimezone(UTC)
