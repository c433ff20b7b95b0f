"""A gate is shut while a database must not be answered from, e.g. since it was restored (I11).

What decides that is slow to find out, so each process keeps what it has found for CHECK_INTERVAL.
But an answer that was read in another epoch than the one of the last check is from another state of
the database (`ledger.watermarks`): then it is found out again before the answer is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

import structlog

from preference_center.infra.hooks import Hook

log = structlog.get_logger()


CHECK_INTERVAL = timedelta(seconds=10)
"""How often a process checks."""


_PATIENCE = 5
"""Seconds that a request waits for the check of another one that takes too long."""


@Hook
def require_complete_database(epoch: str | None = None) -> None:
    """Raise ReplayPending unless the database is known to lack nothing after a restore (I2, I6).

    Whatever says whom to write to calls it with the epoch in which it has read, before anybody
    can see that: the database may have been put back since. Without an epoch, what was found in
    the last CHECK_INTERVAL counts.
    """


@dataclass(frozen=True, slots=True)
class Finding:
    """Why nothing may be answered from this database, or None; and the epoch it was found in.

    The epoch is read first, so that none is named that begins meanwhile; None if it has ended.
    """

    problem: str | None
    epoch: str | None


@dataclass(slots=True)
class RestoreGate:
    """What this process has found when it checked last. Thread-safe."""

    check: Callable[[], Finding]
    """Raises Unavailable if nothing can be found out: nothing is answered then, either."""
    silent: str
    """The problem while a check takes too long."""
    event: str
    """What the log calls a problem that is new."""
    _found: Finding = Finding(None, None)
    _checked_at: datetime | None = None
    _begun: int = 0
    """The number of the check that began last."""
    _ended: int = 0
    """The number of the one that found this: above the `_begun` of before, it began later."""
    _lock: Lock = field(default_factory=Lock)

    def find_problem(self, now: datetime, epoch: str | None = None) -> str | None:
        """Why nothing may be answered that was read in `epoch`; None if all is well.

        One request checks, and the others go on by what was found before, but wait where that is
        old, or of another epoch: a check that hangs must not keep the gate open.
        """
        if self._holds(now, epoch, CHECK_INTERVAL):
            return self._found.problem
        begun = self._begun
        patience = 0 if self._holds(now, epoch, 3 * CHECK_INTERVAL) else _PATIENCE
        if not self._lock.acquire(timeout=patience):
            return self._found.problem or (self.silent if patience else None)
        try:
            if self._ended <= begun and not self._holds(now, epoch, CHECK_INTERVAL):
                self._begun += 1
                before, self._found = self._found, self.check()
                self._checked_at, self._ended = now, self._begun
                if self._found.problem and self._found.problem != before.problem:
                    log.warning(self.event, reason=self._found.problem)
        finally:
            self._lock.release()
        return self._found.problem

    def _holds(self, now: datetime, epoch: str | None, within: timedelta) -> bool:
        """Whether the last check was `within` that time, and in the epoch if one is given."""
        at = self._checked_at
        is_recent = at is not None and at <= now < at + within
        return is_recent and epoch in {None, self._found.epoch}
