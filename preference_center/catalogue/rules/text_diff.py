"""The difference of two catalogues' texts, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

CONTEXT_LINES = 3
"""Unchanged lines shown around each change."""


class LineChange(StrEnum):
    """What happened to a line."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line, with its number in the old and in the new text, from 1."""

    change: LineChange
    text: str
    old_number: int | None
    new_number: int | None


def diff_texts(old: str, new: str) -> list[list[DiffLine]]:
    """The changes as runs of lines, each with the unchanged lines around it; empty if none."""
    before, after = old.splitlines(), new.splitlines()
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [
        [line for operation in group for line in _lines_of(*operation, before=before, after=after)]
        for group in matcher.get_grouped_opcodes(CONTEXT_LINES)
    ]


def _lines_of(
    tag: str,
    old_start: int,
    old_end: int,
    new_start: int,
    new_end: int,
    *,
    before: Sequence[str],
    after: Sequence[str],
) -> list[DiffLine]:
    if tag == "equal":
        return [
            DiffLine(LineChange.SAME, before[old_start + i], old_start + i + 1, new_start + i + 1)
            for i in range(old_end - old_start)
        ]
    removed = [
        DiffLine(LineChange.REMOVED, before[i], i + 1, None) for i in range(old_start, old_end)
    ]
    added = [DiffLine(LineChange.ADDED, after[i], None, i + 1) for i in range(new_start, new_end)]
    return removed + added
