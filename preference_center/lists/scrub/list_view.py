"""The list as a view: `cell`, and what is to be written of a row."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb

from preference_center.core.errors import InvalidList
from preference_center.infra.duckdb import Connection, fetch_row, glob_safe_path_literal
from preference_center.lists.scrub.csv_records import (
    ESCAPED_CR,
    ESCAPED_LF,
    cell_pattern,
    write_one_record_per_line,
)
from preference_center.lists.scrub.decision_query import ScrubProgress
from preference_center.lists.scrub.duck import report_progress
from preference_center.lists.scrub.list_layout import Compression, ListLayout

_BLOCK = 4 * 1024 * 1024
_LINE_OPTIONS = (
    "delim = '\x01', quote = '', escape = '', auto_detect = false, columns = {'line': 'VARCHAR'}"
)


def create_list_view(
    connection: Connection, layout: ListLayout, work: Path, progress: ScrubProgress
) -> str:
    """Create the view `list` of `cell` and `line`; returns the SQL to write a line.

    `line` is a CSV file's line or a Parquet file's row. Raises InvalidList where it can't be
    read.
    """
    if layout.is_parquet:
        name = layout.column_names[layout.address_column].replace('"', '""')
        connection.execute(
            f"""CREATE VIEW list AS
            SELECT line, coalesce(CAST(line."{name}" AS VARCHAR), '') AS cell
            FROM read_parquet({glob_safe_path_literal(layout.path)}) AS line"""
        )
        return "line.*"
    _create_csv_view(connection, layout, layout.path, layout.compression)
    if _has_one_record_per_line(connection, layout, progress):
        return "line"
    progress("Normalizing lines", 0)
    _create_csv_view(connection, layout, _write_one_record_per_line(layout, work), Compression.NONE)
    return f"replace(replace(line, '{ESCAPED_LF}', chr(10)), '{ESCAPED_CR}', chr(13))"


def _create_csv_view(
    connection: Connection, layout: ListLayout, path: Path, compression: Compression
) -> None:
    form = f"{_LINE_OPTIONS}, skip = {layout.skipped_lines}, compression = '{compression}'"
    connection.execute(
        f"""CREATE OR REPLACE VIEW list AS SELECT line, {_address_cell_sql(layout)} AS cell
        FROM read_csv({glob_safe_path_literal(path)}, {form}) WHERE line IS NOT NULL"""
    )


def _has_one_record_per_line(
    connection: Connection, layout: ListLayout, progress: ScrubProgress
) -> bool:
    """Whether lines are rows: no line ends inside quotes, and all line ends are the same."""
    if layout.compression is Compression.NONE and _has_no_quotes(layout):
        return True
    quotes = "length(line) - length(replace(line, '\"', ''))"
    torn = f"contains(line, '\"') AND ({quotes}) % 2 = 1"
    try:
        with report_progress(connection, progress, "Reading"):
            return not fetch_row(connection, f"SELECT count(*) FROM list WHERE {torn}")[0]
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False  # line ends differ; or it is not UTF-8, which normalizing reports


def _has_no_quotes(layout: ListLayout) -> bool:
    """Whether a file contains nothing that could make a line other than one row."""
    with layout.path.open("rb") as file:
        while block := file.read(_BLOCK):
            if b'"' in block or b"\r" in block or b"\x01" in block:
                return False
    return True


def _write_one_record_per_line(layout: ListLayout, work: Path) -> Path:
    """A copy with one record per line. Raises InvalidList."""
    if layout.compression is Compression.ZSTD:
        raise InvalidList(
            "it has line breaks in cells or mixed line ends: unpack it first (zstd -d)"
        )
    path = work / "straight.csv"
    with (
        gzip.open(layout.path) if layout.compression is Compression.GZIP else layout.path.open("rb")
    ) as source, path.open("wb") as target:  # fmt: skip
        write_one_record_per_line(source, target, layout.delimiter, len(layout.column_names))  # type: ignore[arg-type]
    return path


def _address_cell_sql(layout: ListLayout) -> str:
    """The address's cell in `line`; empty where the line is not a valid row."""
    d, before = layout.delimiter, layout.address_column
    cell = cell_pattern(d)
    row = f"^(?:{cell}[{d}]){{{before}}}({cell})(?:[{d}]|$)"
    found = f"trim(regexp_extract(line, '{row}', 1), ' ')"
    bare = f"replace({found}[2:-2], '\"\"', '\"')"
    return f"""CASE WHEN NOT contains(line, '"') THEN split_part(line, '{d}', {before + 1})
        WHEN starts_with({found}, '"') THEN {bare} ELSE {found} END"""
