"""Monthly counts in which nobody can be found again: small cells are merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

MIN_CELL = 10
"""A count below this is merged with others: few people of one topic are soon one person.

Agencies use thresholds of 3 to 11 (Article 29 Working Party, opinion 05/2014; US CMS cell size
policy: 11).
"""
OTHER = "other"
"""The scope, source and outcome of merged cells."""


@dataclass(frozen=True, slots=True)
class MonthlyCell:
    """How often something happened in one month: an event's kind, or a delivery."""

    what: str
    scope: str
    source: str
    outcome: str
    count: int


def merge_small_cells(cells: Iterable[MonthlyCell]) -> list[MonthlyCell]:
    """The cells of one month, none below MIN_CELL.

    Small cells of one kind become one. If that is small too, the smallest other cell joins it, so
    that no difference to a total reveals it; if there is none, it is left out.
    """
    by_what: dict[str, list[MonthlyCell]] = defaultdict(list)
    for cell in cells:
        by_what[cell.what].append(cell)
    merged = [cell for what in sorted(by_what) for cell in _merge(by_what[what])]
    return sorted(merged, key=lambda cell: (cell.what, cell.scope, cell.source, cell.outcome))


def _merge(cells: list[MonthlyCell]) -> list[MonthlyCell]:
    ordered = sorted(cells, key=lambda cell: (cell.count, cell.scope, cell.source, cell.outcome))
    small = [cell for cell in ordered if cell.count < MIN_CELL]
    large = ordered[len(small) :]
    while small and large and _total(small) < MIN_CELL:
        small.append(large.pop(0))
    if not small or _total(small) < MIN_CELL:
        return large
    return [
        *large,
        replace(small[0], scope=OTHER, source=OTHER, outcome=OTHER, count=_total(small)),
    ]


def _total(cells: list[MonthlyCell]) -> int:
    return sum(cell.count for cell in cells)
