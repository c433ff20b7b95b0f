"""How fast an import may go, so that people who click unsubscribe notice nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST, LARGEST = 100, 5_000


@dataclass(slots=True)
class Pace:
    """Chunks of about `aim` seconds, with pauses that leave it `share` of the time.

    A chunk is one transaction: whoever clicks for an address in it waits for its end.
    """

    aim: float = 0.2
    share: float = 0.5
    size: int = 500

    def after(self, took: float) -> float:
        """Learn from a chunk that took so many seconds; returns how long to pause, in seconds."""
        wanted = self.size * self.aim / max(took, 0.001)
        # Never more than double: one lucky chunk is no measure.
        self.size = int(min(max(wanted, SMALLEST), LARGEST, 2 * self.size))
        return took * (1 - self.share) / self.share
