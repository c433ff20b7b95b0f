"""The instructions of an import, loaded from its database row."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from preference_center.core.errors import InvalidInput
from preference_center.integrations.registry import get_preset
from preference_center.lists.imports.imports_read_rows import ENCODINGS
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.store.import_jobs import Import


def stored_instructions(found: Import) -> ImportInstructions:
    """How the file of this import is read. Raises InvalidInput if its preset no longer exists."""
    return ImportInstructions.from_json(
        found.instructions, get_preset(found.instructions["preset"])
    )


def validate_time_zone(name: str) -> None:
    """Raises InvalidInput unless it is the IANA name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("not a known time zone; use e.g. Europe/Rome") from None


def validate_encoding(name: str) -> None:
    """Raises InvalidInput unless files can be read in this encoding."""
    if name not in ENCODINGS:
        raise InvalidInput(f"unknown encoding; use one of {', '.join(ENCODINGS)}")
