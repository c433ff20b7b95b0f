"""Counts of choices about cookies, with small cells merged as in other statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from preference_center.core.small_cells import MonthlyCell, merge_small_cells

GRANTED, REFUSED = "granted", "refused"


@dataclass(frozen=True, slots=True)
class ConsentCount:
    """How often one category of one site was chosen in one way on one day (UTC)."""

    site: str
    day: date
    category: str
    method: str
    outcome: str
    count: int


def count_choices(counts: Iterable[ConsentCount]) -> list[ConsentCount]:
    """The counts, by site and day; those of a site, day and category are merged if small."""
    by_category: dict[tuple[str, date, str], list[ConsentCount]] = defaultdict(list)
    for each in counts:
        by_category[each.site, each.day, each.category].append(each)
    return [
        ConsentCount(site, day, category, cell.source, cell.outcome, cell.count)
        for (site, day, category), found in sorted(by_category.items())
        for cell in merge_small_cells(
            MonthlyCell("choice", category, each.method, each.outcome, each.count) for each in found
        )
    ]
