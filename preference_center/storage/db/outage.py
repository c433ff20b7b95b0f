"""What this process knows of an outage of the database: nobody waits for what is known away.

Only a process that has somebody to try the database again takes part (`watch`). Then the
first failure to connect makes all others fail at once, until that one has got through. In
any other process each request finds out for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import current_app

from preference_center.errors import Unavailable, UnavailableCause

EXTENSION_NAME = "preference_center.outage"


_OUTAGE_CAUSES = {
    UnavailableCause.READ_ONLY,
    UnavailableCause.UNRESPONSIVE,
    UnavailableCause.STATEMENT_TIMEOUT,
    UnavailableCause.UNREACHABLE,
}
"""Not LOCK, which is about a few people, nor FULL, which may yet answer a check."""


@dataclass(slots=True)
class Outage:
    """Whether the database is known to be away. Safe for use by several threads."""

    down: threading.Event = field(default_factory=threading.Event)
    """Set while it is away: what tries it again waits for this."""
    cause: UnavailableCause = UnavailableCause.UNREACHABLE
    """The last one that was noted."""
    _retrying: threading.local = field(default_factory=threading.local)

    @property
    def blocks_thread(self) -> bool:
        """Whether this thread should not even try."""
        return self.down.is_set() and not getattr(self._retrying, "on", False)

    @contextmanager
    def allow_retry(self) -> Iterator[None]:
        """Inside, this thread tries the database whatever is known."""
        self._retrying.on = True
        try:
            yield
        finally:
            self._retrying.on = False


def track_outages() -> Outage:
    """Have this process note outages; the caller must end each one by clearing `began`."""
    found: Outage = current_app.extensions.setdefault(EXTENSION_NAME, Outage())
    return found


def is_database_down() -> bool:
    """Whether the database is known to be away."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    return outage is not None and outage.blocks_thread


def report_failure(cause: UnavailableCause) -> None:
    """Note that the database can't be used, if that is what `cause` means."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    if outage is not None and cause in _OUTAGE_CAUSES:
        outage.cause = cause
        outage.down.set()


def raise_if_database_down() -> None:
    """Raises Unavailable if the database is known to be away."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    if outage is not None and outage.blocks_thread:
        raise Unavailable("the database can't be used: it is tried again", outage.cause)
