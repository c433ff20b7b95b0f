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

from preference_center.errors import Cause, Unavailable

NAME = "preference_center.outage"


_AWAY = {Cause.READ_ONLY, Cause.SILENT, Cause.TIMEOUT, Cause.UNREACHABLE}
"""Not LOCK, which is about a few people, nor FULL, which may yet answer a check."""


@dataclass(slots=True)
class Outage:
    """Whether the database is known to be away. Safe for use by several threads."""

    began: threading.Event = field(default_factory=threading.Event)
    """Set while it is away: what tries it again waits for this."""
    cause: Cause = Cause.UNREACHABLE
    """The last one that was noted."""
    _trying: threading.local = field(default_factory=threading.local)

    @property
    def ongoing(self) -> bool:
        """Whether this thread should not even try."""
        return self.began.is_set() and not getattr(self._trying, "on", False)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Inside, this thread tries the database whatever is known."""
        self._trying.on = True
        try:
            yield
        finally:
            self._trying.on = False


def watch() -> Outage:
    """Have this process note outages; the caller must end each one by clearing `began`."""
    found: Outage = current_app.extensions.setdefault(NAME, Outage())
    return found


def ongoing() -> bool:
    """Whether the database is known to be away."""
    outage: Outage | None = current_app.extensions.get(NAME)
    return outage is not None and outage.ongoing


def begin(cause: Cause) -> None:
    """Note that the database can't be used, if that is what `cause` means."""
    outage: Outage | None = current_app.extensions.get(NAME)
    if outage is not None and cause in _AWAY:
        outage.cause = cause
        outage.began.set()


def refuse() -> None:
    """Raises Unavailable if the database is known to be away."""
    outage: Outage | None = current_app.extensions.get(NAME)
    if outage is not None and outage.ongoing:
        raise Unavailable("the database can't be used: it is tried again", outage.cause)
