"""A streamed list has two formats: recipients in, decisions out, row by row.

An unreadable row is reported as such, and denies only itself (I11).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Protocol

from pydantic_core import from_json

from preference_center.core.errors import UnreadableBody
from preference_center.core.tabular import (
    detect_delimiter,
    find_likely_columns,
    normalize_column_name,
)
from preference_center.decisions.api import decision_json
from preference_center.decisions.rules import (
    ALLOW_BY_DEFAULT,
    ALLOW_SERVICE,
    NO_CONSENT,
    UNPARSEABLE_ADDRESS,
    Decision,
    DecisionRule,
)
from preference_center.ledger.watermarks import Watermark
from preference_center.web.api.streams import MAX_LINE

BOM = b"\xef\xbb\xbf"
COLUMNS = ("recipient", "allow", "rule", "scope", "since", "event", "advisory", "frequency")
"""Columns of a CSV response."""

_COMMON_DECISIONS = (ALLOW_BY_DEFAULT, ALLOW_SERVICE, NO_CONSENT, UNPARSEABLE_ADDRESS)

InputRow = str | Decision
"""A recipient, or the decision about a row without one."""


class RowFormat(Protocol):
    """Parses one list and encodes its decisions, from the first block of lines to the last."""

    mimetype: str

    def read_rows(self, lines: Sequence[bytes]) -> list[InputRow]:
        """The rows that these lines complete. Blank lines are skipped."""

    def flush(self) -> list[InputRow]:
        """The rows of an incomplete record at the end of the list."""

    def encode_header(self) -> bytes:
        """The bytes before the first decision."""

    def encode_decisions(self, rows: Sequence[InputRow], decisions: Sequence[Decision]) -> bytes:
        """The decisions for these rows, encoded; a row that is a `Decision` is its own."""

    def encode_end(self, count: int, as_of: Watermark) -> bytes:
        """The end of a complete response of `count` rows; without it, it is incomplete."""

    def encode_error(self, problem: Mapping[str, Any]) -> bytes:
        """The end of an incomplete response, with the problem document."""


class NdjsonFormat:
    """A JSON value per line, as in https://github.com/ndjson/ndjson-spec.

    The value is a string, or an object with `recipient`, whose other fields are ignored.
    """

    mimetype = "application/x-ndjson"

    def __init__(self) -> None:
        self._line = 0

    def read_rows(self, lines: Sequence[bytes]) -> list[InputRow]:
        """The rows that these lines complete."""
        rows: list[InputRow] = []
        for number, line in enumerate(lines, self._line + 1):
            if line and not line.isspace():
                recipient = _parse_recipient(line if number > 1 else line.removeprefix(BOM))
                rows.append(_unreadable_row(number) if recipient is None else recipient)
        self._line += len(lines)
        return rows

    def flush(self) -> list[InputRow]:
        """The rows of an incomplete record at the end of the list."""
        return []

    def encode_header(self) -> bytes:
        """The bytes before the first decision."""
        return b""

    def encode_decisions(self, rows: Sequence[InputRow], decisions: Sequence[Decision]) -> bytes:
        """The decisions for these rows, encoded."""
        parts = [
            f'{{"recipient": {quoted(row)}, '
            f"{_JSON_BY_DECISION_ID.get(id(decision)) or decision_json(decision)[1:]}\n"
            if isinstance(row, str)
            else f"{decision_json(decision)}\n"
            for row, decision in zip(rows, decisions, strict=True)
        ]
        return "".join(parts).encode()

    def encode_end(self, count: int, as_of: Watermark) -> bytes:
        """The end of a complete response."""
        return _json_line({"end": True, "count": count, "as_of": str(as_of)})

    def encode_error(self, problem: Mapping[str, Any]) -> bytes:
        """The end of an incomplete response."""
        return _json_line({"end": False, "problem": problem})


class CsvFormat:
    """RFC 4180 with a header line; the delimiter may be a comma, semicolon, tab or bar.

    Bytes that are not UTF-8 are kept unchanged, so only a recipient that contains some is
    denied for them. Raises UnreadableBody if the header has no recipient column.
    """

    mimetype = "text/csv"

    def __init__(self, header: bytes, column: str | None, line: int = 1) -> None:
        text = _decode_line(header.removeprefix(BOM))
        self._delimiter = detect_delimiter(text)
        try:
            names = next(self._csv_reader(_LineIterator([text])), [])
        except csv.Error:
            raise UnreadableBody("The header line is not valid CSV.") from None
        self._column = _find_recipient_column(names, column)
        self._line = line
        self._pending_lines: list[str] = []
        """The lines of a record with an open quote."""

    def read_rows(self, lines: Sequence[bytes]) -> list[InputRow]:
        """The rows that these lines complete."""
        return self._read_records([*self._pending_lines, *map(_decode_line, lines)], last=False)

    def flush(self) -> list[InputRow]:
        """The rows of an incomplete record at the end of the list."""
        return self._read_records(self._pending_lines, last=True)

    def _read_records(self, lines: list[str], *, last: bool) -> list[InputRow]:
        rows: list[InputRow] = []
        self._pending_lines = []
        position = 0
        while position < len(lines):
            feed = _LineIterator(lines, position)
            try:
                for record in self._csv_reader(feed):
                    if record:
                        rows.append(self._recipient_in(record))
                    feed.record_start = feed.position
                position = feed.position
            except csv.Error:
                # The open quote may be closed in a later line.
                if not last and feed.position == len(lines) and feed.record_size <= MAX_LINE:
                    self._pending_lines = lines[feed.record_start :]
                    position = feed.record_start
                    break
                # If it is never closed, only the line with the quote is unreadable.
                rows.append(_unreadable_row(self._line + feed.record_start + 1))
                position = feed.record_start + 1
        self._line += position
        return rows

    def _recipient_in(self, record: Sequence[str]) -> InputRow:
        return record[self._column] if len(record) > self._column else UNPARSEABLE_ADDRESS

    def _csv_reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def encode_header(self) -> bytes:
        """The bytes before the first decision."""
        return _csv_bytes([COLUMNS])

    def encode_decisions(self, rows: Sequence[InputRow], decisions: Sequence[Decision]) -> bytes:
        """The decisions for these rows, encoded."""
        return _csv_bytes(
            (
                row if isinstance(row, str) else "",
                *(_CELLS_BY_DECISION_ID.get(id(decision)) or _decision_cells(decision)),
            )
            for row, decision in zip(rows, decisions, strict=True)
        )

    def encode_end(self, count: int, as_of: Watermark) -> bytes:
        """The end of a complete response."""
        return _csv_bytes([["#end", f"count={count}", f"as_of={as_of}", "", "", "", "", ""]])

    def encode_error(self, problem: Mapping[str, Any]) -> bytes:
        """The end of an incomplete response."""
        return _csv_bytes([["#error", problem["type"], problem["detail"], "", "", "", "", ""]])


class _LineIterator:
    """Lines for one csv.reader; tracks where the current record began."""

    def __init__(self, lines: Sequence[str], start: int = 0) -> None:
        self._lines, self.position, self.record_start, self.record_size = lines, start, start, 0

    def __iter__(self) -> Iterator[str]:
        while self.position < len(self._lines):
            line = self._lines[self.position]
            self.record_size = len(line) + (
                self.record_size if self.position > self.record_start else 0
            )
            self.position += 1
            if self.record_size > MAX_LINE:
                raise csv.Error
            yield line


def open_csv(
    blocks: Iterator[list[bytes]], column: str | None
) -> tuple[CsvFormat, Iterator[list[bytes]]]:
    """The format by the first line that is not blank, and the lines after it.

    Raises UnreadableBody if there is none, or if it has no recipient column.
    """
    number = 0
    for block in blocks:
        for index, line in enumerate(block, 1):
            number += 1
            if line.strip():
                return CsvFormat(line, column, number), chain([block[index:]], blocks)
    raise UnreadableBody("The body is empty: a CSV file starts with a header line.")


def _parse_recipient(line: bytes) -> str | None:
    """The recipient in this line of NDJSON; None if the line is unreadable."""
    if len(line) > MAX_LINE:
        return None
    try:
        value = from_json(line)
        if isinstance(value, dict):
            # Parsers differ on which of two equal keys counts (RFC 8259 4), so neither does.
            if line.count(b'"recipient"') != 1 or b"\\" in line:
                value = json.loads(line, object_pairs_hook=_reject_duplicate_keys)
            value = value["recipient"]
    except (ValueError, LookupError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _find_recipient_column(names: Sequence[str], wanted: str | None) -> int:
    if wanted:
        columns = [normalize_column_name(name) for name in names]
        found = [n for n, name in enumerate(columns) if name == normalize_column_name(wanted)]
    else:
        found = find_likely_columns(names, channel=None)
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(names[index].strip() for index in found)
        raise UnreadableBody(
            f"The header has several columns for the recipient: {several}. Rename all but one, or"
            " name it in the URL, as in &column=NAME."
        )
    if wanted:
        raise UnreadableBody("The header has no column with the name given in `column`.")
    raise UnreadableBody(
        "The header has no column with a known name of the recipient, such as email, recipient,"
        " address or phone: rename it, or name it in the URL, as in &column=NAME."
    )


def _unreadable_row(line: int) -> Decision:
    return Decision(allow=False, rule=DecisionRule.UNREADABLE_LINE, advisory=f"line {line}")


def _decode_line(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape") + "\n"


def _json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _csv_bytes(rows: Iterable[Iterable[Any]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode("utf-8", "surrogateescape")


def _decision_cells(decision: Decision) -> tuple[str, ...]:
    return (
        "true" if decision.allow else "false",
        decision.rule.value,
        decision.scope or "",
        decision.since.isoformat() if decision.since else "",
        str(decision.event) if decision.event else "",
        decision.advisory or "",
        decision.frequency or "",
    )


# Keyed by identity: the common decisions are always the same objects.
_JSON_BY_DECISION_ID = {id(decision): decision_json(decision)[1:] for decision in _COMMON_DECISIONS}
_CELLS_BY_DECISION_ID = {id(decision): _decision_cells(decision) for decision in _COMMON_DECISIONS}
