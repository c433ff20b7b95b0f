"""The time of a process is that of the database, whatever the clock of its host shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

log = structlog.get_logger()

TOLERANCE = 0.1
"""Seconds by which a look at the server must differ for the clock to follow it: answers are late
by some milliseconds, and time that goes back and forth helps nobody."""

MAX_OFFSET = 2.0
"""Seconds by which a host may differ before somebody must learn of it: its spool and its logs have
its own time, and so have the signatures that it verifies."""


def seconds_since_boot() -> float:
    """Of this host; nobody sets it, and it goes on while a process is stopped."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class DatabaseClock:
    """UTC as the database has it, so that processes on hosts whose clocks differ agree (I5).

    It looks at the server with each new connection. In between, and if somebody sets the host's
    clock, it goes on by `elapsed`, which nobody sets. Before the first look it begins with the
    host's time. Thread-safe.
    """

    def __init__(
        self,
        host_time: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """`host_time`: seconds since 1970; `elapsed`: seconds since any point in the past."""
        self.host_time, self._elapsed = host_time, elapsed
        self._lock = threading.Lock()
        self._at_zero = host_time() - elapsed()
        """The time at which `elapsed` was 0."""

    def __call__(self) -> datetime:
        """The time."""
        return datetime.fromtimestamp(self._at_zero + self._elapsed(), UTC)

    @property
    def offset(self) -> float:
        """How many seconds the host's clock is ahead of this one."""
        return self.host_time() - self._at_zero - self._elapsed()

    def look(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Ask the server for its time."""
        before = self._elapsed()
        (answer,) = connection.execute(
            "SELECT extract(epoch FROM clock_timestamp())::float8"
        ).fetchone() or (0.0,)
        after = self._elapsed()
        at_zero = answer - (before + after) / 2
        with self._lock:
            if abs(at_zero - self._at_zero) <= max(TOLERANCE, after - before):
                return
            self._at_zero = at_zero
        if abs(self.offset) > MAX_OFFSET:
            log.warning("host_clock_differs", ahead_seconds=round(self.offset, 1))
