"""Imported lists: how files are read, and which of their rows become events.

An `ImportPreset` defines the meaning of columns, `ImportInstructions` add what the file does not
state, and a `RowTranslator` turns rows into `Change`s, or refuses them with a reason.
docs/imports.md is the reference for users.
"""

from __future__ import annotations
