"""The time of `make run`: the machine's, and earlier while its company's past is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def machine_time() -> datetime:
    """What the machine's clock shows (UTC)."""
    return datetime.now(UTC)


@dataclass
class Clock:
    """How far it is behind the right time, which is the machine's unless stated."""

    right: Callable[[], datetime] = machine_time
    behind: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        """The time now (UTC)."""
        return self.right() - self.behind

    def go_to(self, moment: datetime) -> None:
        """Go on from this moment."""
        self.behind = self.right() - moment

    def return_to_now(self) -> None:
        """Show the right time again."""
        self.behind = timedelta(0)
