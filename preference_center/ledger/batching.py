"""`record_together`: one transaction for what several requests say at the same moment.

To start the statement, and to wait for the disk, takes as long for eight changes as for one.
Nobody waits to be joined: who comes while nothing is being written writes at once, and those
who come meanwhile are written together when that has ended, by the first of them.

Nor does anybody wait for a stranger's lock. What several share gives up a lock soon, and then
each writes for itself, in its own thread; and whoever has waited a moment for others begins
without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from uuid import UUID

from flask import current_app

from preference_center.database_timeouts import DatabaseTimeouts
from preference_center.domain.events import Change
from preference_center.errors import Unavailable, UnavailableCause
from preference_center.ledger.recording import RecordResult, record
from preference_center.storage.db.database import current_limits, override_limits

_EXTENSION_KEY = "preference_center.group"

MAX_BATCH_WAIT = 0.25
"""Seconds that those who come meanwhile wait for a write before they begin without it."""
SHARED_LOCK_TIMEOUT, SHARED_STATEMENT_TIMEOUT, SHARED_TOTAL_TIMEOUT = 0.25, 1.0, 1.25
"""Seconds: a lock, a statement and all of it, of what several share."""
_ISOLATABLE_CAUSES = {UnavailableCause.LOCK_TIMEOUT, UnavailableCause.STATEMENT_TIMEOUT}
"""What may be the fault of one of them only."""


def record_batched(change: Change) -> tuple[UUID, ...]:
    """`record` one change, with those of other threads of this process if there are any.

    Returns the event that it made, or the one that it repeats, once that is committed; nothing
    where another change of the same moment is the same act.
    Raises Unavailable like `record`. The changes of other people cost it about a second at
    most: see SHARED_TOTAL and PATIENCE.
    """
    group: Batcher = current_app.extensions.setdefault(_EXTENSION_KEY, Batcher())
    return group.record(change)


@dataclass(slots=True, eq=False)
class _Pending:
    change: Change
    ready: Lock = field(default_factory=Lock)
    """Held until it is written, or may write."""
    batch: list[_Pending] = field(default_factory=list)
    """What it is to write: its own and those of others."""
    recorded: RecordResult | None = None
    error: Unavailable | None = None


class Batcher:
    """The threads of one process that have something to record."""

    def __init__(self, max_wait: float = MAX_BATCH_WAIT) -> None:
        self._max_wait = max_wait
        self._lock = Lock()
        self._waiting: list[_Pending] = []
        self._writing = 0
        """How many write now. More than one where some were passed by."""

    def record(self, change: Change) -> tuple[UUID, ...]:
        """See `record_together`."""
        wish = _Pending(change)
        wish.ready.acquire()
        with self._lock:
            self._waiting.append(wish)
            if not self._writing:
                self._writing = 1
                self._assign_batch(wish)
        if not wish.batch:
            self._wait_for_batch(wish)
        if wish.batch:
            self._write(wish)
        if wish.error:
            raise Unavailable(str(wish.error), wish.error.cause) from wish.error
        # Without either, another's change spoiled it, or this one: each for itself then.
        recorded = wish.recorded or record([change])
        if change.id in recorded.events:
            return (change.id,)
        repeated = recorded.repeats.get(change.id)
        return () if repeated is None else (repeated,)

    def _wait_for_batch(self, pending: _Pending) -> None:
        """Return when `wish` is written, is to write, or is to be written by itself."""
        if pending.ready.acquire(timeout=self._max_wait):
            return
        with self._lock:
            if pending in self._waiting:  # those who write are held up: pass them by
                self._writing += 1
                self._assign_batch(pending)
                return
        pending.ready.acquire(timeout=self._max_wait + SHARED_TOTAL_TIMEOUT)

    def _assign_batch(self, pending: _Pending) -> None:
        """Have `wish` write all that waits. To be called with the lock held."""
        pending.batch, self._waiting = self._waiting, []

    def _write(self, writer: _Pending) -> None:
        try:
            _record_batch(writer.batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                if following:
                    self._assign_batch(following)
                else:
                    self._writing -= 1
            if following:
                following.ready.release()
            for wish in writer.batch:
                if wish is not writer:
                    wish.ready.release()


def _record_batch(pending: Sequence[_Pending]) -> None:
    """Write them in one transaction, or leave each to write itself if one may be at fault."""
    changes = [wish.change for wish in pending]
    limits = current_limits()
    try:
        with override_limits(_shared_limits(limits) if len(pending) > 1 else limits):
            recorded = record(changes)
    except Unavailable as error:
        if len(pending) == 1 or error.cause not in _ISOLATABLE_CAUSES:
            for wish in pending:
                wish.error = error
    except Exception:
        if len(pending) == 1:
            raise
    else:
        for wish in pending:
            wish.recorded = recorded


def _shared_limits(limits: DatabaseTimeouts) -> DatabaseTimeouts:
    return replace(
        limits,
        lock=min(limits.lock, SHARED_LOCK_TIMEOUT),
        statement=min(limits.statement, SHARED_STATEMENT_TIMEOUT),
        retry=min(limits.retry, SHARED_LOCK_TIMEOUT),
        round_trip=min(limits.round_trip, SHARED_TOTAL_TIMEOUT),
    )
