"""How long and how fast an import may run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.context import services
from preference_center.domain.imports import FileRow
from preference_center.imports.throttle import Throttle

LEASE_DURATION = timedelta(seconds=60)
"""How long an import stays locked after its worker stops responding."""


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
