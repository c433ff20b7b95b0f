"""Differences that a run excuses: each case is counted, and the counts are bounded.

An oracle that excuses much proves little. A bug that hides behind an excuse shows as a count
that grows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from simulation.acts import Options


class Excuse(StrEnum):
    """Why a difference is no violation. Each comparison counts it: six-hourly, and more at rest."""

    UNKNOWN_FORM = "the form is unknown to us, and the tool can't be scanned"
    DOWN = "the tool is down or paused, or Redis is away"
    WAITING = "not twelve hours ago"
    FOUND_LATE = "the tool turned it on itself, forgot, or has a form that is new: not found yet"
    ASKED_TO_WAIT = "the tool asked for a hundred hours"
    UNSURE = "nobody can know what the tool should have been asked"
    ACTED_MEANWHILE = "the person acted between the claim and the request"
    NEVER_SURE = "an opt-out of which nobody could know in the end whether it was recorded"
    HIDDEN = "an opt-out made in a tool that another one hid"


BOUNDS: Mapping[Excuse, float] = {
    Excuse.UNKNOWN_FORM: 190,
    Excuse.DOWN: 215,
    Excuse.WAITING: 110,
    Excuse.FOUND_LATE: 175,
    Excuse.ASKED_TO_WAIT: 9,
    Excuse.UNSURE: 60,
    Excuse.ACTED_MEANWHILE: 1,
    Excuse.NEVER_SURE: 22,
    Excuse.HIDDEN: 2,
}
"""How many a seed may have on average, with MEASURED. At least a third more than 116 seeds had on
28 November 2026, in whose histories people act while tools are down."""

MEASURED = Options(hours=72, people=60, tools=5)
"""With more of any, more may be excused; with fewer not less, since some of it is always drawn."""
ENOUGH = 8
"""How many seeds the bounds are compared with at least: one alone may be many times the mean."""


def beyond(counts: Mapping[str, int], runs: int, options: Options) -> list[str]:
    """Which excuses were made more often than their bound allows, with both figures.

    Few seeds scatter more than many: the bound is wider there, and there is none below ENOUGH.
    """
    if runs < ENOUGH:
        return []
    size = math.prod(
        max(1, getattr(options, name) / getattr(MEASURED, name))
        for name in ("hours", "people", "tools")
    )
    allowed = size * (1 + 3 / math.sqrt(runs))
    return [
        f"{excuse}: {counts.get(excuse, 0) / runs:.1f} a seed, at most {bound * allowed:.1f}"
        for excuse, bound in BOUNDS.items()
        if counts.get(excuse, 0) > bound * allowed * runs
    ]


def total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The counts of several runs together."""
    found: Counter[str] = Counter()
    for each in counts:
        found.update(each)
    return found
