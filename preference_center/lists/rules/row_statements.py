"""What a row states, by its preset: one address with no, one or several statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from preference_center.core.tabular import normalize_column_name
from preference_center.integrations.base.presets import (
    CellCondition,
    ColumnMeaning,
    ColumnNames,
    ImportPreset,
)

_TRUE_VALUES = frozenset({"true", "yes", "1", "y", "x"})


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row. `line` counts from 1, in the file; for a JSON document it is the row's number.

    `cells` are keyed by the normalized names of the columns, `column_names` maps these to the
    names in the file. `index` counts rows from 0; `end_offset` is the byte after the row, where
    the format has one, and `last_line` the line on which it ends.
    """

    index: int
    line: int
    cells: Mapping[str, Any]
    column_names: Mapping[str, str]
    end_offset: int = 0
    last_line: int = 0
    error: str = ""
    """Why it can't be parsed; "" if it can."""


@dataclass(frozen=True, slots=True)
class RowStatement:
    """One statement of a row, as it is written there."""

    column_meaning: ColumnMeaning
    index: int
    """Its number within the row."""
    group: str
    date: str
    evidence: Mapping[str, str] = field(default_factory=dict)


def cell_text(cells: Mapping[str, Any], columns: ColumnNames) -> str:
    """The text of the first of these columns that has any; "" if none has."""
    for column in columns:
        text = _text(cells.get(normalize_column_name(column)))
        if text:
            return text
    return ""


def parse_row_statements(row: FileRow, preset: ImportPreset) -> Iterator[RowStatement]:
    """All statements of the row."""
    number = 0
    for meaning in preset.meanings:
        for cells in _expand_list(row.cells, meaning):
            if all(_matches(when, cells) for when in meaning.conditions):
                for group in _groups(meaning, cells, row.column_names, preset):
                    evidence = {
                        name: cell_text(cells, columns)
                        for name, columns in preset.evidence_columns.items()
                    }
                    yield RowStatement(
                        meaning, number, group, cell_text(cells, meaning.date_columns), evidence
                    )
                    number += 1


def _expand_list(cells: Mapping[str, Any], meaning: ColumnMeaning) -> Iterator[Mapping[str, Any]]:
    """The row itself, or merged with each object of the list in `list_columns`."""
    if not meaning.list_columns:
        yield cells
        return
    for column in meaning.list_columns:
        found = cells.get(normalize_column_name(column))
        for item in found if isinstance(found, list) else ():
            if isinstance(item, Mapping):
                yield {
                    **cells,
                    **{normalize_column_name(str(name)): value for name, value in item.items()},
                }


def _groups(
    meaning: ColumnMeaning,
    cells: Mapping[str, Any],
    column_names: Mapping[str, str],
    preset: ImportPreset,
) -> Iterator[str]:
    if meaning.group_column_prefix:
        prefix = normalize_column_name(meaning.group_column_prefix)
        for key, value in cells.items():
            if key.startswith(prefix) and _text(value).casefold() in _TRUE_VALUES:
                yield column_names.get(key, key).strip()[len(meaning.group_column_prefix) :].strip()
    elif meaning.other_columns_are_groups:
        for key, value in cells.items():
            if key not in preset.known_columns and _text(value).casefold() in _TRUE_VALUES:
                yield column_names.get(key, key).strip()
    else:
        yield from _groups_in_columns(meaning, cells)


def _groups_in_columns(meaning: ColumnMeaning, cells: Mapping[str, Any]) -> Iterator[str]:
    for column in meaning.group_columns:
        found = cells.get(normalize_column_name(column))
        if isinstance(found, list):
            several = [_text(item) for item in found]
        else:
            text = _text(found)
            several = text.split(meaning.group_separator) if meaning.group_separator else [text]
        several = [group.strip() for group in several if group.strip()]
        if several:
            yield from dict.fromkeys(several)
            return
    yield meaning.default_group


def _matches(condition: CellCondition, cells: Mapping[str, Any]) -> bool:
    text = cell_text(cells, condition.columns).casefold()
    return (
        text.startswith(condition.prefixes) if condition.prefixes else bool(text)
    ) != condition.negated


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\0", "").strip()  # JSON may have it, and PostgreSQL stores none
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
