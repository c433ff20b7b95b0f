"""Cutting a history that fails down to what matters (delta debugging, Zeller 2002)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from simulation.acts import Act

Fails = Callable[[Sequence[Act]], bool]


def shrunk(acts: Sequence[Act], fails: Fails, seconds: float) -> list[Act]:
    """The shortest history found in so many seconds that still fails.

    First what is about others is left out, then ever smaller parts.
    """
    until = time.monotonic() + seconds
    found, parts = list(acts), 2
    while len(found) > 1 and time.monotonic() < until:
        size = -(-len(found) // parts)
        for start in range(0, len(found), size):
            less = found[:start] + found[start + size :]
            if time.monotonic() > until:
                break
            if less and fails(less):
                found, parts = less, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(found))
    return found


def about(acts: Sequence[Act], person: int) -> list[Act]:
    """What is about one person, and what goes wrong."""
    return [act for act in acts if act.who in {person, -1} or act.what in TOOLS]


TOOLS = frozenset({"outage", "paused", "gains", "forgets"})
"""Acts whose `who` is a tool."""
