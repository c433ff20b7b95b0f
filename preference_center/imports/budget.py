"""How an import is worked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.context import services
from preference_center.domain.imports import FileRow
from preference_center.imports.throttle import Throttle

LEASE_DURATION = timedelta(seconds=60)
"""How long a process that says nothing more keeps others from going on with its import."""


@dataclass(frozen=True, slots=True)
class ImportBudget:
    """Until when, how fast, and what to tell between the chunks.

    `progress` is told the last row of each chunk that was recorded, `undone` how many
    events were taken back.
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
