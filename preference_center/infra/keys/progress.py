"""What a rotation reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnProgress:
    """How many rows of a column have the new key, by this run and before it was interrupted."""

    column: str
    rows_done: int
