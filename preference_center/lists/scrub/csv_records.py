"""Rewrite CSV files so that each record is one line.

A quoted cell may contain line breaks (RFC 4180 2.6), and the two kinds of line ends may be mixed.
Either would split or join rows for an engine that reads lines, so these files are copied first,
with control characters in place of inner line breaks.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from preference_center.core.errors import InvalidList

ESCAPED_LF, ESCAPED_CR = "\x1e", "\x1d"
"""In place of line breaks inside cells."""

MAX_RECORD_BYTES = 1024 * 1024
"""Bytes of the longest record."""

_RESERVED_CHARACTERS = re.compile(rb"[\x01\x1d\x1e]")


def cell_pattern(delimiter: str) -> str:
    """A pattern for one cell: quoted, with spaces around it, or not beginning with a quote.

    A quote further on is literal, as in `5" pipe` or `Bob "The Man" Smith`.
    """
    d = delimiter
    return f'(?: *"(?:[^"]|"")*" *|(?:[^"{d} ]| +[^"{d} ])[^{d}]*| *)'


def write_one_record_per_line(
    source: BinaryIO, target: BinaryIO, delimiter: str, width: int
) -> None:
    """Copy a CSV file with every record on one line, ended by a line feed.

    A line that opens a quote and never closes it, or closes it in a record of other than `width`
    cells, is copied unchanged: its content will not be taken for an address. Raises InvalidList
    where the text is not UTF-8 or contains the control characters that are used here.
    """
    lines = _LineReader(source)
    grammar = _RecordPatterns.of(delimiter, width)
    while (line := lines.next()) is not None:
        number, record = lines.number, line.removesuffix(b"\r")
        if line.count(b'"') % 2 and not grammar.row.fullmatch(record):
            record = _join_record(line, lines, grammar).removesuffix(b"\r")
        _check(record, number)
        target.write(
            record.replace(b"\r", ESCAPED_CR.encode()).replace(b"\n", ESCAPED_LF.encode()) + b"\n"
        )


@dataclass(frozen=True, slots=True)
class _RecordPatterns:
    """Patterns for a row of any width, and for one of the list's own width."""

    row: re.Pattern[bytes]
    full_row: re.Pattern[bytes]

    @classmethod
    def of(cls, delimiter: str, width: int) -> _RecordPatterns:
        cell = cell_pattern(delimiter)
        row, whole = (
            f"{cell}(?:[{delimiter}]{cell}){times}" for times in ("*", f"{{{width - 1}}}")
        )
        return cls(re.compile(row.encode()), re.compile(whole.encode()))


class _LineReader:
    """The lines of a file without their line feeds; lines can be pushed back."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._back: deque[bytes] = deque()
        self.number = 0

    def next(self) -> bytes | None:
        """The next line; None at the end."""
        if self._back:
            line = self._back.popleft()
        elif not (line := self._source.readline(MAX_RECORD_BYTES + 1)):
            return None
        self.number += 1
        if len(line) > MAX_RECORD_BYTES:
            raise InvalidList(f"line {self.number} is longer than a mebibyte: is this CSV?")
        return line.removesuffix(b"\n")

    def push_back(self, lines: Sequence[bytes]) -> None:
        """Return these lines again: the last ones read, in their order."""
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)


def _join_record(line: bytes, lines: _LineReader, grammar: _RecordPatterns) -> bytes:
    """The record that begins with `line`; the line alone if it begins none."""
    parts = [line]
    size = len(line)
    while size < MAX_RECORD_BYTES and (more := lines.next()) is not None:
        parts.append(more)
        size += len(more) + 1
        if more.count(b'"') % 2:
            record = b"\n".join(parts)
            if grammar.full_row.fullmatch(record.removesuffix(b"\r")):
                return record
            break
    lines.push_back(parts[1:])
    return line


def _check(record: bytes, number: int) -> None:
    if _RESERVED_CHARACTERS.search(record):
        raise InvalidList(f"line {number} contains control characters: remove them")
    try:
        record.decode()
    except UnicodeDecodeError:
        raise InvalidList(f"line {number} is not UTF-8: save the list as CSV in UTF-8") from None
