"""The instructions of an import, as its row in the database has them."""

from __future__ import annotations

from preference_center.domain.imports import Instructions
from preference_center.integrations.import_presets import preset
from preference_center.storage.imports.import_jobs import Import


def stored_instructions(found: Import) -> Instructions:
    """How the file of this import is read. Raises InvalidInput if its preset is gone."""
    return Instructions.from_json(found.instructions, preset(found.instructions["preset"]))
