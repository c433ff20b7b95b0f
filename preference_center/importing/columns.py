"""Is this a file of that preset? Told by its columns, before a row of it is believed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from preference_center.domain.imports import PRESETS, Preset, plain
from preference_center.errors import InvalidInput

_SHOWN, _HINTS = 20, 3


def check_columns(header: Iterable[str], preset: Preset) -> None:
    """Raises InvalidInput that says what is missing, or whose file it looks like."""
    names = list(header)
    found = {plain(name) for name in names}
    for column, other in preset.lacks.items():
        if plain(column) in found:
            raise InvalidInput(
                f"the file has a column {column}, which is not of {preset.name}:"
                f" is it one for --preset {other}?"
            )
    for columns in (preset.address, *preset.needs):
        if not any(plain(name) in found for name in columns):
            raise InvalidInput(
                f"the file has no column {' or '.join(columns)}, which {preset.name} needs."
                f" It has: {', '.join(names[:_SHOWN]) or 'none'}.{_hint(found, preset)}"
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


def _hint(found: Collection[str], preset: Preset) -> str:
    others = [name for name in fitting(found) if name != preset.name]
    if others:
        return f" It could fit: {', '.join(others[:_HINTS])}."
    return " `flask imports presets` tells what each preset reads."
