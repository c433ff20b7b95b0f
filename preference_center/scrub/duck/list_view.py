"""The list as a view: `cell`, and what is to be written of a row."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb

from preference_center.errors import InvalidList
from preference_center.scrub.csv_records import CR, LF, cell_pattern, straighten
from preference_center.scrub.decision_query import Progress
from preference_center.scrub.duck.connection import Connection, one, showing, to_read
from preference_center.scrub.list_layout import Compression, Layout

_BLOCK = 4 * 1024 * 1024
_LINES = (
    "delim = '\x01', quote = '', escape = '', auto_detect = false, columns = {'line': 'VARCHAR'}"
)


def open_list(connection: Connection, layout: Layout, work: Path, progress: Progress) -> str:
    """Make the view `list` of `cell` and `line`; what to write of the latter, in SQL.

    `line` is a CSV file's line or a Parquet file's row. Raises InvalidList where it can't be
    read.
    """
    if layout.parquet:
        name = layout.names[layout.column].replace('"', '""')
        connection.execute(
            f"""CREATE VIEW list AS
            SELECT line, coalesce(CAST(line."{name}" AS VARCHAR), '') AS cell
            FROM read_parquet({to_read(layout.path)}) AS line"""
        )
        return "line.*"
    _view(connection, layout, layout.path, layout.compression)
    if _is_straight(connection, layout, progress):
        return "line"
    progress("Straightening", 0)
    _view(connection, layout, _straightened(layout, work), Compression.NONE)
    return f"replace(replace(line, '{LF}', chr(10)), '{CR}', chr(13))"


def _view(connection: Connection, layout: Layout, path: Path, compression: Compression) -> None:
    form = f"{_LINES}, skip = {layout.skip}, compression = '{compression}'"
    connection.execute(
        f"""CREATE OR REPLACE VIEW list AS SELECT line, {_cell(layout)} AS cell
        FROM read_csv({to_read(path)}, {form}) WHERE line IS NOT NULL"""
    )


def _is_straight(connection: Connection, layout: Layout, progress: Progress) -> bool:
    """Whether lines are rows: no quote is open at an end of line, and the ends are alike."""
    if layout.compression is Compression.NONE and _is_plain(layout):
        return True
    quotes = "length(line) - length(replace(line, '\"', ''))"
    torn = f"contains(line, '\"') AND ({quotes}) % 2 = 1"
    try:
        with showing(connection, progress, "Reading"):
            return not one(connection, f"SELECT count(*) FROM list WHERE {torn}")[0]
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False  # line ends differ; or it is no UTF-8, which straightening tells


def _is_plain(layout: Layout) -> bool:
    """Whether a file has nothing in it that could make a line less or more than a row."""
    with layout.path.open("rb") as file:
        while block := file.read(_BLOCK):
            if b'"' in block or b"\r" in block or b"\x01" in block:
                return False
    return True


def _straightened(layout: Layout, work: Path) -> Path:
    """A copy with one record per line. Raises InvalidList."""
    if layout.compression is Compression.ZSTD:
        raise InvalidList(
            "it has line breaks in cells or differing line ends: unpack it first (zstd -d)"
        )
    path = work / "straight.csv"
    with (
        gzip.open(layout.path) if layout.compression is Compression.GZIP else layout.path.open("rb")
    ) as source, path.open("wb") as target:  # fmt: skip
        straighten(source, target, layout.delimiter, len(layout.names))  # type: ignore[arg-type]
    return path


def _cell(layout: Layout) -> str:
    """The address's cell out of `line`; empty where the line is no row that can be read."""
    d, before = layout.delimiter, layout.column
    cell = cell_pattern(d)
    row = f"^(?:{cell}[{d}]){{{before}}}({cell})(?:[{d}]|$)"
    found = f"trim(regexp_extract(line, '{row}', 1), ' ')"
    bare = f"replace({found}[2:-2], '\"\"', '\"')"
    return f"""CASE WHEN NOT contains(line, '"') THEN split_part(line, '{d}', {before + 1})
        WHEN starts_with({found}, '"') THEN {bare} ELSE {found} END"""
