"""How many pushes to one destination may run at once, so that a slow tool delays no other (I3)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

MAX_CONCURRENT_PUSHES = 4
"""The most pushes to one destination at once."""
SLOW_PUSH_DURATION = timedelta(seconds=2)
"""A push that takes longer makes the tool slow: other tools may be waiting for the worker."""
SLOW_STATUS_DURATION = timedelta(minutes=10)
"""How long a tool counts as slow after a slow push; twice the interval of an open circuit's
probes, so that one whose probes time out stays slow."""
MAX_PUSH_BLOCKING = timedelta(seconds=30)
"""How long a push blocks others. One exchange with a tool ends by then, so an older push has
many requests, or its worker died: waiting for that would be a delay, too."""


def can_start_push(
    started_at: Collection[datetime], now: datetime, *, is_slow: bool, is_fresh_lane: bool = False
) -> bool:
    """Whether one more push to a destination may start, while those of `started_at` run.

    A tool that `is_slow`, or whose response is overdue now, gets one at a time: the other
    workers stay free. So does the fresh lane, since a running push goes on with whatever
    comes meanwhile.
    """
    running = [start for start in started_at if start > now - MAX_PUSH_BLOCKING]
    if is_slow or is_fresh_lane or any(start <= now - SLOW_PUSH_DURATION for start in running):
        return not running
    return len(running) < MAX_CONCURRENT_PUSHES
