"""How an import is worked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.domain.imports import Record
from preference_center.extensions import services
from preference_center.imports.throttle import Pace

LEASE = timedelta(seconds=60)
"""How long a process that says nothing more keeps others from going on with its import."""


@dataclass(frozen=True, slots=True)
class Work:
    """Until when, how fast, and what to tell between the chunks.

    `progress` is told the last row of each chunk that was recorded, `undone` how many
    events were taken back.
    """

    until: datetime | None = None
    stop: Callable[[], bool] = lambda: False
    pace: Pace | None = None
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    progress: Callable[[Record], None] = lambda _: None
    undone: Callable[[int], None] = lambda _: None

    def goes_on(self) -> bool:
        """Whether another chunk may begin."""
        return not self.stop() and (self.until is None or services().now() < self.until)
