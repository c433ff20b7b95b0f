"""Which work may begin beside what is under way, so that a slow tool delays no other (I3)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

SLOTS = 4
"""The most pushes to one destination at once."""
SLOW = timedelta(seconds=2)
"""A push that takes longer is a slow tool's: somebody else could be waiting for the worker."""
SLOW_FOR = timedelta(minutes=10)
"""How long a tool counts as slow after a slow push; twice the interval of an open circuit's
probes, so that one whose probes time out stays slow."""
COUNTS_FOR = timedelta(seconds=30)
"""How long a push holds others off. One exchange with a tool ends by then, so what began
earlier is of many requests, or of a worker that died: waiting for that would be a delay, too."""


def may_begin(
    began_at: Collection[datetime], now: datetime, *, slow: bool, fresh: bool = False
) -> bool:
    """Whether one more push to a destination may begin, beside those that `began_at` these times.

    A tool that is `slow`, or whose answer is overdue now, gets one at a time: the other
    workers stay free. So does the `fresh` lane, since a push under way goes on with
    whatever comes meanwhile.
    """
    under_way = [began for began in began_at if began > now - COUNTS_FOR]
    if slow or fresh or any(began <= now - SLOW for began in under_way):
        return not under_way
    return len(under_way) < SLOTS
