"""Opt-outs and opt-ins by source, topic or brand, without small cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from preference_center.core.events import EventKind
from preference_center.core.small_cells import OTHER, MonthlyCell, merge_small_cells

OPT_OUT_KINDS = (EventKind.OPTED_OUT, EventKind.COMPLAINED)
"""What a person says against messages; a bounce or a closed account is none."""
OPT_IN_KINDS = (EventKind.OPTED_IN,)
COUNTED_KINDS = (*OPT_OUT_KINDS, *OPT_IN_KINDS, EventKind.RETRACTED)
"""The kinds of events that a report reads."""

_OUT, _IN = "out", "in"


@dataclass(frozen=True, slots=True)
class OptOutCounts:
    """Opt-outs and opt-ins of one source, topic or brand; None if merged into OTHER, or left out.

    `key` is OTHER for the merged ones.
    """

    key: str
    opt_outs: int | None = None
    opt_ins: int | None = None

    @property
    def net(self) -> int | None:
        """How many more opted in than out; None if either is not stated."""
        if self.opt_outs is None or self.opt_ins is None:
            return None
        return self.opt_ins - self.opt_outs


def break_down(counts: Iterable[tuple[str, str, int]]) -> list[OptOutCounts]:
    """One row per key of these triples of a key, an event's kind and a count; most opt-outs first.

    A count of zero is stated, a small one is not: it is merged with others into OTHER, or left
    out, as `merge_small_cells` has it. OTHER comes last.
    """
    totals: Counter[tuple[str, str]] = Counter()
    keys: set[str] = set()
    for key, kind, count in counts:
        direction = _OUT if kind in OPT_OUT_KINDS else _IN if kind in OPT_IN_KINDS else None
        if direction:
            totals[direction, key] += count
            keys.add(key)
    cells = [MonthlyCell(what, key, "", "", count) for (what, key), count in totals.items()]
    stated = {(cell.what, cell.scope): cell.count for cell in merge_small_cells(cells)}
    if any(key == OTHER for _, key in stated):
        keys.add(OTHER)

    def find(what: str, key: str) -> int | None:
        return stated.get((what, key), None if (what, key) in totals else 0)

    rows = [OptOutCounts(key, find(_OUT, key), find(_IN, key)) for key in keys]
    return sorted(rows, key=lambda row: (row.key == OTHER, -(row.opt_outs or 0), row.key))
