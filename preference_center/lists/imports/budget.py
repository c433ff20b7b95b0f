"""How long and how fast an import may run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.infra.context import services
from preference_center.lists.rules.row_statements import FileRow

LEASE_DURATION = timedelta(seconds=60)
"""How long an import stays locked after its worker stops responding."""
MIN_CHUNK_SIZE, MAX_CHUNK_SIZE = 100, 5_000


@dataclass(slots=True)
class Throttle:
    """Chunks of about `target_seconds`, with pauses that keep the load at `max_load`.

    A chunk is one transaction: a request about an address in it waits until it ends.
    """

    target_seconds: float = 0.2
    max_load: float = 0.5
    chunk_size: int = 500

    def next_pause(self, elapsed: float) -> float:
        """Adapt to a chunk that took `elapsed` seconds. Returns the seconds to pause."""
        wanted = self.chunk_size * self.target_seconds / max(elapsed, 0.001)
        # At most double: one fast chunk proves nothing.
        self.chunk_size = int(min(max(wanted, MIN_CHUNK_SIZE), MAX_CHUNK_SIZE, 2 * self.chunk_size))
        return elapsed * (1 - self.max_load) / self.max_load


@dataclass(frozen=True, slots=True)
class ImportBudget:
    """Time limit and throttle of an import, and its callbacks between chunks.

    `on_progress` is called with the last row of each recorded chunk, `on_undone` with the number
    of retracted events.
    """

    until: datetime | None = None
    should_stop: Callable[[], bool] = lambda: False
    throttle: Throttle | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    on_progress: Callable[[FileRow], None] = lambda _: None
    on_undone: Callable[[int], None] = lambda _: None

    def may_continue(self) -> bool:
        """Whether another chunk may begin."""
        return not self.should_stop() and (self.until is None or services().now() < self.until)
