"""Time as tests want it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """A clock that moves only when set: `clock()` is an aware UTC datetime."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move the time (backwards, if negative) and return it."""
        self.now += by
        return self.now
