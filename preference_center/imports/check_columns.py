"""Is this a file of that preset? Told by its columns, before a row of it is believed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from preference_center.domain.imports import Preset, plain
from preference_center.errors import InvalidInput
from preference_center.integrations.import_presets import PRESETS

_SHOWN, _HINTS = 20, 3
_ROW = re.compile(r"@|\d{6}")


def check_columns(header: Iterable[str], preset: Preset) -> None:
    """Raises InvalidInput that says what is missing, or whose file it looks like."""
    names = list(header)
    found = {plain(name) for name in names}
    for column, other in preset.lacks.items():
        if plain(column) in found:
            raise InvalidInput(
                f"the file has a column {column}, which is not of {preset.name}:"
                f" is it one for the preset {other}?"
            )
    for columns in (preset.address, *preset.needs):
        if not any(plain(name) in found for name in columns):
            raise InvalidInput(
                f"the file has no column {' or '.join(columns)}, which {preset.name} needs."
                f" {_shown(names)}{_hint(found, preset)}"
            )


def fitting(found: Collection[str]) -> list[str]:
    """The presets whose files may have these columns (plain names), the likeliest first."""
    fits = [
        preset
        for preset in PRESETS.values()
        if not preset.bare
        and not any(plain(column) in found for column in preset.lacks)
        and all(
            any(plain(name) in found for name in columns)
            for columns in (preset.address, *preset.needs)
        )
    ]
    fits.sort(key=lambda preset: -len(preset.known & set(found)))
    return [preset.name for preset in fits]


def _shown(names: Collection[str]) -> str:
    """The columns; nothing of a first line that is a row, which may hold an address (I12)."""
    if any(_ROW.search(name) for name in names):
        return "Its first line looks like a row: does it lack a header?"
    return f"It has: {', '.join(list(names)[:_SHOWN]) or 'none'}."


def _hint(found: Collection[str], preset: Preset) -> str:
    others = [name for name in fitting(found) if name != preset.name]
    if others:
        return f" It could fit: {', '.join(others[:_HINTS])}."
    return " `flask imports presets` tells what each preset reads."
