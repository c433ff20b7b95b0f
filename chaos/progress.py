"""How a run goes, a line every few seconds on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaos.crew import Score
from chaos.people import Crowd

EVERY = 15.0
"""Seconds between lines."""


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def telling(crowd: Crowd, score: Score) -> Iterator[None]:
    """Say how far the strikes and the people are, until the end of the block."""
    begin, before = time.monotonic(), 0

    def tell() -> None:
        nonlocal before
        took, now = time.monotonic() - begin, crowd.acknowledged
        say(
            f"{took:6.0f} s  {score.strikes} strikes  {now} opt-outs acknowledged, "
            f"{(now - before) / EVERY:.0f} a second, {now / took:.0f} from the start  "
            f"last {score.last}"
        )
        before = now

    with _every(EVERY, tell):
        yield


@contextmanager
def _every(seconds: float, work: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            work()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
