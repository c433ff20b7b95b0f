"""Leases: how long a worker may act on what it has claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

LEASE_DURATION = timedelta(seconds=90)
"""How long a worker holds a batch; one exchange with a tool (30 s) ends well within it."""
MAX_EXCHANGE_DURATION = timedelta(seconds=30)
SETTLE_MARGIN = timedelta(seconds=10)
"""Time left after the last exchange, to store its outcome."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that ends at `ends_at`, by the clock `now`."""

    ends_at: datetime
    now: Callable[[], datetime]

    def __call__(self) -> bool:
        """Whether it outlasts an exchange that starts now."""
        return self.now() + MAX_EXCHANGE_DURATION < self.ends_at

    def max_wait(self) -> float:
        """Seconds that a request may wait for the rate limit and still be settled in time."""
        return (self.ends_at - MAX_EXCHANGE_DURATION - SETTLE_MARGIN - self.now()).total_seconds()
