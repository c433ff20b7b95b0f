"""Check by its columns that a file fits its preset, before any row is used."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from preference_center.core.errors import InvalidInput
from preference_center.core.tabular import normalize_column_name
from preference_center.integrations.base.presets import ImportPreset
from preference_center.integrations.registry import load_presets

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
    for columns in (preset.address_columns, *preset.required_columns):
        if not any(normalize_column_name(name) in found for name in columns):
            raise InvalidInput(
                f"the file has no column {' or '.join(columns[:_MAX_SHOWN_NAMES])}, which"
                f" {preset.name} needs. {describe_columns(names)}{_preset_hint(found, preset)}"
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
        and all(
            any(normalize_column_name(name) in column_names for name in columns)
            for columns in (preset.address_columns, *preset.required_columns)
        )
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
