"""Imported lists: how files are read, and which of their rows become events.

An `ImportPreset` defines the meaning of columns, `ImportInstructions` add what the file does not
state, and a `RowTranslator` turns rows into `Change`s, or refuses them with a reason.
docs/imports.md is the reference for users.
"""

from __future__ import annotations

from preference_center.domain.imports.instructions import ImportInstructions, LegalBasis
from preference_center.domain.imports.presets import (
    ImportPreset,
    MeaningFilter,
    RowMeaning,
)
from preference_center.domain.imports.row_statements import FileRow
from preference_center.domain.imports.scopes import (
    LEAVE_OUT,
    ScopeMap,
    build_scope_map,
    missing_scopes_error,
    parse_scope,
    parse_scope_file,
)
from preference_center.domain.imports.stats import NOTHING_LIFTED, ImportStats
from preference_center.domain.imports.translator import (
    SOURCE,
    RowChange,
    RowRefusal,
    RowTranslator,
    TranslatedRow,
)

__all__ = [
    "LEAVE_OUT",
    "NOTHING_LIFTED",
    "SOURCE",
    "FileRow",
    "ImportInstructions",
    "ImportPreset",
    "ImportStats",
    "LegalBasis",
    "MeaningFilter",
    "RowChange",
    "RowMeaning",
    "RowRefusal",
    "RowTranslator",
    "ScopeMap",
    "TranslatedRow",
    "build_scope_map",
    "missing_scopes_error",
    "parse_scope",
    "parse_scope_file",
]
