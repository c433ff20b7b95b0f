"""The time of `make run`: the machine's, and earlier while its company's past is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class Clock:
    """How far it is behind the machine's clock."""

    behind: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        """The time now (UTC)."""
        return datetime.now(UTC) - self.behind

    def go_to(self, moment: datetime) -> None:
        """Go on from this moment."""
        self.behind = datetime.now(UTC) - moment

    def return_to_now(self) -> None:
        """Be the machine's again."""
        self.behind = timedelta(0)
