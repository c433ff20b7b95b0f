"""Lists from elsewhere: how files are read, and what of them may become an event.

`Preset`s say what columns mean, `Instructions` what the file does not say itself, and
`Translator` makes `Change`s of rows, or refuses them with the reason. docs/imports.md is
the reference for users.
"""

from __future__ import annotations

from preference_center.domain.imports.instructions import Instructions, LegalBasis
from preference_center.domain.imports.presets import Meaning, Only, Preset, plain
from preference_center.domain.imports.row_statements import Record
from preference_center.domain.imports.scopes import (
    LEAVE_OUT,
    ScopeMap,
    missing_scopes,
    parse_scope,
    parse_scope_file,
    scope_map,
)
from preference_center.domain.imports.stats import NOTHING_LIFTED, Tally
from preference_center.domain.imports.translator import SOURCE, Entry, Reading, Refusal, Translator

__all__ = [
    "LEAVE_OUT",
    "NOTHING_LIFTED",
    "SOURCE",
    "Entry",
    "Instructions",
    "LegalBasis",
    "Meaning",
    "Only",
    "Preset",
    "Reading",
    "Record",
    "Refusal",
    "ScopeMap",
    "Tally",
    "Translator",
    "missing_scopes",
    "parse_scope",
    "parse_scope_file",
    "plain",
    "scope_map",
]
