"""From the octets of a file to its rows: CSV, NDJSON or a JSON document, all streamed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from preference_center.domain.addresses import Channel, parse
from preference_center.domain.hashed_addresses import parse_hash
from preference_center.domain.imports import Instructions, Record, plain
from preference_center.errors import InvalidInput
from preference_center.imports.check_columns import check_columns
from preference_center.imports.json_rows import ARRAY, Rows

ENCODINGS = ("utf-8", "cp1252", "iso-8859-1", "iso-8859-15")
"""Those in which a line ends where its octets say so."""

LONGEST_LINE = 1024 * 1024  # octets
UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t|"
_BLOCK = 64 * 1024
RECORD = b"\x1e"
"""Begins each text of a JSON text sequence (RFC 7464)."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to go on reading: rows done, the line of the last one, octets before the next."""

    index: int = 0
    line: int = 0
    octets: int = 0


def records(stream: BinaryIO, instructions: Instructions, start: Start) -> Iterator[Record]:
    """The rows from `start` on.

    A row that can't be read is one with a `fault`. Raises InvalidInput if the file is not
    of the preset, or is damaged so that nothing after that can be trusted.
    """
    head = stream.read(4096)
    if head.startswith(_UTF16_MARKS):
        raise InvalidInput("the file is in UTF-16: save it as UTF-8")
    begin = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    stream.seek(begin)
    if head.startswith(RECORD):
        yield from _sequence(stream, instructions, start)
    elif head[begin:].lstrip()[:1] not in {b"{", b"["}:
        yield from _csv(stream, instructions, start, begin)
    elif _is_ndjson(stream, instructions.preset.json_list):
        stream.seek(begin)
        yield from _ndjson(stream, instructions, start, begin)
    else:
        stream.seek(begin)
        is_list = head[begin:].lstrip()[:1] == b"["
        name = ARRAY if is_list else list_of(instructions.preset.json_list)
        yield from _document(stream, instructions, start, name)


class _Lines:
    """Decoded lines, with the count of lines and octets up to here."""

    def __init__(self, stream: BinaryIO, encoding: str, octets: int, line: int = 0) -> None:
        self._stream = stream
        self._encoding = encoding
        self.octets = octets
        self.line = line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(LONGEST_LINE + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > LONGEST_LINE:
            raise InvalidInput(f"line {self.line} is longer than a mebibyte: is this a list?")
        self.octets += len(raw)
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError:
            raise InvalidInput(
                f"line {self.line} is not in {self._encoding}: save the file as UTF-8,"
                " or name its encoding, cp1252 perhaps"
            ) from None


def _csv(
    stream: BinaryIO, instructions: Instructions, start: Start, begin: int
) -> Iterator[Record]:
    lines = _Lines(stream, instructions.encoding, begin)
    header, delimiter, first = _header(lines, instructions)
    keys = [plain(name) for name in header]
    names = dict(zip(keys, header, strict=True))
    if first:
        stream.seek(begin)
        lines = _Lines(stream, instructions.encoding, begin)
    if start.octets:
        stream.seek(start.octets)
        lines = _Lines(stream, instructions.encoding, start.octets, start.line)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    index = start.index
    while True:
        line = lines.line + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            raise InvalidInput(
                f"line {line}: a quotation mark is opened and not closed as CSV has it"
                " (RFC 4180); nothing after it can be trusted"
            ) from None
        if not any(cell.strip() for cell in cells):
            continue
        fault = ""
        if len(cells) > len(keys):
            fault = f"it has {len(cells)} cells where the header has {len(keys)}"
        # From behind, so that the first of two columns with one name counts.
        found = dict(zip(reversed(keys[: len(cells)]), reversed(cells[: len(keys)]), strict=True))
        yield Record(index, line, found, names, lines.octets, lines.line, fault)
        index += 1


def _header(lines: _Lines, instructions: Instructions) -> tuple[list[str], str, bool]:
    """The columns, what separates them, and whether the first line is a row already."""
    preset = instructions.preset
    text = next(lines, "")
    delimiter = max(_DELIMITERS, key=text.count)
    if text.startswith("sep=") and len(text.strip()) > len("sep="):  # Excel's own first line
        delimiter, text = text.strip()[-1], next(lines, "")
    try:
        header = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise InvalidInput("the first line can't be read as the header of a CSV file") from None
    if not any(cell.strip() for cell in header):
        raise InvalidInput("the file is empty, or begins with an empty line")
    if preset.bare:
        if _is_row(header[0], instructions):
            return (
                [preset.address[0], *(f"column {n}" for n in range(2, len(header) + 1))],
                (delimiter),
                True,
            )
        if len(header) == 1:
            return [preset.address[0]], delimiter, False
    check_columns(header, preset)
    return header, delimiter, False


def _is_row(text: str, instructions: Instructions) -> bool:
    try:
        if instructions.preset.is_hashed:
            parse_hash(text, Channel.EMAIL)
        else:
            parse(text, instructions.channel)
    except InvalidInput:
        return False
    return True


def list_of(json_list: str) -> str:
    """The member of a document that `Preset.json_list` leads to; ARRAY for none."""
    return ARRAY if json_list == "item" else json_list.removesuffix(".item")


def _is_ndjson(stream: BinaryIO, json_list: str) -> bool:
    """Whether the first line is a row by itself, and not (the first line of) a document."""
    return is_row(stream.readline(LONGEST_LINE), json_list)


def is_row(line: bytes, json_list: str) -> bool:
    """Whether the first line of a file that begins as JSON is a row by itself."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and json_list.partition(".")[0] not in found


def _ndjson(
    stream: BinaryIO, instructions: Instructions, start: Start, begin: int
) -> Iterator[Record]:
    lines = _Lines(stream, instructions.encoding, begin)
    if start.octets:
        stream.seek(start.octets)
        lines = _Lines(stream, instructions.encoding, start.octets, start.line)
    index, checked = start.index, start.index > 0
    for text in lines:
        if not text.strip():
            continue
        fault, found = "", None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            fault = "the line is not JSON"
        if not fault and not isinstance(found, dict):
            fault = "the line is not a JSON object"
        cells, names = _flat(found if isinstance(found, dict) else {})
        if not fault and not checked:
            check_columns(names.values(), instructions.preset)
            checked = True
        yield Record(index, lines.line, cells, names, lines.octets, lines.line, fault)
        index += 1


def _document(
    stream: BinaryIO, instructions: Instructions, start: Start, name: str
) -> Iterator[Record]:
    rows, index = Rows({name}), 0
    for block in iter(lambda: stream.read(_BLOCK), b""):
        for _, found in rows.add(block):
            if index >= start.index:
                yield _row(index, found, instructions)
            index += 1
    rows.end()


def _sequence(stream: BinaryIO, instructions: Instructions, start: Start) -> Iterator[Record]:
    """A document as an upload keeps it: see `documents`."""
    stream.seek(start.octets)
    lines = _Lines(stream, "utf-8", start.octets, start.line)
    name, index = list_of(instructions.preset.json_list), start.index
    for text in lines:
        try:
            page = json.loads(text.strip().removeprefix(RECORD.decode()) or "[]")
        except (ValueError, RecursionError):
            raise InvalidInput(f"the JSON text sequence is damaged after its row {index}") from None
        rows = page.get(name, []) if isinstance(page, dict) else page
        if not isinstance(rows, list) or len(rows) > 1:  # somebody else's: it could not go on
            raise InvalidInput("the file is a JSON text sequence: send its rows as NDJSON")
        for found in rows:
            yield _row(index, found, instructions, lines.octets)
            index += 1


def _row(index: int, found: Any, instructions: Instructions, end: int = 0) -> Record:
    """A row of a JSON document, whose lines are not ours to count."""
    fault = "" if isinstance(found, dict) else "it is not a JSON object"
    cells, names = _flat(found if isinstance(found, dict) else {})
    if index == 0 and not fault:
        check_columns(names.values(), instructions.preset)
    return Record(index, index + 1, cells, names, end, index + 1, fault)


def _flat(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    names: Sequence[str] = list(found)
    return (
        {plain(name): found[name] for name in reversed(names)},
        {plain(name): name for name in reversed(names)},
    )
