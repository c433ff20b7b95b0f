"""Lists: streamed to be decided upon, and files to be imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO

from fuzz.targets.picking import pick
from preference_center.core.errors import InvalidInput, UnreadableBody
from preference_center.decisions.api.row_formats import InputRow, NdjsonFormat, RowFormat, open_csv
from preference_center.decisions.rules import Decision, DecisionRule
from preference_center.integrations.registry import load_presets
from preference_center.ledger.watermarks import Watermark
from preference_center.lists.imports.read import ResumePoint, read_rows
from preference_center.lists.rules.instructions import ImportInstructions, ScopeMap
from preference_center.web.api.streams import gunzip, split_lines

_ALLOWED = Decision(allow=True, rule=DecisionRule.NOT_OPTED_OUT)
_AS_OF = Watermark("00000000", 1, 1)


def ndjson_stream(data: bytes) -> None:
    """Each line is a row or nothing, however the bytes are split."""
    assert _rows(NdjsonFormat(), _pieces(data)) == _rows(NdjsonFormat(), [data])


def csv_stream(data: bytes) -> None:
    """The same of CSV; a header that names no recipients is refused."""
    with suppress(UnreadableBody):
        sheet, rest = open_csv(split_lines(iter([data])), None)
        whole = _answered(sheet, rest)
        sheet, rest = open_csv(split_lines(iter(_pieces(data))), None)
        assert _answered(sheet, rest) == whole


def gzip_stream(data: bytes) -> None:
    """Whatever claims to be gzip is unpacked the same however it is cut, or refused."""
    with suppress(UnreadableBody):
        whole = b"".join(gunzip([data]))
        assert b"".join(gunzip(_pieces(data))) == whole


def import_file(data: bytes) -> None:
    """A file is read to its end or refused; the first line names the preset."""
    preset, file = pick(load_presets(), data)
    instructions = ImportInstructions(preset, ScopeMap({}))
    with suppress(InvalidInput):
        found = list(read_rows(BytesIO(file), instructions, ResumePoint()))
        assert [record.index for record in found] == list(range(len(found)))


def _pieces(data: bytes) -> list[bytes]:
    """The bytes, split at positions that they name themselves."""
    step = 1 + (data[0] % 61 if data else 0)
    return [data[at : at + step] for at in range(0, len(data), step)]


def _rows(sheet: RowFormat, pieces: Sequence[bytes]) -> list[InputRow]:
    return _answered(sheet, split_lines(iter(pieces)))


def _answered(sheet: RowFormat, blocks: Iterator[list[bytes]]) -> list[InputRow]:
    rows = [row for block in blocks for row in sheet.read_rows(block)] + sheet.flush()
    decisions = [row if isinstance(row, Decision) else _ALLOWED for row in rows]
    assert sheet.encode_decisions(rows, decisions).count(b"\n") >= len(rows)
    assert sheet.encode_end(len(rows), _AS_OF)
    return rows
