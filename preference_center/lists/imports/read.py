"""`read_rows` turns the bytes of a file into its rows.

A file is CSV, NDJSON or a JSON document; all are streamed.
`check_columns` checks by its columns that a file fits its preset, before any row is used.
`NamedColumns` finds the columns by the names under which a preset reads them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, BinaryIO

from preference_center.core.addresses import Channel, parse_hashed_address
from preference_center.core.errors import InvalidInput
from preference_center.core.tabular import (
    address_column_names,
    detect_delimiter,
    find_likely_columns,
    normalize_column_name,
    parse_cell,
    strip_text_mark,
)
from preference_center.infra.context import services
from preference_center.integrations.base.presets import (
    GROUP_COLUMN_NAMES,
    STATED_GROUP,
    ColumnNames,
    ImportPreset,
)
from preference_center.integrations.registry import load_presets
from preference_center.lists.imports.sources import TOP_LEVEL_LIST, JsonRowParser
from preference_center.lists.rules.instructions import NO_GROUP_COLUMN, ImportInstructions
from preference_center.lists.rules.rows import FileRow

_MAX_SHOWN_COLUMNS, _MAX_SHOWN_NAMES, _MAX_HINTS = 20, 4, 3


_ROW_LIKE = re.compile(r"@|\d{6}")


def check_columns(header: Iterable[str], preset: ImportPreset) -> None:
    """Raises InvalidInput that names what is missing, or which preset may fit."""
    names = list(header)
    found = {normalize_column_name(name) for name in names}
    for column, other in preset.excluded_columns.items():
        if normalize_column_name(column) in found:
            raise InvalidInput(
                f"the file has a column {column}, which {preset.name} does not have:"
                f" is it one for the preset {other}?"
            )
    for columns in preset.missing_columns(found):
        groups = any(columns == each.group_columns for each in preset.meanings)
        named = " If one of them names the group, name it: --group-column." if groups else ""
        raise InvalidInput(
            f"the file has no column {' or '.join(columns[:_MAX_SHOWN_NAMES])}, which"
            f" {preset.name} needs. {describe_columns(names)}{named}"
            f"{_preset_hint(found, preset)}"
        )


def matching_presets(column_names: Collection[str]) -> list[str]:
    """The presets whose files may have these columns (normalized names), the likeliest first."""
    fits = [
        preset
        for preset in load_presets().values()
        if not preset.header_optional
        and not any(
            normalize_column_name(column) in column_names for column in preset.excluded_columns
        )
        and not any(preset.missing_columns(column_names))
    ]
    fits.sort(key=lambda preset: -len(preset.known_columns & set(column_names)))
    return [preset.name for preset in fits]


def describe_columns(names: Collection[str]) -> str:
    """The columns; nothing of a first line that looks like a row, which may be an address (I12)."""
    if any(_ROW_LIKE.search(name) for name in names):
        return "Its first line looks like a row: does it lack a header?"
    return f"It has: {', '.join(list(names)[:_MAX_SHOWN_COLUMNS]) or 'none'}."


def _preset_hint(found: Collection[str], preset: ImportPreset) -> str:
    others = [name for name in matching_presets(found) if name != preset.name]
    if others:
        return f" It could fit: {', '.join(others[:_MAX_HINTS])}."
    return " `flask imports presets` shows what each preset reads."


class NamedColumns:
    """Adds the names that a preset reads for columns which are called otherwise in the file.

    The address is where `core.tabular` finds it, or in the column that the instructions name;
    so is the date, if they name one.
    """

    def __init__(self, instructions: ImportInstructions, *, is_checked: bool = False) -> None:
        self.is_checked = is_checked
        """Whether the columns of the file are checked."""
        self._preset = instructions.preset
        self._address_name = normalize_column_name(self._preset.address_columns[0])
        self._channel = instructions.channel
        self._address_column = normalize_column_name(instructions.address_column)
        self._date_column = normalize_column_name(instructions.date_column)
        self._group_column = normalize_column_name(instructions.group_column)
        self._asks_for_groups = self._preset.has_groups and not instructions.group_column
        self._checked: set[tuple[str, ...]] = set()
        self._date_keys = tuple(
            normalize_column_name(meaning.date_columns[0])
            for meaning in self._preset.meanings
            if meaning.date_columns
        )

    def check(self, header: Sequence[str]) -> None:
        """Raises InvalidInput unless the preset can read a file with these columns."""
        keys = tuple(normalize_column_name(name) for name in header)
        stated = (self._address_column, self._date_column, self._group_column)
        for wanted in filter(None, stated):
            if keys.count(wanted) != 1:
                how_many = "no column" if wanted not in keys else "several columns"
                raise InvalidInput(
                    f"the file has {how_many} of the name that you gave. {describe_columns(header)}"
                )
        twice = {key for key in self._meaning_keys() if keys.count(key) > 1}
        if twice:
            names = ", ".join(name for name in header if normalize_column_name(name) in twice)
            raise InvalidInput(f"the file has several columns of one name: {names}. Rename one")
        likely = self._likely_columns(keys)
        if len(likely) > 1 and not self._address_column:
            names = ", ".join(name.strip() for n, name in enumerate(header) if keys[n] in likely)
            raise InvalidInput(
                "several columns may hold the address: choose one with --column (`column` in the"
                f" API). They are: {names}"
            )
        aliases = [self._preset.address_columns[0]] if self._address_key(keys) else []
        if self._group_column:
            aliases += [names[0] for names in self._group_columns()]
        check_columns([*header, *aliases], self._preset)
        self.check_groups(dict(zip(keys, header, strict=True)))
        self.is_checked = True

    def _meaning_keys(self) -> Iterator[str]:
        """The columns (normalized names) that say what a row means, and of which group it is."""
        groups = () if self._group_column else self._group_columns()
        conditions = (when.columns for each in self._preset.meanings for when in each.conditions)
        for names in (*groups, *conditions):
            yield from map(normalize_column_name, names)

    def _group_columns(self) -> list[ColumnNames]:
        return [each.group_columns for each in self._preset.meanings if each.group_columns]

    def check_groups(self, names: Mapping[str, str]) -> None:
        """Raises InvalidInput where a column that is not read may name the group of a row.

        `names` are those of the columns in the file, by the normalized ones. Groups are never
        guessed: two lists would become one, with one scope.
        """
        keys = tuple(names)
        if not self._asks_for_groups or keys in self._checked:
            return
        self._checked.add(keys)
        read = {normalize_column_name(name) for each in self._group_columns() for name in each}
        found = read & {*keys}
        unread = {normalize_column_name(n) for n in self.list_unread(names)} - _ADDRESS_NAMES
        doubtful = found if len(found & _GROUP_NAMES) > 1 else unread & _GROUP_NAMES
        if not doubtful and not found and self._preset.has_any_columns:
            doubtful = unread
        if doubtful:
            raise InvalidInput(
                "which column names the group or list of a row? Groups are not guessed: name it"
                f" with --group-column (`group_column` in the API), or give {NO_GROUP_COLUMN} there"
                " if all rows are of one. A date has --date-column."
                f" {describe_columns(names.values())}"
            )

    def add_names(self, cells: Mapping[str, Any]) -> Mapping[str, Any]:
        """The cells of a row (keyed by normalized names), with the names that the preset reads."""
        renamed: dict[str, Any] = {}
        if key := self._address_key(tuple(cells)):
            # An empty cell is not filled from another column: that may be another address.
            usual = map(normalize_column_name, self._preset.address_columns)
            renamed = dict.fromkeys(usual, "") | {self._address_name: cells[key]}
        if self._date_column:
            renamed |= dict.fromkeys(self._date_keys, cells.get(self._date_column))
        if self._group_column:
            renamed[STATED_GROUP] = cells.get(self._group_column)
        return {**cells, **renamed} if renamed else cells

    def list_unread(self, column_names: Mapping[str, str]) -> tuple[str, ...]:
        """The columns (normalized names to those in the file) that nothing is read from."""
        if any(
            meaning.group_column_words or meaning.other_columns_are_groups
            for meaning in self._preset.meanings
        ):
            return ()
        read = self._preset.known_columns
        address = self._address_key(tuple(column_names))
        if address:  # the others may hold a phone number
            read -= {normalize_column_name(each) for each in self._preset.address_columns}
        read |= {self._date_column, self._group_column, address or ""}
        return tuple(name.strip() for key, name in column_names.items() if key not in read)

    def _address_key(self, keys: tuple[str, ...]) -> str | None:
        if self._address_column:
            return self._address_column if self._address_column in keys else None
        likely = self._likely_columns(keys)
        return likely[0] if likely else None

    def _likely_columns(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        if not self._preset.detects_address:
            return ()
        return _find_likely(keys, self._channel)


_GROUP_NAMES = frozenset(map(normalize_column_name, GROUP_COLUMN_NAMES))


_ADDRESS_NAMES = frozenset(
    normalize_column_name(name) for group in address_column_names() for name in group
)


@lru_cache(maxsize=1_000)
def _find_likely(keys: tuple[str, ...], channel: Channel) -> tuple[str, ...]:
    return tuple(keys[index] for index in find_likely_columns(keys, channel))


MAX_LINE_BYTES = 1024 * 1024


UTF8_BOM = b"\xef\xbb\xbf"


_BLOCK = 64 * 1024


RECORD_SEPARATOR = b"\x1e"
"""Begins each text of a JSON text sequence (RFC 7464)."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where to resume reading: rows done, line of the last one, offset in bytes of the next."""

    index: int = 0
    line: int = 0
    offset: int = 0


_FROM_BEGIN = ResumePoint()


def read_rows(
    stream: BinaryIO, instructions: ImportInstructions, start: ResumePoint
) -> Iterator[FileRow]:
    """The rows from `start` on.

    A row that can't be parsed has an `error`. Raises InvalidInput if the file does not fit the
    preset, or is damaged so that nothing after that can be trusted.
    """
    head = stream.read(4096)
    begin = 0
    if head.startswith(UTF8_BOM):  # it outranks what is stated
        begin, instructions = len(UTF8_BOM), replace(instructions, encoding="utf-8")
    stream.seek(begin)
    path, first = instructions.preset.json_rows_path, head[begin:].lstrip()[:1]
    if head.startswith(RECORD_SEPARATOR):
        yield from _read_sequence(stream, instructions, start)
    elif first not in {b"{", b"["}:
        yield from _read_csv(stream, instructions, start, begin)
    elif is_row_line(stream.readline(MAX_LINE_BYTES), path):
        yield from _read_ndjson(stream, instructions, start, begin)
    else:
        stream.seek(begin)
        name = TOP_LEVEL_LIST if first == b"[" else list_member(path)
        yield from _read_document(stream, instructions, start, name)


class _DecodedLines:
    """Decoded lines from `start`, or from byte `begin`; counts the lines and bytes so far."""

    def __init__(
        self, stream: BinaryIO, encoding: str, begin: int = 0, start: ResumePoint = _FROM_BEGIN
    ) -> None:
        self._stream = stream
        self._encoding = encoding
        self.offset = start.offset or begin
        self.line = start.line
        stream.seek(self.offset)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(MAX_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > MAX_LINE_BYTES:
            raise InvalidInput(f"line {self.line} is longer than a mebibyte: is this a list?")
        self.offset += len(raw)
        if b"\0" in raw:
            raise InvalidInput(
                f"line {self.line} has a zero byte, so this is no text: unpack it, or save it as"
                " CSV in UTF-8"
            )
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError:
            raise InvalidInput(
                f"line {self.line} is not in {self._encoding}: save the file as UTF-8,"
                " or name its encoding, cp1252 perhaps"
            ) from None


def _read_csv(
    stream: BinaryIO, instructions: ImportInstructions, start: ResumePoint, bom_size: int
) -> Iterator[FileRow]:
    lines = _DecodedLines(stream, instructions.encoding, bom_size)
    header, delimiter, first = _read_header(lines, instructions)
    columns = NamedColumns(instructions)
    keys = [normalize_column_name(name) for name in header]
    names = dict(zip(keys, header, strict=True))
    if first or start.offset:
        lines = _DecodedLines(stream, instructions.encoding, bom_size, start)
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
                f"line {line}: a quotation mark is opened and not closed as CSV requires"
                " (RFC 4180); nothing after it can be trusted"
            ) from None
        if not any(cell.strip() for cell in cells):
            continue
        fault = ""
        if any(cell.strip() for cell in cells[len(keys) :]):
            fault = f"it has {len(cells)} cells where the header has {len(keys)}"
        # In reverse, so that the first of two columns with one name counts.
        found = dict(zip(reversed(keys[: len(cells)]), reversed(cells[: len(keys)]), strict=True))
        cells_by_name = columns.add_names(found)
        yield FileRow(index, line, cells_by_name, names, lines.offset, lines.line, fault)
        index += 1


def _read_header(
    lines: _DecodedLines, instructions: ImportInstructions
) -> tuple[list[str], str, bool]:
    """The columns, the delimiter, and whether the first line is a row already."""
    preset = instructions.preset
    text = next((line for line in lines if line.strip()), "")
    delimiter = detect_delimiter(text)
    if text.startswith("sep=") and len(text.strip()) > len("sep="):  # Excel's first line
        delimiter, text = text.strip()[-1], next(lines, "")
    try:
        header = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise InvalidInput("the first line can't be read as the header of a CSV file") from None
    if not any(cell.strip() for cell in header):
        raise InvalidInput("the file is empty, or its first line is")
    is_row = False
    if preset.header_optional:
        if _is_row(header[0], instructions):
            is_row = True
            header[1:] = [f"column {n}" for n in range(2, len(header) + 1)]
        if is_row or len(header) == 1:
            header[0] = preset.address_columns[0]
    header = [name.strip() or f"column {n}" for n, name in enumerate(header, 1)]
    NamedColumns(instructions).check(header)
    return header, delimiter, is_row


def _is_row(text: str, instructions: ImportInstructions) -> bool:
    """Whether the first cell of a file is of a row: an address, or what looks like one.

    The latter is refused as a row, with its line; as a header it would be lost.
    """
    try:
        if instructions.preset.is_hashed:
            parse_hashed_address(strip_text_mark(text), Channel.EMAIL)
        elif instructions.channel.rules.is_email:
            parse_cell(text, Channel.EMAIL, None)
        else:
            parse_cell(text, instructions.channel, services().settings.phone_region)
    except InvalidInput:
        return _ROW_LIKE.search(text) is not None
    return True


def list_member(json_rows_path: str) -> str:
    """The member of a document that `json_rows_path` leads to; TOP_LEVEL_LIST for none."""
    return TOP_LEVEL_LIST if json_rows_path == "item" else json_rows_path.removesuffix(".item")


def is_row_line(line: bytes, json_rows_path: str) -> bool:
    """Whether the first line of a file that begins as JSON is a row by itself."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and json_rows_path.partition(".")[0] not in found


def _read_ndjson(
    stream: BinaryIO, instructions: ImportInstructions, start: ResumePoint, bom_size: int
) -> Iterator[FileRow]:
    lines = _DecodedLines(stream, instructions.encoding, bom_size, start)
    index, columns = start.index, NamedColumns(instructions, is_checked=start.index > 0)
    for text in lines:
        if not text.strip():
            continue
        fault, found = "the line is not a JSON object", None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            fault = "the line is not JSON"
        yield _json_row(index, lines.line, found, columns, lines.offset, fault)
        index += 1


def _read_document(
    stream: BinaryIO, instructions: ImportInstructions, start: ResumePoint, list_name: str
) -> Iterator[FileRow]:
    rows, index = JsonRowParser({list_name}), 0
    columns = NamedColumns(instructions, is_checked=start.index > 0)
    for block in iter(lambda: stream.read(_BLOCK), b""):
        for _, found in rows.feed(block):
            if index >= start.index:
                yield _json_row(index, index + 1, found, columns)
            index += 1
    rows.close()


def _read_sequence(
    stream: BinaryIO, instructions: ImportInstructions, start: ResumePoint
) -> Iterator[FileRow]:
    """A document as an upload stores it: see `imports.uploads`."""
    lines = _DecodedLines(stream, "utf-8", start=start)
    name, index = list_member(instructions.preset.json_rows_path), start.index
    columns = NamedColumns(instructions, is_checked=index > 0)
    for text in lines:
        try:
            page = json.loads(text.strip().removeprefix(RECORD_SEPARATOR.decode()) or "[]")
        except (ValueError, RecursionError):
            raise InvalidInput(f"the JSON text sequence is damaged after its row {index}") from None
        rows = page.get(name, []) if isinstance(page, dict) else page
        if not isinstance(rows, list) or len(rows) > 1:  # not written by us: it could not resume
            raise InvalidInput("the file is a JSON text sequence: send its rows as NDJSON")
        for found in rows:
            yield _json_row(index, index + 1, found, columns, lines.offset)
            index += 1


def _json_row(
    index: int,
    line: int,
    found: Any,
    columns: NamedColumns,
    end_offset: int = 0,
    fault: str = "it is not a JSON object",
) -> FileRow:
    """A row of JSON. In a document lines can't be counted: `line` is the row's number."""
    is_row = isinstance(found, dict)
    cells, names = _normalize_keys(found if is_row else {})
    if is_row and not columns.is_checked:
        columns.check([*names.values()])
    columns.check_groups(names)
    renamed = columns.add_names(cells)
    return FileRow(index, line, renamed, names, end_offset, line, "" if is_row else fault)


def _normalize_keys(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    names: Sequence[str] = list(found)
    return (
        {normalize_column_name(name): found[name] for name in reversed(names)},
        {normalize_column_name(name): name for name in reversed(names)},
    )
