"""What a row says, by its preset: one address, and nothing, one thing or several of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from preference_center.domain.imports.presets import Columns, Preset, Says, When, plain

_YES = frozenset({"true", "yes", "1", "y", "x"})


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `line` counts from 1, in the file; for a JSON document it is the row.

    `cells` go by the plain names of the columns, `names` tell how the file writes them.
    `index` counts rows from 0; `end` is the octet after it, where the format has one, and
    `last_line` the line that it ends on.
    """

    index: int
    line: int
    cells: Mapping[str, Any]
    names: Mapping[str, str]
    end: int = 0
    last_line: int = 0
    fault: str = ""
    """Why it can't be read at all."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a row says, as it stands there."""

    says: Says
    number: int
    """Which of the row's."""
    group: str
    at: str
    evidence: Mapping[str, str] = field(default_factory=dict)


def cell(cells: Mapping[str, Any], columns: Columns) -> str:
    """The text of the first of these columns that has any; "" if none has."""
    for column in columns:
        text = _text(cells.get(plain(column)))
        if text:
            return text
    return ""


def statements(record: Record, preset: Preset) -> Iterator[Statement]:
    """All that the row says."""
    number = 0
    for says in preset.says:
        for cells in _objects(record.cells, says):
            if all(_holds(when, cells) for when in says.when):
                for group in _groups(says, cells, record.names, preset):
                    evidence = {
                        name: cell(cells, columns) for name, columns in preset.evidence.items()
                    }
                    yield Statement(says, number, group, cell(cells, says.at), evidence)
                    number += 1


def _objects(cells: Mapping[str, Any], says: Says) -> Iterator[Mapping[str, Any]]:
    """The row itself, or with each object of the list that `says` looks into."""
    if not says.items:
        yield cells
        return
    for column in says.items:
        found = cells.get(plain(column))
        for item in found if isinstance(found, list) else ():
            if isinstance(item, Mapping):
                yield {**cells, **{plain(str(name)): value for name, value in item.items()}}


def _groups(
    says: Says, cells: Mapping[str, Any], names: Mapping[str, str], preset: Preset
) -> Iterator[str]:
    if says.prefix:
        prefix = plain(says.prefix)
        for key, value in cells.items():
            if key.startswith(prefix) and _text(value).casefold() in _YES:
                yield names.get(key, key).strip()[len(says.prefix) :].strip()
    elif says.rest:
        for key, value in cells.items():
            if key not in preset.known and _text(value).casefold() in _YES:
                yield names.get(key, key).strip()
    else:
        yield from _named(says, cells)


def _named(says: Says, cells: Mapping[str, Any]) -> Iterator[str]:
    for column in says.by:
        found = cells.get(plain(column))
        if isinstance(found, list):
            several = [_text(item) for item in found]
        else:
            text = _text(found)
            several = text.split(says.split) if says.split else [text]
        several = [group.strip() for group in several if group.strip()]
        if several:
            yield from dict.fromkeys(several)
            return
    yield says.group


def _holds(when: When, cells: Mapping[str, Any]) -> bool:
    text = cell(cells, when.column).casefold()
    return (text.startswith(when.values) if when.values else bool(text)) != when.negated


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
