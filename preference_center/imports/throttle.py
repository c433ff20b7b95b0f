"""Limit the speed of an import, so that unsubscribe requests are not delayed."""

from __future__ import annotations

from dataclasses import dataclass

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
