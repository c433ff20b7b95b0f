"""How fast an import may go, so that people who click unsubscribe notice nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

MIN_CHUNK_SIZE, MAX_CHUNK_SIZE = 100, 5_000


@dataclass(slots=True)
class Throttle:
    """Chunks of about `aim` seconds, with pauses that leave it `share` of the time.

    A chunk is one transaction: whoever clicks for an address in it waits for its end.
    """

    target_seconds: float = 0.2
    max_load: float = 0.5
    chunk_size: int = 500

    def next_pause(self, elapsed: float) -> float:
        """Learn from a chunk that took so many seconds; returns how long to pause, in seconds."""
        wanted = self.chunk_size * self.target_seconds / max(elapsed, 0.001)
        # Never more than double: one lucky chunk is no measure.
        self.chunk_size = int(min(max(wanted, MIN_CHUNK_SIZE), MAX_CHUNK_SIZE, 2 * self.chunk_size))
        return elapsed * (1 - self.max_load) / self.max_load
