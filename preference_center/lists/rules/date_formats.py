"""Formats of dates that a person states, and the question which one it is.

No format is guessed: 03/04/2024 is in April or in March, and an opt-out with a date that can't be
read would count from the time of the import, which outranks everything that the person did since.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, tzinfo
from enum import StrEnum
from functools import cache
from itertools import product
from typing import Any

from preference_center.core.errors import InvalidInput

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
