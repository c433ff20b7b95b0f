"""Notices when the machine, and not the service, made everybody wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BEAT = 0.05
"""Seconds between beats."""
LATE = 0.2
"""Seconds of lateness from which the machine has stalled."""


@dataclass(frozen=True, slots=True)
class Stall:
    """An interval in which a process that only sleeps was not let run; monotonic seconds."""

    begin: float
    end: float


class Heart:
    """Reports of each beat whether it was late."""

    def __init__(self) -> None:
        self._before = time.monotonic()

    def beat(self) -> Stall | None:
        """To be called every `BEAT` seconds: what was missed since the last call, if any."""
        due, now = self._before + BEAT, time.monotonic()
        self._before = now
        return Stall(due, now) if now - due > LATE else None


@contextmanager
def beating() -> Iterator[list[Stall]]:
    """The stalls of this process, its lock on the interpreter included, until the end."""
    stalls: list[Stall] = []
    over = threading.Event()

    def beat() -> None:
        heart = Heart()
        while not over.wait(BEAT):
            if stall := heart.beat():
                stalls.append(stall)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield stalls
    finally:
        over.set()
        thread.join()
