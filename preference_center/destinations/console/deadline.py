"""How long something goes on while a person waits for the page."""

from __future__ import annotations

import time
from collections.abc import Callable


def stop_after(seconds: float) -> Callable[[], bool]:
    """A function that is true once so many seconds have passed from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
