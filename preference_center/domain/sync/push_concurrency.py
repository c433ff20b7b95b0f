"""Which work may begin beside what is under way, so that a slow tool delays no other (I3)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

MAX_CONCURRENT_PUSHES = 4
"""The most pushes to one destination at once."""
SLOW_PUSH_DURATION = timedelta(seconds=2)
"""A push that takes longer is a slow tool's: somebody else could be waiting for the worker."""
SLOW_STATUS_DURATION = timedelta(minutes=10)
"""How long a tool counts as slow after a slow push; twice the interval of an open circuit's
probes, so that one whose probes time out stays slow."""
MAX_PUSH_BLOCKING = timedelta(seconds=30)
"""How long a push holds others off. One exchange with a tool ends by then, so what began
earlier is of many requests, or of a worker that died: waiting for that would be a delay, too."""


def can_start_push(
    started_at: Collection[datetime], now: datetime, *, is_slow: bool, is_fresh_lane: bool = False
) -> bool:
    """Whether one more push to a destination may begin, beside those that `began_at` these times.

    A tool that is `slow`, or whose answer is overdue now, gets one at a time: the other
    workers stay free. So does the `fresh` lane, since a push under way goes on with
    whatever comes meanwhile.
    """
    under_way = [began for began in started_at if began > now - MAX_PUSH_BLOCKING]
    if is_slow or is_fresh_lane or any(began <= now - SLOW_PUSH_DURATION for began in under_way):
        return not under_way
    return len(under_way) < MAX_CONCURRENT_PUSHES
