"""The instructions of an import, loaded from its database row."""

from __future__ import annotations

from preference_center.domain.imports import ImportInstructions
from preference_center.integrations.import_presets import get_preset
from preference_center.storage.imports.import_jobs import Import


def stored_instructions(found: Import) -> ImportInstructions:
    """How the file of this import is read. Raises InvalidInput if its preset no longer exists."""
    return ImportInstructions.from_json(
        found.instructions, get_preset(found.instructions["preset"])
    )
