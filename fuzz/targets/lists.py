"""Lists: streamed to be decided upon, and files to be imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO

from fuzz.targets.picking import pick
from preference_center.api.gunzip import gunzip, lines
from preference_center.api.row_formats import Ndjson, Row, Sheet, open_csv
from preference_center.domain.decisions import Decision, Rule
from preference_center.domain.imports import Instructions, ScopeMap
from preference_center.domain.watermarks import Watermark
from preference_center.errors import InvalidInput, UnreadableBody
from preference_center.imports.read_rows import Start, records
from preference_center.integrations.import_presets import PRESETS

_ALLOWED = Decision(allow=True, rule=Rule.NOT_OPTED_OUT)
_AS_OF = Watermark("00000000", 1, 1)


def ndjson_stream(data: bytes) -> None:
    """Each line is a row or nothing, however the octets are cut."""
    assert _rows(Ndjson(), _pieces(data)) == _rows(Ndjson(), [data])


def csv_stream(data: bytes) -> None:
    """The same of CSV; a header that names no recipients is refused."""
    with suppress(UnreadableBody):
        sheet, rest = open_csv(lines(iter([data])), None)
        whole = _answered(sheet, rest)
        sheet, rest = open_csv(lines(iter(_pieces(data))), None)
        assert _answered(sheet, rest) == whole


def gzip_stream(data: bytes) -> None:
    """Whatever claims to be gzip is unpacked the same however it is cut, or refused."""
    with suppress(UnreadableBody):
        whole = b"".join(gunzip([data]))
        assert b"".join(gunzip(_pieces(data))) == whole


def import_file(data: bytes) -> None:
    """A file is read to its end or refused; the first line names the preset."""
    preset, file = pick(PRESETS, data)
    instructions = Instructions(preset, ScopeMap({}))
    with suppress(InvalidInput):
        found = list(records(BytesIO(file), instructions, Start()))
        assert [record.index for record in found] == list(range(len(found)))


def _pieces(data: bytes) -> list[bytes]:
    """The octets, cut at places that they name themselves."""
    step = 1 + (data[0] % 61 if data else 0)
    return [data[at : at + step] for at in range(0, len(data), step)]


def _rows(sheet: Sheet, pieces: Sequence[bytes]) -> list[Row]:
    return _answered(sheet, lines(iter(pieces)))


def _answered(sheet: Sheet, blocks: Iterator[list[bytes]]) -> list[Row]:
    rows = [row for block in blocks for row in sheet.read(block)] + sheet.rest()
    decisions = [row if isinstance(row, Decision) else _ALLOWED for row in rows]
    assert sheet.answers(rows, decisions).count(b"\n") >= len(rows)
    assert sheet.end(len(rows), _AS_OF)
    return rows
