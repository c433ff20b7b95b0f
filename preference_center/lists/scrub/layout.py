"""This module detects the layout of a list's file: CSV with its delimiter and header, or Parquet.

It also rewrites CSV files so that each record is one line. A quoted cell may contain line breaks
(RFC 4180 2.6), and the two kinds of line ends may be mixed. Either would split or join rows for an
engine that reads lines, so these files are copied first, with control characters in place of inner
line breaks.
"""

from __future__ import annotations

import csv
import gzip
import re
import shutil
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import duckdb

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput, InvalidList
from preference_center.core.tabular import (
    detect_delimiter,
    find_address_cells,
    find_address_column,
    find_address_column_by_content,
)
from preference_center.lists.imports.sources import LocalFile, open_unpacked
from preference_center.lists.scrub.query import REMOVED_COLUMNS
from preference_center.lists.text_files import ConvertedText

_MAX_FIRST_LINE_BYTES = 1024 * 1024


_BOM = "\ufeff"


_SEPARATOR = re.compile(rb"sep=([\x20-\x7e\t])\s*")


class Compression(StrEnum):
    """The compression of a file, by the end of its name; values as DuckDB names them."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What the user states about a list; the rest is detected."""

    channel: Channel
    region: str
    address_column: str | None = None
    """The name of the address's column, or its number from 1."""
    delimiter: str | None = None
    has_header: bool = True


_OTHER_FORMATS = {
    b"\x1f\x8b": "packed with gzip: give it a name that ends with .csv.gz",
    b"\x28\xb5\x2f\xfd": "packed with Zstandard: give it a name that ends with .csv.zst",
    b"PAR1": "Parquet: give it a name that ends with .parquet",
    b"PK\x03\x04": "a spreadsheet or an archive: save it as CSV in UTF-8",
}
"""How files begin that are not CSV, whatever their name."""


@dataclass(frozen=True, slots=True)
class ListLayout:
    """The layout of a list. `address_column` is an index of `column_names`.

    For CSV: `header_line` is the header as it is written, with its byte order mark, or None;
    `skipped_lines` come before the first row; `newline` ends the lines.
    """

    path: Path
    is_parquet: bool
    column_names: tuple[str, ...]
    address_column: int
    compression: Compression = Compression.NONE
    delimiter: str = ","
    header_line: str | None = None
    newline: str = "\n"
    skipped_lines: int = 0


def is_parquet(path: Path) -> bool:
    """Whether a file is, or is to be, Parquet: by its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


def compression_of(path: Path) -> Compression:
    """How a CSV file is, or is to be, packed: by its name."""
    ends = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}
    return ends.get(path.suffix.lower(), Compression.NONE)


def detect_layout(path: Path, list_options: ListOptions) -> ListLayout:
    """Inspect the beginning of a list. Raises InvalidList, which states what to fix."""
    if is_parquet(path):
        return _parquet_layout(path, list_options)
    compression = compression_of(path)
    first, newline, blank, stated = _first_line(path, compression)
    delimiter = list_options.delimiter or stated or detect_delimiter(first)
    row = _split(first.removeprefix(_BOM), delimiter)
    if list_options.has_header:
        if find_address_cells(row, list_options.channel, list_options.region):
            raise InvalidList(
                "the first row contains an address: if the list has no header, use --no-header"
            )
        column = find_address_column(row, list_options.address_column, list_options.channel)
    elif list_options.address_column is not None:
        column = find_address_column(
            [str(n) for n in range(1, len(row) + 1)],
            list_options.address_column,
            list_options.channel,
        )
    else:
        column = find_address_column_by_content(row, list_options.channel, list_options.region)
    header = first if list_options.has_header else None
    skip = blank + list_options.has_header
    return ListLayout(
        path, False, tuple(row), column, compression, delimiter, header, newline, skip
    )


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        raise InvalidList(
            "the first line can't be read as CSV: is a quote left open there?"
        ) from None


def _first_line(path: Path, compression: Compression) -> tuple[str, str, int, str]:
    """The first line that is not blank, without its end; the line end; the lines before it.

    The last is the delimiter that Excel states in a line before it (`sep=;`), or "".
    """
    if compression is Compression.ZSTD:
        return _first_line_of_zstd(path)
    try:
        with gzip.open(path) if compression is Compression.GZIP else path.open("rb") as file:
            head = file.read(_MAX_FIRST_LINE_BYTES)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise InvalidList(f"the list can't be read: {reason}") from None
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise InvalidList(f"the list is {what}")
    lines = head.removeprefix(_BOM.encode()).split(b"\n")
    filled = [n for n, line in enumerate(lines) if line.strip()][:2]
    stated = _SEPARATOR.fullmatch(lines[filled[0]]) if filled else None
    filled = filled[1:] if stated else filled
    if not filled:
        raise InvalidList("the list is empty")
    blank = filled[0]
    line = lines[blank]
    if len(line) >= _MAX_FIRST_LINE_BYTES - len(_BOM.encode()):
        raise InvalidList("the list's first line does not end within a mebibyte: is this CSV?")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise InvalidList("the list is not UTF-8: save it as CSV in UTF-8") from None
    mark = _BOM if head.startswith(_BOM.encode()) else ""
    newline = "\r\n" if text.endswith("\r") else "\n"
    return mark + text.removesuffix("\r"), newline, blank, stated[1].decode() if stated else ""


def _first_line_of_zstd(path: Path) -> tuple[str, str, int, str]:
    # Python has no Zstandard before 3.14; DuckDB does.
    try:
        with closing(duckdb.connect()) as connection:
            source = "(?, delim = '\x01', quote = '', escape = '', header = false,"
            newline = connection.execute(
                f"SELECT NewLineDelimiter FROM sniff_csv{source} compression = 'zstd')",
                [str(path)],
            ).fetchone()
            row = connection.execute(
                f"SELECT line FROM read_csv{source} compression = 'zstd', auto_detect = false,"
                " columns = {'line': 'VARCHAR'}) LIMIT 1",
                [str(path)],
            ).fetchone()
    except duckdb.Error:
        raise InvalidList("the list can't be read: is it CSV in UTF-8, packed by zstd?") from None
    if row is None or row[0] is None:
        raise InvalidList("the list's first line is empty: begin with the header or a row")
    return str(row[0]), "\r\n" if newline and newline[0] == "\\r\\n" else "\n", 0, ""


def convert_list(path: Path, encoding: str, work: Path) -> Path:
    """The list, or a copy in `work` in UTF-8 with usual line ends where it is stored otherwise.

    A list that is packed by Zstandard is read as it is. Raises InvalidList.
    """
    if is_parquet(path) or compression_of(path) is Compression.ZSTD:
        return path
    copy = work / "converted.csv"
    try:
        with open_unpacked(LocalFile(path), encoding) as text:
            if not isinstance(text, ConvertedText):
                return path
            with copy.open("wb") as target:
                shutil.copyfileobj(text, target)
    except InvalidInput as error:
        raise InvalidList(str(error)) from None
    except OSError as error:
        raise InvalidList(f"the list can't be read: {error.strerror or 'it is damaged'}") from None
    return copy


def _parquet_layout(path: Path, list_options: ListOptions) -> ListLayout:
    if not list_options.has_header or list_options.delimiter is not None:
        raise InvalidList("a Parquet file has a header and no delimiter: omit these options")
    try:
        with closing(duckdb.connect()) as connection:
            rows = connection.execute(
                "DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]
            ).fetchall()
    except duckdb.Error:
        raise InvalidList("the list can't be read: is it a whole Parquet file?") from None
    names = tuple(row[0] for row in rows)
    if set(names) & set(REMOVED_COLUMNS):
        raise InvalidList(f"the list already has a column of: {', '.join(REMOVED_COLUMNS)}")
    return ListLayout(
        path,
        True,
        names,
        find_address_column(names, list_options.address_column, list_options.channel),
    )


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
