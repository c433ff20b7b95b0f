"""Whether opt-outs are spooled at once, since somebody holds a lock that all of them wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.db.transactions import run_autocommit

MAX_TIMEOUTS = 3
"""Time-outs while a table is locked, without a success in between. One may be of a mailbox."""
RETRY_INTERVAL = 1.0
"""Seconds after which one more opt-out waits for the lock."""


# With each of these modes nobody else writes into the table, also where it is still awaited:
# PostgreSQL's manual, 13.3.1. Relations below 16384 are its own.
_IS_LOCKED = """SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation >= 16384 AND mode IN
    ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"""


def is_any_table_locked() -> bool:
    """Whether somebody holds, or waits for, a lock that keeps all others from writing a table."""
    try:
        row = run_autocommit(lambda connection: connection.execute(_IS_LOCKED).fetchone())
    except Unavailable:
        return True  # rather spool at once than keep more threads waiting
    assert row  # of no table
    return bool(row[0])


class LockedTables:
    """Of one process. Thread-safe.

    A table that is locked, as while an index is built, keeps each opt-out waiting until it times
    out, and with it the thread that others need for decisions (I2).
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        is_locked: Callable[[], bool] = is_any_table_locked,
    ) -> None:
        self._monotonic = monotonic
        self._is_locked = is_locked
        self._lock = Lock()
        self._timeouts = 0
        self._retry_at = 0.0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside, something is recorded. Raises Unavailable at once while that would time out."""
        self._raise_if_locked()
        try:
            yield
        except Unavailable as error:
            # A locked row and a deadlock have this cause, too, and concern one mailbox.
            if error.cause is UnavailableCause.LOCK_TIMEOUT and self._is_locked():
                self._count_timeout()
            raise
        self._timeouts = 0

    def _raise_if_locked(self) -> None:
        if self._timeouts < MAX_TIMEOUTS:
            return
        with self._lock:
            now = self._monotonic()
            if now < self._retry_at:
                raise Unavailable(
                    "a table is locked: it is tried again", UnavailableCause.LOCK_TIMEOUT
                )
            self._retry_at = now + RETRY_INTERVAL

    def _count_timeout(self) -> None:
        with self._lock:
            self._timeouts += 1
            self._retry_at = self._monotonic() + RETRY_INTERVAL
