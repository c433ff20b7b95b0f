"""Whether this process knows that the database is down; then requests fail at once.

Only a process with a thread that retries the database takes part (`track_outages`). There the
first failure to connect makes all others fail immediately, until the retry succeeds. In any other
process each request tries for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import current_app

from preference_center.core.errors import Unavailable, UnavailableCause

EXTENSION_NAME = "preference_center.outage"


_OUTAGE_CAUSES = {
    UnavailableCause.READ_ONLY,
    UnavailableCause.UNRESPONSIVE,
    UnavailableCause.STATEMENT_TIMEOUT,
    UnavailableCause.UNREACHABLE,
    UnavailableCause.SCHEMA,
}
"""Not LOCK_TIMEOUT, which concerns few rows, nor RESOURCES_EXHAUSTED: a check may still work."""


@dataclass(slots=True)
class Outage:
    """Whether the database is known to be down. Thread-safe."""

    down: threading.Event = field(default_factory=threading.Event)
    """Set while it is down; the thread that retries waits for this."""
    cause: UnavailableCause = UnavailableCause.UNREACHABLE
    """The cause that was reported last."""
    reason: str = ""
    """What was stated of it."""
    _retrying: threading.local = field(default_factory=threading.local)

    @property
    def blocks_thread(self) -> bool:
        """Whether this thread must not try."""
        return self.down.is_set() and not getattr(self._retrying, "on", False)

    @contextmanager
    def allow_retry(self) -> Iterator[None]:
        """Inside, this thread tries the database even if it is known to be down."""
        self._retrying.on = True
        try:
            yield
        finally:
            self._retrying.on = False


def track_outages() -> Outage:
    """Track outages in this process; the caller must end each one by clearing `down`."""
    found: Outage = current_app.extensions.setdefault(EXTENSION_NAME, Outage())
    return found


def is_database_down() -> bool:
    """Whether the database is known to be down."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    return outage is not None and outage.blocks_thread


def report_failure(cause: UnavailableCause, reason: str = "") -> None:
    """Record that the database is down, if `cause` means that. `reason` is that of Unavailable."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    if outage is not None and cause in _OUTAGE_CAUSES:
        outage.cause, outage.reason = cause, reason
        outage.down.set()


def raise_if_database_down() -> None:
    """Raise Unavailable if the database is known to be down."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    if outage is not None and outage.blocks_thread:
        message = "the database can't be used: it is tried again"
        raise Unavailable(message, outage.cause, outage.reason)
